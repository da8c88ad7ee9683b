//! The numbers of this node's words, and what it learns of those of others.

use alloc::string::ToString;

use catalyst_route_table::{Change, RouteKey, Slot, Store, Sym};
use catalyst_wire::{Seqno, Seqnos, words};

use crate::changes::Changes;
use crate::limits::Limits;
use crate::news::{NUMBERED, News};
use crate::state::State;

impl<S: Store> State<S> {
    /// A number of this run for what this node says; none when they have come to their end.
    fn seqno(&self, count: u32) -> Option<Seqno> {
        let [a, b, c, d, e, f, g, h] = self.settings.incarnation.to_be_bytes();
        let run = u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h]);
        (count < u32::MAX).then_some(Seqno { run, count })
    }

    /// The numbers of a path with that of this node in front. Without its own it passes none on: they stand for the
    /// nodes of the path in their order.
    pub(crate) fn numbered<'a>(&self, path: Seqnos<'a>, count: u32) -> Seqnos<'a> {
        let seqno = self.seqno(count).filter(|_| NUMBERED);
        seqno.map_or(Seqnos::EMPTY, |seqno| path.prepend(seqno))
    }

    /// Remembers news for the rest of the step.
    pub(crate) fn learn(&mut self, key: RouteKey, node: &str, seqno: Seqno) {
        if !NUMBERED || self.news.len() >= Limits::NEWS && !self.news.contains_key(&key) {
            return;
        }
        let list = self.news.entry(key).or_default();
        let room = list.len() < Limits::NEWS_OF;
        match list.iter_mut().find(|news| news.node == node && news.seqno.run == seqno.run) {
            Some(known) => known.seqno.count = known.seqno.count.max(seqno.count),
            None if room => list.push(News { node: node.to_string(), seqno }),
            None => {}
        }
    }

    /// A neighbour's announcement has changed the best of a key that there was.
    pub(crate) fn heard(&mut self, attrs: &[u8], change: Option<&Change>) {
        let told = change.filter(|change| NUMBERED && change.best_changed && change.old_best.is_some());
        if let Some(change) = told {
            words(attrs).for_each(|(node, seqno)| self.learn(change.key, node, seqno));
        }
    }

    /// What a neighbour's route came with may be older than what news has told. Other routes of its key were there when the news
    /// came, or counted again since.
    pub(crate) fn still_under_way(&mut self, neighbour: Sym, names: (&str, &str), changes: &mut Changes) {
        if !NUMBERED {
            return;
        }
        let mut told = self.words.of(names, self.now).peekable();
        if told.peek().is_some()
            && let Some(key) = self.table.key(names.0, names.1)
        {
            let slot = Slot { key, neighbour };
            let overtaken = told.filter_map(|news| self.table.overtake_one(slot, &news.node, news.seqno));
            changes.routes.extend(overtaken);
        }
    }

    /// Where this node has no way any more, that is its newest word.
    pub(crate) fn silenced(&mut self, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.old_best.is_some() && change.new_best.is_none()) {
            if !NUMBERED || self.news.len() >= Limits::NEWS || self.table.best(change.key).is_some() {
                continue;
            }
            let count = self.table.next_stamp();
            if let Some(seqno) = self.seqno(count) {
                let own = self.settings.name.clone();
                self.learn(change.key, own.node(), seqno);
            }
        }
    }
}
