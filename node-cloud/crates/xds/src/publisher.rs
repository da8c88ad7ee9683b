//! The handle by which the node says what its Envoy shall hold, and the state that all share behind one lock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, broadcast, watch};

use crate::board::Board;
use crate::error::Full;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::message::{Request, Response};
use crate::resource::Resource;
use crate::session::{Broken, Session};
use crate::snapshot::{Changes, Snapshot};
use crate::status::{Connected, Nack, Rejected, Rejection, Status};

/// The snapshot of one node for its one Envoy. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    node_id: String,
    limits: Limits,
    start: Instant,
    state: Mutex<State>,
    /// The stream has something to do.
    wake: Notify,
    /// The stream ended.
    freed: Notify,
    /// The generation of the snapshot of which Envoy has answered for everything.
    settled: watch::Sender<u64>,
    rejections: broadcast::Sender<Rejection>,
}

struct State {
    snapshot: Snapshot,
    board: Board,
    open: bool,
    stream: Option<Stream>,
    /// Clusters that were warming when the last stream ended.
    carried: BTreeSet<Arc<str>>,
    streams: u64,
    refused: u64,
    last_refused: Option<Arc<str>>,
}

struct Stream {
    session: Session,
    connected: Connected,
}

/// Why a stream is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this Envoy calls itself {theirs:?}, and the xDS server serves {ours:?} alone: two Envoys never share one \
         configuration; start Envoy with the bootstrap of this node (`catalyst envoy bootstrap`), or point it at \
         the socket of its own"
    )]
    NotOurs { ours: String, theirs: String },
    #[error(
        "an Envoy that calls itself {0:?} is connected already, and two never share one configuration; stop one \
         of them"
    )]
    Taken(String),
}

impl Publisher {
    /// An empty snapshot for the Envoy that calls itself `node_id` (`node.id` of its bootstrap).
    #[must_use]
    pub fn new(node_id: &str, limits: Limits) -> Publisher {
        let state = State {
            snapshot: Snapshot::new(limits),
            board: Board::default(),
            open: false,
            stream: None,
            carried: BTreeSet::new(),
            streams: 0,
            refused: 0,
            last_refused: None,
        };
        Publisher(Arc::new(Shared {
            node_id: node_id.to_owned(),
            limits,
            start: Instant::now(),
            state: Mutex::new(state),
            wake: Notify::new(),
            freed: Notify::new(),
            settled: watch::Sender::new(0),
            rejections: broadcast::Sender::new(Limits::REJECTIONS),
        }))
    }

    /// Applies changes, as one. The cost grows with the changes, not with the tables; what is equal to what is
    /// there is no change.
    ///
    /// # Errors
    /// [`Full`] names what a limit refused; everything else is applied.
    pub fn apply(&self, changes: Changes) -> Result<(), Full> {
        let mut state = self.lock();
        let State { snapshot, board, open, stream, .. } = &mut *state;
        let mut session = stream.as_mut().filter(|_| *open).map(|stream| &mut stream.session);
        let outcome = snapshot.apply(changes, |changed| {
            if changed.gone {
                board.clear(changed.kind, &changed.name);
            }
            if let Some(session) = &mut session {
                session.note(changed);
            }
        });
        self.tell(&mut state);
        drop(state);
        self.0.wake.notify_one();
        outcome
    }

