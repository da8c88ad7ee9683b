//! Ways that are used and not told: never for longer than they may be, and never while somebody inside holds another one.

use catalyst_control::{Core, Limits, SessionId};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::rules;
use catalyst_route_table::Store;
use catalyst_wire::{Announced, Frame, FrameType, Update};

use crate::any::Look;
use crate::net::Net;
use crate::seen::Name;

/// The keys whose ways a node withholds, whether some neighbour inside is told one all the same, and whether they are stale.
struct Withheld;

impl Look for Withheld {
    type Found = Vec<(Name, bool, bool)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let (state, table) = (core.state(), core.state().table());
        let text = |sym| table.text(sym).to_owned();
        let own = state.settings().name.org();
        let inside = || state.peers().filter(|peer| peer.config.name.org() == own);
        let told = |key| inside().filter_map(|peer| peer.session).any(|s| core.groups().is_announced(s, key));
        let stale = |key| table.best(key).is_some_and(|(_, route)| route.rank.stale);
        core.withheld().map(|key| ((text(key.service), text(key.origin)), told(key), stale(key))).collect()
    }
}

/// As long as a way that was told may be under way to all neighbours, in milliseconds.
const UNDER_WAY: u64 = 1_000;

impl Net {
    /// What a node tells a neighbour inside.
    pub(crate) fn said(&mut self, node: usize, session: SessionId, frame: &[u8]) {
        let now = self.clock.now();
        let Some(((_, peer), ..)) = self.pair_of(node, session) else { return };
        if self.nodes[peer].plan.name.org() != self.nodes[node].plan.name.org() {
            return;
        }
        let update = Frame::whole(frame).ok().filter(|f| f.kind() == Ok(Some(FrameType::Update)));
        let Some(Ok(update)) = update.map(|frame| Update::read(frame.body)) else { return };
        for element in update.announced() {
            let Announced::Route(entry) = element else { continue };
            let straight = entry.attrs.node_path.iter().nth(1).is_none_or(|home| home == entry.origin);
            let key = (entry.service.to_owned(), entry.origin.to_owned());
            self.nodes[node].said.insert(key, (straight, now));
        }
    }

    /// A neighbour inside that may have no way of a key but the one that a node does not tell: it tells none, took none that led
    /// straight to the service's home back of late, and wants one.
    fn needs(&self, node: usize, key: &Name) -> Option<&NodeName> {
        let now = self.clock.now();
        let of_late = |at: &u64| now <= at + Limits::FALLEN_MS;
        let pairs = self.shadows.all.range((node, 0)..=(node, usize::MAX));
        let live = pairs.filter(|(_, shadow)| shadow.terms.inside && shadow.session.is_some());
        let mut bare = live.filter(|(_, shadow)| {
            !shadow.rows.contains_key(key)
                && !shadow.leaving.has(key)
                && !shadow.taken_back.get(key).is_some_and(of_late)
        });
        let who = bare.find(|(_, shadow)| rules::wanted(shadow.wants.as_ref(), &key.0));
        who.map(|((_, peer), _)| &self.nodes[*peer].plan.name)
    }

    /// A node has dealt with an event: does it withhold anything that it may not?
    pub(crate) fn withheld_end(&mut self, node: usize) {
        let now = self.clock.now();
        let place = &self.nodes[node];
        let found = place.core.as_ref().map(|core| core.look(Withheld)).unwrap_or_default();
        if found.is_empty() && place.withheld.is_empty() {
            return;
        }
        let begun = found.iter().filter(|(name, ..)| !place.withheld.contains_key(name));
        let fresh = begun.clone().filter(|(.., stale)| !stale).map(|(name, ..)| name);
        // What is stale was lost before, and is given up by one after the other.
        let around = |(name, _, stale): &&(Name, bool, bool)| {
            let said = place.said.get(name);
            !stale && said.is_some_and(|(straight, at)| !straight && now > at + UNDER_WAY)
        };
        let around = begun.clone().find(around).map(|((service, _), ..)| {
            format!("withholds {service}, though some may have lost what stands between, and others not")
        });
        let needed = fresh.filter_map(|name| Some((name, self.needs(node, name)?))).next();
        let needed =
            needed.map(|((service, _), who)| format!("withholds {service} from {who}, which has none"));
        let place = &mut self.nodes[node];
        let told = found.iter().find(|(_, told, _)| *told).map(|((service, _), ..)| service.clone());
        let old = std::mem::take(&mut place.withheld);
        place.withheld = found
            .into_iter()
            .map(|(name, ..)| (old.get(&name).copied().unwrap_or(now), name))
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
        if let Some(what) = needed.or(around).or(told).or(late) {
            self.violated(node, &what);
        }
    }
}
