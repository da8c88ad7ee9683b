//! Named limits of what Envoy is told.

use std::time::Duration;

/// The limits. All are constants: Envoy's own bounds beside them are in the bootstrap.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// HTTP/2 streams of one mesh connection. When full: the caller's Envoy opens one more connection.
    pub const STREAMS: u32 = 24;
    /// Bytes that one stream may send without its reader having read. When full: the stream waits. A flow is never faster
    /// than one window in a round trip.
    pub const STREAM_WINDOW: u32 = 1 << 20;
    /// Bytes that all streams of a connection may send unread. More than all its streams together can, so that readers
    /// that stand still starve no other stream of the connection.
    pub const CONNECTION_WINDOW: u32 = 32 << 20;
    /// Bytes that are buffered of one connection before its sender waits; also what is kept of a request for a retry
    /// at another endpoint. When full: the sender waits, and the request is not tried again. A flow whose reader stands
    /// still has at most four of them in one Envoy.
    pub const BUFFER: u32 = 1 << 20;
    /// Connections to one cluster. When full: a request waits for one that is there.
    pub const CONNECTIONS: u32 = 4_096;
    /// Requests that wait for a connection to one cluster. When full: refused with 503.
    pub const PENDING: u32 = 16_384;
    /// Requests under way to one cluster. When full: refused with 503.
    pub const REQUESTS: u32 = 65_536;
    /// Retries under way to one cluster. When full: the request fails as its first try did.
    pub const RETRIES: u32 = 4_096;
    /// Tries of one request beside the first. When full: the client gets the last answer.
    pub const TRIES: u32 = 3;
    /// Before a second try, at most.
    pub const AGAIN: Duration = Duration::from_millis(2);
    /// Before each later one, at most.
    pub const AGAIN_MOST: Duration = Duration::from_millis(20);
    /// Neighbours that have a part of the mesh port for themselves. When full: the others share one, and connections in it
    /// are made anew when one of them goes, or somebody new gets a part for himself.
    pub const CALLERS: usize = 256;
    /// Ways to one service. When full: the worst are left out.
    pub const WAYS: usize = 8;
    /// Former ways of a grant that keep their live flows. When full: the oldest way's flows are cut.
    pub const FORMER_WAYS: usize = 4;
    /// For a connection to stand.
    pub const CONNECT: Duration = Duration::from_secs(2);
    /// Between a request's first byte and the end of its headers. After it: 408.
    pub const HEADERS: Duration = Duration::from_secs(10);
    /// Between two questions whether a neighbour's mesh port answers, while it is used.
    pub const CHECK: Duration = Duration::from_secs(1);
    /// The same for a neighbour whose mesh port answers and is not used. For so long after its first use Envoy does not ask
    /// more often, and if the link swallows all meanwhile each request waits for [`Limits::CONNECT`] before it goes elsewhere.
    pub const CHECK_IDLE: Duration = Duration::from_secs(5);
    /// The same for a neighbour whose mesh port does not answer: one that starts is used soon after.
    pub const CHECK_DOWN: Duration = Duration::from_millis(250);
    /// For an answer to that question, and to a PING on a mesh connection.
    pub const ANSWER: Duration = Duration::from_secs(2);
    /// After its last stream, how long a connection stays open when its grant is gone.
    pub const DELAYED_CLOSE: Duration = Duration::from_millis(100);
}

const _: () = assert!(Limits::STREAMS * Limits::STREAM_WINDOW < Limits::CONNECTION_WINDOW);
