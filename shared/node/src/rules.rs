//! Export and import rules as they are after what was changed at run time: the file, and the differences from it.

use std::collections::BTreeSet;

use catalyst_config::{Config, Export, Import, Limits as ConfigLimits, Selector};
use catalyst_names::{OrgId, ServiceLabel};
use catalyst_store::{Scan, Store, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::write::Write;

const RULES: Table = Table::new("rules");

/// Which way a rule lets services pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The other organisation may learn the service.
    Export,
    /// This node accepts the service of the other organisation.
    Import,
}

impl Direction {
    /// `export` or `import`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Export => "export",
            Direction::Import => "import",
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleSpec {
    /// Which way.
    pub direction: Direction,
    /// The other organisation.
    pub org: OrgId,
    /// The label of the service, or `*`.
    pub service: String,
}

impl RuleSpec {
    fn selector(&self) -> Result<Selector, String> {
        if self.service == "*" {
            return Ok(Selector::All);
        }
        ServiceLabel::parse(&self.service)
            .map(Selector::One)
            .map_err(|e| format!("'{}' is neither the label of a service nor \"*\": {e}", self.service))
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

/// The differences from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    of_file: BTreeSet<RuleSpec>,
    added: BTreeSet<RuleSpec>,
    removed: BTreeSet<RuleSpec>,
}

fn word(selector: &Selector) -> String {
    match selector {
        Selector::All => "*".to_string(),
        Selector::One(label) => label.to_string(),
    }
}

fn all(config: &Config) -> BTreeSet<RuleSpec> {
    let rule =
        |direction, org: &OrgId, service| RuleSpec { direction, org: org.clone(), service: word(service) };
    let exports = config.exports.iter().map(|e| rule(Direction::Export, &e.to, &e.service));
    exports.chain(config.imports.iter().map(|i| rule(Direction::Import, &i.from, &i.service))).collect()
}

impl Rules {
    /// Reads the differences, and makes `config` say what holds after them. A row that does not decode is left out:
    /// it is of a later version.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store, config: &mut Config) -> Result<Self, StoreError> {
        let mut rules = Rules { of_file: all(config), ..Rules::default() };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
            let rows = store.scan(RULES, scan)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row) in &rows {
                match serde_json::from_slice::<(RuleSpec, Change)>(row) {
                    Ok((rule, Change::Added)) if rule.selector().is_ok() => drop(rules.added.insert(rule)),
                    Ok((rule, Change::Removed)) => drop(rules.removed.insert(rule)),
                    _ => tracing::warn!(key = %String::from_utf8_lossy(key), "a stored rule does not decode"),
                }
            }
        }
        rules.apply(config);
        Ok(rules)
    }

    /// What holds: the rules of the file that were not removed, and those that were added.
    pub(crate) fn effective(&self) -> impl Iterator<Item = (&RuleSpec, bool)> {
        let kept = self.of_file.iter().filter(|r| !self.removed.contains(r) && !self.added.contains(r));
        kept.map(|r| (r, true)).chain(self.added.iter().map(|r| (r, false)))
    }

    fn apply(&self, config: &mut Config) {
        (config.exports, config.imports) = (Vec::new(), Vec::new());
        for (rule, _) in self.effective() {
            let Ok(service) = rule.selector() else { continue };
            match rule.direction {
                Direction::Export => config.exports.push(Export { service, to: rule.org.clone() }),
                Direction::Import => config.imports.push(Import { service, from: rule.org.clone() }),
            }
        }
    }

    /// Takes a rule in, and brings `config` up to date.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn add(&mut self, rule: RuleSpec, config: &mut Config) -> Result<Write, String> {
        rule.selector()?;
        let (org, direction) = (&rule.org, rule.direction);
        if *org == config.org {
            return Err(format!("nodes of '{org}' share everything: rules are for other organisations"));
        }
        if !config.peers.iter().any(|p| p.org == *org && p.foreign.is_some()) {
            return Err(format!(
                "no peer belongs to '{org}': add one first, with its bundle and the agreement ('peer add')"
            ));
        }
        let same = self.effective().filter(|(r, _)| r.direction == direction).count();
        if same >= ConfigLimits::RULES {
            return Err(format!("there are {same} {} rules, the most that a node takes", direction.as_str()));
        }
        self.removed.remove(&rule);
        let row = if self.of_file.contains(&rule) {
            None
        } else {
            self.added.insert(rule.clone());
            serde_json::to_vec(&(&rule, Change::Added)).ok()
        };
        self.apply(config);
        Ok(Write::one(RULES, &rule.key(), row))
    }

    /// Takes a rule out, and brings `config` up to date.
    ///
    /// # Errors
    /// When there is no such rule.
    pub(crate) fn remove(&mut self, rule: &RuleSpec, config: &mut Config) -> Result<Write, String> {
        if !self.effective().any(|(r, _)| r == rule) {
            let verb = rule.direction.as_str();
            return Err(format!("no {verb} rule of '{}' with '{}'; see '{verb} ls'", rule.service, rule.org));
        }
        self.added.remove(rule);
        let row = self.of_file.contains(rule).then(|| {
            self.removed.insert(rule.clone());
            serde_json::to_vec(&(rule, Change::Removed)).unwrap_or_default()
        });
        self.apply(config);
        Ok(Write::one(RULES, &rule.key(), row))
    }
}
