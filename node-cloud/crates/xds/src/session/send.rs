//! What leaves: which resources go into the next response, and what is noted when it goes.

use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::board::Board;
use crate::flight::{Draft, Flight};
use crate::kind::Kind;
use crate::lane::{Item, Retry};
use crate::limits::Limits;
use crate::message::Response;
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::step::Step;

impl Session {
    pub(super) fn send_urgent(
        &mut self,
        snapshot: &Snapshot,
        board: &mut Board,
        now: Duration,
    ) -> Option<Response> {
        for kind in Step::Urgent.kinds() {
            if self.lanes[kind.index()].urgent.is_empty() || self.flying(*kind) >= Limits::IN_FLIGHT {
                continue;
            }
            let mut draft = Draft::new(*kind, Step::Urgent);
            while !draft.is_full() {
                let Some(name) = self.lanes[kind.index()].urgent.pop_first() else { break };
                // What came to this name since then is of the next batch.
                match self.view(snapshot, *kind, &name) {
                    Some(resource) => draft.set(resource.clone()),
                    None => draft.remove(name),
                }
            }
            return Some(self.launch(draft, board, now));
        }
        None
    }

    pub(super) fn flying(&self, kind: Kind) -> usize {
        self.flights.values().filter(|flight| flight.kind == kind).count()
    }

    pub(super) fn may_send(&self, kind: Kind) -> bool {
        let held = self.flights.values().any(|flight| flight.kind == kind && flight.holds());
        !held && self.flying(kind) < Limits::IN_FLIGHT
    }

    pub(super) fn send(
        &mut self,
        step: Step,
        kind: Kind,
        snapshot: &Snapshot,
        board: &mut Board,
        now: Duration,
    ) -> Option<Response> {
        if !self.may_send(kind) {
            return None;
        }
        if let Some(draft) = self.draft_retry(step, kind, snapshot) {
            return Some(self.launch(draft, board, now));
        }
        let mut draft = Draft::new(kind, step);
        if step == Step::Removals {
            while !draft.is_full() {
                let Some(name) = self.lanes[kind.index()].remove.pop_first() else { break };
                self.draft_one(&mut draft, name, snapshot);
            }
        } else if step == Step::of(kind) {
            while !draft.is_full() {
                let Some(name) = self.lanes[kind.index()].set.pop_first() else { break };
                let version = self.view(snapshot, kind, &name).map(Resource::version);
                if version.is_some_and(|version| board.is_rejected(kind, &name, version)) {
                    // A known culprit, on a new stream: it shall not spoil a response of many.
                    let retry = Retry { step, items: vec![Item { name, version }] };
                    self.lanes[kind.index()].retry.push_back(retry);
                    continue;
                }
                self.draft_one(&mut draft, name, snapshot);
            }
            let owes = std::mem::take(&mut self.lanes[kind.index()].owes);
            if owes && draft.is_empty() {
                return Some(self.launch(draft, board, now));
            }
        }
        if !draft.is_empty() {
            return Some(self.launch(draft, board, now));
        }
        // Only known culprits were left.
        let draft = self.draft_retry(step, kind, snapshot)?;
        Some(self.launch(draft, board, now))
    }

    /// Adds one resource as it stood, unless Envoy was sent just that.
    fn draft_one(&self, draft: &mut Draft, name: Arc<str>, snapshot: &Snapshot) {
        let lane = &self.lanes[draft.kind.index()];
        let sent = lane.sent.get(&name).copied();
        match self.view(snapshot, draft.kind, &name) {
            Some(resource) if sent == Some(Some(resource.version())) => {}
            Some(resource) => draft.set(resource.clone()),
            None if matches!(sent, Some(Some(_))) => draft.remove(name),
            None if lane.names_it(&name) && sent.is_none() => draft.remove(name),
            None => {}
        }
    }

    /// The next part of a rejected response that still stands as it was sent.
    fn draft_retry(&mut self, step: Step, kind: Kind, snapshot: &Snapshot) -> Option<Draft> {
        loop {
            let lane = &mut self.lanes[kind.index()];
            let at = lane.retry.iter().position(|retry| retry.step == step)?;
            let retry = lane.retry.remove(at)?;
            let mut draft = Draft::new(kind, step);
            for Item { name, version } in retry.items {
                match self.view(snapshot, kind, &name) {
                    Some(resource) if version == Some(resource.version()) => draft.set(resource.clone()),
                    None if version.is_none() => draft.remove(name),
                    // Another batch carries what it is now.
                    _ => {}
                }
            }
            if !draft.is_empty() {
                return Some(draft);
            }
        }
    }

    /// The draft leaves.
    fn launch(&mut self, draft: Draft, board: &mut Board, now: Duration) -> Response {
        let Draft { kind, step, set, remove, .. } = draft;
        let mut items = Vec::with_capacity(set.len() + remove.len());
        for resource in &set {
            let (name, version) = (Arc::clone(resource.shared_name()), Some(resource.version()));
            self.lanes[kind.index()].sent.insert(Arc::clone(&name), version);
            items.push(Item { name, version });
            if let Some(service) = resource.shared_service() {
                self.warm(service);
            }
        }
        for name in &remove {
            let lane = &mut self.lanes[kind.index()];
            if lane.names_it(name) {
                lane.sent.insert(Arc::clone(name), None);
            } else {
                lane.sent.remove(name);
            }
            items.push(Item { name: Arc::clone(name), version: None });
        }
        board.sent(kind, items.len());
        self.nonce += 1;
        self.progress = now;
        let urgent = step == Step::Urgent;
        self.flights.insert(self.nonce, Flight { kind, step, items, at: now, overdue: urgent });
        Response { kind, nonce: self.nonce, set, remove }
    }

    /// A cluster that is new or changed takes no traffic before it is told its endpoints. Of a changed one Envoy
    /// does not ask for them again: it has a subscription of that name.
    pub(super) fn warm(&mut self, service: &Arc<str>) {
        self.warming.insert(Arc::clone(service));
        let endpoints = &mut self.lanes[Kind::Endpoints.index()];
        if endpoints.names_it(service) {
            endpoints.force(service);
        }
    }
}
