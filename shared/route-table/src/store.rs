//! What a store must offer. The decisions are the table's; a store only keeps things, within its capacity.

use alloc::boxed::Box;

use catalyst_names::Protocol;

use crate::error::Refusal;
use crate::key::{RouteKey, Slot, Sym};
use crate::rank::Rank;

/// One route as it came in, with what best path and the data plane need at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<A> {
    /// What best path compares.
    pub rank: Rank,
    /// What the service speaks.
    pub protocol: Protocol,
    /// Share among equals.
    pub weight: u16,
    /// Which telling of its neighbour's table confirmed it last. Not part of what the route says.
    pub generation: u16,
    /// A node of its path has said something newer, as news tells.
    pub overtaken: bool,
    /// The attributes, encoded as in the entry.
    pub attrs: A,
}

impl<A> Route<A> {
    /// The rank as best path takes it: what is overtaken is as good as not eligible.
    pub fn effective_rank(&self) -> Rank {
        Rank { eligible: self.rank.eligible && !self.overtaken, ..self.rank }
    }
}

/// One key of Loc-RIB: who has the best path, and who would be next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Best {
    /// The neighbour with the best path.
    pub best: Sym,
    /// The neighbour with the next best eligible path.
    pub next: Option<Sym>,
    /// Grows with each change of the best of any key: which of this node's words on the key this is.
    pub stamp: u32,
}

/// Keeps routes, bests and names. All walks are in the order of the keys.
pub trait Store {
    /// Encoded attributes, as the store holds them.
    type Attrs: AsRef<[u8]> + Clone + PartialEq;

    /// Takes a copy of encoded attributes.
    ///
    /// # Errors
    /// [`Refusal::Attrs`] when they are too large.
    fn attrs(&self, bytes: &[u8]) -> Result<Self::Attrs, Refusal>;

    /// The route in a slot.
    fn route(&self, slot: Slot) -> Option<&Route<Self::Attrs>>;

    /// Puts a route into a slot; gives back the one that was there.
    ///
    /// # Errors
    /// [`Refusal::Routes`] when the slot was empty and the store is full.
    fn put(&mut self, slot: Slot, route: Route<Self::Attrs>) -> Result<Option<Route<Self::Attrs>>, Refusal>;

    /// Empties a slot.
    fn take(&mut self, slot: Slot) -> Option<Route<Self::Attrs>>;

    /// The candidates of a key.
    fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<Self::Attrs>)>;

    /// The first key after `after` for which this neighbour has a route.
    fn of_neighbour(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey>;

    /// How many routes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The best of a key.
    fn best(&self, key: RouteKey) -> Option<Best>;

    /// Sets or clears the best of a key. There are never more than routes, so it always fits.
    fn set_best(&mut self, key: RouteKey, best: Option<Best>);

    /// The bests of a service.
    fn bests_of(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best)>;

    /// The first key after another of which somebody has a route: for walks over the whole table.
    fn key_after(&self, after: Option<RouteKey>) -> Option<RouteKey>;

    /// The number of a name that is known.
    fn find(&self, text: &str) -> Option<Sym>;

    /// The text of a number that is in use; nothing for others.
    fn text(&self, sym: Sym) -> &str;

    /// The number of a name, made if need be, with one more reference.
    ///
    /// # Errors
    /// [`Refusal::Names`].
    fn intern(&mut self, text: &str) -> Result<Sym, Refusal>;

    /// One more reference.
    fn retain(&mut self, sym: Sym);

    /// One reference less. At none, the number stays readable until [`Store::collect`].
    fn release(&mut self, sym: Sym);

    /// Forgets the names without references.
    fn collect(&mut self);

    /// How many names there are.
    fn names(&self) -> usize;
}

impl<T: Store> Store for Box<T> {
    type Attrs = T::Attrs;

    fn attrs(&self, bytes: &[u8]) -> Result<Self::Attrs, Refusal> {
        (**self).attrs(bytes)
    }
    fn route(&self, slot: Slot) -> Option<&Route<Self::Attrs>> {
        (**self).route(slot)
    }
    fn put(&mut self, slot: Slot, route: Route<Self::Attrs>) -> Result<Option<Route<Self::Attrs>>, Refusal> {
        (**self).put(slot, route)
    }
    fn take(&mut self, slot: Slot) -> Option<Route<Self::Attrs>> {
        (**self).take(slot)
    }
    fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<Self::Attrs>)> {
        (**self).candidates(key)
    }
    fn of_neighbour(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey> {
        (**self).of_neighbour(neighbour, after)
    }
    fn len(&self) -> usize {
        (**self).len()
    }
    fn best(&self, key: RouteKey) -> Option<Best> {
        (**self).best(key)
    }
    fn set_best(&mut self, key: RouteKey, best: Option<Best>) {
        (**self).set_best(key, best);
    }
    fn bests_of(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best)> {
        (**self).bests_of(service)
    }
    fn key_after(&self, after: Option<RouteKey>) -> Option<RouteKey> {
        (**self).key_after(after)
    }
    fn find(&self, text: &str) -> Option<Sym> {
        (**self).find(text)
    }
    fn text(&self, sym: Sym) -> &str {
        (**self).text(sym)
    }
    fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        (**self).intern(text)
    }
    fn retain(&mut self, sym: Sym) {
        (**self).retain(sym);
    }
    fn release(&mut self, sym: Sym) {
        (**self).release(sym);
    }
    fn collect(&mut self) {
        (**self).collect();
    }
    fn names(&self) -> usize {
        (**self).names()
    }
}
