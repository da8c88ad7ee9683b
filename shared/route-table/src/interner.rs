//! Interned names on the heap.

use alloc::vec::Vec;

use catalyst_dense::DenseMap;

use crate::error::Refusal;
use crate::key::Sym;
use crate::texts::{Place, Texts};

#[derive(Clone, Debug)]
struct Name {
    /// [`Place::NONE`] in a slot that is free.
    place: Place,
    refs: u32,
}

/// Names with reference counts; numbers of forgotten names are used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    slots: Vec<Name>,
    texts: Texts,
    free: Vec<Sym>,
    unused: Vec<Sym>,
    /// In the order of their texts.
    by_text: DenseMap<Sym, ()>,
    /// What was asked for last: the names of a key are looked up several times, and those of a table have the same origin.
    recent: [Option<Sym>; 2],
    max: usize,
}

/// The text of a slot, to compare; nothing for one that is not there.
fn bytes_of<'a>(slots: &[Name], texts: &'a Texts, sym: Sym) -> &'a [u8] {
    slots.get(sym.0 as usize).map_or(&[], |name| texts.bytes_of(name.place))
}

impl Interner {
    pub(crate) fn new(max: usize) -> Self {
        Interner { max, ..Interner::default() }
    }

    pub(crate) fn find(&self, text: &str) -> Option<Sym> {
        let order = |sym: &Sym| bytes_of(&self.slots, &self.texts, *sym).cmp(text.as_bytes());
        self.recalled(text).or_else(|| self.by_text.get_by(order).map(|(sym, ())| *sym))
    }

    fn recalled(&self, text: &str) -> Option<Sym> {
        let is = |sym: &Sym| bytes_of(&self.slots, &self.texts, *sym) == text.as_bytes();
        self.recent.into_iter().flatten().find(is).filter(|_| !text.is_empty())
    }

    fn recall(&mut self, sym: Sym) {
        let [last, before] = self.recent;
        self.recent = [Some(sym), if last == Some(sym) { before } else { last }];
    }

    pub(crate) fn text(&self, sym: Sym) -> &str {
        self.slots.get(sym.0 as usize).map_or("", |name| self.texts.get(name.place))
    }

    pub(crate) fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        if let Some(sym) = self.recalled(text) {
            self.recall(sym);
            self.retain(sym);
            return Ok(sym);
        }
        let order = |sym: &Sym| bytes_of(&self.slots, &self.texts, *sym).cmp(text.as_bytes());
        let (run, place) = self.by_text.find_by(order);
        let at = match place {
            Ok(at) => {
                let sym = self.by_text.key_at((run, at)).ok_or(Refusal::Names)?;
                self.recall(sym);
                self.retain(sym);
                return Ok(sym);
            }
            Err(at) => at,
        };
        if self.by_text.len() >= self.max {
            return Err(Refusal::Names);
        }
        let fresh = u32::try_from(self.slots.len()).map(Sym).map_err(|_| Refusal::Names)?;
        let sym = self.free.last().copied().unwrap_or(fresh);
        let name = Name { place: self.texts.add(sym, text).ok_or(Refusal::Names)?, refs: 1 };
        self.free.pop();
        match self.slots.get_mut(sym.0 as usize) {
            Some(slot) => *slot = name,
            None => self.slots.push(name),
        }
        self.by_text.insert_at((run, at), sym, ());
        self.recall(sym);
        self.clear();
        Ok(sym)
    }

    pub(crate) fn retain(&mut self, sym: Sym) {
        if let Some(name) = self.slots.get_mut(sym.0 as usize) {
            name.refs += 1;
        }
    }

    pub(crate) fn release(&mut self, sym: Sym) {
        let Some(name) = self.slots.get_mut(sym.0 as usize) else { return };
        name.refs = name.refs.saturating_sub(1);
        if name.refs == 0 {
            self.unused.push(sym);
        }
    }

    pub(crate) fn collect(&mut self) {
        // In the order in which they fell out of use: a table that goes in order is searched at its beginning.
        let mut unused = core::mem::take(&mut self.unused);
        for sym in unused.drain(..) {
            // It may have come back into use, or stand in the list twice.
            let gone = self.slots.get(sym.0 as usize).filter(|n| n.refs == 0 && !n.place.is_none());
            let Some(place) = gone.map(|name| name.place) else { continue };
            let (slots, texts) = (&self.slots, &self.texts);
            let text = texts.bytes_of(place);
            self.by_text.remove_by(|other| bytes_of(slots, texts, *other).cmp(text));
            if let Some(slot) = self.slots.get_mut(sym.0 as usize) {
                slot.place = Place::NONE;
            }
            self.free.push(sym);
            self.texts.remove(place);
            self.clear();
        }
        self.unused = unused;
    }

    /// Clears a page of texts whose texts have mostly gone.
    fn clear(&mut self) {
        let Some(page) = self.texts.ripe() else { return };
        let mut moved = Vec::new();
        let slots = &self.slots;
        let here = |sym: Sym, place: Place| slots.get(sym.0 as usize).is_some_and(|name| name.place == place);
        self.texts.clear(page, here, |sym, place| moved.push((sym, place)));
        for (sym, place) in moved {
            if let Some(slot) = self.slots.get_mut(sym.0 as usize) {
                slot.place = place;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_text.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::String;
    use std::format;

    use super::*;

    #[test]
    fn names_stay_what_they_are_while_others_come_and_go() {
        let mut names = Interner::new(usize::MAX);
        let mut model: BTreeMap<String, (Sym, u32)> = BTreeMap::new();
        let mut seed = 9u64;
        for turn in 0..60_000u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (seed >> 33) % 4_000;
            let text =
                format!("service-{number}.{}.example", "x".repeat(usize::try_from(number % 90).unwrap()));
            // Grows, shrinks, grows.
            if ((seed >> 20) % 10 < 6) == (turn % 20_000 < 12_000) {
                let sym = names.intern(&text).unwrap();
                let known = model.entry(text).or_insert((sym, 0));
                assert_eq!(known.0, sym);
                known.1 += 1;
            } else if let Some((sym, refs)) = model.get_mut(&text) {
                names.release(*sym);
                *refs -= 1;
                if *refs == 0 {
                    model.remove(&text);
                }
            }
            if turn % 7 == 0 {
                names.collect();
            }
            if turn % 1_000 == 0 {
                names.collect();
                assert_eq!(names.len(), model.len());
                for (text, (sym, _)) in &model {
                    assert_eq!((names.text(*sym), names.find(text)), (&**text, Some(*sym)));
                }
            }
        }
        let bytes: usize = model.keys().map(|text| text.len() + 5).sum();
        assert!(names.texts.bytes() <= 3 * bytes + 3 * 4096, "{} bytes for {bytes}", names.texts.bytes());
        for (sym, refs) in model.values() {
            (0..*refs).for_each(|_| names.release(*sym));
        }
        names.collect();
        assert_eq!((names.len(), names.find("service-1.x.example")), (0, None));
    }
}
