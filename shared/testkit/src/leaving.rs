//! What a neighbour's rows leave behind while the node takes them away piece by piece.
//!
//! The shadow removes at once what a phase or a sweep removes, and does not know which rows the walk has come to. Two things
//! follow that are right either way. What goes because its tunnel is gone stays where the walk has not come to it when a
//! session is back: until it is told again, withdrawn or swept. And what is told while its old row is on its way out changes
//! that row, or is new.

use std::collections::BTreeMap;

use crate::row::Row;
use crate::seen::Name;

/// A row that a walk takes away.
#[derive(Clone, Debug)]
struct Going {
    row: Row,
    /// It stays where a session is back before the walk has come to it.
    spared: bool,
}

/// What of a neighbour's rows may still be held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving {
    going: BTreeMap<Name, Going>,
    /// What was spared perhaps.
    perhaps: BTreeMap<Name, Row>,
}

impl Leaving {
    /// A row goes with the walk that is under way.
    pub(crate) fn goes(&mut self, key: Name, row: Row, spared: bool) {
        self.going.insert(key, Going { row, spared });
    }

    /// A session is back, and with it a tunnel.
    pub(crate) fn returns(&mut self) {
        let spared = self.going.extract_if(.., |_, going| going.spared);
        self.perhaps.extend(spared.map(|(key, going)| (key, going.row)));
    }

    /// The tunnel is gone again: what was spared goes after all.
    pub(crate) fn parts(&mut self) {
        let spared = std::mem::take(&mut self.perhaps).into_iter();
        self.going.extend(spared.map(|(key, row)| (key, Going { row, spared: true })));
    }

    /// Nothing that was not confirmed stays, whatever comes.
    pub(crate) fn sweep(&mut self) {
        self.parts();
        self.going.values_mut().for_each(|going| going.spared = false);
    }

    /// The neighbour speaks of a route: what it said before is replaced. What that was, where it may still stand.
    pub(crate) fn told(&mut self, key: &Name) -> Option<Row> {
        let going = self.going.remove(key).map(|going| going.row);
        going.or(self.perhaps.remove(key))
    }

    /// No walk is under way: what had to go is gone.
    pub(crate) fn walked(&mut self) {
        self.going.clear();
    }

    /// What of a key may still stand.
    pub(crate) fn get_mut(&mut self, key: &Name) -> Option<&mut Row> {
        let going = self.going.get_mut(key).map(|going| &mut going.row);
        going.or(self.perhaps.get_mut(key))
    }

    /// Whether something of a key may still stand.
    pub(crate) fn has(&self, key: &Name) -> bool {
        self.going.contains_key(key) || self.perhaps.contains_key(key)
    }

    /// What may be held or not while no walk is under way.
    pub(crate) fn perhaps(&self) -> &BTreeMap<Name, Row> {
        &self.perhaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Usable;

    fn row(attrs: &[u8]) -> Row {
        let attrs = attrs.to_vec();
        let usable = Usable::Yes;
        Row { attrs, telling: 1, stale: false, usable, flapping: false, overtaken: None, doubted: None }
    }

    fn key(service: &str) -> Name {
        (service.to_owned(), "o".to_owned())
    }

    #[test]
    fn what_goes_with_its_tunnel_may_stay_where_the_session_is_back_in_time() {
        let mut leaving = Leaving::default();
        leaving.goes(key("dark"), row(b"1"), true);
        leaving.goes(key("closed"), row(b"2"), false);
        leaving.returns();
        leaving.walked();
        assert_eq!(leaving.perhaps().keys().collect::<Vec<_>>(), [&key("dark")]);
        assert_eq!(leaving.told(&key("closed")), None, "the walk came to it in any case");
        // Told again, it is as any other.
        assert_eq!(leaving.told(&key("dark")), Some(row(b"1")));
        assert!(leaving.perhaps().is_empty());
    }

    #[test]
    fn where_the_walk_is_over_nothing_is_spared() {
        let mut leaving = Leaving::default();
        leaving.goes(key("dark"), row(b"1"), true);
        leaving.walked();
        leaving.returns();
        assert!(leaving.perhaps().is_empty());
        // What was spared goes with the next loss, unless a session is back in time once more; a sweep takes all.
        leaving.goes(key("dark"), row(b"1"), true);
        leaving.returns();
        leaving.parts();
        leaving.returns();
        assert_eq!(leaving.perhaps().len(), 1);
        leaving.sweep();
        leaving.returns();
        leaving.walked();
        assert!(leaving.perhaps().is_empty());
    }
}
