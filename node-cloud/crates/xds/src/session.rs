//! One stream as a state machine: requests go in, responses are drained, time is an argument.
//!
//! `next` keeps what changed since the batch under way began, with what stood there before. So the batch sees
//! the snapshot as it was when it began ([`Session::view`]) without a copy of it, and changes coalesce by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::flight::Flight;
use crate::kind::Kind;
use crate::lane::{Item, Lane, Retry};
use crate::limits::Limits;
use crate::message::{Request, Response};
use crate::reason;
use crate::resource::Resource;
use crate::snapshot::{Changed, Snapshot};
use crate::step::Step;

mod send;

/// The stream cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error(
        "Envoy asks for more than {0} {1} resources by name, or for a longer name than {max} bytes; it runs with \
         resources of another server",
        max = Limits::NAME_BYTES
    )]
    TooManyNames(usize, Kind),
}

/// The names of one kind that changed, with what stood there before.
type Older = BTreeMap<Arc<str>, Option<Resource>>;

/// The state of one stream.
pub struct Session {
    lanes: [Lane; Kind::COUNT],
    flights: BTreeMap<u64, Flight>,
    nonce: u64,
    /// Changed since the batch under way began.
    next: [Older; Kind::COUNT],
    /// Service names of clusters that were sent and whose endpoints are not acknowledged since.
    warming: BTreeSet<Arc<str>>,
    /// Service names of clusters that Envoy holds, and whose endpoints it has not asked for on this stream.
    unasked: BTreeSet<Arc<str>>,
    /// What was warming when the stream before this one ended.
    carried: BTreeSet<Arc<str>>,
    /// When Envoy or the server last did something.
    progress: Duration,
    /// The generation of the snapshot that the batch under way brings about.
    batch: u64,
    settled: u64,
    /// When the stream began.
    start: Duration,
}

impl Session {
    /// A new stream. `carried` is what [`Session::ended`] gave of the one before.
    pub fn new(snapshot: &Snapshot, carried: BTreeSet<Arc<str>>, now: Duration) -> Session {
        Session {
            lanes: Kind::ALL.map(Lane::new),
            flights: BTreeMap::new(),
            nonce: 0,
            next: Default::default(),
            warming: BTreeSet::new(),
            unasked: BTreeSet::new(),
            carried,
            progress: now,
            batch: snapshot.generation(),
            settled: 0,
            start: now,
        }
    }

    /// The stream ended: only what the next one must know stays.
    pub fn ended(self) -> BTreeSet<Arc<str>> {
        let Session { mut warming, mut carried, .. } = self;
        warming.append(&mut carried);
        warming
    }

