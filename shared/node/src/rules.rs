//! Export and import rules as they are after what was changed at run time: the file, or the lists that took its place as a
//! whole, and single rules added and removed since.
//!
//! A command adds and removes *plain* rules alone: they accept, without conditions, and set nothing. Rules that say more are
//! written in lists, and only a list changes them: taking one out by its services and neighbour could open what it closes.

use std::collections::BTreeSet;

#[cfg(feature = "mesh")]
use catalyst_config::nearest;
use catalyst_config::{Config, Limits as ConfigLimits};
use catalyst_names::{OrgId, ServiceName};
use catalyst_policy::{Action, Neighbour, Pattern, Rule, RuleList};
use catalyst_store::{Scan, Store, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::rule_words::details;
use crate::write::Write;

pub use catalyst_policy::Direction;

const RULES: Table = Table::new("rules");
/// The key of the lists that took the place of the file's.
#[cfg(feature = "mesh")]
const LISTS: &str = "lists";
/// Rules of the file that are taken out. When full: no other is. With those that are added they fit one write, so that
/// another list takes the place of all, or of none.
const REMOVED: usize = 2_000;
const _: () = assert!(REMOVED + ConfigLimits::RULES * 2 < catalyst_store::Limits::BATCH);
/// What to do where a single rule is not enough.
#[cfg(feature = "mesh")]
const CHANGE_LIST: &str = "take the list with 'policy show > rules.json', change it, and 'policy apply rules.json'; or change catalyst.json";
#[cfg(not(feature = "mesh"))]
const CHANGE_LIST: &str = "change the list in catalyst.json";

/// A rule as a command names it: which services, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleSpec {
    /// Which way.
    pub direction: Direction,
    /// The other organisation, one of its nodes, or `*`.
    pub org: Neighbour,
    /// The services.
    pub service: String,
}

impl RuleSpec {
    /// How a command names a rule; `None` for one that is not plain.
    fn of(direction: Direction, rule: &Rule) -> Option<Self> {
        let plain = rule.action == Action::Accept && !rule.is_conditional() && rule.set.is_empty();
        plain.then(|| RuleSpec { direction, org: rule.neighbour.clone(), service: rule.service.to_string() })
    }

    /// Whether a rule speaks of these services and this neighbour, whatever else it says.
    fn is_pair_of(&self, rule: &Rule) -> bool {
        rule.neighbour == self.org && rule.service.to_string() == self.service
    }

    fn rule(&self) -> Result<Rule, String> {
        let service = Pattern::parse(&self.service).map_err(|e| format!("'{}': {e}", self.service))?;
        Ok(Rule::new(service, self.org.clone()))
    }

    fn key(&self) -> String {
        format!("{} {} {}", self.direction.as_str(), self.org, self.service)
    }
}

/// What a row says of its rule: version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Added,
    Removed,
}

/// Both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// The export rules, in order.
    pub exports: Vec<Rule>,
    /// The import rules, in order.
    pub imports: Vec<Rule>,
}

impl Lists {
    /// One of the two.
    #[must_use]
    pub fn list(&self, direction: Direction) -> &Vec<Rule> {
        match direction {
            Direction::Export => &self.exports,
            Direction::Import => &self.imports,
        }
    }

    #[cfg(feature = "mesh")]
    /// Names these rules: other rules have another text, so that nobody changes what somebody else has just changed.
    #[must_use]
    pub fn etag(&self) -> String {
        // FNV-1a: nothing depends on its being hard to forge.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

/// Lists that took the place of the file's: version 1 of the row.
#[cfg(feature = "mesh")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Replaced {
    v: u32,
    /// [`Lists::etag`] of the file's rules at that time.
    file: String,
    lists: Lists,
}

/// The rules, and how they differ from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    of_file: Lists,
    replaced: Option<Lists>,
    added: Vec<RuleSpec>,
    removed: BTreeSet<RuleSpec>,
}

