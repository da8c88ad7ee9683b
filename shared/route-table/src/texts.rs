//! Texts side by side in pages, each in front with the number that it belongs to: a name costs its own bytes and six, where
//! an allocation of its own would cost thirty. A page whose texts have mostly gone is cleared: what is left moves to the
//! end. That costs at most a page for every half page of texts that went.

use alloc::vec::Vec;

use crate::key::Sym;

/// Bytes of a page.
const PAGE: usize = 4096;
/// In front of each text: the number, then the length.
const HEAD: usize = 5;

/// Where a text lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    page: u32,
    at: u16,
    len: u8,
}

impl Place {
    /// No text; what a free slot has.
    pub(crate) const NONE: Place = Place { page: 0, at: 0, len: 0 };

    pub(crate) fn is_none(self) -> bool {
        self.len == 0
    }
}

#[derive(Clone, Debug, Default)]
struct Page {
    bytes: Vec<u8>,
    /// Bytes of texts that are still wanted, with their heads.
    live: usize,
}

/// The pages. Bounded by its owner, who bounds the texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    pages: Vec<Page>,
    /// Pages with nothing in them.
    free: Vec<u32>,
    /// The page that takes new texts.
    open: Option<u32>,
    /// A page that took its last text when most of its texts had gone already.
    ripe: Option<u32>,
}

impl Texts {
    /// The text of a place.
    pub(crate) fn get(&self, place: Place) -> &str {
        core::str::from_utf8(self.bytes_of(place)).unwrap_or("")
    }

    /// The same to compare: its bytes have the order of the text, and a search need not check each that it passes.
    pub(crate) fn bytes_of(&self, place: Place) -> &[u8] {
        let start = usize::from(place.at);
        let page = self.pages.get(place.page as usize);
        page.and_then(|p| p.bytes.get(start..start + usize::from(place.len))).unwrap_or_default()
    }

    /// Takes a text of 1 to 255 bytes; `None` for others.
    pub(crate) fn add(&mut self, sym: Sym, text: &str) -> Option<Place> {
        let len = u8::try_from(text.len()).ok().filter(|len| *len > 0)?;
        let need = HEAD + text.len();
        let fits = |page: &Page| page.bytes.len() + need <= PAGE;
        let open = self.open.filter(|open| self.pages.get(*open as usize).is_some_and(fits));
        let number = match open.or_else(|| self.free.pop()) {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.pages.len()).ok()?;
                self.pages.push(Page::default());
                number
            }
        };
        if let Some(closed) = self.open.replace(number).filter(|closed| *closed != number) {
            self.ripe = self.pages.get(closed as usize).is_some_and(|p| p.live < PAGE / 2).then_some(closed);
        }
        let page = self.pages.get_mut(number as usize)?;
        if page.bytes.capacity() == 0 {
            page.bytes.reserve_exact(PAGE);
        }
        page.bytes.extend_from_slice(&sym.0.to_le_bytes());
        page.bytes.push(len);
        let at = u16::try_from(page.bytes.len()).ok()?;
        page.bytes.extend_from_slice(text.as_bytes());
        page.live += need;
        Some(Place { page: number, at, len })
    }

    /// A text is no longer wanted.
    pub(crate) fn remove(&mut self, place: Place) {
        let Some(page) = self.pages.get_mut(place.page as usize) else { return };
        page.live = page.live.saturating_sub(HEAD + usize::from(place.len));
        if self.open != Some(place.page) && page.live < PAGE / 2 {
            self.ripe = Some(place.page);
        }
    }

    /// The page to be cleared with [`Texts::clear`], if any. To be asked after every text that came or went.
    pub(crate) fn ripe(&mut self) -> Option<u32> {
        self.ripe.take()
    }

    /// Empties a page: what of it is still `wanted` moves, and `moved` hears where to.
    pub(crate) fn clear(
        &mut self,
        number: u32,
        mut wanted: impl FnMut(Sym, Place) -> bool,
        mut moved: impl FnMut(Sym, Place),
    ) {
        let Some(page) = self.pages.get_mut(number as usize) else { return };
        let old = core::mem::take(page);
        let mut at = 0;
        while let Some((head, rest)) = old.bytes.get(at..).and_then(|rest| rest.split_first_chunk::<HEAD>()) {
            let [a, b, c, d, len] = *head;
            let sym = Sym(u32::from_le_bytes([a, b, c, d]));
            at += HEAD;
            let place = Place { page: number, at: u16::try_from(at).unwrap_or(0), len };
            at += usize::from(len);
            if wanted(sym, place)
                && let Some(text) = rest.get(..usize::from(len)).and_then(|t| core::str::from_utf8(t).ok())
                && let Some(new) = self.add(sym, text)
            {
                moved(sym, new);
            }
        }
        self.free.push(number);
    }

    /// For tests: bytes that the pages take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.bytes.capacity()).sum()
    }
}
