//! The numbers of words, as a stranger reads them: what a path says, and what news told of late.

use catalyst_wire::{Attrs, Overtaken};

/// For so long an overtaken route is not looked at again, in milliseconds.
pub(crate) const HELD_DOWN: u64 = 30_000;
/// For so long news of a key is remembered.
const REMEMBERED: u64 = 15_000;
/// Of so many nodes.
const NODES: usize = 8;

/// The nodes of a path, with the run and the count of their words.
pub(crate) fn said(attrs: &[u8]) -> Vec<(String, u32, u32)> {
    let Ok(attrs) = Attrs::read(attrs) else { return Vec::new() };
    let numbered = attrs.node_path.iter().zip(attrs.seqnos.iter());
    numbered.map(|(node, seqno)| (node.to_owned(), seqno.run, seqno.count)).collect()
}

/// Whether one path has an older word of a node than another path has of the same run.
pub(crate) fn said_before(one: &[u8], other: &[u8]) -> bool {
    let other = said(other);
    said(one)
        .iter()
        .any(|(node, run, count)| other.iter().any(|(n, r, c)| (n, r) == (node, run) && c > count))
}

/// The newest words on one key that news told a node.
#[derive(Debug, Default)]
pub(crate) struct Newest(Vec<Told>);

/// One of them, and until when it is remembered.
#[derive(Debug)]
struct Told {
    node: String,
    run: u32,
    count: u32,
    until: u64,
}

impl Newest {
    /// When all of it is forgotten.
    pub(crate) fn until(&self) -> u64 {
        self.0.iter().map(|told| told.until).max().unwrap_or(0)
    }

    pub(crate) fn learn(&mut self, news: &Overtaken<'_>, now: u64) {
        self.0.retain(|told| now < told.until);
        let (run, count, until) = (news.seqno.run, news.seqno.count, now + REMEMBERED);
        let room = self.0.len() < NODES;
        match self.0.iter_mut().find(|told| told.node == news.node) {
            Some(known) if known.run == run && known.count > count => {}
            Some(known) => (known.run, known.count, known.until) = (run, count, until),
            None if room => self.0.push(Told { node: news.node.to_owned(), run, count, until }),
            None => {}
        }
    }

    /// Whether a path has an older word than one of these.
    pub(crate) fn voids(&self, attrs: &[u8], now: u64) -> bool {
        let newer = |(node, run, count): &(String, u32, u32)| {
            let told = self.0.iter().filter(|told| now < told.until);
            told.into_iter().any(|told| (&told.node, &told.run) == (node, run) && told.count > *count)
        };
        said(attrs).iter().any(newer)
    }
}
