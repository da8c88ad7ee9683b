//! Ways that are used and not told: never for longer than they may be, never while somebody inside has no other one, and only those
//! that are no better than what was lost. Nobody of another organisation is left without a way for it.

use std::collections::BTreeMap;

use catalyst_control::{Core, Event, Limits, SessionId};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::rules;
use catalyst_route_table::Store;
use catalyst_wire::{Announced, Attrs, Frame, FrameType, Update};

use crate::any::Look;
use crate::held::{Held, Inside};
use crate::net::Net;
use crate::row::{Row, Usable};
use crate::seen::Name;
use crate::shadow::Shadow;

/// The keys whose ways a node withholds.
struct Withheld;

/// One of them.
#[derive(Debug)]
struct Found {
    key: Name,
    /// Some neighbour inside is told a way all the same.
    told: bool,
    /// Whose way is used.
    via: Option<NodeName>,
    /// It ranks as long-lived stale.
    stale: bool,
}

impl Look for Withheld {
    type Found = Vec<Found>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let (state, table) = (core.state(), core.state().table());
        let text = |sym| table.text(sym).to_owned();
        let own = state.settings().name.org();
        let inside = || state.peers().filter(|peer| peer.config.name.org() == own);
        let told = |key| inside().filter_map(|peer| peer.session).any(|s| core.groups().is_announced(s, key));
        let found = |key| {
            let best = table.best(key);
            Found {
                key: (text(key.service), text(key.origin)),
                told: told(key),
                via: best.and_then(|(best, _)| NodeName::parse(table.text(best.best)).ok()),
                stale: best.is_some_and(|(_, route)| route.rank.stale),
            }
        };
        core.withheld().map(found).collect()
    }
}

/// Whose way of a key is used.
struct Used<'a>(&'a Name);

impl Look for Used<'_> {
    type Found = Option<NodeName>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let table = core.state().table();
        let (best, _) = table.best(table.key(&self.0.0, &self.0.1)?)?;
        NodeName::parse(table.text(best.best)).ok()
    }
}

/// Whether a neighbour says what it wants.
fn is_interest(event: &Event) -> bool {
    let Event::PeerFrame { frame, .. } = event else { return false };
    Frame::whole(frame).is_ok_and(|frame| frame.kind() == Ok(Some(FrameType::Interest)))
}

/// What came back to a node is no way but its own.
fn came_back(row: &Row, own: &str) -> bool {
    Attrs::read(&row.attrs).unwrap_or_default().node_path.contains(own)
}

