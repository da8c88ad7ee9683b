//! An ordered map that wastes little: sorted runs, each an array.
//!
//! A tree that is filled in ascending order, as journals and new keys are, stays half empty. Here a run that is full
//! stays full when the next key comes behind it. A change costs a search and the move of half a run; when a run is split
//! or dropped, the list of runs moves up: 24 bytes for every run of 128, some microseconds for a million keys.
//!
//! A search begins at the end and where the last change was, so that a table that comes or goes in the order of its keys
//! takes a few comparisons for each, not one for each doubling of the table.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Entries of a full run.
const RUN: usize = 128;

/// Keys and values in the order of the keys. Bounded by its owner.
#[derive(Clone, Debug)]
pub struct DenseMap<K, V> {
    /// None of them is empty.
    runs: Vec<Vec<(K, V)>>,
    len: usize,
    /// Where the last change was but for those in the last run: a guess at what is looked for next, which is checked.
    last: Place,
}

/// A run, and a place in it.
pub type Place = (usize, usize);

impl<K, V> Default for DenseMap<K, V> {
    fn default() -> Self {
        DenseMap::new()
    }
}

impl<K, V> DenseMap<K, V> {
    /// Without entries.
    #[must_use]
    pub const fn new() -> Self {
        DenseMap { runs: Vec::new(), len: 0, last: (0, 0) }
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.runs.iter().flatten().map(|(k, v)| (k, v))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.runs.iter().flatten().map(|(k, _)| k)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.runs.iter().flatten().map(|(_, v)| v)
    }
}

/// The same where the order of the keys is known only to the caller: `order` says how a key of the map stands to the one
/// that is meant.
impl<K, V> DenseMap<K, V> {
    /// The run of a key and its place in it, or the place where it would stand.
    pub fn find_by(&self, order: impl Fn(&K) -> Ordering) -> (usize, Result<usize, usize>) {
        self.find_near(self.last, &order)
    }

    /// The same; `near` is a guess.
    fn find_near(&self, near: Place, order: &impl Fn(&K) -> Ordering) -> (usize, Result<usize, usize>) {
        let at = self.run_by(near.0, order);
        let Some(run) = self.runs.get(at) else { return (at, Err(0)) };
        // Tables come in order: what is new is mostly behind all that is there.
        if run.last().is_some_and(|(k, _)| order(k).is_lt()) {
            return (at, Err(run.len()));
        }
        let near = Some(near).filter(|(run, _)| *run == at).and_then(|(_, place)| beside(run, place, order));
        (at, near.unwrap_or_else(|| run.binary_search_by(|(k, _)| order(k))))
    }

    /// The run in which a key stands or would stand. What is new mostly comes at the end; and what is looked for one after the
    /// other stands close together, whether it is one key again and again or a table in its order: so first the last run, then
    /// where the last change was, and the run behind it.
    fn run_by(&self, near: usize, order: &impl Fn(&K) -> Ordering) -> usize {
        let not_behind = |run: &Vec<(K, V)>| run.first().is_some_and(|(k, _)| order(k).is_le());
        let is_from = |at: usize| self.runs.get(at).is_some_and(not_behind);
        let likely = [self.runs.len().saturating_sub(1), near, near + 1];
        let found = likely.into_iter().find(|at| is_from(*at) && !is_from(at + 1));
        found.unwrap_or_else(|| self.runs.partition_point(not_behind).saturating_sub(1))
    }

    /// A change in this place. In the last run, where every search begins, it leaves the other guess as it is.
    fn changed(&mut self, run: usize, at: usize) {
        if run + 1 < self.runs.len() {
            self.last = (run, at);
        }
    }

    /// The entry of a key.
    pub fn get_by(&self, order: impl Fn(&K) -> Ordering) -> Option<&(K, V)> {
        let (run, Ok(at)) = self.find_by(order) else { return None };
        self.runs.get(run)?.get(at)
    }

    /// The entry of a key that is likely to stand where `near` says or right behind it, as when many are looked for in their
    /// order; says where it stands.
    pub fn get_near(&self, near: &mut Place, order: impl Fn(&K) -> Ordering) -> Option<&(K, V)> {
        let (run, Ok(at)) = self.find_near(*near, &order) else { return None };
        *near = (run, at);
        self.runs.get(run)?.get(at)
    }