    /// The newest generation of the snapshot of which Envoy has answered for everything.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Names that wait to be sent; those that wait for the next batch are among them.
    pub fn waiting(&self) -> usize {
        let lanes: usize = self.lanes.iter().map(Lane::waiting).sum();
        lanes + self.next.iter().map(BTreeMap::len).sum::<usize>()
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// When the oldest unanswered response was made.
    pub fn oldest(&self) -> Option<Duration> {
        self.flights.values().map(|flight| flight.at).min()
    }

    pub fn subscribed(&self, kind: Kind) -> usize {
        self.lanes[kind.index()].subscribed()
    }

    /// Notes a change of the snapshot. The cost does not depend on the size of the tables.
    pub fn note(&mut self, changed: Changed) {
        let Changed { kind, name, old, gone, urgent } = changed;
        let lane = &mut self.lanes[kind.index()];
        let has = matches!(lane.sent.get(&name), Some(Some(_)));
        if urgent && (gone || has) {
            // What waited of it is void. What was sent goes now, or is another now.
            lane.set.remove(&name);
            lane.remove.remove(&name);
            self.next[kind.index()].remove(&name);
            if has {
                lane.urgent.insert(name);
            }
            return;
        }
        if old.is_none() && lane.names_it(&name) && lane.sent.get(&name) == Some(&None) {
            // Envoy asked for it in vain and waits: nothing that it holds can break by this.
            lane.set.insert(name);
            return;
        }
        let next = &mut self.next[kind.index()];
        if gone && matches!(next.get(&name), Some(None)) {
            // It came and went while Envoy was busy.
            next.remove(&name);
            return;
        }
        next.entry(name).or_insert(old);
    }

    /// Sends what stands under this name once more, though Envoy was sent it before.
    pub fn again(&mut self, kind: Kind, name: &Arc<str>) {
        let lane = &mut self.lanes[kind.index()];
        if lane.wants(name) {
            lane.force(name);
        }
    }

    /// Takes one request of Envoy.
    pub fn handle(
        &mut self,
        request: Request,
        snapshot: &Snapshot,
        board: &mut Board,
        now: Duration,
    ) -> Result<(), Broken> {
        let Some(kind) = Kind::from_type_url(&request.type_url) else {
            board.unknown(&request.type_url);
            return Ok(());
        };
        let nonce = request.nonce.parse().ok();
        if let Some(flight) = nonce.and_then(|nonce| self.flights.remove(&nonce)) {
            self.progress = now;
            match request.error {
                None => self.acked(flight, board),
                Some(reason) => self.rejected(flight, reason, snapshot, board, now),
            }
        }
        let (lane, warming) = (&mut self.lanes[kind.index()], &self.warming);
        if !lane.asked() || !request.subscribe.is_empty() || !request.unsubscribe.is_empty() {
            self.progress = now;
            let refresh = |name: &str| kind == Kind::Endpoints && warming.contains(name);
            let Request { subscribe, unsubscribe, held, .. } = request;
            if kind == Kind::Endpoints {
                subscribe.iter().for_each(|name| _ = self.unasked.remove(name.as_str()));
            }
            lane.subscribe(subscribe, &unsubscribe, held, snapshot.limits(), refresh)
                .map_err(|_| Broken::TooManyNames(snapshot.limits().subscriptions, kind))?;
        }
        Ok(())
    }

    fn acked(&mut self, flight: Flight, board: &mut Board) {
        board.acked(flight.kind, flight.items.len());
        for item in &flight.items {
            let again =
                item.version.is_some_and(|version| board.is_rejected(flight.kind, &item.name, version));
            // That Envoy says yes to a secret which it rejected before means only that it knows it.
            if !(again && flight.kind == Kind::Secret) {
                board.clear(flight.kind, &item.name);
            }
            if flight.kind == Kind::Endpoints {
                self.warming.remove(&item.name);
            }
        }
    }

    /// Half of the response is tried, then the other half, until the culprit stands alone.
    fn rejected(
        &mut self,
        flight: Flight,
        reason: String,
        snapshot: &Snapshot,
        board: &mut Board,
        now: Duration,
    ) {
        let Flight { kind, step, mut items, .. } = flight;
        let reason = reason::tidy(kind, &reason);
        board.nack(kind, items.len(), Arc::clone(&reason), now);
        for item in &items {
            // What is tried again warms anew.
            let service = match kind {
                Kind::Endpoints => Some(&item.name),
                Kind::Cluster => self.view(snapshot, kind, &item.name).and_then(Resource::shared_service),
                _ => None,
            };
            if let Some(service) = service.cloned() {
                self.warming.remove(&service);
            }
        }
        if items.len() > 1 {
            let second = items.split_off(items.len().div_ceil(2));
            let retry = &mut self.lanes[kind.index()].retry;
            retry.push_front(Retry { step, items: second });
            retry.push_front(Retry { step, items });
        } else if let Some(Item { name, version: Some(version) }) = items.pop() {
            // Unless it is another one by now, or gone.
            if snapshot.get(kind, &name).is_some_and(|resource| resource.version() == version) {
                board.reject(kind, &name, version, reason);
            }
        }
    }

    /// The next response, if one may leave now.
    pub fn poll(&mut self, snapshot: &Snapshot, board: &mut Board, now: Duration) -> Option<Response> {
        self.compare(snapshot);
        loop {
            if let Some(response) = self.send_urgent(snapshot, board, now) {
                return Some(response);
            }
            let Some(step) = self.step() else {
                if !self.begin_batch(snapshot) {
                    return None;
                }
                continue;
            };
            if step == Step::Removals && self.removals_wait(now) {
                return None;
            }
            for kind in step.kinds() {
                if let Some(response) = self.send(step, *kind, snapshot, board, now) {
                    return Some(response);
                }
            }
            if self.step() != Some(step) {
                continue;
            }
            if self.next_deadline().is_none_or(|deadline| now < deadline) {
                return None;
            }
            self.give_up(step, board, now);
        }
    }

    /// When `poll` is to be called again, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let waits = self.is_warming() || self.flights.values().any(Flight::holds);
        if waits {
            return Some(self.progress + Limits::STEP_DEADLINE);
        }
        let removes = self.step() == Some(Step::Removals) && self.removals_wait(self.progress);
        removes.then(|| self.start + Limits::ASKING)
    }

    /// Envoy, back on a new stream, asks for one kind after the other. What it says that it holds of one may be
    /// in use by what it has not spoken of yet.
    fn removals_wait(&self, now: Duration) -> bool {
        let asked = |kind: &Kind| self.lanes[kind.index()].asked() || !kind.is_wildcard();
        now < self.start + Limits::ASKING && !Kind::ALL.iter().all(asked)
    }