/// Whether somebody inside has no way any more who had a way around.
fn has_lost(before: &BTreeMap<usize, Inside>, after: &BTreeMap<usize, Inside>) -> bool {
    before.iter().any(|(peer, old)| {
        let lost = after.get(peer).filter(|new| old.has_way && !new.has_way);
        lost.is_some_and(|new| new.taken_back == old.taken_back)
    })
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

    /// What neighbours inside with a session have of a key that a node withholds since then: how many have a way of their own, or
    /// took back one that led straight to the service's home of late; and one that has none and wants one.
    fn have(&self, node: usize, key: &Name, since: u64) -> (usize, Option<&NodeName>) {
        let own = self.nodes[node].name().node();
        let of_late = |at: &u64| since <= at + Limits::FALLEN_MS;
        let pairs = self.shadows.all.range((node, 0)..=(node, usize::MAX));
        let (live, gone): (Vec<_>, Vec<_>) =
            pairs.filter(|(_, shadow)| shadow.terms.inside).partition(|(_, shadow)| shadow.session.is_some());
        let (have, bare): (Vec<_>, Vec<_>) = live.into_iter().partition(|(_, shadow)| {
            shadow.rows.get(key).is_some_and(|row| !came_back(row, own))
                || shadow.leaving.has(key)
                || shadow.taken_back.get(key).is_some_and(of_late)
        });
        // That a way was not told again is noticed at the next loss alone.
        let counts = |shadow: &Shadow| since == self.clock.now() || !shadow.untold.contains(key);
        let wants = |shadow: &Shadow| rules::wanted(shadow.wants.as_ref(), &key.0) && counts(shadow);
        let who = bare.into_iter().find(|(_, shadow)| wants(shadow));
        // Whose session ends in this very moment may have counted.
        let ends = gone.iter().filter(|(_, shadow)| shadow.ended == Some(self.clock.now())).count();
        (have.len() + ends, who.map(|((_, peer), _)| &self.nodes[*peer].plan.name))
    }

    /// What neighbours inside with a session have of a key.
    fn inside(&self, node: usize, key: &Name) -> BTreeMap<usize, Inside> {
        let own = self.nodes[node].name().node();
        let pairs = self.shadows.all.range((node, 0)..=(node, usize::MAX));
        let inside = pairs.filter_map(|((_, peer), shadow)| {
            let session = shadow.session.filter(|_| shadow.terms.inside)?;
            let has_way =
                shadow.rows.get(key).is_some_and(|row| !came_back(row, own)) || shadow.leaving.has(key);
            Some((*peer, Inside { session, has_way, taken_back: shadow.taken_back.get(key).copied() }))
        });
        inside.collect()
    }

    /// What is known of a way that is withheld, after an event.
    fn held(&self, node: usize, found: Found, old: Option<&Held>) -> (Name, Held) {
        let Found { key, via, stale, .. } = found;
        let now = self.clock.now();
        let since = old.map_or(now, |held| held.since);
        let said = via.as_ref().and_then(|via| self.stands(node, via, &key)).cloned();
        let bare = self.have(node, &key, since).1.is_some();
        let needed = bare.then(|| old.and_then(|held| held.needed).unwrap_or(now));
        let lost = old.filter(|held| held.via == via).map_or(now, |held| held.lost);
        let inside = self.inside(node, &key);
        let due = old.is_some_and(|held| held.due || has_lost(&held.inside, &inside));
        let stale = stale || old.is_some_and(|held| held.stale);
        (key, Held { since, via, said, lost, needed, inside, due, stale })
    }

    /// A node withholds a way no longer, and uses it still: why it should have gone on.
    fn too_early(&self, node: usize, key: &Name, held: &Held, event: &Event) -> Option<String> {
        let core = self.nodes[node].core.as_ref()?;
        let via = core.look(Used(key))?;
        let (now, inside) = (self.clock.now(), self.inside(node, key));
        let (have, bare) = self.have(node, key, held.since);
        let is_over = now >= held.lost + Limits::WITHHELD_MS || now >= held.since + Limits::WITHHELD_MAX_MS;
        let comes = inside
            .iter()
            .any(|(peer, new)| held.inside.get(peer).is_none_or(|old| old.session != new.session));
        let is_needed =
            bare.is_some() || have < Limits::WITHHELD_WAYS || held.due || has_lost(&held.inside, &inside);
        let goes_on = !is_over && !comes && !is_needed && !inside.is_empty() && !is_interest(event);
        let lost = now - held.lost;
        (goes_on && held.via.as_ref() == Some(&via)).then(|| {
            format!("withholds {} no more, {lost} ms after another way was lost, and nobody needs it", key.0)
        })
    }

    /// What a neighbour says of a key, if that may be used as when it was chosen.
    fn stands(&self, node: usize, via: &NodeName, key: &Name) -> Option<&Row> {
        let shadow =
            self.shadows.all.get(&(node, self.place(via)?)).filter(|shadow| shadow.session.is_some());
        let row = shadow?.rows.get(key)?;
        let doubted =
            row.overtaken.is_some() || row.doubted.is_some() || row.stale || row.usable != Usable::Yes;
        (!doubted).then_some(row)
    }

    /// Why a way may not be withheld, if so: what is known of it since before, and whose it is now.
    fn may_not(&self, node: usize, found: &Found, old: Option<&Held>) -> Option<String> {
        let Found { key, told, via, stale } = found;
        let (now, own) = (self.clock.now(), self.nodes[node].name());
        let (service, late) = (&key.0, self.nodes[node].plan.late);
        let Some(via) = via else { return Some(format!("withholds {service}, to which it has no way")) };
        if via.org() != own.org() {
            return Some(format!("withholds {service}, to which it has a way of its own over a border"));
        }
        if via.node() == key.1 && self.stands(node, via, key).is_some() {
            return Some(format!("withholds {service}, which its home {via} tells"));
        }
        if *told {
            return Some(format!("withholds {service}, and tells it"));
        }
        let (have, bare) = self.have(node, key, old.map_or(now, |held| held.since));
        let Some(held) = old else {
            if *stale {
                return None;
            }
            let around = self.nodes[node].said.get(key);
            return if around.is_some_and(|(straight, at)| !straight && now > at + UNDER_WAY) {
                Some(format!(
                    "withholds {service}, though some may have lost what stands between, and others not"
                ))
            } else if let Some(who) = bare {
                Some(format!("withholds {service} from {who}, which has none"))
            } else {
                (have < Limits::WITHHELD_WAYS)
                    .then(|| format!("withholds {service}, though {have} neighbours have ways"))
            };
        };
        // What is told as soon as possible is told when the timer rings. Neighbours do not tell what this node does not want itself.
        if let (Some(who), Some(since)) = (bare, held.needed)
            && now > since + late
            && !held.stale
            && !stale
            && rules::wanted(self.nodes[node].plan.interest.as_ref(), service)
        {
            return Some(format!("withholds {service} from {who}, which has none since {since} ms"));
        }
        let before = held.via.as_ref().filter(|before| *before != via);
        let said = before.and_then(|before| self.stands(node, before, key));
        if said.zip(held.said.as_ref()).is_some_and(|(a, b)| a.attrs == b.attrs && a.flapping == b.flapping) {
            return Some(format!("withholds {service}, though {via} has a better way than was withheld"));
        }
        let lasted = now - held.since;
        (lasted > Limits::WITHHELD_MAX_MS + late).then(|| format!("withholds {service} for {lasted} ms"))
    }

    /// A node has dealt with an event: does it withhold anything that it may not?
    pub(crate) fn withheld_end(&mut self, node: usize, event: &Event) {
        let place = &self.nodes[node];
        let found = place.core.as_ref().map(|core| core.look(Withheld)).unwrap_or_default();
        if found.is_empty() && place.withheld.is_empty() {
            return;
        }
        let old = &place.withheld;
        let wrong = found.iter().find_map(|found| self.may_not(node, found, old.get(&found.key)));
        let ended = old.iter().filter(|(key, _)| !found.iter().any(|found| found.key == **key));
        let early = ended.filter_map(|(key, held)| self.too_early(node, key, held, event)).next();
        let wrong = wrong.or(early);
        let held: BTreeMap<Name, Held> = found
            .into_iter()
            .map(|found| {
                let before = old.get(&found.key);
                self.held(node, found, before)
            })
            .collect();
        let place = &mut self.nodes[node];
        let old = std::mem::replace(&mut place.withheld, held);
        // What was told now goes to the end of the journal, as after a change of the data plane.
        for (service, _) in old.keys().filter(|name| !place.withheld.contains_key(*name)) {
            let Ok(service) = ServiceName::parse(service) else { continue };
            let changed = place.changed.entry(service).or_default();
            if changed[0] != self.stats.steps {
                *changed = [self.stats.steps, changed[0]];
            }
        }
        if let Some(what) = wrong {
            self.violated(node, &what);
        }
    }
}
