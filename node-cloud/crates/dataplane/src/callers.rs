//! Who may come in at the mesh port. Each neighbour has a part of the port for itself, found by the server name that it asks
//! for, so that its connections can be ended without those of others. Neighbours that are not known to have a mesh port of
//! their own, and those beyond a limit, share one.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_names::NodeName;

use crate::limits::Limits;
use crate::proto::{beginning, exactly, ext, rbac, state};
use crate::site::names;

/// What the serial number of a neighbour's certificate begins with, in hexadecimal digits: it stands for the one key that is
/// let in.
pub type KeyMark = String;

/// The mark, of the bytes that the serial number begins with.
#[must_use]
pub fn key_mark(prefix: &[u8]) -> KeyMark {
    prefix.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A neighbour, as somebody who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// No other key is let in.
    pub key: Option<KeyMark>,
    /// It never calls, as far as is known: it needs no part for itself.
    pub silent: bool,
}

/// All neighbours.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    known: BTreeMap<NodeName, Caller>,
    /// Nothing is theirs to use any more: they are let in nowhere, and so lose what they have opened.
    closed: BTreeSet<NodeName>,
    /// As Envoy was told.
    told: Option<Told>,
    changed: bool,
    moves: u64,
}

/// Who has which part of the mesh port.
#[derive(Debug, Default)]
struct Told {
    /// Each has a part, in which nobody is let in where there is `None`.
    alone: BTreeMap<NodeName, Option<Caller>>,
    /// They share one, and are let in.
    shared: BTreeMap<NodeName, Caller>,
}

/// What there is to tell Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nobody loses anything by it.
    More,
    /// Somebody, or a key, is let in no more.
    Less,
}

impl Callers {
    /// What is known of one; `None`: it is no neighbour.
    pub(crate) fn set(&mut self, peer: &NodeName, caller: Option<Caller>) {
        if self.known.get(peer) == caller.as_ref() {
            return;
        }
        self.changed = true;
        match caller {
            Some(caller) => self.known.insert(peer.clone(), caller),
            None => {
                self.closed.remove(peer);
                self.known.remove(peer)
            }
        };
    }

    /// There is nothing that this neighbour may use, or there is again.
    pub(crate) fn close(&mut self, peer: &NodeName, closed: bool) {
        if !closed {
            self.changed |= self.closed.remove(peer);
        } else if self.known.contains_key(peer) {
            self.changed |= self.closed.insert(peer.clone());
        }
    }

    /// Says once more what Envoy was told.
    pub(crate) fn repeat(&mut self) {
        self.changed = true;
    }

    /// What there is to tell Envoy, which is told now.
    pub(crate) fn tell(&mut self) -> Option<News> {
        if self.told.is_some() && !std::mem::take(&mut self.changed) {
            return None;
        }
        let open = |peer: &NodeName, caller: &Caller| (!self.closed.contains(peer)).then(|| caller.clone());
        let alone = self.with_own().map(|(peer, caller)| (peer.clone(), open(peer, caller))).collect();
        let shared = self.shared().filter_map(|(peer, caller)| Some((peer.clone(), open(peer, caller)?)));
        let shared = shared.collect();
        let now = Told { alone, shared };
        let Some(before) = self.told.take() else {
            self.told = Some(now);
            return Some(News::More);
        };
        // Connections in the part that is shared do not tell whose they are. Somebody who has a part for himself from
        // now on may have come there before, too: he would be refused on those connections.
        let left = before.shared.iter().any(|(peer, caller)| now.shared.get(peer) != Some(caller));
        let comes = now.alone.keys().any(|peer| !before.alone.contains_key(peer));
        self.moves += u64::from(left || comes);
        let lets_in = |peer: &NodeName, caller: &Caller| {
            let found = now.alone.get(peer).and_then(Option::as_ref).or_else(|| now.shared.get(peer));
            found.is_some_and(|now| now.key.is_none() || now.key == caller.key)
        };
        let alone = before.alone.iter().filter_map(|(peer, caller)| Some((peer, caller.as_ref()?)));
        let less = alone.chain(&before.shared).any(|(peer, caller)| !lets_in(peer, caller));
        self.told = Some(now);
        Some(if less { News::Less } else { News::More })
    }

    /// How often somebody moved between the parts since Envoy was told first.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    fn with_own(&self) -> impl Iterator<Item = (&NodeName, &Caller)> {
        self.known.iter().filter(|(_, caller)| !caller.silent).take(Limits::CALLERS)
    }

    /// Those with a part for themselves, and who is let in there: the neighbour, or nobody.
    pub(crate) fn alone(&self) -> impl Iterator<Item = (&NodeName, Vec<rbac::Principal>)> {
        self.with_own().map(|(peer, of)| {
            let open = !self.closed.contains(peer);
            (peer, open.then(|| caller(peer, of.key.as_ref())).into_iter().collect())
        })
    }

    fn shared(&self) -> impl Iterator<Item = (&NodeName, &Caller)> {
        let last = self.with_own().map(|(peer, _)| peer).nth(Limits::CALLERS - 1);
        self.known.iter().filter(move |(peer, of)| of.silent || last.is_some_and(|last| *peer > last))
    }

    /// The list of those who share a part.
    pub(crate) fn listed(&self) -> ext::filters::http::rbac::v3::Rbac {
        let open = self.shared().filter(|(peer, _)| !self.closed.contains(*peer));
        let rules = only(open.map(|(peer, of)| caller(peer, of.key.as_ref())).collect());
        ext::filters::http::rbac::v3::Rbac { rules: Some(rules), ..Default::default() }
    }
}

