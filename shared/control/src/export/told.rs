//! News that goes along with entries of a group's journal: which words of which nodes are overtaken.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use catalyst_wire::update::write_overtaken;
use catalyst_wire::{Overtaken, words};

use crate::export::entry::parts;
use crate::limits::Limits;
use crate::news::{NUMBERED, News};

/// Encoded news by the version of the entry that it goes with.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(BTreeMap<u64, Vec<Box<[u8]>>>);

impl Told {
    /// Keeps the news of an entry, as far as its announcement does not say as much itself.
    pub(super) fn put(&mut self, version: u64, element: &[u8], news: &[News]) {
        if !NUMBERED || news.is_empty() || mutant!(NewsUntold) {
            return;
        }
        let Some((service, origin, attrs)) = parts(element) else { return };
        let mut list = Vec::new();
        for News { node, seqno } in news {
            if words(attrs).any(|(who, said)| who == node && said.run == seqno.run && !said.is_before(*seqno))
            {
                continue;
            }
            let mut buf = [0; 512];
            let news = Overtaken { service, origin, node, seqno: *seqno };
            if let Ok(bytes) = write_overtaken(&mut buf, &news) {
                list.push(Box::from(bytes));
            }
        }
        if !list.is_empty() {
            self.0.insert(version, list);
        }
        if self.0.len() > Limits::NEWS {
            self.0.pop_first();
        }
    }

    /// The news of an entry, if it fits beside so many bytes into a frame of its own; how many bytes both need.
    pub(super) fn beside(&self, version: u64, len: usize, room: usize) -> (&[Box<[u8]>], usize) {
        if !NUMBERED {
            return (&[], len);
        }
        let news = self.get(version);
        let needed = len + news.iter().map(|news| news.len()).sum::<usize>();
        // What never fits would hold up everything behind it.
        if needed > room { (&[], len) } else { (news, needed) }
    }

    fn get(&self, version: u64) -> &[Box<[u8]>] {
        if self.0.is_empty() { &[] } else { self.0.get(&version).map_or(&[], Vec::as_slice) }
    }

    /// The entry has another version now.
    pub(super) fn remove(&mut self, version: u64) {
        if NUMBERED && !self.0.is_empty() {
            self.0.remove(&version);
        }
    }

    /// All cursors have passed this version.
    pub(super) fn passed(&mut self, version: u64) {
        while NUMBERED && self.0.first_key_value().is_some_and(|(first, _)| *first <= version) {
            self.0.pop_first();
        }
    }
}