    /// What stood under a name when the batch under way began.
    fn view<'a>(&'a self, snapshot: &'a Snapshot, kind: Kind, name: &str) -> Option<&'a Resource> {
        match self.next[kind.index()].get(name) {
            Some(older) => older.as_ref(),
            None => snapshot.get(kind, name),
        }
    }

    fn is_warming(&self) -> bool {
        !self.warming.is_empty() || !self.unasked.is_empty()
    }

    /// The first step that is not done; `None` when the batch is.
    fn step(&self) -> Option<Step> {
        let due = self.lanes.iter().filter_map(Lane::due).min();
        let flying = self.flights.values().filter(|flight| flight.holds()).map(|flight| flight.step).min();
        let warming = self.is_warming().then_some(Step::Clusters);
        [due, flying, warming].into_iter().flatten().min()
    }

    /// Of a kind that Envoy takes all of, and has just asked for: marks all that differs from what it holds.
    fn compare(&mut self, snapshot: &Snapshot) {
        for kind in Kind::ALL {
            let index = kind.index();
            if !self.lanes[index].fresh {
                continue;
            }
            let Session { lanes, next, .. } = self;
            let (lane, next) = (&mut lanes[index], &next[index]);
            lane.fresh = false;
            let stood = |name: &Arc<str>| match next.get(name) {
                Some(older) => older.as_ref(),
                None => snapshot.get(kind, name),
            };
            let held: Vec<Arc<str>> = lane.sent.keys().cloned().collect();
            for name in snapshot.names(kind).chain(next.keys()).chain(&held) {
                lane.mark(name, stood(name).map(Resource::version));
            }
            lane.owes &= lane.set.is_empty();
            if kind == Kind::Cluster {
                self.warm_held(&held, snapshot);
            }
        }
    }

    /// Clusters that Envoy holds already: it may have lost the stream before it was told their endpoints.
    fn warm_held(&mut self, held: &[Arc<str>], snapshot: &Snapshot) {
        let carried = std::mem::take(&mut self.carried);
        for name in held {
            let sent = self.lanes[Kind::Cluster.index()].sent.get(name).copied().flatten();
            let cluster = self.view(snapshot, Kind::Cluster, name);
            let service =
                cluster.filter(|cluster| Some(cluster.version()) == sent).and_then(Resource::shared_service);
            let Some(service) = service.cloned() else { continue };
            if carried.contains(&service) {
                self.warm(&service);
            } else if !self.lanes[Kind::Endpoints.index()].names_it(&service) {
                self.unasked.insert(service);
            }
        }
    }

    /// Everything that changed meanwhile is the next batch. False: there is nothing.
    fn begin_batch(&mut self, snapshot: &Snapshot) -> bool {
        let waits = |(next, lane): (&Older, &Lane)| next.keys().any(|name| !lane.urgent.contains(name));
        let changed = self.next.iter().zip(&self.lanes).any(waits);
        if self.flights.is_empty() && self.has_asked_for_all(snapshot) {
            self.settled = if changed { self.batch } else { snapshot.generation() };
        }
        self.batch = snapshot.generation();
        for kind in Kind::ALL {
            let Session { lanes, next, .. } = self;
            let (lane, next) = (&mut lanes[kind.index()], &mut next[kind.index()]);
            // What waits to be cut off comes back after that.
            let (cut, all): (Older, Older) =
                std::mem::take(next).into_iter().partition(|(name, _)| lane.urgent.contains(name));
            *next = cut;
            for name in all.into_keys() {
                lane.mark(&name, snapshot.get(kind, &name).map(Resource::version));
            }
        }
        changed
    }

    /// Envoy, when it starts, asks for listeners after clusters, and for scopes after listeners.
    fn has_asked_for_all(&self, snapshot: &Snapshot) -> bool {
        let wildcards = Kind::ALL.into_iter().filter(|kind| kind.is_wildcard());
        wildcards.into_iter().all(|kind| self.lanes[kind.index()].asked() || snapshot.count(kind) == 0)
    }

    fn give_up(&mut self, step: Step, board: &mut Board, now: Duration) {
        let held: Vec<&mut Flight> = self.flights.values_mut().filter(|flight| flight.holds()).collect();
        let cluster = self.warming.first().or(self.unasked.first()).cloned();
        let first = held.first().and_then(|flight| flight.items.first()).map(|item| Arc::clone(&item.name));
        let example = cluster.or(first).unwrap_or_default();
        board.gave_up(step, held.len(), self.warming.len() + self.unasked.len(), &example);
        for flight in held {
            flight.overdue = true;
        }
        self.warming.clear();
        self.unasked.clear();
        self.progress = now;
    }
}