    /// The key in a place that [`DenseMap::find_by`] gave.
    pub fn key_at(&self, (run, at): (usize, usize)) -> Option<K>
    where
        K: Copy,
    {
        self.runs.get(run)?.get(at).map(|(k, _)| *k)
    }

    /// Sets the value of a key; gives back the one that was there.
    pub fn insert_by(&mut self, key: K, value: V, order: impl Fn(&K) -> Ordering) -> Option<V> {
        match self.find_by(order) {
            (run, Ok(at)) => self.replace_at((run, at), value),
            (run, Err(at)) => {
                self.insert_at((run, at), key, value);
                None
            }
        }
    }

    /// Sets the value of a key that is there, in the place that [`DenseMap::find_by`] gave; gives back the old one.
    pub fn replace_at(&mut self, (run, at): (usize, usize), value: V) -> Option<V> {
        self.changed(run, at);
        let (_, old) = self.runs.get_mut(run)?.get_mut(at)?;
        Some(core::mem::replace(old, value))
    }

    /// Puts a key that is not there into the place that [`DenseMap::find_by`] gave for it.
    pub fn insert_at(&mut self, (mut run, mut at): (usize, usize), key: K, value: V) {
        self.len += 1;
        if self.runs.get(run).is_none_or(|r| r.len() >= RUN) {
            if self.runs.get(run).is_none_or(|r| at == r.len()) {
                // Behind a full run: a new one, so that the full one stays full. It will mostly be full, too.
                let room = if self.runs.is_empty() { 0 } else { RUN };
                run = if self.runs.is_empty() { 0 } else { run + 1 };
                at = 0;
                self.runs.insert(run, Vec::with_capacity(room));
            } else if let Some(full) = self.runs.get_mut(run) {
                let upper = full.split_off(RUN / 2);
                self.runs.insert(run + 1, upper);
                if at > RUN / 2 {
                    (run, at) = (run + 1, at - RUN / 2);
                }
            }
        }
        if let Some(r) = self.runs.get_mut(run) {
            r.insert(at, (key, value));
        }
        self.changed(run, at);
    }

    /// Takes a key out.
    pub fn remove_by(&mut self, order: impl Fn(&K) -> Ordering) -> Option<V> {
        let (run, Ok(at)) = self.find_by(order) else { return None };
        self.changed(run, at);
        let this = self.runs.get_mut(run)?;
        let (_, value) = this.remove(at);
        self.len -= 1;
        let left = this.len();
        if left == 0 {
            self.runs.remove(run);
        } else if left < RUN / 4 {
            self.merge(run);
        }
        Some(value)
    }

    /// Puts a run that has become short together with the one behind it or before it, if both fill no more than half of one.
    fn merge(&mut self, run: usize) {
        let len = |at: usize| self.runs.get(at).map(Vec::len);
        let fits = |at: usize| len(at).zip(len(at + 1)).is_some_and(|(a, b)| a + b <= RUN / 2);
        let Some(at) = [Some(run), run.checked_sub(1)].into_iter().flatten().find(|at| fits(*at)) else {
            return;
        };
        let mut next = self.runs.remove(at + 1);
        if let Some(this) = self.runs.get_mut(at) {
            this.append(&mut next);
        }
    }
}

/// Where a key stands or would stand in a run, if that is in this place or right behind it.
fn beside<K, V>(
    run: &[(K, V)],
    place: usize,
    order: &impl Fn(&K) -> Ordering,
) -> Option<Result<usize, usize>> {
    for at in [place, place + 1] {
        match run.get(at).map(|(k, _)| order(k)) {
            Some(Ordering::Equal) => return Some(Ok(at)),
            // It would stand before this one, if not before the one before.
            Some(Ordering::Greater) => {
                let before = at.checked_sub(1).and_then(|before| run.get(before));
                return before.is_none_or(|(k, _)| order(k).is_lt()).then_some(Err(at));
            }
            _ => {}
        }
    }
    None
}

