//! What a rule may say of services, neighbours and paths, and how it is read.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use catalyst_names::{NodeName, OrgId, ServiceName, check};
use catalyst_wire::Path;

use crate::error::RuleError;
use crate::limits::Limits;

/// Whether `text` fits `pattern`, in which every `many` stands for any number of elements. Greedy, going back to the
/// last `many` only: as many steps as both lengths multiplied, at most.
fn fits<P, T>(pattern: &[P], text: &[T], many: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(element) = text.get(t) {
        match pattern.get(p) {
            Some(wanted) if many(wanted) => {
                back = Some((p, t));
                p += 1;
            }
            Some(wanted) if one(wanted, element) => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                (p, t) = (star + 1, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(many)
}

/// Which services a rule speaks of.
///
/// Without a dot: the label of a service of the organisation that exports it, or that is imported from. With a dot: a
/// full name, so that services of third organisations are named too. `*` in a label stands for any characters of it;
/// the organisation is exact, or `*` for any.
///
/// ```
/// use catalyst_policy::Pattern;
/// let inventory: Pattern = "inv*".parse().unwrap();
/// assert!(inventory.matches("inventory.acme.example", "acme.example"));
/// assert!(!inventory.matches("inventory.initech.example", "acme.example"));
/// let all: Pattern = "*.initech.example".parse().unwrap();
/// assert!(all.matches("inventory.initech.example", "acme.example"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Every service of the organisation at hand: `*`.
    #[must_use]
    pub fn any() -> Self {
        Pattern("*".to_string())
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`RuleError::Service`].
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let (label, org) = text.split_once('.').map_or((text, None), |(l, o)| (l, Some(o)));
        // What the stars leave must be a label, or nothing.
        let plain: String = label.chars().map(|c| if c == '*' { 'a' } else { c }).collect();
        let org_fits = org.is_none_or(|org| org == "*" || check::org(org, "organisation").is_ok());
        if check::label(&plain, "service").is_err() || !org_fits {
            return Err(RuleError::Service);
        }
        Ok(Pattern(text.to_string()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names services of third organisations too.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether it speaks of the service with this full name; `home` is the organisation whose labels may stand alone.
    #[must_use]
    pub fn matches(&self, service: &str, home: &str) -> bool {
        let Some((label, org)) = service.split_once('.') else { return false };
        let (wanted, wanted_org) = self.0.split_once('.').unwrap_or((&self.0, home));
        (wanted_org == "*" || wanted_org == org)
            && fits(wanted.as_bytes(), label.as_bytes(), |p| *p == b'*', |p, t| p == t)
    }

    /// Whether it speaks of every service of which `other` speaks, as far as that can be told: exact text and plain
    /// stars.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        self == other
            || self.0 == "*.*"
            || (self.0 == "*" && !other.is_full())
            || (!other.0.contains('*') && self.is_full() == other.is_full() && {
                let name = if other.is_full() { other.0.clone() } else { alloc::format!("{}.x", other.0) };
                self.matches(&name, "x")
            })
    }
}

/// A full name is a pattern for itself.
impl From<&ServiceName> for Pattern {
    fn from(name: &ServiceName) -> Self {
        Pattern(name.as_str().to_string())
    }
}

/// A label is a pattern for the service of that label.
impl From<&catalyst_names::ServiceLabel> for Pattern {
    fn from(label: &catalyst_names::ServiceLabel) -> Self {
        Pattern(label.as_str().to_string())
    }
}

/// With whom a rule deals: an organisation, one node of it, or everyone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Neighbour(String);

impl Neighbour {
    /// Every other organisation: `*`.
    #[must_use]
    pub fn any() -> Self {
        Neighbour("*".to_string())
    }

    /// Reads `globex.example`, `cloud-1.globex.example` or `*`. An organisation and a node look alike: which of the two
    /// it is shows when it is compared with a neighbour.
    ///
    /// # Errors
    /// [`RuleError::Neighbour`].
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let fits = text == "*" || check::org(text, "organisation").is_ok() || NodeName::parse(text).is_ok();
        fits.then(|| Neighbour(text.to_string())).ok_or(RuleError::Neighbour)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means everyone.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether it means this neighbour, of this organisation.
    #[must_use]
    pub fn matches(&self, org: &str, node: &str) -> bool {
        self.is_any() || self.0 == org || self.0 == node
    }
}

/// An organisation, all its nodes.
impl From<OrgId> for Neighbour {
    fn from(org: OrgId) -> Self {
        Neighbour(org.as_str().to_string())
    }
}

/// One node.
impl From<&NodeName> for Neighbour {
    fn from(node: &NodeName) -> Self {
        Neighbour(node.as_str().to_string())
    }
}

/// A pattern for `org_path`, nearest organisation first: `*` is one organisation, `**` any number of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PathPattern(Vec<String>);

impl PathPattern {
    /// Reads a pattern, element by element.
    ///
    /// # Errors
    /// [`RuleError::Path`], [`RuleError::PathLong`].
    pub fn parse<T: AsRef<str>>(elements: &[T]) -> Result<Self, RuleError> {
        if elements.len() > Limits::PATH_PATTERN {
            return Err(RuleError::PathLong);
        }
        let fits = |text: &str| matches!(text, "*" | "**") || check::org(text, "organisation").is_ok();
        if !elements.iter().all(|e| fits(e.as_ref())) {
            return Err(RuleError::Path);
        }
        Ok(PathPattern(elements.iter().map(|e| e.as_ref().to_string()).collect()))
    }

    /// Its elements as they are written.
    #[must_use]
    pub fn elements(&self) -> &[String] {
        &self.0
    }

    /// Whether this path, as it came in, fits.
    #[must_use]
    pub fn matches(&self, path: &Path<'_>) -> bool {
        let mut names = heapless::Vec::<&str, { catalyst_wire::Limits::ORG_PATH }>::new();
        if path.iter().any(|name| names.push(name).is_err()) {
            return false;
        }
        fits(&self.0, &names, |p| p == "**", |p, t| p == "*" || p == t)
    }
}

/// A tag, `org:tag`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// Reads `acme.example:gold`.
    ///
    /// # Errors
    /// [`RuleError::Tag`].
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let fits = text
            .split_once(':')
            .is_some_and(|(org, tag)| check::org(org, "tag").is_ok() && check::label(tag, "tag").is_ok());
        fits.then(|| Tag(text.to_string())).ok_or(RuleError::Tag)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text {
    ($($type:ident),*) => {$(
        impl core::str::FromStr for $type {
            type Err = RuleError;

            fn from_str(text: &str) -> Result<Self, RuleError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = RuleError;

            fn try_from(text: String) -> Result<Self, RuleError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

text!(Pattern, Neighbour, Tag);

impl TryFrom<Vec<String>> for PathPattern {
    type Error = RuleError;

    fn try_from(elements: Vec<String>) -> Result<Self, RuleError> {
        Self::parse(&elements)
    }
}

impl From<PathPattern> for Vec<String> {
    fn from(path: PathPattern) -> Self {
        path.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
