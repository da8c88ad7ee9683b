//! Export and import rules: each side's private business.
//!
//! A list of rules is read from its beginning: the first that speaks of a route decides; where none does, the route
//! does not pass (RFC 8212). One type serves both directions.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_names::{OrgId, Protocol};

use crate::error::RuleError;
use crate::limits::Limits;
use crate::pattern::{Neighbour, PathPattern, Pattern, Tag};

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// What other organisations may learn.
    Export,
    /// What is accepted of them.
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

    /// The name of the list: `exports` or `imports`.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Direction::Export => "exports",
            Direction::Import => "imports",
        }
    }
}

/// What becomes of a route of which a rule speaks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It passes.
    #[default]
    Accept,
    /// It does not.
    Reject,
}

/// Which tags a rule takes off.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum DelTags {
    /// None.
    #[default]
    None,
    /// Every one: `["*"]`.
    All,
    /// These, if they are there.
    These(Vec<Tag>),
}

impl DelTags {
    /// Reads a list of tags, or `["*"]`.
    ///
    /// # Errors
    /// [`RuleError::Tag`], [`RuleError::Tags`].
    pub fn parse<T: AsRef<str>>(list: &[T]) -> Result<Self, RuleError> {
        match list {
            [] => Ok(DelTags::None),
            [one] if one.as_ref() == "*" => Ok(DelTags::All),
            _ if list.len() > Limits::RULE_TAGS => Err(RuleError::Tags),
            _ => list.iter().map(|t| Tag::parse(t.as_ref())).collect::<Result<_, _>>().map(DelTags::These),
        }
    }

    /// Whether this tag is taken off.
    #[must_use]
    pub fn takes(&self, tag: &str) -> bool {
        match self {
            DelTags::None => false,
            DelTags::All => true,
            DelTags::These(list) => list.iter().any(|t| t.as_str() == tag),
        }
    }
}

impl TryFrom<Vec<String>> for DelTags {
    type Error = RuleError;

    fn try_from(list: Vec<String>) -> Result<Self, RuleError> {
        Self::parse(&list)
    }
}

impl From<DelTags> for Vec<String> {
    fn from(tags: DelTags) -> Self {
        match tags {
            DelTags::None => Vec::new(),
            DelTags::All => Vec::from(["*".to_string()]),
            DelTags::These(list) => list.into_iter().map(String::from).collect(),
        }
    }
}

/// What a rule changes of a route that it accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Set {
    /// Rank inside the organisation, instead of the one that follows from the role; below
    /// [`crate::LocalPref::OWN`]. Import only: it never leaves the organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// The cost, instead of the one that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
    /// Tags to put on, after others were taken off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<Tag>,
    /// Tags to take off.
    #[serde(skip_serializing_if = "is_default")]
    pub del_tags: DelTags,
}