    /// Has Envoy try a rejected resource once more: what kept it from taking it may be no more, such as another
    /// program on its port. Of one that is not rejected nothing comes.
    pub fn again(&self, kind: Kind, name: &str) {
        let name: Arc<str> = Arc::from(name);
        let mut state = self.lock();
        let State { snapshot, board, stream, .. } = &mut *state;
        let version = snapshot.get(kind, &name).map(Resource::version);
        if version.is_some_and(|version| board.is_rejected(kind, &name, version))
            && let Some(stream) = stream
        {
            stream.session.again(kind, &name);
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// The snapshot is complete. Until this is called Envoy gets no answer, so that an Envoy that still serves
    /// keeps what it has while the node gathers its routes.
    pub fn open(&self) {
        self.lock().open = true;
        self.0.wake.notify_one();
    }

    /// What the server knows of itself and of Envoy.
    #[must_use]
    pub fn status(&self) -> Status {
        let settled = *self.0.settled.borrow();
        let now = self.now();
        let state = self.lock();
        let session = state.stream.as_ref().map(|stream| &stream.session);
        let mut kinds = state.board.kinds;
        for kind in Kind::ALL {
            let row = &mut kinds[kind.index()];
            row.resources = state.snapshot.count(kind);
            row.subscribed = session.map_or(0, |session| session.subscribed(kind));
        }
        let (rejected, rejected_count) = state.board.rejected();
        let last_nack = state.board.last_nack.clone().map(|nack| Nack {
            kind: nack.kind,
            resources: nack.resources,
            reason: nack.reason,
            when: SystemTime::now()
                .checked_sub(now.saturating_sub(nack.at))
                .unwrap_or(SystemTime::UNIX_EPOCH),
        });
        Status {
            open: state.open,
            connected: state.stream.as_ref().map(|stream| stream.connected.clone()),
            kinds,
            waiting: session.map_or(0, Session::waiting),
            in_flight: session.map_or(0, Session::in_flight),
            unanswered: session.and_then(Session::oldest).map(|at| now.saturating_sub(at)),
            settled: state.open && session.is_some() && settled >= state.snapshot.generation(),
            streams: state.streams,
            refused: state.refused,
            last_refused: state.last_refused.clone(),
            overdue: state.board.overdue,
            unknown: state.board.unknown,
            last_nack,
            rejected,
            rejected_count,
        }
    }

    /// Whether Envoy is connected and has answered for everything that was applied, as [`Status::settled`] says.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let settled = *self.0.settled.borrow();
        let state = self.lock();
        state.open && state.stream.is_some() && settled >= state.snapshot.generation()
    }

    /// All that Envoy rejects; `status` lists the first of it.
    #[must_use]
    pub fn rejected(&self) -> Vec<Rejected> {
        self.lock().board.all_rejected().collect()
    }

    /// Resolves when Envoy has answered for everything that was applied before the call, removals included.
    /// What it rejects counts as answered: see [`Publisher::rejections`]. Names that Envoy does not ask for
    /// (a secret that nothing refers to) are not waited for; that it asks for clusters, listeners and scopes is,
    /// where there are some.
    pub async fn settled(&self) {
        let generation = self.lock().snapshot.generation();
        let mut settled = self.0.settled.subscribe();
        // The sender lives as long as `self`.
        let _ = settled.wait_for(|settled| *settled >= generation).await;
    }

    /// News of what Envoy rejects, and of what it accepts after that. A reader that lags hears of it and reads
    /// [`Publisher::rejected`].
    #[must_use]
    pub fn rejections(&self) -> broadcast::Receiver<Rejection> {
        self.0.rejections.subscribe()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Begins a stream, which ends when the ticket is dropped. Of two Envoys the first stays; one that just
    /// ended is waited for.
    pub(crate) async fn connect(&self, theirs: &str, version: &str) -> Result<Ticket, Refusal> {
        let shared = &self.0;
        if theirs != shared.node_id {
            let (ours, theirs) = (shared.node_id.clone(), theirs.chars().take(Limits::NAME_BYTES).collect());
            return Err(self.refuse(Refusal::NotOurs { ours, theirs }));
        }
        let deadline = tokio::time::Instant::now() + Limits::TAKE_OVER;
        loop {
            let freed = shared.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(ticket) = self.take(version) {
                return Ok(ticket);
            }
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(self.refuse(Refusal::Taken(shared.node_id.clone())));
            }
        }
    }

    fn take(&self, version: &str) -> Option<Ticket> {
        let now = self.now();
        let mut state = self.lock();
        if state.stream.is_some() {
            return None;
        }
        let connected = Connected { since: SystemTime::now(), version: version.chars().take(64).collect() };
        let carried = std::mem::take(&mut state.carried);
        let session = Session::new(&state.snapshot, carried, now);
        state.stream = Some(Stream { session, connected });
        state.streams += 1;
        tracing::info!(envoy = version, "Envoy is connected");
        Some(Ticket(self.clone()))
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.note_refusal(&refusal.to_string());
        refusal
    }

    pub(crate) fn note_refusal(&self, reason: &str) {
        tracing::warn!(reason, "an Envoy was refused");
        let mut state = self.lock();
        state.refused += 1;
        state.last_refused = Some(Arc::from(reason));
    }

    fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    /// Passes on what the state machine noted.
    fn tell(&self, state: &mut State) {
        for news in state.board.take_news() {
            // Nobody listening is no error.
            let _ = self.0.rejections.send(news);
        }
        if let Some(stream) = &state.stream {
            let settled = stream.session.settled();
            self.0.settled.send_if_modified(|known| {
                let newer = settled > *known;
                *known = settled.max(*known);
                newer
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if it did, the tables are still whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one stream that is served.
pub struct Ticket(Publisher);

impl Ticket {
    /// Takes one request of Envoy.
    pub fn handle(&self, request: Request) -> Result<(), Broken> {
        let now = self.0.now();
        let outcome = {
            let mut state = self.0.lock();
            let State { snapshot, board, stream, .. } = &mut *state;
            match stream {
                Some(stream) => stream.session.handle(request, snapshot, board, now),
                None => Ok(()),
            }
        };
        if let Err(broken) = &outcome {
            self.0.note_refusal(&broken.to_string());
        }
        outcome
    }

    /// The next response, and how long to wait before asking again if nothing happens.
    pub fn poll(&self) -> (Option<Response>, Option<Duration>) {
        let now = self.0.now();
        let mut state = self.0.lock();
        if !state.open {
            return (None, None);
        }
        let State { snapshot, board, stream, .. } = &mut *state;
        let Some(Stream { session, .. }) = stream else { return (None, None) };
        let response = session.poll(snapshot, board, now);
        let deadline = session.next_deadline().map(|deadline| deadline.saturating_sub(now));
        self.0.tell(&mut state);
        (response, deadline)
    }

    /// Resolves when the snapshot changed.
    pub async fn woken(&self) {
        self.0.0.wake.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        {
            let mut state = self.0.lock();
            state.carried = state.stream.take().map(|stream| stream.session.ended()).unwrap_or_default();
        }
        tracing::info!("Envoy is gone");
        self.0.0.freed.notify_waiters();
    }
}
