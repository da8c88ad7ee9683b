//! The newest words that news told of late: a route with an older one may still be under way from somebody who has not
//! heard, and comes when nothing else is left to compare it with.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_wire::Seqno;

use crate::limits::Limits;
use crate::news::News;

/// News by key, the oldest key first to go. Kept by name: numbers of names are given anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    of: BTreeMap<String, Vec<News>>,
    order: VecDeque<String>,
}

fn name(service: &str, origin: &str) -> String {
    alloc::format!("{service} {origin}")
}

impl Words {
    /// A node has said something newer of a key.
    pub(crate) fn learn(&mut self, (service, origin): (&str, &str), node: &str, seqno: Seqno) {
        let key = name(service, origin);
        if !self.of.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        let list = self.of.entry(key).or_default();
        let room = list.len() < Limits::NEWS_OF;
        match list.iter_mut().find(|news| news.node == node) {
            Some(known) if known.seqno.run != seqno.run => known.seqno = seqno,
            Some(known) => known.seqno.count = known.seqno.count.max(seqno.count),
            None if room => list.push(News { node: node.to_string(), seqno }),
            None => {}
        }
        if self.order.len() > Limits::WORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    /// What was told of a key.
    pub(crate) fn of(&self, (service, origin): (&str, &str)) -> Vec<News> {
        if self.of.is_empty() {
            Vec::new()
        } else {
            self.of.get(&name(service, origin)).cloned().unwrap_or_default()
        }
    }
}
