//! Capacities and times of running Envoy.

use std::time::Duration;

/// Fixed capacities and times.
pub struct Limits;

impl Limits {
    /// Bytes of a socket's path (`sockaddr_un`, unix(7)). When longer: the place is refused.
    pub const SOCKET_PATH: usize = 107;
    /// Downstream connections that Envoy has open at once, unless the configuration says otherwise. When full: a new
    /// one is accepted and closed at once.
    pub const CONNECTIONS: u64 = 50_000;
    /// How long Envoy waits for its xDS stream to be taken. When over: it tries again.
    pub const XDS_CONNECT: Duration = Duration::from_secs(1);
    /// The first wait before Envoy opens a broken xDS stream again; it grows with each failure.
    pub const XDS_RETRY_FIRST: Duration = Duration::from_millis(50);
    /// The longest such wait.
    pub const XDS_RETRY_MOST: Duration = Duration::from_millis(500);
    /// How often Envoy looks at connections and memory for its overload manager.
    pub const OVERLOAD_LOOK: Duration = Duration::from_millis(250);
}
