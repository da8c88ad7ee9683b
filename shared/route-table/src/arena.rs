//! Interned names in a fixed piece of memory: texts lie one after another and are moved together when the end is
//! reached.

use heapless::Vec;

use crate::error::Refusal;
use crate::key::Sym;

#[derive(Clone, Copy, Debug)]
struct Name {
    start: u32,
    len: u8,
    used: bool,
    refs: u32,
}

/// At most `NAMES` names of together `BYTES` bytes.
#[derive(Debug)]
pub(crate) struct Arena<const NAMES: usize, const BYTES: usize> {
    slots: Vec<Name, NAMES>,
    sorted: Vec<u16, NAMES>,
    bytes: Vec<u8, BYTES>,
    live_bytes: usize,
    unused: bool,
}

impl<const NAMES: usize, const BYTES: usize> Arena<NAMES, BYTES> {
    pub(crate) const fn new() -> Self {
        Arena { slots: Vec::new(), sorted: Vec::new(), bytes: Vec::new(), live_bytes: 0, unused: false }
    }

    fn slice(&self, name: &Name) -> &str {
        let start = name.start as usize;
        let bytes = self.bytes.get(start..start + usize::from(name.len)).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }

    pub(crate) fn text(&self, sym: Sym) -> &str {
        match self.slots.get(sym.0 as usize) {
            Some(name) if name.used => self.slice(name),
            _ => "",
        }
    }

    fn search(&self, text: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|slot| self.text(Sym(u32::from(*slot))).cmp(text))
    }

    pub(crate) fn find(&self, text: &str) -> Option<Sym> {
        let at = self.search(text).ok()?;
        self.sorted.get(at).map(|slot| Sym(u32::from(*slot)))
    }

    pub(crate) fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        let at = match self.search(text) {
            Ok(at) => {
                let sym = Sym(self.sorted.get(at).copied().map_or(0, u32::from));
                self.retain(sym);
                return Ok(sym);
            }
            Err(at) => at,
        };
        let len = u8::try_from(text.len()).map_err(|_| Refusal::Names)?;
        if self.live_bytes + text.len() > BYTES || self.sorted.len() >= NAMES {
            return Err(Refusal::Names);
        }
        if self.bytes.len() + text.len() > BYTES {
            self.compact();
        }
        let start = u32::try_from(self.bytes.len()).map_err(|_| Refusal::Names)?;
        self.bytes.extend_from_slice(text.as_bytes()).map_err(|_| Refusal::Names)?;
        let name = Name { start, len, used: true, refs: 1 };
        // Numbers are given out densely, so a free slot is found by looking for one only when the list is full.
        let slot = if self.slots.push(name).is_ok() {
            self.slots.len() - 1
        } else {
            let free = self.slots.iter().position(|n| !n.used).ok_or(Refusal::Names)?;
            if let Some(place) = self.slots.get_mut(free) {
                *place = name;
            }
            free
        };
        let number = u16::try_from(slot).map_err(|_| Refusal::Names)?;
        self.sorted.insert(at, number).map_err(|_| Refusal::Names)?;
        self.live_bytes += text.len();
        Ok(Sym(u32::from(number)))
    }

    /// Moves the living texts to the front, in the order in which they lie.
    fn compact(&mut self) {
        let mut order: Vec<u16, NAMES> = self.sorted.clone();
        order.sort_unstable_by_key(|slot| self.slots.get(usize::from(*slot)).map_or(0, |n| n.start));
        let mut end = 0usize;
        for slot in &order {
            let Some(name) = self.slots.get_mut(usize::from(*slot)) else { continue };
            let start = name.start as usize;
            let len = usize::from(name.len);
            self.bytes.copy_within(start..start + len, end);
            name.start = end as u32;
            end += len;
        }
        self.bytes.truncate(end);
    }

    pub(crate) fn retain(&mut self, sym: Sym) {
        if let Some(name) = self.slots.get_mut(sym.0 as usize) {
            name.refs += 1;
        }
    }

    pub(crate) fn release(&mut self, sym: Sym) {
        if let Some(name) = self.slots.get_mut(sym.0 as usize) {
            name.refs = name.refs.saturating_sub(1);
            self.unused |= name.refs == 0;
        }
    }

    pub(crate) fn collect(&mut self) {
        if !core::mem::take(&mut self.unused) {
            return;
        }
        let slots = &mut self.slots;
        let live_bytes = &mut self.live_bytes;
        self.sorted.retain(|slot| match slots.get_mut(usize::from(*slot)) {
            Some(name) if name.refs == 0 => {
                name.used = false;
                *live_bytes -= usize::from(name.len);
                false
            }
            _ => true,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }
}
