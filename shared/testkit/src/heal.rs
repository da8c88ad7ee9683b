//! How lost UPDATEs come about, are found by digests, and healed by refreshes; and that no refresh is asked for without
//! a reason.

use crate::any::Compared;
use crate::gaps::Gap;
use crate::net::Net;
use crate::shadow::Pair;

/// No receiver asks for two refreshes within this time, in milliseconds.
const PACE: u64 = 60_000;

impl Net {
    fn ends(&self, link: usize, from: usize) -> Pair {
        let ends = self.links[link].plan.ends;
        (ends[1 - from], ends[from])
    }

    /// Both ends of a link may find that digests differ: something on it is not as the protocol has it.
    pub(crate) fn blame(&mut self, link: usize) {
        for side in 0..2 {
            let pair = self.ends(link, side);
            self.gaps.blamed.insert(pair);
        }
    }

    /// Whether a lost UPDATE would be found and healed soon: nothing else is wrong, and nobody has asked before.
    pub(crate) fn may_swallow(&self, link: usize, from: usize) -> bool {
        let lied = self.lied.iter().any(|(other, ..)| *other == link);
        let open = self.gaps.open.iter().any(|gap| gap.link == link);
        !self.tight && !lied && !open && !self.gaps.asked.contains_key(&self.ends(link, from))
    }

    /// The next UPDATE from this side will be lost, if digests can find it.
    pub(crate) fn swallow(&mut self, link: usize, from: usize) {
        let Some(session) = self.whole(link, from) else { return };
        let held =
            self.established_at(link, 1 - from).is_some_and(|(other, _, hold)| other == session && hold > 0);
        if let Some(conn) = self.conns.get_mut(&session.0).filter(|_| held) {
            conn.flows[from].swallow = true;
        }
    }

    /// A refresh has come to its beginning or its end: what was lost before it is healed, or will be missed at rest.
    pub(crate) fn refreshed(&mut self, pair: Pair, ended: bool) {
        let mut open = std::mem::take(&mut self.gaps.open);
        let before = open.len();
        open.retain(|gap| !ended || !gap.begun || self.ends(gap.link, gap.from) != pair);
        for gap in open.iter_mut().filter(|gap| self.ends(gap.link, gap.from) == pair) {
            gap.begun = !ended;
        }
        self.gaps.healed += (before - open.len()) as u64;
        self.gaps.open = open;
    }

    /// An UPDATE is lost here and now.
    pub(crate) fn swallowed(&mut self, link: usize, from: usize, session: u64) {
        self.note(|_| format!("an UPDATE of connection {session} is lost"));
        let pair = self.ends(link, from);
        self.gaps.blamed.insert(pair);
        self.gaps.open.push(Gap { link, from, session, since: self.clock.now(), begun: false });
    }

    /// A node asks for a refresh.
    pub(crate) fn refresh_asked(&mut self, pair: Pair) {
        let now = self.clock.now();
        let last = self.gaps.asked.insert(pair, now);
        if last.is_some_and(|last| now < last + PACE) {
            self.violated(pair.0, "asks for two refreshes within a minute");
        }
        // What was refused is asked for when there is room for it.
        if !self.tight && !self.gaps.blamed.contains(&pair) {
            let name = self.nodes[pair.1].name().clone();
            self.violated(pair.0, &format!("asks {name} for a refresh for no reason"));
        }
    }

    /// Whether a lost UPDATE matters no more: what was told is held, or the session is over.
    fn is_healed(&self, gap: &Gap) -> bool {
        let Some(shadow) = self.shadows.all.get(&self.ends(gap.link, gap.from)) else { return true };
        let conn = self.conns.get(&gap.session).filter(|_| shadow.session == Some(gap.session));
        let Some(conn) = conn else { return true };
        let told = &conn.flows[gap.from].watch.announced;
        told.iter().eq(shadow.rows.iter().map(|(key, row)| (key, &row.attrs)))
    }

    /// Whether nothing is missing.
    pub(crate) fn whole_tables(&self) -> bool {
        self.gaps.open.iter().all(|gap| self.is_healed(gap))
    }

    /// Forgets what was healed: what is under way later is no part of it. Not too early: where the lost UPDATE was part of
    /// a refresh, nothing is missing before that has come to its end.
    pub(crate) fn forget_healed(&mut self) {
        let early = |gap: &Gap| self.now() < gap.since + 10 * self.links[gap.link].plan.delay.1 + 1_000;
        let open: Vec<Gap> =
            self.gaps.open.iter().filter(|gap| early(gap) || !self.is_healed(gap)).copied().collect();
        self.gaps.open = open;
    }

    /// The first lost UPDATE that was not healed in time: within two KEEPALIVEs and what a refresh takes.
    pub(crate) fn overdue_gap(&self) -> Option<String> {
        let overdue = |gap: &&Gap| {
            let link = &self.links[gap.link].plan;
            let hold = self.established_at(gap.link, 1 - gap.from).map_or(0, |(_, _, hold)| u64::from(hold));
            let since = gap.since.max(self.disturbed_at);
            self.now() > since + hold * 3 / 2 + 10 * link.delay.1 + 1_000
        };
        let gap = self.gaps.open.iter().filter(|gap| !self.is_healed(gap)).find(overdue)?;
        let (node, peer) = self.ends(gap.link, gap.from);
        let name = self.nodes[peer].name();
        let found = self.nodes[node].core.as_ref().and_then(|core| core.look(Compared(name)));
        let node = self.nodes[node].name();
        Some(format!(
            "{node}: an UPDATE of {name} that was lost at {} ms was not healed; its digest: {found:?}",
            gap.since
        ))
    }

    /// The network has come to rest: nothing is missing any more.
    pub(crate) fn gaps_closed(&mut self) {
        self.gaps.open.clear();
    }

    /// Whether a node has reason to find that a neighbour's digest differs.
    pub(crate) fn is_blamed(&self, pair: Pair) -> bool {
        self.gaps.blamed.contains(&pair)
    }
}
