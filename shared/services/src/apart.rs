//! Children of the node that are none of the services': who cleans up after a supervisor leaves them.

use std::sync::{Mutex, PoisonError};

/// One process each. Kept here, for inside the sandbox nothing can be seen of a process but its id.
static ALL: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// A process that this one started for other ends than services; for as long as it is kept.
#[derive(Debug)]
pub struct Apart(i32);

impl Apart {
    /// The process is left alone from now on.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        let pid = pid.cast_signed();
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        Apart(pid)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|pid| *pid == self.0) {
            all.swap_remove(at);
        }
    }
}

/// Whether a process is one of them.
pub(crate) fn is_apart(pid: i32) -> bool {
    ALL.lock().unwrap_or_else(PoisonError::into_inner).contains(&pid)
}
