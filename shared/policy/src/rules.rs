//! Export and import rules: each side's private business.

use catalyst_names::{OrgId, ServiceLabel};

/// Which services a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Pattern {
    /// Every service: `*`.
    Any,
    /// The service with this label.
    Label(ServiceLabel),
}

impl Pattern {
    /// Whether the rule speaks of the service with this label.
    #[must_use]
    pub fn matches(&self, label: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Label(own) => own.as_str() == label,
        }
    }
}

/// "Announce this service of ours to that organisation."
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ExportRule {
    /// Which services of our own.
    pub service: Pattern,
    /// To whom.
    pub to: OrgId,
}

/// "Accept this service of that organisation."
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ImportRule {
    /// Which of its services.
    pub service: Pattern,
    /// Whose.
    pub from: OrgId,
}
