//! A neighbour that lies: frames that its core would never send, on a session that is sound otherwise.
//!
//! What the liar says is bounded by what its neighbour may believe. After a rest that is checked by itself, the link
//! is lost for a moment, so that the truth comes again and the network can be compared with the oracle.

use catalyst_control::SessionId;
use catalyst_wire::{
    Attrs, Full, HEADER, Keepalive, Limits as WireLimits, Path, Reader, Refresh, UpdateWriter, Writer, attr,
    update::write_entry, update::write_key,
};

use crate::any::StoreKind;
use crate::conn::{End, Item};
use crate::fault::{Lie, NUMBERED, Noticed};
use crate::net::Net;
use crate::seen::{See, SeenRoute};

/// Routes of a flood beyond the limit.
const BEYOND: usize = 20;

pub(crate) fn names(list: &[&str]) -> Vec<u8> {
    let mut buf = vec![0; 4_096];
    let mut out = Writer::new(&mut buf);
    let _ = out.u64(list.len() as u64);
    for name in list {
        let _ = out.text(name);
    }
    out.written().to_vec()
}

pub(crate) fn path(encoded: &[u8]) -> Path<'_> {
    let most = WireLimits::NODE_PATH;
    Path::read(&mut Reader::new(encoded), most, WireLimits::TAG, |_| true).unwrap_or(Path::EMPTY)
}

/// An entry by these paths.
fn entry(
    service: &str,
    origin: &str,
    orgs: &[&str],
    nodes: &[&str],
    change: impl Fn(&mut Attrs<'_>),
) -> Vec<u8> {
    let (orgs, nodes) = (names(orgs), names(nodes));
    let mut attrs = Attrs { org_path: path(&orgs), node_path: path(&nodes), ..Attrs::default() };
    change(&mut attrs);
    let mut buf = vec![0; 8_192];
    write_entry(&mut buf, service, origin, &attrs).map(<[u8]>::to_vec).unwrap_or_default()
}

/// An entry with a path that ends before its length says.
fn malformed(service: &str, origin: &str) -> Vec<u8> {
    let (mut body, mut buf) = (vec![0; 1_024], vec![0; 2_048]);
    let mut inner = Writer::new(&mut body);
    let _ = inner.text(service).and_then(|()| inner.text(origin));
    let _ = inner.u64(u64::from(attr::kind::ORG_PATH)).and_then(|()| inner.u8(0));
    let _ = inner.bytes(&[9, 9, 9]);
    let mut out = Writer::new(&mut buf);
    let _ = out.bytes(inner.written());
    out.written().to_vec()
}

fn written(write: impl for<'b> FnOnce(&'b mut [u8]) -> Result<&'b [u8], Full>) -> Vec<u8> {
    write(&mut [0; 64]).map(<[u8]>::to_vec).unwrap_or_default()
}

/// So many requests for a refresh.
pub(crate) fn requests(count: usize) -> Vec<Vec<u8>> {
    vec![written(|buf| Refresh::REQUEST.write(buf)); count]
}

/// UPDATE frames of these elements.
pub(crate) fn frames(announced: &[Vec<u8>], withdrawn: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for (elements, announce) in [(announced, true), (withdrawn, false)] {
        for some in elements.chunks(60) {
            let mut buf = vec![0; HEADER + WireLimits::FRAME_BODY];
            let Ok(mut out) = UpdateWriter::new(&mut buf) else { continue };
            for element in some {
                let _ = if announce { out.announce(element) } else { out.withdraw(element) };
            }
            made.extend(out.finish().map(<[u8]>::to_vec));
        }
    }
    made
}

impl Net {
    /// One side of a link lies to the other, if they have a session.
    pub(crate) fn lie(&mut self, link: usize, side: usize, lie: Lie) {
        let Some(session) = self.whole(link, side) else { return };
        let said = self.frames_of(link, side, lie);
        self.lied.push((link, side, session));
        self.misnumbered |= NUMBERED.contains(&lie);
        self.blame(link);
        self.say(link, side, &said);
    }

    /// The session of this side of a link, if nothing is wrong with it.
    pub(crate) fn whole(&self, link: usize, side: usize) -> Option<SessionId> {
        let (session, ..) = self.established_at(link, side)?;
        let whole = |c: &&crate::conn::Conn| c.ends == [End::Up; 2] && !c.cut;
        self.conns.get(&session.0).filter(whole).map(|_| session)
    }

    /// Frames that no core has written, in the name of this side.
    pub(crate) fn say(&mut self, link: usize, side: usize, frames: &[Vec<u8>]) {
        let Some(session) = self.whole(link, side) else { return };
        for frame in frames {
            self.push_item(session.0, side, Item::Frame(frame.clone(), false));
        }
    }

