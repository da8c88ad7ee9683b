//! The state and the snapshot that Envoy is told from, as tasks share them.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalyst_config::HostPort;
use catalyst_xds::Publisher;
use tracing::warn;

use crate::state::{Owner, State};

/// What tasks share.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) publisher: Publisher,
}

impl Shared {
    pub(crate) fn new(state: State, publisher: Publisher) -> Self {
        Shared { state: Mutex::new(state), publisher }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What changed holds from now on. In the order of the changes, so under the lock.
    pub(crate) fn flush(&self, state: &mut State) {
        let changes = state.drain();
        if changes.is_empty() {
            return;
        }
        if let Err(full) = self.publisher.apply(changes) {
            warn!(%full, "Envoy cannot be told all: what it has stays");
        }
    }

    pub(crate) fn names(&self) -> Vec<(Owner, HostPort)> {
        self.lock().names()
    }

    pub(crate) fn resolved(&self, owner: &Owner, address: &HostPort, found: Vec<SocketAddr>) {
        let mut state = self.lock();
        state.resolved(owner, address, found);
        self.flush(&mut state);
    }
}
