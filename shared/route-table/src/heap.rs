//! The store of a cloud node: grows on the heap up to its limits.

use alloc::boxed::Box;

use catalyst_dense::DenseMap;

use crate::error::Refusal;
use crate::interner::Interner;
use crate::key::{RouteKey, Slot, Sym};
use crate::limits::Limits;
use crate::store::{Best, Route, Store};

/// Routes, bests and names, each in order. Every operation costs a search.
#[derive(Clone, Debug)]
pub struct Heap {
    limits: Limits,
    routes: DenseMap<Slot, Route<Box<[u8]>>>,
    by_neighbour: DenseMap<(Sym, RouteKey), ()>,
    bests: DenseMap<RouteKey, Best>,
    names: Interner,
}

impl Heap {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Heap {
            limits,
            routes: DenseMap::new(),
            by_neighbour: DenseMap::new(),
            bests: DenseMap::new(),
            names: Interner::new(limits.names),
        }
    }
}

impl Store for Heap {
    type Attrs = Box<[u8]>;

    fn attrs(&self, bytes: &[u8]) -> Result<Self::Attrs, Refusal> {
        if bytes.len() > self.limits.attrs { Err(Refusal::Attrs) } else { Ok(Box::from(bytes)) }
    }

    fn route(&self, slot: Slot) -> Option<&Route<Self::Attrs>> {
        self.routes.get(&slot)
    }

    fn put(&mut self, slot: Slot, route: Route<Self::Attrs>) -> Result<Option<Route<Self::Attrs>>, Refusal> {
        if self.routes.len() >= self.limits.routes && !self.routes.contains_key(&slot) {
            return Err(Refusal::Routes);
        }
        let old = self.routes.insert(slot, route);
        if old.is_none() {
            self.by_neighbour.insert((slot.neighbour, slot.key), ());
        }
        Ok(old)
    }

    fn take(&mut self, slot: Slot) -> Option<Route<Self::Attrs>> {
        let old = self.routes.remove(&slot);
        if old.is_some() {
            self.by_neighbour.remove(&(slot.neighbour, slot.key));
        }
        old
    }

    fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<Self::Attrs>)> {
        let (low, high) = Slot::range(key);
        self.routes
            .from(&low)
            .take_while(move |(slot, _)| **slot <= high)
            .map(|(slot, route)| (slot.neighbour, route))
    }

    fn of_neighbour(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey> {
        let first = (neighbour, RouteKey { service: Sym(0), origin: Sym(0) });
        let next = match after {
            Some(key) => self.by_neighbour.after(Some(&(neighbour, key))).next(),
            None => self.by_neighbour.from(&first).next(),
        };
        next.filter(|((who, _), ())| *who == neighbour).map(|((_, key), ())| *key)
    }

    fn len(&self) -> usize {
        self.routes.len()
    }

    fn best(&self, key: RouteKey) -> Option<Best> {
        self.bests.get(&key).copied()
    }

    fn set_best(&mut self, key: RouteKey, best: Option<Best>) {
        match best {
            Some(best) => self.bests.insert(key, best),
            None => self.bests.remove(&key),
        };
    }

    fn bests_of(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best)> {
        let (low, high) = RouteKey::range(service);
        self.bests.from(&low).take_while(move |(key, _)| **key <= high).map(|(key, best)| (*key, *best))
    }

    fn key_after(&self, after: Option<RouteKey>) -> Option<RouteKey> {
        let last = after.map(|key| Slot::range(key).1);
        self.routes.after(last.as_ref()).next().map(|(slot, _)| slot.key)
    }

    fn find(&self, text: &str) -> Option<Sym> {
        self.names.find(text)
    }

    fn text(&self, sym: Sym) -> &str {
        self.names.text(sym)
    }

    fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        self.names.intern(text)
    }

    fn retain(&mut self, sym: Sym) {
        self.names.retain(sym);
    }

    fn release(&mut self, sym: Sym) {
        self.names.release(sym);
    }

    fn collect(&mut self) {
        self.names.collect();
    }

    fn names(&self) -> usize {
        self.names.len()
    }
}
