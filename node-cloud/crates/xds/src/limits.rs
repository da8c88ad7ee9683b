//! Every capacity of the server.

use std::time::Duration;

/// Capacities. The constants are fixed; the fields are chosen by each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resources of one kind in the snapshot. When full: `apply` refuses the new ones and says which; a change of
    /// one that is there is taken.
    pub resources: usize,
    /// Bytes of all resources together. When full: as for `resources`, and a change that makes one larger is
    /// refused, so that the old one stays; but for scopes, listeners and filters, which say who may: the old one goes.
    pub total_bytes: usize,
    /// Names of one kind that Envoy may ask for. When full: the stream is closed, and Envoy and `status` hear why.
    pub subscriptions: usize,
    /// Bytes of one request of Envoy. When larger: the stream is closed with OUT_OF_RANGE.
    pub request_bytes: usize,
}

impl Limits {
    /// Bytes of one resource. When larger: `apply` refuses it; an older one of that name stays, or goes, as for
    /// [`Limits::total_bytes`].
    pub const RESOURCE_BYTES: usize = 1 << 20;
    /// Bytes of a resource's name. When longer: `apply` refuses it.
    pub const NAME_BYTES: usize = 512;
    /// Resources of one response, scopes aside: those go in one response, because a listener takes traffic after
    /// the first; and a secret or a filter goes alone. When full: the rest follows when Envoy has acknowledged this one. Envoy's main thread works
    /// through a response in one piece (about 1 ms a cluster), and what is urgent waits behind it.
    pub const RESPONSE_RESOURCES: usize = 250;
    /// Bytes of resources in one response, scopes aside. When full: as for `RESPONSE_RESOURCES`.
    pub const RESPONSE_BYTES: usize = 1 << 20;
    /// Responses of one kind that Envoy has not acknowledged. One is in flight at a time; more only when it
    /// missed [`Limits::STEP_DEADLINE`]. When full: nothing more of that kind is sent until one is acknowledged.
    pub const IN_FLIGHT: usize = 8;
    /// How long a step waits without any progress (an acknowledgement, a subscription) before the next begins.
    /// When over: it is logged, counted in `status`, and the change goes on.
    pub const STEP_DEADLINE: Duration = Duration::from_secs(2);
    /// How long removals wait at the beginning of a stream for Envoy to ask for every kind that it takes all of. An
    /// Envoy without routes never asks for scopes. When over: what is no more is removed.
    pub const ASKING: Duration = Duration::from_millis(500);
    /// How long a stream may say nothing at first. When over: it is closed.
    pub const FIRST_REQUEST: Duration = Duration::from_secs(10);
    /// Streams of one connection. When full: HTTP/2 holds further ones back.
    pub const STREAMS: u32 = 16;
    /// How long the server waits for connections to close when it ends. When over: it ends without.
    pub const ENDING: Duration = Duration::from_secs(1);
    /// How long a second stream of the same Envoy waits for the first to end: a restarted Envoy may be back
    /// before the end of the old one was seen. When over: it is refused.
    pub const TAKE_OVER: Duration = Duration::from_secs(1);
    /// Rejected resources that `status` lists, and refused ones that [`crate::Full`] names. When more: they are
    /// counted.
    pub const LISTED: usize = 64;
    /// Bytes kept of a reason that Envoy gave. When longer: cut, with a mark.
    pub const REASON_BYTES: usize = 1024;
    /// Rejections that a reader of [`crate::Publisher::rejections`] may lag behind. When full: it hears that it
    /// missed some, and reads [`crate::Publisher::rejected`].
    pub const REJECTIONS: usize = 1024;
    /// Type URLs that are not served and that are remembered, so that each is logged once. When full: later ones
    /// are counted only.
    pub const UNKNOWN_TYPES: usize = 8;
    /// For a server: 20,000 services with their grants.
    pub const CLOUD: Limits = Limits {
        resources: 120_000,
        total_bytes: 256 << 20,
        subscriptions: 120_000,
        request_bytes: 16 << 20,
    };

    /// An upper bound of the memory that the server takes when full: the bytes, and of each resource the entries
    /// in its tables with names of ordinary length.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        let entry = 512;
        self.total_bytes
            + self.resources * crate::Kind::COUNT * entry
            + self.request_bytes
            + Kept::IN_FLIGHT * Limits::RESPONSE_BYTES
    }
}

/// What a stream holds at most beside the snapshot.
struct Kept;

impl Kept {
    /// Responses in flight of all kinds.
    const IN_FLIGHT: usize = crate::Kind::COUNT * Limits::IN_FLIGHT;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::CLOUD
    }
}