impl Set {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Set::default()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One rule of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in its list; empty to be called by its place, as `exports/3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which services.
    pub service: Pattern,
    /// To whom, or from whom.
    #[serde(alias = "to", alias = "from")]
    pub neighbour: Neighbour,
    /// Only routes of exactly this protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Only routes that carry this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Only routes of services that live in this organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OrgId>,
    /// Only routes whose `org_path`, as it came in, fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathPattern>,
    /// What to change of an accepted route.
    #[serde(default, skip_serializing_if = "Set::is_empty")]
    pub set: Set,
    /// What becomes of the route.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: Action,
}

impl Rule {
    /// Accepts these services, to or from that neighbour, without further conditions.
    pub fn new(service: Pattern, neighbour: impl Into<Neighbour>) -> Self {
        Rule {
            name: String::new(),
            service,
            neighbour: neighbour.into(),
            protocol: None,
            tag: None,
            origin: None,
            path: None,
            set: Set::default(),
            action: Action::Accept,
        }
    }

    /// Checks what no single field can say for itself.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn check(&self, direction: Direction) -> Result<(), RuleError> {
        if !self.name.is_empty() {
            check_name(&self.name)?;
        }
        if self.set.add_tags.len() > Limits::RULE_TAGS {
            return Err(RuleError::Tags);
        }
        match (self.set.local_pref, direction) {
            (Some(_), Direction::Export) => Err(RuleError::LocalPrefExport),
            (Some(pref), _) if pref >= crate::LocalPref::OWN => Err(RuleError::LocalPref),
            _ if self.action == Action::Reject && !self.set.is_empty() => Err(RuleError::RejectSets),
            _ => Ok(()),
        }
    }

    /// Whether it sets conditions beyond service and neighbour.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        self.protocol.is_some() || self.tag.is_some() || self.origin.is_some() || self.path.is_some()
    }

    /// Whether nothing is left for `later` to decide.
    #[must_use]
    pub fn covers(&self, later: &Rule) -> bool {
        !self.is_conditional()
            && (self.neighbour.is_any() || self.neighbour == later.neighbour)
            && self.service.covers(&later.service)
    }
}

/// Checks the name of a rule: printable, without spaces, not too long, and not one that another rule could be called by
/// its place: a rule that goes moves those behind it.
///
/// # Errors
/// [`RuleError::Name`].
pub fn check_name(text: &str) -> Result<(), RuleError> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_./:".contains(&c);
    let place =
        |direction: Direction| text.strip_prefix(direction.list()).is_some_and(|rest| rest.starts_with('/'));
    let fits = !text.is_empty()
        && text.len() <= Limits::RULE_NAME
        && text.bytes().all(plain)
        && !place(Direction::Export)
        && !place(Direction::Import);
    fits.then_some(()).ok_or(RuleError::Name)
}

/// A list of rules in order, with an index by neighbour, so that a decision costs no more than the rules that speak of
/// the neighbour at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleList {
    direction: Direction,
    rules: Vec<Rule>,
    by_neighbour: BTreeMap<String, Vec<u16>>,
}

impl RuleList {
    /// The list without rules: nothing passes.
    #[must_use]
    pub fn empty(direction: Direction) -> Self {
        RuleList { direction, rules: Vec::new(), by_neighbour: BTreeMap::new() }
    }

    /// Takes rules in, in order.
    ///
    /// # Errors
    /// The place of the first that is wrong, and why: see [`Rule::check`]; a name that stands twice; more than
    /// [`Limits::RULES`].
    pub fn new(direction: Direction, rules: Vec<Rule>) -> Result<Self, (usize, RuleError)> {
        if rules.len() > Limits::RULES {
            return Err((Limits::RULES, RuleError::Rules));
        }
        let mut names = BTreeMap::new();
        let mut by_neighbour: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for (place, rule) in rules.iter().enumerate() {
            rule.check(direction).map_err(|e| (place, e))?;
            let mut default = String::new();
            let name = rule_name(direction, place, rule, &mut default).to_string();
            if let Some(first) = names.insert(name, place) {
                return Err((place, RuleError::Twice(first)));
            }
            by_neighbour.entry(rule.neighbour.as_str().to_string()).or_default();
        }
        by_neighbour.entry("*".to_string()).or_default();
        for (key, places) in &mut by_neighbour {
            // A node hears what its organisation hears. An organisation that looks like a node of another gets a few
            // rules too many, and each rule looks again for itself.
            let org = key.split_once('.').map_or("", |(_, org)| org);
            let fits = |r: &Rule| r.neighbour.matches(org, key);
            let fitting = rules.iter().enumerate().filter(|(_, r)| fits(r));
            *places = fitting.filter_map(|(place, _)| u16::try_from(place).ok()).collect();
        }
        Ok(RuleList { direction, rules, by_neighbour })
    }

    /// Which list it is.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The name of the rule at a place: its own, or its place.
    #[must_use]
    pub fn name(&self, place: usize) -> String {
        let mut default = String::new();
        match self.rules.get(place) {
            Some(rule) => rule_name(self.direction, place, rule, &mut default).to_string(),
            None => String::new(),
        }
    }

    /// Whether a rule speaks of this node, and not of its whole organisation.
    #[must_use]
    pub fn names_node(&self, node: &str) -> bool {
        self.by_neighbour.contains_key(node)
    }

    /// The rules that may speak of a neighbour, in order, with their places.
    pub fn of(&self, org: &str, node: &str) -> impl Iterator<Item = (u16, &Rule)> {
        let places = [node, org, "*"].into_iter().find_map(|key| self.by_neighbour.get(key));
        places.map(Vec::as_slice).unwrap_or_default().iter().filter_map(|place| {
            let rule = self.rules.get(usize::from(*place))?;
            Some((*place, rule))
        })
    }

    /// Rules that never decide, because an earlier one speaks of all that they speak of: each with that earlier one.
    pub fn unreachable(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rules.iter().enumerate().filter_map(|(place, rule)| {
            let earlier = self.rules.iter().take(place).position(|r| r.covers(rule))?;
            Some((place, earlier))
        })
    }
}

fn rule_name<'a>(direction: Direction, place: usize, rule: &'a Rule, default: &'a mut String) -> &'a str {
    if rule.name.is_empty() {
        *default = alloc::format!("{}/{place}", direction.list());
        default
    } else {
        &rule.name
    }
}
