//! What the build that reads the configuration is.

/// Which of the two nodes reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// `catalyst-edge`: dials out only.
    Edge,
    /// `catalyst`.
    Cloud,
}

impl Build {
    /// Its name in a sentence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Build::Edge => "edge",
            Build::Cloud => "cloud",
        }
    }
}

/// The largest value of each key under `limits` that a build can serve. Fixed tables cannot grow beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Maximum of `limits.routes`.
    pub routes: u32,
    /// Maximum of `limits.peers`.
    pub peers: u32,
    /// Maximum of `limits.services`.
    pub services: u32,
    /// Maximum of `limits.flows`.
    pub flows: u32,
    /// Maximum of `limits.routes_per_peer`.
    pub routes_per_peer: u32,
    /// Maximum of `limits.expose`.
    pub expose: u32,
    /// Maximum of `limits.window`.
    pub window: u32,
    /// Maximum of `limits.http_clients`.
    pub http_clients: u32,
}

impl Compiled {
    /// What a board of 64 MB serves.
    pub const EDGE: Compiled = Compiled {
        routes: 4_096,
        peers: 64,
        services: 256,
        flows: 4_096,
        routes_per_peer: 4_096,
        expose: 64,
        window: 8 * 1024 * 1024,
        http_clients: 1_024,
    };
    /// What a server serves.
    pub const CLOUD: Compiled = Compiled {
        routes: 1_000_000,
        peers: 10_000,
        services: 65_536,
        flows: 1_000_000,
        routes_per_peer: 1_000_000,
        expose: 4_096,
        window: 256 * 1024 * 1024,
        http_clients: 65_536,
    };
}
