//! What the system does not permit this node: counted, and told once for each target with what to do about it.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use catalyst_config::HostPort;

use crate::limits::Limits;

/// Refused connections to services of this node.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    count: AtomicU64,
    told: Mutex<BTreeSet<HostPort>>,
}

impl Denied {
    /// A connection to a service failed.
    pub(crate) fn look(&self, target: &HostPort, error: &Error) {
        if error.kind() != ErrorKind::PermissionDenied {
            return;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.is_new(target) {
            tracing::warn!(
                %target, %error,
                "the system does not permit this node to connect to this service: a firewall or a 'prohibit' route, \
                 SELinux or AppArmor, or limits of the systemd unit (IPAddressDeny) forbid it; said once, 'status' counts"
            );
        }
    }

    fn is_new(&self, target: &HostPort) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < Limits::DENIED && told.insert(target.clone())
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_told_once_and_all_are_counted() {
        let denied = Denied::default();
        let target = |port: usize| HostPort::parse(&format!("10.0.0.1:{}", port + 1)).unwrap();
        denied.look(&target(0), &Error::from(ErrorKind::ConnectionRefused));
        assert_eq!(denied.count(), 0);
        for _ in 0..3 {
            denied.look(&target(0), &Error::from(ErrorKind::PermissionDenied));
        }
        assert_eq!(denied.count(), 3);
        assert!(!denied.is_new(&target(0)) && denied.is_new(&target(1)));
        let told = (0..2 * Limits::DENIED).filter(|n| denied.is_new(&target(*n))).count();
        assert_eq!(told, Limits::DENIED - 2, "bounded");
    }
}
