//! The store of an edge node: all its memory is there from the start.

use heapless::Vec;

use crate::arena::Arena;
use crate::error::Refusal;
use crate::key::{RouteKey, Slot, Sym};
use crate::store::{Best, Route, Store};

type Attrs<const ATTR: usize> = Vec<u8, ATTR, u8>;

#[derive(Debug)]
struct Entry<const ATTR: usize> {
    slot: Slot,
    route: Route<Attrs<ATTR>>,
}

/// At most `ROUTES` routes (and below 65,536) with at most `ATTR` bytes of attributes each (at most 255), and
/// `NAMES` names of together `BYTES` bytes.
///
/// Places are found by binary search in sorted lists of two-byte numbers; walks over one neighbour look at all
/// routes, of which there are few by construction.
#[derive(Debug)]
pub struct Fixed<const ROUTES: usize, const NAMES: usize, const BYTES: usize, const ATTR: usize> {
    entries: Vec<Option<Entry<ATTR>>, ROUTES>,
    free: Vec<u16, ROUTES>,
    sorted: Vec<u16, ROUTES>,
    bests: Vec<(RouteKey, Best), ROUTES>,
    names: Arena<NAMES, BYTES>,
    max_routes: usize,
}

impl<const ROUTES: usize, const NAMES: usize, const BYTES: usize, const ATTR: usize>
    Fixed<ROUTES, NAMES, BYTES, ATTR>
{
    /// An empty store that will take at most `max_routes`, or `ROUTES` if that is less.
    #[must_use]
    pub const fn new(max_routes: usize) -> Self {
        Fixed {
            entries: Vec::new(),
            free: Vec::new(),
            sorted: Vec::new(),
            bests: Vec::new(),
            names: Arena::new(),
            max_routes: if max_routes < ROUTES { max_routes } else { ROUTES },
        }
    }

    fn entry(&self, place: u16) -> Option<&Entry<ATTR>> {
        self.entries.get(usize::from(place))?.as_ref()
    }

    fn search(&self, slot: Slot) -> Result<usize, usize> {
        self.sorted.binary_search_by(|place| self.entry(*place).map(|e| e.slot).cmp(&Some(slot)))
    }

    fn first_from(&self, slot: Slot) -> usize {
        self.search(slot).unwrap_or_else(|at| at)
    }
}

impl<const ROUTES: usize, const NAMES: usize, const BYTES: usize, const ATTR: usize> Store
    for Fixed<ROUTES, NAMES, BYTES, ATTR>
{
    type Attrs = Attrs<ATTR>;

    fn attrs(&self, bytes: &[u8]) -> Result<Self::Attrs, Refusal> {
        Vec::from_slice(bytes).map_err(|_| Refusal::Attrs)
    }

    fn route(&self, slot: Slot) -> Option<&Route<Self::Attrs>> {
        let at = self.search(slot).ok()?;
        self.entry(*self.sorted.get(at)?).map(|e| &e.route)
    }

    fn put(&mut self, slot: Slot, route: Route<Self::Attrs>) -> Result<Option<Route<Self::Attrs>>, Refusal> {
        match self.search(slot) {
            Ok(at) => {
                let place = self.sorted.get(at).copied().map_or(0, usize::from);
                let entry = self.entries.get_mut(place).and_then(Option::as_mut);
                Ok(entry.map(|e| core::mem::replace(&mut e.route, route)))
            }
            Err(at) => {
                if self.sorted.len() >= self.max_routes {
                    return Err(Refusal::Routes);
                }
                let entry = Some(Entry { slot, route });
                let place = match self.free.pop() {
                    Some(place) => {
                        if let Some(free) = self.entries.get_mut(usize::from(place)) {
                            *free = entry;
                        }
                        place
                    }
                    None => {
                        let place = u16::try_from(self.entries.len()).map_err(|_| Refusal::Routes)?;
                        self.entries.push(entry).map_err(|_| Refusal::Routes)?;
                        place
                    }
                };
                self.sorted.insert(at, place).map_err(|_| Refusal::Routes)?;
                Ok(None)
            }
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Route<Self::Attrs>> {
        let at = self.search(slot).ok()?;
        let place = self.sorted.remove(at);
        let entry = self.entries.get_mut(usize::from(place))?.take();
        // Cannot be full: there are as many places in it as entries.
        let _ = self.free.push(place);
        entry.map(|e| e.route)
    }

    fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<Self::Attrs>)> {
        let start = self.first_from(Slot::range(key).0);
        self.sorted
            .iter()
            .skip(start)
            .map_while(|place| self.entry(*place))
            .take_while(move |e| e.slot.key == key)
            .map(|e| (e.slot.neighbour, &e.route))
    }

    fn of_neighbour(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey> {
        let start = after.map_or(0, |key| self.first_from(Slot { key, neighbour: Sym(u32::MAX) }));
        self.sorted
            .iter()
            .skip(start)
            .map_while(|place| self.entry(*place))
            .find(|e| e.slot.neighbour == neighbour && after.is_none_or(|key| e.slot.key > key))
            .map(|e| e.slot.key)
    }

    fn len(&self) -> usize {
        self.sorted.len()
    }

    fn best(&self, key: RouteKey) -> Option<Best> {
        let at = self.bests.binary_search_by_key(&key, |(k, _)| *k).ok()?;
        self.bests.get(at).map(|(_, best)| *best)
    }

    fn set_best(&mut self, key: RouteKey, best: Option<Best>) {
        match (self.bests.binary_search_by_key(&key, |(k, _)| *k), best) {
            (Ok(at), Some(best)) => {
                if let Some(place) = self.bests.get_mut(at) {
                    place.1 = best;
                }
            }
            (Ok(at), None) => {
                self.bests.remove(at);
            }
            (Err(at), Some(best)) => {
                // Cannot be full: a key with a best has a route, and there are at most as many keys as routes.
                let _ = self.bests.insert(at, (key, best));
            }
            (Err(_), None) => {}
        }
    }

    fn bests_of(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best)> {
        let (low, high) = RouteKey::range(service);
        let start = self.bests.partition_point(|(k, _)| *k < low);
        self.bests.iter().skip(start).copied().take_while(move |(k, _)| *k <= high)
    }

    fn key_after(&self, after: Option<RouteKey>) -> Option<RouteKey> {
        let start = after.map_or(0, |key| self.first_from(Slot::range(key).1));
        self.entry(*self.sorted.get(start)?).map(|e| e.slot.key)
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