/// A neighbour, by its certificate.
fn caller(peer: &NodeName, key: Option<&KeyMark>) -> rbac::Principal {
    use rbac::principal::{Identifier, Set};
    let is =
        |key, matches| rbac::Principal { identifier: Some(Identifier::FilterState(state(key, matches))) };
    let by_name = is(names::CALLER, exactly(&names::spiffe(peer)));
    let Some(key) = key else { return by_name };
    let ids = vec![by_name, is(names::SERIAL, beginning(key))];
    rbac::Principal { identifier: Some(Identifier::AndIds(Set { ids })) }
}

/// Lets these in and nobody else.
pub(crate) fn only(principals: Vec<rbac::Principal>) -> rbac::Rbac {
    use rbac::permission;
    // A policy needs a principal; without one nobody is let in.
    let policies = match principals.is_empty() {
        true => Default::default(),
        false => {
            let permissions = vec![rbac::Permission { rule: Some(permission::Rule::Any(true)) }];
            [("neighbours".to_owned(), rbac::Policy { permissions, principals, ..Default::default() })].into()
        }
    };
    rbac::Rbac { action: rbac::rbac::Action::Allow as i32, policies, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> NodeName {
        format!("n{n:04}.acme.example").parse().unwrap()
    }

    fn alone(callers: &Callers) -> Vec<String> {
        callers.alone().map(|(peer, _)| peer.to_string()).collect()
    }

    #[test]
    fn who_moves_between_the_parts_is_counted_once_envoy_was_told() {
        let mut callers = Callers::default();
        let told = |callers: &mut Callers| (callers.tell(), callers.shared().count(), callers.moves());
        let (more, less) = (Some(News::More), Some(News::Less));
        (0..Limits::CALLERS).for_each(|n| callers.set(&peer(n), Some(Caller::default())));
        assert_eq!(told(&mut callers), (more, 0, 0));
        assert_eq!(alone(&callers).len(), Limits::CALLERS);
        // One too many joins the others.
        callers.set(&peer(9_000), Some(Caller::default()));
        assert_eq!(told(&mut callers), (more, 1, 0));
        let silent = Caller { silent: true, ..Caller::default() };
        callers.set(&peer(1), Some(silent.clone()));
        // The part that the silent one leaves is that of the other now.
        assert_eq!(told(&mut callers), (more, 1, 1));
        assert!(alone(&callers).contains(&peer(9_000).to_string()));
        callers.set(&peer(1), Some(silent));
        assert_eq!(told(&mut callers), (None, 1, 1));
        callers.set(&peer(0), None);
        assert_eq!(told(&mut callers), (less, 1, 1), "it had a part for itself");
        callers.set(&peer(1), None);
        assert_eq!(told(&mut callers), (less, 0, 2));
        callers.set(&peer(1), Some(Caller::default()));
        assert_eq!(told(&mut callers), (more, 0, 3), "it may have been there before");
    }
    #[test]
    fn what_lets_somebody_in_no_more_is_told_as_such() {
        let mut callers = Callers::default();
        let known = |key: Option<&str>, silent| Some(Caller { key: key.map(Into::into), silent });
        for n in 0..4 {
            callers.set(&peer(n), known(None, n > 1));
        }
        assert_eq!(callers.tell(), Some(News::More));
        callers.set(&peer(0), known(Some("4b"), false));
        assert_eq!(callers.tell(), Some(News::Less), "any key, then one");
        callers.set(&peer(0), known(Some("5c"), false));
        assert_eq!(callers.tell(), Some(News::Less), "another key");
        callers.set(&peer(0), known(None, false));
        assert_eq!(callers.tell(), Some(News::More), "any key again");
        callers.set(&peer(2), known(None, false));
        assert_eq!(callers.tell(), Some(News::More), "only its part is another");
        for n in [0, 3] {
            callers.close(&peer(n), true);
            assert_eq!(callers.tell(), Some(News::Less));
            callers.close(&peer(n), true);
            assert_eq!(callers.tell(), None, "it is closed");
        }
        let let_in: Vec<usize> = callers.alone().map(|(_, who)| who.len()).collect();
        assert_eq!((let_in, callers.listed().rules), (vec![0, 1, 1], Some(only(Vec::new()))));
        callers.close(&peer(3), false);
        assert_eq!(callers.tell(), Some(News::More));
        callers.set(&peer(0), None);
        assert_eq!(callers.tell(), Some(News::More), "it was let in nowhere");
        callers.close(&peer(0), true);
        callers.set(&peer(0), known(None, false));
        assert_eq!(callers.tell(), Some(News::More));
        assert!(callers.closed.is_empty(), "one that is no neighbour is not kept");
        callers.set(&peer(1), None);
        assert_eq!(callers.tell(), Some(News::Less));
    }
}