impl Rules {
    /// Reads the differences, and makes `config` say what holds after them. A row that does not decode is left out:
    /// it is of a later version.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store, config: &mut Config) -> Result<Self, StoreError> {
        let of_file = Lists { exports: config.exports.clone(), imports: config.imports.clone() };
        let mut rules = Rules { of_file, ..Rules::default() };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
            let rows = store.scan(RULES, scan)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row) in &rows {
                #[cfg(feature = "mesh")]
                if key == LISTS.as_bytes() {
                    rules.load_lists(row);
                    continue;
                }
                match serde_json::from_slice::<(RuleSpec, Change)>(row) {
                    Ok((rule, Change::Added)) if rule.rule().is_ok() => rules.added.push(rule),
                    Ok((rule, Change::Removed)) => drop(rules.removed.insert(rule)),
                    _ => tracing::warn!(key = %String::from_utf8_lossy(key), "a stored rule does not decode"),
                }
            }
        }
        rules.put_into(config);
        Ok(rules)
    }

    #[cfg(feature = "mesh")]
    fn load_lists(&mut self, row: &[u8]) {
        match serde_json::from_slice::<Replaced>(row) {
            Ok(replaced) if replaced.v == 1 => {
                if replaced.file != self.of_file.etag() {
                    tracing::warn!(
                        "the rules in the file were changed, but 'policy apply' has put others in their place, which stay \
                         in force: apply the file to follow it again"
                    );
                }
                self.replaced = Some(replaced.lists);
            }
            _ => tracing::warn!("the stored lists of rules do not decode"),
        }
    }

    /// What holds, in order, and whether it is of the file.
    pub(crate) fn effective(&self, direction: Direction) -> Vec<(Rule, bool)> {
        let file = self.of_file.list(direction);
        let base = self.replaced.as_ref().map_or(file, |lists| lists.list(direction));
        let gone = |r: &Rule| RuleSpec::of(direction, r).is_some_and(|spec| self.removed.contains(&spec));
        let kept = base.iter().filter(|r| !gone(r));
        let mut all: Vec<(Rule, bool)> = kept.map(|r| (r.clone(), file.contains(r))).collect();
        let added = self.added.iter().filter(|s| s.direction == direction);
        all.extend(added.filter_map(|s| Some((s.rule().ok()?, false))));
        all
    }

    /// Both lists as they hold.
    #[must_use]
    pub(crate) fn lists(&self) -> Lists {
        let list = |direction| self.effective(direction).into_iter().map(|(rule, _)| rule).collect();
        Lists { exports: list(Direction::Export), imports: list(Direction::Import) }
    }

    pub(crate) fn put_into(&self, config: &mut Config) {
        let lists = self.lists();
        (config.exports, config.imports) = (lists.exports, lists.imports);
    }

    /// Whether a list beneath the single changes has this rule.
    fn in_base(&self, spec: &RuleSpec) -> bool {
        let base = self.replaced.as_ref().unwrap_or(&self.of_file).list(spec.direction);
        base.iter().any(|r| RuleSpec::of(spec.direction, r).as_ref() == Some(spec))
    }

    /// Takes a plain rule in, at the end of its list or where it stood in the file, and brings `config` up to date.
    ///
    /// # Errors
    /// What is wrong with it, and what to do: also when an earlier rule rejects all that it would accept.
    pub(crate) fn add(&mut self, spec: RuleSpec, config: &mut Config) -> Result<Write, String> {
        let rule = spec.rule()?;
        let direction = spec.direction;
        known(&rule, config)?;
        let mut then = self.clone();
        then.removed.remove(&spec);
        let there = then.in_base(&spec);
        if !there && !then.added.contains(&spec) {
            let n = self.effective(direction).len();
            if n >= ConfigLimits::RULES {
                return Err(format!(
                    "there are {n} {} rules, the most that a node takes",
                    direction.as_str()
                ));
            }
            then.added.push(spec.clone());
        }
        let list = then.checked(direction)?;
        if let Some(name) = rejected_by(&list, &spec) {
            return Err(format!(
                "the rule '{name}' stands before it and rejects all that it would accept: {CHANGE_LIST}"
            ));
        }
        *self = then;
        self.put_into(config);
        let row = (!there).then(|| serde_json::to_vec(&(&spec, Change::Added)).unwrap_or_default());
        Ok(Write::one(RULES, &spec.key(), row))
    }

    /// Takes the plain rule of these services and this neighbour out, and brings `config` up to date.
    ///
    /// # Errors
    /// When there is no such rule; what else speaks of them.
    pub(crate) fn remove(&mut self, spec: &RuleSpec, config: &mut Config) -> Result<Write, String> {
        let direction = spec.direction;
        let now = self.checked(direction)?;
        if !now.rules().iter().any(|r| RuleSpec::of(direction, r).as_ref() == Some(spec)) {
            let (verb, service, org) = (direction.as_str(), &spec.service, &spec.org);
            let of_pair = now.rules().iter().enumerate().filter(|(_, r)| spec.is_pair_of(r));
            let names: Vec<String> =
                of_pair.map(|(place, r)| format!("'{}' ({})", now.name(place), details(r))).collect();
            if names.is_empty() {
                return Err(format!("no {verb} rule of '{service}' with '{org}'; see '{verb} ls'"));
            }
            return Err(format!(
                "'{verb} rm' takes out rules that accept and say no more; of '{service}' with '{org}' there is only {}: \
                 {CHANGE_LIST}",
                names.join(", ")
            ));
        }
        let mut then = self.clone();
        then.added.retain(|s| s != spec);
        if then.in_base(spec) && then.removed.len() >= REMOVED {
            return Err(format!(
                "{REMOVED} rules of the file were taken out before, the most that is kept: {CHANGE_LIST}"
            ));
        }
        let row = then.in_base(spec).then(|| {
            then.removed.insert(spec.clone());
            serde_json::to_vec(&(spec, Change::Removed)).unwrap_or_default()
        });
        then.checked(direction)?;
        *self = then;
        self.put_into(config);
        Ok(Write::one(RULES, &spec.key(), row))
    }

    /// The list that holds, as the core would take it.
    fn checked(&self, direction: Direction) -> Result<RuleList, String> {
        let rules = self.effective(direction).into_iter().map(|(rule, _)| rule).collect();
        RuleList::new(direction, rules)
            .map_err(|(place, why)| format!("/{}/{place}: {why}", direction.list()))
    }

    /// Puts other lists in the place of all rules, and brings `config` up to date. `etag` is that of the rules that the
    /// caller has seen.
    ///
    /// # Errors
    /// What is wrong with them, or that others were faster.
    #[cfg(feature = "mesh")]
    pub(crate) fn replace(&mut self, lists: Lists, etag: &str, config: &mut Config) -> Result<Write, String> {
        let now = self.lists().etag();
        if etag != now {
            return Err(format!(
                "the rules were changed since you looked at them (they are {now} now, not {etag}): run 'policy plan' again"
            ));
        }
        check(&lists, config)?;
        let gone = self.added.drain(..).chain(core::mem::take(&mut self.removed));
        let mut write = gone.fold(Write::default(), |write, spec| write.and(RULES, &spec.key(), None));
        if lists == self.of_file {
            self.replaced = None;
            write = write.and(RULES, LISTS, None);
        } else {
            let row = Replaced { v: 1, file: self.of_file.etag(), lists: lists.clone() };
            write = write.and(RULES, LISTS, serde_json::to_vec(&row).ok());
            self.replaced = Some(lists);
        }
        self.put_into(config);
        Ok(write)
    }
}

