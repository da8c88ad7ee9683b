//! The order in which a batch of changes reaches Envoy, so that nothing refers to what is not there.

use std::fmt;

use crate::kind::Kind;

/// A step of a batch. A step begins when Envoy has acknowledged those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Secrets,
    /// Clusters, and the endpoints they wait for: Envoy may acknowledge a cluster only when it is warm.
    Clusters,
    Filters,
    Listeners,
    /// Set and removed in one response: a scope may take over the key of one that goes.
    Scopes,
    /// Everything that nothing refers to any more.
    Removals,
    /// Ahead of everything, and nothing waits for it.
    Urgent,
}

impl Step {
    /// Where a resource of this kind is set.
    pub const fn of(kind: Kind) -> Step {
        match kind {
            Kind::Secret => Step::Secrets,
            Kind::Cluster | Kind::Endpoints => Step::Clusters,
            Kind::Filter => Step::Filters,
            Kind::Listener => Step::Listeners,
            Kind::Scope => Step::Scopes,
        }
    }

    /// The kinds that it sends, in this order.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Step::Secrets => &[Kind::Secret],
            Step::Clusters => &[Kind::Cluster, Kind::Endpoints],
            Step::Filters => &[Kind::Filter],
            Step::Listeners => &[Kind::Listener],
            Step::Scopes => &[Kind::Scope],
            Step::Removals | Step::Urgent => {
                &[Kind::Listener, Kind::Cluster, Kind::Scope, Kind::Endpoints, Kind::Filter, Kind::Secret]
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Secrets => "secrets",
            Step::Clusters => "clusters and their endpoints",
            Step::Filters => "filters",
            Step::Listeners => "listeners",
            Step::Scopes => "scopes",
            Step::Removals => "removals",
            Step::Urgent => "urgent changes",
        })
    }
}
