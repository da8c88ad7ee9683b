//! Named limits.

use std::time::Duration;

/// The limits; all are constants.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// Flows of one of Envoy's connections to the node. When full: Envoy opens one more.
    pub const STREAMS: u32 = catalyst_dataplane::Limits::STREAMS;
    /// Bytes of one flow that Envoy may send ahead. When full: that flow waits.
    pub const STREAM_WINDOW: u32 = catalyst_dataplane::Limits::STREAM_WINDOW;
    /// The same of all flows of a connection: more than all of them together.
    pub const CONNECTION_WINDOW: u32 = catalyst_dataplane::Limits::CONNECTION_WINDOW;
    /// After a connection that could not be accepted: out of descriptors, mostly.
    pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// How exactly the system tells when a process began, and then some.
    pub const TICK: Duration = Duration::from_millis(20);
    /// Between two questions what names stand for.
    pub const RESOLVE: Duration = Duration::from_secs(30);
    /// The same while one of them stands for nothing.
    pub const RESOLVE_AGAIN: Duration = Duration::from_secs(3);
    /// How long the first snapshot waits for the tables of configured neighbours. After it: Envoy is told what there is.
    pub const COMPLETE: Duration = Duration::from_secs(5);
}
