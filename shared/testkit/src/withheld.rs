//! Ways that are used and not told: never for longer than they may be, and never while somebody inside holds another one.

use catalyst_control::{Core, Limits};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::rules;
use catalyst_route_table::Store;

use crate::any::Look;
use crate::net::Net;
use crate::plan::NodePlan;
use crate::seen::Name;

/// The keys whose ways a node withholds, and whether some neighbour inside is told one all the same.
struct Withheld;

impl Look for Withheld {
    type Found = Vec<(Name, bool)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let (state, table) = (core.state(), core.state().table());
        let text = |sym| table.text(sym).to_owned();
        let own = state.settings().name.org();
        let inside = || state.peers().filter(|peer| peer.config.name.org() == own);
        let told = |key| inside().filter_map(|peer| peer.session).any(|s| core.groups().is_announced(s, key));
        core.withheld().map(|key| ((text(key.service), text(key.origin)), told(key))).collect()
    }
}

impl Net {
    /// A neighbour inside that may have no way of a key but the one that a node does not tell: it tells none, took back none of
    /// late, and wants one.
    fn needs(&self, node: usize, key: &Name) -> Option<&NodeName> {
        let now = self.clock.now();
        let of_late = |at: &u64| now <= at + Limits::FALLEN_MS;
        let pairs = self.shadows.all.range((node, 0)..=(node, usize::MAX));
        let live = pairs.filter(|(_, shadow)| shadow.terms.inside && shadow.session.is_some());
        let mut bare = live.filter(|(_, shadow)| {
            !shadow.rows.contains_key(key) && !shadow.taken_back.get(key).is_some_and(of_late)
        });
        let wants = |peer: &NodePlan| rules::wanted(peer.interest.as_ref(), &key.0);
        bare.find_map(|((_, peer), _)| {
            Some(&self.nodes[*peer].plan).filter(|peer| wants(peer)).map(|p| &p.name)
        })
    }

    /// A node has dealt with an event: does it withhold anything that it may not?
    pub(crate) fn withheld_end(&mut self, node: usize) {
        let now = self.clock.now();
        let place = &self.nodes[node];
        let found = place.core.as_ref().map(|core| core.look(Withheld)).unwrap_or_default();
        let fresh = found.iter().map(|(name, _)| name).filter(|name| !place.withheld.contains_key(*name));
        let needed = fresh.filter_map(|name| Some((name, self.needs(node, name)?))).next();
        let needed =
            needed.map(|((service, _), who)| format!("withholds {service} from {who}, which has none"));
        let place = &mut self.nodes[node];
        let told = found.iter().find(|(_, told)| *told).map(|((service, _), _)| service.clone());
        let old = std::mem::take(&mut place.withheld);
        place.withheld = found
            .into_iter()
            .map(|(name, _)| (old.get(&name).copied().unwrap_or(now), name))
            .map(|(at, name)| (name, at))
            .collect();
        // What was told now goes to the end of the journal, as after a change of the data plane.
        for (service, _) in old.keys().filter(|name| !place.withheld.contains_key(*name)) {
            let Ok(service) = ServiceName::parse(service) else { continue };
            let changed = place.changed.entry(service).or_default();
            if changed[0] != self.stats.steps {
                *changed = [self.stats.steps, changed[0]];
            }
        }
        let most = Limits::WITHHELD_MAX_MS + place.plan.late;
        let late = place.withheld.iter().find(|(_, since)| now > **since + most);
        let late = late.map(|((service, _), since)| format!("withholds {service} for {} ms", now - since));
        let told = told.map(|service| format!("withholds {service}, and tells it"));
        if let Some(what) = needed.or(told).or(late) {
            self.violated(node, &what);
        }
    }
}