    /// More routes than the listener takes of the liar; one where that would be too many for a run.
    fn room_for(&self, link: usize, side: usize) -> usize {
        let plan = &self.links[link].plan;
        let (liar, victim) = (&self.nodes[plan.ends[side]], &self.nodes[plan.ends[1 - side]]);
        let agreement = plan.sides[1 - side].as_ref().and_then(|side| side.agreement.as_ref());
        let limit = agreement.and_then(|a| a.party(liar.name().org()));
        let limit = limit.map_or(0, |party| party.max_services as usize);
        let room = victim.plan.store == StoreKind::Heap && limit <= 200;
        if room { limit + BEYOND } else { 1 }
    }

    fn frames_of(&mut self, link: usize, side: usize, lie: Lie) -> Vec<Vec<u8>> {
        let ends = self.links[link].plan.ends;
        let (liar, listener) =
            (self.nodes[ends[side]].name().clone(), self.nodes[ends[1 - side]].name().clone());
        let inside = liar.org() == listener.org();
        let services = &self.nodes[ends[1 - side]].services;
        let theirs = services.keys().next().map_or("none", |label| label.as_str());
        let theirs = format!("{theirs}.{}", listener.org());
        let third = "db.third.example";
        let ours = format!("api.{}", liar.org());
        let plain = |_: &mut Attrs<'_>| {};
        // What a neighbour inside would write of a route from outside, and a neighbour outside of its own.
        let (l, n) = (liar.org(), liar.node());
        let one =
            |service: &str, orgs: &[&str], nodes: &[&str]| vec![entry(service, "lie", orgs, nodes, plain)];
        match lie {
            Lie::Digest => {
                let digest = |n: u8| Keepalive { digest: Some([n; 16]) };
                return (1..8).map(|n| written(|buf| digest(n).write(buf))).collect();
            }
            Lie::Refresh => {
                let frame = |kind: Refresh| written(|buf| kind.write(buf));
                let ended = vec![frame(Refresh::END)];
                let empty = vec![frame(Refresh::BEGIN), frame(Refresh::END)];
                let some = [ended, vec![frame(Refresh::BEGIN)], empty, requests(20)];
                return some[self.rng.index(some.len())].clone();
            }
            Lie::Refill if !inside => {
                let begin = || written(|buf| Refresh::BEGIN.write(buf));
                let telling = |n: usize| {
                    let route = |i| entry(&ours, &format!("r{n}-{i}"), &[liar.org()], &[], |_| {});
                    let all: Vec<Vec<u8>> = (0..self.room_for(link, side)).map(route).collect();
                    [vec![begin()], frames(&all, &[])].concat()
                };
                return (0..4).flat_map(telling).collect();
            }
            Lie::Numbers => {
                let orgs = names(&[liar.org()]);
                let outside = (!inside).then_some((ours.as_str(), orgs.as_slice()));
                return self.forged_numbers(link, side, outside);
            }
            Lie::Returned => return self.forged_returns(link, side),
            Lie::News => return self.forged_news(link, side),
            _ => {}
        }
        let said = match (lie, inside) {
            (Lie::ForgedStart, false) => one(third, &["third.example"], &[]),
            (Lie::ForgedStart, true) => one(third, &["third.example", "third.example"], &["nobody", n]),
            (Lie::ForgedEnd, false) => one(third, &[l], &[]),
            (Lie::ForgedEnd, true) => one(third, &["other.example"], &[n]),
            (Lie::Echo, false) => one(&theirs, &[l, listener.org()], &[]),
            (Lie::Echo, true) => one(&theirs, &[], &[n, listener.node()]),
            (Lie::Looped, false) => one(&ours, &[l, listener.org(), l], &[]),
            (Lie::Looped, true) => one(third, &[l, "third.example"], &[n]),
            (Lie::InnerPath, false) => one(&ours, &[l], &["inner"]),
            (Lie::InnerPath, true) => one(&ours, &[], &["nobody"]),
            (Lie::Malformed, _) => {
                // What was told before under this key must go.
                let told = self.whole(link, side).and_then(|session| self.conns.get(&session.0));
                let known = told.and_then(|conn| conn.flows[side].watch.announced.keys().next().cloned());
                let known = known.map(|(service, origin)| malformed(&service, &origin));
                known.into_iter().chain([malformed(&ours, "lie")]).collect()
            }
            (Lie::HighPref, false) => {
                vec![entry(&ours, "lie", &[l], &[], |a| a.local_pref = Some(5_000))]
            }
            (Lie::HighPref, true) => {
                let high = |service: &str, origin: &str, orgs: &[&str]| {
                    entry(service, origin, orgs, &[n, "far"], |a| a.local_pref = Some(5_000))
                };
                vec![
                    high(&theirs, "lie", &[]),
                    high(&theirs, listener.node(), &[]),
                    high(third, "lie", &["third.example"]),
                ]
            }
            (Lie::Flood, false) => (0..self.room_for(link, side))
                .map(|i| entry(&ours, &format!("f{i}"), &[l], &[], plain))
                .collect(),
            (
                Lie::Unsaid
                | Lie::Flood
                | Lie::Refill
                | Lie::Digest
                | Lie::Refresh
                | Lie::Numbers
                | Lie::Returned
                | Lie::News,
                _,
            ) => Vec::new(),
            (Lie::Oscillation, _) => {
                let (orgs, nodes) = if inside { (&[][..], &[n][..]) } else { (&[l][..], &[][..]) };
                let each = |cost| frames(&[entry(&ours, "lie", orgs, nodes, |a| a.cost = cost)], &[]);
                return (0..12).flat_map(each).collect();
            }
        };
        let mut buf = vec![0; 1_024];
        let never = write_key(&mut buf, &theirs, "never").map(<[u8]>::to_vec);
        let withdrawn: Vec<Vec<u8>> = never.into_iter().filter(|_| lie == Lie::Unsaid).collect();
        frames(&said, &withdrawn)
    }

