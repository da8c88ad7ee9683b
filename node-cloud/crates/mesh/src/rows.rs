//! How Envoy is, as `status` shows it.

use std::time::SystemTime;

use catalyst_config::EnvoyMode;
use catalyst_envoy::State as Process;
use catalyst_node::envoy_row::{EnvoyRow, NackRow, NeighbourRow, RejectedRow, UnresolvedRow, XdsRow};
use catalyst_xds::{Kind, Status};

use crate::blame::Blame;
use crate::neighbours::Neighbours;
use crate::state::State;

fn seconds_since(then: SystemTime) -> u64 {
    // A clock that was set back: no time at all.
    SystemTime::now().duration_since(then).map_or(0, |time| time.as_secs())
}

/// The process, as the row begins. `process`: none where somebody else runs it.
pub(crate) fn process(process: Option<&Process>, xds: &Status) -> EnvoyRow {
    let mode = if process.is_some() { EnvoyMode::Managed } else { EnvoyMode::External };
    let mut row = EnvoyRow { mode: mode.as_str().to_owned(), ..EnvoyRow::default() };
    let state = match (process, &xds.connected) {
        (Some(Process::Starting), _) => "starting",
        (Some(Process::Running { pid, since, restarts, version }), _) => {
            row.pid = Some(*pid);
            row.since_s = seconds_since(*since);
            row.restarts = *restarts;
            row.version.clone_from(version);
            "running"
        }
        (Some(Process::Backoff { why, .. }), _) => {
            row.why.clone_from(why);
            "backoff"
        }
        (Some(Process::Missing { why }), _) => {
            row.why.clone_from(why);
            "missing"
        }
        (None, Some(connected)) => {
            row.since_s = seconds_since(connected.since);
            row.version.clone_from(&connected.version);
            "running"
        }
        (None, None) => {
            row.why = "it has not connected: start it with what 'catalyst envoy bootstrap' prints".to_owned();
            "waiting"
        }
    };
    row.state = state.to_owned();
    row
}

/// What it is told.
pub(crate) fn xds(status: &Status) -> XdsRow {
    let count = |kind: Kind| status.kinds.get(kind_at(kind)).map_or(0, |row| row.resources);
    XdsRow {
        connected: status.connected.is_some(),
        settled: status.settled,
        resources: Kind::ALL.into_iter().map(|kind| (kind.to_string(), count(kind))).collect(),
        nacks: status.kinds.iter().map(|row| row.rejected).sum(),
        last_nack: status.last_nack.as_ref().map(|nack| NackRow {
            kind: nack.kind.to_string(),
            resources: nack.resources,
            reason: nack.reason.to_string(),
            ago_s: seconds_since(nack.when),
        }),
        refused: status.refused,
        last_refused: status.last_refused.as_ref().map(ToString::to_string),
    }
}

fn kind_at(kind: Kind) -> usize {
    Kind::ALL.iter().position(|other| *other == kind).unwrap_or_default()
}

/// What it rejects.
pub(crate) fn rejected(status: &Status) -> Vec<RejectedRow> {
    let row = |rejected: &catalyst_xds::Rejected| RejectedRow {
        kind: rejected.kind.to_string(),
        name: rejected.name.to_string(),
        of: Blame::of(rejected.kind, &rejected.name).to_string(),
        reason: rejected.reason.to_string(),
    };
    status.rejected.iter().map(row).collect()
}

/// Names that stand for nothing.
pub(crate) fn unresolved(state: &State) -> Vec<UnresolvedRow> {
    let failed = state.wanted().filter_map(|(owner, wanted)| Some((owner, wanted, wanted.why.as_ref()?)));
    failed
        .map(|(owner, wanted, why)| UnresolvedRow {
            of: owner.to_string(),
            name: wanted.address.to_string(),
            why: why.clone(),
            known: !wanted.known.is_empty(),
        })
        .collect()
}

/// How neighbours are reached.
pub(crate) fn neighbours(state: &State, health: &Neighbours) -> Vec<NeighbourRow> {
    let row = |(peer, meshed): (&catalyst_names::NodeName, bool)| NeighbourRow {
        name: peer.to_string(),
        way: if meshed { "mesh" } else { "tunnel" }.to_owned(),
        healthy: if meshed { health.of(peer) } else { None },
    };
    state.neighbours().map(row).collect()
}
