//! The state and the snapshot that Envoy is told from, as tasks share them.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalyst_config::HostPort;
use catalyst_names::ServiceName;
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

    /// What a name stands for, or why for nothing. Returns the service that is better or worse off by it.
    pub(crate) fn looked_up(
        &self,
        owner: &Owner,
        address: &HostPort,
        found: Result<Vec<SocketAddr>, &str>,
    ) -> Option<ServiceName> {
        let mut state = self.lock();
        let service = match found {
            Ok(found) => state.resolved(owner, address, found),
            Err(why) => state.unresolved(owner, address, why),
        };
        self.flush(&mut state);
        self.open_if_whole(&state);
        service
    }

    /// Envoy is answered once all is known that the node starts with: addresses that names stand for, too. One that
    /// carries traffic still would lose them.
    pub(crate) fn open_if_whole(&self, state: &State) {
        if state.complete && state.has_looked_up() {
            self.publisher.open();
        }
    }
}
