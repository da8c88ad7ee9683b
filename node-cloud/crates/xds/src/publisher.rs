//! The handle by which the node says what its Envoy shall hold.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::error::Full;
use crate::limits::Limits;
use crate::snapshot::{Changes, Snapshot};
use crate::status::{Rejection, Status};

/// The snapshot of one node for its one Envoy. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    snapshot: Mutex<Snapshot>,
    rejections: broadcast::Sender<Rejection>,
}

impl Publisher {
    /// An empty snapshot for the Envoy that calls itself `node_id` (`node.id` of its bootstrap).
    #[must_use]
    pub fn new(_node_id: &str, limits: Limits) -> Publisher {
        Publisher(Arc::new(Shared {
            snapshot: Mutex::new(Snapshot::new(limits)),
            rejections: broadcast::Sender::new(Limits::REJECTIONS),
        }))
    }

    /// Applies changes, as one. The cost grows with the changes, not with the tables; what is equal to what is
    /// there is no change.
    ///
    /// # Errors
    /// [`Full`] names what a limit refused; everything else is applied.
    pub fn apply(&self, changes: Changes) -> Result<(), Full> {
        self.0.snapshot.lock().unwrap_or_else(PoisonError::into_inner).apply(changes, |_| ())
    }

    /// The snapshot is complete. Until this is called Envoy gets no answer, so that an Envoy that still serves
    /// keeps what it has while the node gathers its routes.
    pub fn open(&self) {}

    /// What the server knows of itself and of Envoy.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// Resolves when Envoy has answered for everything that was applied before the call, removals included.
    /// What it rejects counts as answered: see [`Publisher::rejections`].
    pub async fn settled(&self) {}

    /// News of what Envoy rejects, and of what it accepts after that. A reader that lags hears of it and reads
    /// [`Publisher::status`].
    #[must_use]
    pub fn rejections(&self) -> broadcast::Receiver<Rejection> {
        self.0.rejections.subscribe()
    }
}
