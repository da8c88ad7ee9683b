//! The newest words that news told of late: a route with an older one may still be under way from somebody who has not
//! heard, and comes when nothing else is left to compare it with.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_wire::Seqno;

use crate::limits::Limits;
use crate::news::News;

/// News by key, each with the moment until which it counts; the oldest key is the first to go. Kept by name: numbers of
/// names are given anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    of: BTreeMap<String, Vec<(u64, News)>>,
    order: VecDeque<String>,
}

fn name(service: &str, origin: &str) -> String {
    alloc::format!("{service} {origin}")
}

impl Words {
    /// A node has said something newer of a key.
    pub(crate) fn learn(&mut self, (service, origin): (&str, &str), node: &str, seqno: Seqno, now: u64) {
        let key = name(service, origin);
        if !self.of.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        let until = now.saturating_add(Limits::WORDS_MS);
        let list = self.of.entry(key).or_default();
        list.retain(|(until, _)| now < *until);
        let room = list.len() < Limits::NEWS_OF;
        match list.iter_mut().find(|(_, news)| news.node == node) {
            Some((_, known)) if seqno.is_before(known.seqno) && !mutant!(OlderNewsCounts) => {}
            Some((end, known)) => (*end, known.seqno) = (until, seqno),
            None if room => list.push((until, News { node: node.to_string(), seqno })),
            None => {}
        }
        if self.order.len() > Limits::WORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    /// What was told of a key within [`Limits::WORDS_MS`].
    pub(crate) fn of(&self, (service, origin): (&str, &str), now: u64) -> impl Iterator<Item = &News> {
        let told = if self.of.is_empty() { None } else { self.of.get(&name(service, origin)) };
        told.into_iter()
            .flatten()
            .filter(move |(until, _)| now < *until || mutant!(NewsForEver))
            .map(|(_, news)| news)
    }
}