    /// What was believed of lies must be what may be believed: after it the truth is told again.
    ///
    /// # Errors
    /// The first belief that must not be, or a session that broke.
    pub(crate) fn check_lies(&mut self) -> Result<(), String> {
        let lied = std::mem::take(&mut self.lied);
        for (link, side, session) in &lied {
            let ends = self.links[*link].plan.ends;
            let (liar, listener) = (&self.nodes[ends[*side]], &self.nodes[ends[1 - side]]);
            let Some(seen) = listener.core.as_ref().map(|core| core.look(See)) else { continue };
            let Some(peer) = seen.peers.get(liar.name().as_str()) else { continue };
            let now = self.established_at(*link, 1 - side).map(|(now, ..)| now);
            // Where both dial, a crossing dial may replace a session for no fault of anyone.
            let crossing = self.links[*link].plan.dials == [true, true];
            let touched = crossing || self.disturbed_links.contains(link);
            if now != Some(*session) && !touched {
                return Err(format!(
                    "{}: lost its session with {}, who lied but broke nothing",
                    listener.name(),
                    liar.name()
                ));
            }
            let agreement =
                self.links[*link].plan.sides[1 - side].as_ref().and_then(|s| s.agreement.as_ref());
            let limit = agreement.and_then(|a| a.party(liar.name().org())).map(|p| p.max_services as usize);
            if limit.is_some_and(|limit| peer.confirmed > limit) {
                return Err(format!("{}: holds more of {} than agreed", listener.name(), liar.name()));
            }
            for ((service, origin), rows) in &seen.adj_in {
                let Some(row) = rows.get(liar.name().as_str()).filter(|row| row.eligible) else { continue };
                if let Some(what) = must_not(row, (service, origin), (liar.name(), listener.name())) {
                    return Err(format!(
                        "{}: uses {service} of {origin} from {}, {what}: {row:?}",
                        listener.name(),
                        liar.name()
                    ));
                }
            }
        }
        for (link, ..) in lied {
            self.lose(link, Noticed::Both);
        }
        Ok(())
    }

    /// Whether a node was lied to by this neighbour.
    pub(crate) fn was_lied_to(&self, node: usize, by: &str) -> bool {
        self.lied.iter().any(|(link, side, _)| {
            let ends = self.links[*link].plan.ends;
            ends[1 - side] == node && self.nodes[ends[*side]].name().as_str() == by
        })
    }
}

/// Why a route of this neighbour must not be used, whatever the rules say.
fn must_not(
    row: &SeenRoute,
    (service, origin): (&str, &str),
    (liar, listener): (&catalyst_names::NodeName, &catalyst_names::NodeName),
) -> Option<&'static str> {
    let home = service.split_once('.').map_or("", |(_, org)| org);
    let inside = liar.org() == listener.org();
    let end = row.org_path.last().map_or(listener.org(), String::as_str);
    if row.org_path.iter().any(|org| org == listener.org()) {
        return Some("whose path leads through its own organisation");
    }
    if end != home {
        return Some("whose path does not end where the service is at home");
    }
    if inside {
        let own = row.node_path.iter().any(|node| node == listener.node());
        let first = row.node_path.first().map(String::as_str) != Some(liar.node());
        if own || first {
            return Some("whose path of nodes cannot be");
        }
        if row.org_path.is_empty() && origin == listener.node() {
            return Some("which begins at this very node");
        }
        let most = if row.org_path.is_empty() { 400 } else { 399 };
        return (row.local_pref > most).then_some("that ranks above its own");
    }
    if row.org_path.first().map(String::as_str) != Some(liar.org()) {
        return Some("whose path does not begin with the neighbour");
    }
    if !row.node_path.is_empty() {
        return Some("whose inner nodes crossed a border");
    }
    (row.local_pref >= 400).then_some("that ranks as one of its own")
}
