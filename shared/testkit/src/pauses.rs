//! Better news that waits: never for longer than a pause, whatever comes meanwhile, and only while the way that was told
//! may be used.

use catalyst_control::{Core, Limits};
use catalyst_names::ServiceName;
use catalyst_route_table::{RouteKey, Store};

use crate::any::Look;
use crate::net::Net;
use crate::seen::Name;

/// The keys of which a node holds a better way than its neighbours were told, and whether that way is usable.
pub(crate) struct Paused;

impl Look for Paused {
    type Found = Vec<(Name, bool)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let table = core.state().table();
        let text = |sym| table.text(sym).to_owned();
        let stands = |key: RouteKey| {
            let sessions = core.state().peers().filter_map(|peer| peer.session);
            let mut sources = sessions.filter_map(|session| core.groups().told_from(session, key));
            sources.all(|source| table.route(key, source).is_some_and(|r| r.rank.eligible && !r.overtaken))
        };
        core.paused().map(|key| ((text(key.service), text(key.origin)), stands(key))).collect()
    }
}

impl Net {
    /// A node has dealt with an event: does anything wait that may not?
    pub(crate) fn pauses_end(&mut self, node: usize) {
        let now = self.clock.now();
        let place = &mut self.nodes[node];
        let found = place.core.as_ref().map(|core| core.look(Paused)).unwrap_or_default();
        let gone = found.iter().find(|(_, stands)| !stands).map(|((service, _), _)| service.clone());
        let names: Vec<Name> = found.into_iter().map(|(name, _)| name).collect();
        let old = std::mem::take(&mut place.paused);
        // What was told now goes to the end of the journal, as after a change of the data plane.
        for (service, _) in old.keys().filter(|name| !names.contains(name)) {
            let Ok(service) = ServiceName::parse(service) else { continue };
            let changed = place.changed.entry(service).or_default();
            if changed[0] != self.stats.steps {
                *changed = [self.stats.steps, changed[0]];
            }
        }
        let since = |name: &Name| old.get(name).copied().unwrap_or(now);
        place.paused =
            names.into_iter().map(|name| (since(&name), name)).map(|(at, name)| (name, at)).collect();
        let most = Limits::PAUSE_MS + place.plan.late;
        let late = place.paused.iter().find(|(_, since)| now > **since + most);
        let late =
            late.map(|((service, _), since)| format!("has not told of {service} for {} ms", now - since));
        let gone =
            gone.map(|service| format!("has not told of {service}, though the way that it told is gone"));
        if let Some(what) = gone.or(late) {
            self.violated(node, &what);
        }
    }

    /// Whether some node has yet to tell what waits.
    pub(crate) fn is_pausing(&self) -> bool {
        let waits = |node: &crate::node::Node| !node.paused.is_empty() || !node.withheld.is_empty();
        self.nodes.iter().any(|node| node.core.is_some() && waits(node))
    }
}
