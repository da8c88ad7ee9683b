//! The counters and the rejections, which outlive a stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::kind::Kind;
use crate::limits::Limits;
use crate::status::{KindStatus, Rejected, Rejection};
use crate::step::Step;

/// A rejected resource: these bytes, for this reason.
struct Verdict {
    version: u64,
    reason: Arc<str>,
}

/// The last rejected response. The time is of the node's monotonic clock.
#[derive(Clone)]
pub struct LastNack {
    pub kind: Kind,
    pub resources: usize,
    pub reason: Arc<str>,
    pub at: Duration,
}

/// What the state machine tells the node.
#[derive(Default)]
pub struct Board {
    pub kinds: [KindStatus; Kind::COUNT],
    pub overdue: u64,
    pub unknown: u64,
    pub last_nack: Option<LastNack>,
    unknown_types: Vec<String>,
    rejected: BTreeMap<(Kind, Arc<str>), Verdict>,
    news: Vec<Rejection>,
}

impl Board {
    pub fn sent(&mut self, kind: Kind, resources: usize) {
        self.kind(kind).sent += resources as u64;
    }

    pub fn acked(&mut self, kind: Kind, resources: usize) {
        self.kind(kind).acked += resources as u64;
    }

    pub fn nack(&mut self, kind: Kind, resources: usize, reason: Arc<str>, at: Duration) {
        tracing::warn!(%kind, resources, %reason, "Envoy rejects a response; what it had stays");
        self.kind(kind).rejected += 1;
        self.last_nack = Some(LastNack { kind, resources, reason, at });
    }

    /// Envoy rejects this resource by itself.
    pub fn reject(&mut self, kind: Kind, name: &Arc<str>, version: u64, reason: Arc<str>) {
        let verdict = Verdict { version, reason: Arc::clone(&reason) };
        self.rejected.insert((kind, Arc::clone(name)), verdict);
        self.news.push(Rejection { kind, name: Arc::clone(name), reason: Some(reason) });
    }

    /// Envoy took it, or it is no more.
    pub fn clear(&mut self, kind: Kind, name: &Arc<str>) {
        if !self.rejected.is_empty() && self.rejected.remove(&(kind, Arc::clone(name))).is_some() {
            self.news.push(Rejection { kind, name: Arc::clone(name), reason: None });
        }
    }

    /// Envoy rejected these bytes before.
    pub fn is_rejected(&self, kind: Kind, name: &Arc<str>, version: u64) -> bool {
        !self.rejected.is_empty()
            && self.rejected.get(&(kind, Arc::clone(name))).is_some_and(|verdict| verdict.version == version)
    }

    pub fn gave_up(&mut self, step: Step, responses: usize, warming: usize, example: &str) {
        tracing::warn!(
            %step, responses, warming, example,
            "Envoy did not acknowledge a step in time; the change goes on, and requests may meet what is not ready"
        );
        self.overdue += 1;
    }

    pub fn unknown(&mut self, type_url: &str) {
        self.unknown += 1;
        let known = self.unknown_types.iter().any(|known| known == type_url);
        if !known && self.unknown_types.len() < Limits::UNKNOWN_TYPES {
            tracing::warn!(
                type_url,
                "Envoy asks for a type that the node does not serve, and gets no answer; see its bootstrap"
            );
            self.unknown_types.push(type_url.chars().take(Limits::NAME_BYTES).collect());
        }
    }

    /// The news since the last call.
    pub fn take_news(&mut self) -> Vec<Rejection> {
        std::mem::take(&mut self.news)
    }

    /// The first of the rejected resources, and how many there are.
    pub fn rejected(&self) -> (Vec<Rejected>, usize) {
        (self.all_rejected().take(Limits::LISTED).collect(), self.rejected.len())
    }

    /// All rejected resources.
    pub fn all_rejected(&self) -> impl Iterator<Item = Rejected> {
        self.rejected.iter().map(|((kind, name), verdict)| Rejected {
            kind: *kind,
            name: Arc::clone(name),
            reason: Arc::clone(&verdict.reason),
        })
    }

    fn kind(&mut self, kind: Kind) -> &mut KindStatus {
        &mut self.kinds[kind.index()]
    }
}
