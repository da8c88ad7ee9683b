//! Interned names on the heap.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::Refusal;
use crate::key::Sym;

#[derive(Clone, Debug)]
struct Name {
    text: Arc<str>,
    refs: u32,
}

/// Names with reference counts; numbers of forgotten names are used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    slots: Vec<Option<Name>>,
    free: Vec<Sym>,
    unused: Vec<Sym>,
    by_text: BTreeMap<Arc<str>, Sym>,
    max: usize,
}

impl Interner {
    pub(crate) fn new(max: usize) -> Self {
        Interner { max, ..Interner::default() }
    }

    fn slot(&mut self, sym: Sym) -> Option<&mut Name> {
        self.slots.get_mut(sym.0 as usize)?.as_mut()
    }

    pub(crate) fn find(&self, text: &str) -> Option<Sym> {
        self.by_text.get(text).copied()
    }

    pub(crate) fn text(&self, sym: Sym) -> &str {
        self.slots.get(sym.0 as usize).and_then(Option::as_ref).map_or("", |n| &n.text)
    }

    pub(crate) fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        if let Some(sym) = self.find(text) {
            self.retain(sym);
            return Ok(sym);
        }
        if self.by_text.len() >= self.max {
            return Err(Refusal::Names);
        }
        let text: Arc<str> = Arc::from(text);
        let name = Some(Name { text: text.clone(), refs: 1 });
        let sym = match self.free.pop() {
            Some(sym) => {
                if let Some(slot) = self.slots.get_mut(sym.0 as usize) {
                    *slot = name;
                }
                sym
            }
            None => {
                let number = u32::try_from(self.slots.len()).map_err(|_| Refusal::Names)?;
                self.slots.push(name);
                Sym(number)
            }
        };
        self.by_text.insert(text, sym);
        Ok(sym)
    }

    pub(crate) fn retain(&mut self, sym: Sym) {
        if let Some(name) = self.slot(sym) {
            name.refs += 1;
        }
    }

    pub(crate) fn release(&mut self, sym: Sym) {
        let Some(name) = self.slot(sym) else { return };
        name.refs = name.refs.saturating_sub(1);
        if name.refs == 0 {
            self.unused.push(sym);
        }
    }

    pub(crate) fn collect(&mut self) {
        while let Some(sym) = self.unused.pop() {
            let Some(slot) = self.slots.get_mut(sym.0 as usize) else { continue };
            // It may have come back into use, or stand in the list twice.
            if let Some(name) = slot.take_if(|n| n.refs == 0) {
                self.by_text.remove(&name.text);
                self.free.push(sym);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_text.len()
    }
}