/// The name of a rule before this one that rejects all that it speaks of.
fn rejected_by(list: &RuleList, spec: &RuleSpec) -> Option<String> {
    let of = |r: &Rule| RuleSpec::of(list.direction(), r).as_ref() == Some(spec);
    let rules = list.rules();
    let place = rules.iter().position(of)?;
    let new = rules.get(place)?;
    let before = rules.iter().take(place).position(|r| r.action == Action::Reject && r.covers(new))?;
    Some(list.name(before))
}

/// Whether both lists can hold on this node.
///
/// # Errors
/// What is wrong, and where.
#[cfg(feature = "mesh")]
pub(crate) fn check(lists: &Lists, config: &Config) -> Result<(), String> {
    for direction in [Direction::Export, Direction::Import] {
        let rules = lists.list(direction);
        let list = direction.list();
        RuleList::new(direction, rules.clone()).map_err(|(place, why)| format!("/{list}/{place}: {why}"))?;
        for (place, rule) in rules.iter().enumerate() {
            known(rule, config).map_err(|why| format!("/{list}/{place}: {why}"))?;
        }
    }
    Ok(())
}

/// Whether a rule speaks of a neighbour that there is.
fn known(rule: &Rule, config: &Config) -> Result<(), String> {
    let who = &rule.neighbour;
    if who.as_str() == config.org.as_str() {
        return Err(format!("nodes of '{who}' share everything: rules are for other organisations"));
    }
    let meant = |p: &catalyst_config::Peer| {
        p.foreign.is_some() && who.matches(p.org.as_str(), &format!("{}.{}", p.node, p.org))
    };
    if who.is_any() || config.peers.iter().any(meant) {
        return Ok(());
    }
    #[cfg(feature = "mesh")]
    if let Some(near) = nearest_org(who, config) {
        return Err(format!("no peer belongs to '{who}': did you mean '{near}'? If not, {ADD_PEER}"));
    }
    Err(format!("no peer belongs to '{who}': {ADD_PEER}"))
}

const ADD_PEER: &str = "add one first, with its bundle and the agreement ('peer add')";

/// The organisation, or the node, of a peer that may have been meant.
#[cfg(feature = "mesh")]
fn nearest_org(who: &Neighbour, config: &Config) -> Option<String> {
    let foreign = config.peers.iter().filter(|p| p.foreign.is_some());
    let names: Vec<String> =
        foreign.flat_map(|p| [p.org.to_string(), format!("{}.{}", p.node, p.org)]).collect();
    nearest(who.as_str(), names.iter().map(String::as_str)).map(str::to_string)
}

/// Whether any rule of a list could let something pass to or from this neighbour.
pub(crate) fn speaks_of(rules: &[Rule], org: &str, node: &str) -> bool {
    rules.iter().any(|r| r.action == Action::Accept && r.neighbour.matches(org, node))
}

/// To whom the rules let a service of this node go, as they name it.
pub(crate) fn exported_to(rules: &[Rule], service: &ServiceName, own: &OrgId) -> Vec<String> {
    let rules = rules.iter().filter(|r| r.service.matches(service.as_str(), own.as_str()));
    rules.filter(|r| r.action == Action::Accept).map(|r| r.neighbour.to_string()).collect()
}

#[cfg(test)]
mod tests;
