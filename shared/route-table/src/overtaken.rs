//! Routes whose path leads through what one of its nodes has since given up: they stay in Adj-RIB-In, for their neighbours
//! still announce them, and are nobody's best. Without this, nodes that are linked in many ways try each other's old
//! paths one after the other when a service goes away.
//!
//! What was overtaken once stays so for a while, unless its neighbour announces something else, whether or not whoever
//! brought the news is still heard: else two nodes could turn each other's choice for as long as a message is under way.
//! For how long is the caller's to say: the table tells which routes were overtaken, and takes them back.

use alloc::vec::Vec;

use catalyst_wire::{Seqno, words};

use crate::key::{RouteKey, Slot, Sym};
use crate::store::{Route, Store};
use crate::table::{Change, RouteTable};

impl<S: Store> RouteTable<S> {
    /// What a node said of a key before `seqno` is overtaken: no such route is chosen any more, from whomever it came.
    pub fn overtake(&mut self, key: RouteKey, node: &str, seqno: Seqno) -> Option<Change> {
        let older = |route: &Route<S::Attrs>| says_before(route, node, seqno);
        let fresh = self.store.candidates(key).filter(|(_, route)| !route.overtaken && older(route));
        let fresh: Vec<Sym> = fresh.map(|(neighbour, _)| neighbour).collect();
        fresh.iter().for_each(|neighbour| self.give_up(Slot { key, neighbour: *neighbour }));
        if fresh.is_empty() { None } else { self.decide(key, None) }
    }

    /// The same for one route alone: one that came after the news.
    pub fn overtake_one(&mut self, slot: Slot, node: &str, seqno: Seqno) -> Option<Change> {
        let route = self.store.route(slot).filter(|route| !route.overtaken)?;
        if !says_before(route, node, seqno) {
            return None;
        }
        self.give_up(slot);
        self.decide(slot.key, None)
    }

    /// The routes that were overtaken since this was asked before.
    pub fn take_overtaken(&mut self) -> Vec<Slot> {
        core::mem::take(&mut self.fresh)
    }

    /// Whether a route is overtaken, and nothing that is there says why: no other way of its key has a newer word, but for
    /// those that are overtaken themselves, or came back to the node `own`.
    pub fn is_overtaken_by_none(&self, slot: Slot, own: &str) -> bool {
        let Some(route) = self.store.route(slot).filter(|route| route.overtaken) else { return false };
        let said: Vec<(&str, Seqno)> = words(route.attrs.as_ref()).collect();
        let newer = |(neighbour, other): (Sym, &Route<S::Attrs>)| {
            let counts = neighbour != slot.neighbour && !other.overtaken;
            let theirs = || words(other.attrs.as_ref());
            counts
                && theirs().any(|word| age(&said, word).0)
                && theirs().all(|(node, _)| node != own || mutant!(OwnEchoCounts))
        };
        !self.store.candidates(slot.key).any(newer)
    }

    /// A route counts again, although it was overtaken.
    pub fn take_back(&mut self, slot: Slot) -> Option<Change> {
        let route = self.store.route(slot).filter(|route| route.overtaken).cloned()?;
        // Never refused: the slot is taken already.
        self.store.put(slot, Route { overtaken: false, ..route }).ok();
        self.decide(slot.key, None)
    }

    /// A route is overtaken.
    fn give_up(&mut self, slot: Slot) {
        if let Some(route) = self.store.route(slot).filter(|route| !route.overtaken).cloned() {
            // Never refused: the slot is taken already.
            self.store.put(slot, Route { overtaken: true, ..route }).ok();
            self.fresh.push(slot);
        }
    }

    /// What came anew overtakes others of its key, or is overtaken by them.
    pub(crate) fn compare_words(&mut self, slot: Slot) {
        if !cfg!(feature = "transit") {
            return;
        }
        let mut others =
            self.store.candidates(slot.key).filter(|(neighbour, _)| *neighbour != slot.neighbour).peekable();
        let Some(new) = self.store.route(slot).filter(|_| others.peek().is_some()) else { return };
        // Its words are read once, however many others there are.
        let said: Vec<(&str, Seqno)> = words(new.attrs.as_ref()).collect();
        let (mut late, mut old) = (false, Vec::new());
        for (neighbour, route) in others {
            let mut older = false;
            for word in words(route.attrs.as_ref()) {
                let (newer, before) = age(&said, word);
                (late, older) = (late | newer, older | before);
            }
            if older {
                old.push(neighbour);
            }
        }
        old.into_iter().for_each(|neighbour| self.give_up(Slot { neighbour, ..slot }));
        if late {
            self.give_up(slot);
        }
    }
}

/// Whether a path has a word of this node from before `seqno`.
fn says_before<A: AsRef<[u8]>>(route: &Route<A>, node: &str, seqno: Seqno) -> bool {
    words(route.attrs.as_ref()).any(|(who, said)| {
        who == node && (said.is_before(seqno) || said.count < seqno.count && mutant!(RunsCompared))
    })
}

/// Whether a word is newer than what its node said here, and whether it is older.
fn age(said: &[(&str, Seqno)], (node, seqno): (&str, Seqno)) -> (bool, bool) {
    let same = || said.iter().filter(|(who, _)| *who == node);
    (same().any(|(_, known)| known.is_before(seqno)), same().any(|(_, known)| seqno.is_before(*known)))
}
