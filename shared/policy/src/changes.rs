//! What differs between two lists of rules: for people, before the one takes the place of the other.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::rules::{Direction, Rule, RuleList};

/// What becomes of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is not in the list now.
    Added,
    /// It would not be in the list any more.
    Dropped,
    /// It has a name that is in the list, and says something else.
    Changed,
    /// It would be asked before or after others than now.
    Moved,
}

/// A rule that would not be as it is now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RuleChange {
    /// Its list.
    pub list: Direction,
    /// What becomes of it.
    pub what: Change,
    /// Its name in the new list; of one that is dropped, in the present one.
    pub name: String,
    /// What it would say; of one that is dropped, what it says.
    pub rule: Rule,
}

/// The places that stay in their order when all others are moved: a longest rising row of them.
fn in_order(places: &[usize]) -> BTreeSet<usize> {
    // The smallest end of a row of each length, and what stands before each place in the longest row that ends with it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; places.len()];
    let place = |at: usize| places.get(at).copied().unwrap_or(usize::MAX);
    for (at, this) in places.iter().enumerate() {
        let length = ends.partition_point(|end| place(*end) < *this);
        let last = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).copied();
        if let Some(slot) = before.get_mut(at) {
            *slot = last;
        }
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut at = ends.last().copied();
    let mut stay = BTreeSet::new();
    while let Some(here) = at {
        stay.insert(place(here));
        at = before.get(here).copied().flatten();
    }
    stay
}

/// By what a rule of one list is known in another.
fn identity(rule: &Rule) -> (&str, Option<&Rule>) {
    if rule.name.is_empty() { ("", Some(rule)) } else { (rule.name.as_str(), None) }
}

/// What would change from one list to another of the same direction: first what the new one has, in its order, then what it
/// lacks. Rules with a name are known by it, others by what they say.
#[must_use]
pub fn changes(old: &RuleList, new: &RuleList) -> Vec<RuleChange> {
    let mut known: BTreeMap<(&str, Option<&Rule>), VecDeque<usize>> = BTreeMap::new();
    for (place, rule) in old.rules().iter().enumerate() {
        known.entry(identity(rule)).or_default().push_back(place);
    }
    let mut of = |rule| known.get_mut(&identity(rule)).and_then(VecDeque::pop_front);
    let from: Vec<Option<usize>> = new.rules().iter().map(&mut of).collect();
    let stay = in_order(&from.iter().flatten().copied().collect::<Vec<_>>());
    let list = new.direction();
    let mut rows = Vec::new();
    for (place, (rule, from)) in new.rules().iter().zip(&from).enumerate() {
        let before = from.and_then(|from| Some((from, old.rules().get(from)?)));
        let all = [
            (before.is_none(), Change::Added),
            (before.is_some_and(|(_, before)| before != rule), Change::Changed),
            (before.is_some_and(|(from, _)| !stay.contains(&from)), Change::Moved),
        ];
        for (_, what) in all.into_iter().filter(|(is, _)| *is) {
            rows.push(RuleChange { list, what, name: new.name(place), rule: rule.clone() });
        }
    }
    let mut left: Vec<usize> = known.into_values().flatten().collect();
    left.sort_unstable();
    for place in left {
        if let Some(rule) = old.rules().get(place) {
            rows.push(RuleChange { list, what: Change::Dropped, name: old.name(place), rule: rule.clone() });
        }
    }
    rows
}
