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
    /// For the answer in the place of a service that the tunnel does not reach. After it: the connection is closed.
    pub const IN_PLACE: Duration = Duration::from_secs(10);
    /// Bytes of the access log. When full: it becomes the old one, and the old one goes. A little more is written until
    /// the next look.
    pub const ACCESS_LOG: u64 = 64 << 20;
    /// Between two looks at its length.
    pub const ACCESS_LOG_LOOK: Duration = Duration::from_secs(10);
    /// After a connection that could not be accepted: out of descriptors, mostly.
    pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// How exactly the system tells when a process began, and then some.
    pub const TICK: Duration = Duration::from_millis(20);
    /// Between two questions what names stand for.
    pub const RESOLVE: Duration = Duration::from_secs(30);
    /// The same while one of them stands for nothing.
    pub const RESOLVE_AGAIN: Duration = Duration::from_secs(3);
    /// Names that are asked for at one time. When full: the next one waits.
    pub const LOOKUPS: usize = 16;
    /// For an answer of the system to such a question. After it: the name stands for nothing.
    pub const LOOKUP: Duration = Duration::from_secs(10);
    /// The least time between two looks whether a port that another program had is free. Doubled with each time that it
    /// was free and Envoy did not get it all the same.
    pub const REOPEN: Duration = Duration::from_millis(500);
    /// The most.
    pub const REOPEN_MOST: Duration = Duration::from_secs(30);
    /// How often Envoy is asked how neighbours are, when nobody wants to know.
    pub const NEIGHBOURS: Duration = Duration::from_secs(60);
    /// The least time between two such questions; and `NEIGHBOURS_SHARE` times what the last one took.
    pub const NEIGHBOURS_PAUSE: Duration = Duration::from_millis(250);
    /// See there: the questions take one part in so many of Envoy's main thread.
    pub const NEIGHBOURS_SHARE: u32 = 50;
    /// Between two tries to tell Envoy what there was no room for.
    pub const AGAIN: Duration = Duration::from_secs(10);
    /// Services that such a try says at once, before others may say something.
    pub const REPEAT: usize = 64;
    /// How long the first snapshot waits for the tables of configured neighbours. After it: Envoy is told what there is.
    pub const COMPLETE: Duration = Duration::from_secs(7);
}