impl<K: Ord + Copy, V> DenseMap<K, V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.get_by(|k| k.cmp(key)).map(|(_, v)| v)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (run, Ok(at)) = self.find_by(|k| k.cmp(key)) else { return None };
        self.changed(run, at);
        self.runs.get_mut(run)?.get_mut(at).map(|(_, v)| v)
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key; gives back the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.insert_by(key, value, |k| k.cmp(&key))
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_by(|k| k.cmp(key))
    }

    /// The entries from a key on, that one included.
    pub fn from<'s>(&'s self, key: &K) -> impl Iterator<Item = (&'s K, &'s V)> + use<'s, K, V> {
        let (run, Ok(at) | Err(at)) = self.find_by(|k| k.cmp(key));
        let first = self.runs.get(run).and_then(|r| r.get(at..)).unwrap_or_default();
        let rest = self.runs.get(run + 1..).unwrap_or_default();
        first.iter().chain(rest.iter().flatten()).map(|(k, v)| (k, v))
    }

    /// The entries behind a key; all of them for none.
    pub fn after<'s>(&'s self, key: Option<&K>) -> impl Iterator<Item = (&'s K, &'s V)> + use<'s, K, V> {
        let (run, at) = match key.map(|key| self.find_by(|k| k.cmp(key))) {
            None => (0, 0),
            Some((run, Ok(at))) => (run, at + 1),
            Some((run, Err(at))) => (run, at),
        };
        let first = self.runs.get(run).and_then(|r| r.get(at..)).unwrap_or_default();
        let rest = self.runs.get(run + 1..).unwrap_or_default();
        first.iter().chain(rest.iter().flatten()).map(|(k, v)| (k, v))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    /// Every run has its place, and no two neighbours could be one.
    fn check(dense: &DenseMap<u32, u64>, model: &BTreeMap<u32, u64>) {
        assert_eq!(dense.len(), model.len());
        assert!(dense.iter().eq(model.iter()));
        assert!(dense.runs.iter().all(|run| !run.is_empty() && run.len() <= RUN));
    }

    #[test]
    fn it_is_what_a_tree_is() {
        let (mut dense, mut model) = (DenseMap::new(), BTreeMap::new());
        let (mut seed, mut near) = (5u64, (0, 0));
        let mut draw = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((seed >> 33) % most).unwrap()
        };
        for turn in 0..40_000u64 {
            // Grows, then shrinks to nearly nothing, twice.
            let grows = turn % 20_000 < 10_000;
            let key = draw(6_000);
            if (draw(10) < 7) == grows {
                assert_eq!(dense.insert(key, turn), model.insert(key, turn));
            } else {
                assert_eq!(dense.remove(&key), model.remove(&key));
            }
            let other = draw(6_000);
            assert_eq!(dense.get(&other), model.get(&other));
            // What is asked for near another, or in order, or not at all near.
            for wanted in [other, other + 1, other + 2, key, key + 1] {
                let found = dense.get_near(&mut near, |k| k.cmp(&wanted));
                assert_eq!(found.map(|(k, v)| (*k, *v)), model.get(&wanted).map(|v| (wanted, *v)));
            }
            assert_eq!(dense.contains_key(&key), model.contains_key(&key));
            assert_eq!(dense.get_mut(&key).copied(), model.get(&key).copied());
            assert!(dense.from(&other).take(200).eq(model.range(other..).take(200)));
            let behind = model.range(other..).filter(|(k, _)| **k != other).take(200);
            assert!(dense.after(Some(&other)).take(200).eq(behind));
            if turn % 500 == 0 {
                check(&dense, &model);
                assert!(dense.after(None).eq(model.iter()));
            }
        }
        for key in model.keys().copied().collect::<Vec<_>>() {
            assert!(dense.remove(&key).is_some());
        }
        assert!(dense.is_empty() && dense.runs.is_empty());
    }

    #[test]
    fn what_comes_in_order_leaves_no_gaps_and_what_is_thinned_out_is_joined() {
        let mut dense = DenseMap::new();
        (0..100_000u32).for_each(|key| assert_eq!(dense.insert(key, 0u64), None));
        assert_eq!(dense.runs.len(), 100_000usize.div_ceil(RUN));
        (0..100_000u32).filter(|key| key % 100 != 0).for_each(|key| assert_eq!(dense.remove(&key), Some(0)));
        assert_eq!(dense.len(), 1_000);
        assert!(dense.runs.len() < 100, "{} runs for 1,000 entries", dense.runs.len());
    }
}
