//! Capacities of the core. The route table has its own.

use catalyst_wire::Limits as WireLimits;

use crate::news::NUMBERED;

/// Whether this build goes through its table in pieces. A board's is small: it takes them one after the other in the step
/// in which it begins, and has no bytes to spare.
pub(crate) const PIECES: bool = cfg!(feature = "transit");

/// How much the core may hold. Given once, at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Configured peers. When full: the configuration is refused.
    pub peers: usize,
    /// Services of this node. When full: registration is refused.
    pub services: usize,
    /// Control connections of one peer at a time, running and pending. When full: a new one is refused.
    pub links_per_peer: usize,
    /// Routes of one internal neighbour. When full: new ones are refused, old ones stay, the session stays.
    pub routes_per_peer: usize,
    /// Bytes of attributes of all routes of one internal neighbour: one route may have [`WireLimits::ENTRY`]. When full: as for
    /// their number. An agreement says it of a neighbour of another organisation.
    #[serde(default = "unbounded")]
    pub bytes_per_peer: usize,
    /// Notices that the shell has not drained. When full: new ones are dropped and counted; no other effect is.
    pub notices: usize,
    /// Keys that an export group remembers only for slow peers, beyond the most that it announced at one time: the
    /// withdrawals that they have yet to hear. When full: the slowest session is ended, to start afresh.
    pub tombstones: usize,
    /// Keys of one service of a third organisation that one neighbour organisation is told of. When full: the best are told,
    /// the others are kept ready and shown by `explain`. Not on the edge, whose table is small.
    #[serde(default = "unbounded")]
    pub origins: usize,
    /// Announcements, each for one export group, that are looked at in one step when rules change, when the table of an
    /// export group is made, and when a node begins or ends to drain. When there are more: the next step is due at once,
    /// and others come in between; on the edge it follows at once. The keys of one service are not parted.
    #[serde(default = "unbounded")]
    pub walked: usize,
}

/// What recordings from before a bound were made with.
fn unbounded() -> usize {
    usize::MAX
}

impl Limits {
    /// What [`Limits::bytes_per_peer`] is if nobody sets it: so much for each of its routes, on the average.
    pub const BYTES_OF_ROUTE: usize = 256;
    /// Connections that are ended but not gone, whose last words are still heard. When full: the oldest is
    /// forgotten, and what its other side says is not logged.
    pub const CLOSING: usize = 64;
    /// Routes of a lost neighbour that are looked at in one step, or four times [`Limits::walked`] if that is less. When there are
    /// more: the next step is due at once.
    pub const AGED: usize = 4_096;
    /// Services that change before a walk for other rules has come to them, and are judged with the change. When full: further
    /// ones are judged with each change.
    pub const AHEAD: usize = 4_096;
    /// Usable origins of one service, a node's own besides: with each change of one of them all are put in order. When full:
    /// further ones are refused, those that are there stay.
    pub const ORIGINS_OF_SERVICE: usize = 4_096;
    /// Patterns of a neighbour's interest in an explanation. When there are more: their number is told.
    pub const PATTERNS: usize = 8;
    /// Rows of one event for those that watch. When full: further ones are counted, and the watchers get every route again.
    pub const OBSERVED: usize = 4_096;
    /// Entries of an export group with news of what is overtaken, while some session has yet to read them. When full: the
    /// oldest is forgotten, and who has not read it may try old paths before it finds that none is left.
    pub const NEWS: usize = 1_024;
    /// Keys of which news told of late, to know what is still under way for old. When full: the oldest is forgotten, as
    /// above.
    pub const WORDS: usize = 512;
    /// How long each such word is remembered, in milliseconds: longer than messages are under way.
    pub const WORDS_MS: u64 = 15_000;
    /// How long a route stays overtaken that its neighbour goes on to announce, in milliseconds, when no way that is used
    /// instead has a newer word.
    pub const OVERTAKEN_MS: u64 = 30_000;
    /// Overtaken routes that are remembered for this. When full: the oldest counts again at once, which costs only tries.
    pub const OVERTAKEN: usize = 16_384;
    /// Overtaken routes that are looked at in one step when their time has come. When there are more: the next step is due
    /// at once.
    pub const TAKEN_BACK: usize = 1_024;
    /// Nodes whose newest words go along with one such entry. When full: further ones are left out, as above.
    pub const NEWS_OF: usize = 8;
    /// Keys that neighbours were told of within the last [`Limits::PAUSE_MS`], to let better news of them wait. When full: further
    /// ones are not remembered, and what is new of them is told at once. Not on the edge, which passes nothing on.
    pub const PAUSED: usize = 4_096;
    /// How long after a telling better news of the same key may wait, in milliseconds: longer than most ways around take.
    pub const PAUSE_MS: u64 = 200;
    /// Keys whose ways are withheld at a time (ADR 0043). When full: those of further ones are told at once, as before. Not on the edge.
    pub const WITHHELD: usize = 4_096;
    /// How long such a way is withheld after the last that was lost, in milliseconds: longer than the hold time of nearly all links, so
    /// that who has the same loss to notice has noticed it.
    pub const WITHHELD_MS: u64 = 10_000;
    /// How long it is withheld in all, in milliseconds, whatever else is lost.
    pub const WITHHELD_MAX_MS: u64 = 15_000;
    /// With so many neighbours that have ways of their own: where there are fewer, they are tried out soon.
    pub const WITHHELD_WAYS: usize = 3;
    /// How long it is remembered that a neighbour took back a way of its own, in milliseconds.
    pub const FALLEN_MS: u64 = 15_000;
    /// Ways that neighbours took back within [`Limits::FALLEN_MS`]. When full: the oldest is forgotten, and what its neighbour
    /// might need is told at once.
    pub const FALLEN: usize = 16_384;
    /// Routes whose changes are counted at a time, or a sixteenth of `routes_per_peer` if that is less. When full: of
    /// the neighbour that has most, the one that has been at rest for longest is forgotten, and ranks as before.
    pub const FLAPS: usize = 1_024;
    /// The most changes within the window that a configuration may call fine.
    pub const FLAP_CHANGES: u32 = 100;
    /// Announcements that are looked at in one step when a neighbour wants to hear of others. When there are more: the next
    /// step is due at once. When a list of names alone has more: the whole table is gone through.
    pub const LOOKED: usize = 512;
    /// The shortest time between two refreshes that one neighbour is asked for, in milliseconds; it doubles while its
    /// digests go on to differ.
    pub const REFRESH_MS: u64 = 60_000;
    /// The longest such time.
    pub const REFRESH_MAX_MS: u64 = 3_600_000;
    /// Rows of an answer about visibility. When full: the rest is counted and left out.
    pub const VISIBILITY: usize = 4_096;
    /// Routes that are looked at for such an answer, and with each `status`. When there are more: what the others would tell is
    /// left out.
    pub const VISIBILITY_LOOKS: usize = 65_536;
    /// Rows of each list of a plan. When full: the rest is counted and left out.
    pub const PLAN: usize = 1_024;
    /// Refused announcements of one neighbour that are told apart. When full: further ones are not counted, and shown as "and
    /// more" until its table is told anew.
    pub const REFUSED: usize = 1_024;
    /// Names of refused services that are kept for each neighbour, each way. When full: further ones are only counted.
    pub const REFUSED_NAMES: usize = 16;
    /// What a cloud node starts with.
    pub const CLOUD: Limits = Limits {
        peers: 4_096,
        services: 100_000,
        links_per_peer: 4,
        routes_per_peer: 1_000_000,
        bytes_per_peer: 1_000_000 * Self::BYTES_OF_ROUTE,
        notices: 1_024,
        tombstones: 100_000,
        origins: 8,
        walked: 1_024,
    };
    /// What an edge node starts with.
    pub const EDGE: Limits = Limits {
        peers: 16,
        services: 256,
        links_per_peer: 4,
        routes_per_peer: 1_024,
        bytes_per_peer: 1_024 * Self::BYTES_OF_ROUTE,
        notices: 128,
        tombstones: 1_024,
        origins: 8,
        walked: 1_024,
    };

    /// Routes of a lost neighbour that are looked at in one step: [`Limits::AGED`], or fewer where walks go in small pieces.
    pub(crate) fn aged(&self) -> usize {
        self.walked.saturating_mul(4).clamp(1, Self::AGED)
    }

    /// Routes whose changes are counted at a time: see [`Limits::FLAPS`].
    #[must_use]
    pub fn flaps(&self) -> usize {
        Self::FLAPS.min(self.routes_per_peer / 16).max(16)
    }

    /// One piece of news in an entry: encoded, its names at their longest, and its place in a list.
    const PIECE: usize = 336;
    /// One word of a node, its name at its longest.
    const WORD: usize = 112;
    /// One overtaken route: its moment by its place, and the other way round.
    const HELD_DOWN: usize = 96;
    /// A key by its names at their longest, as it stands in a tree or in a row.
    const KEY: usize = 288;

    /// The most memory of news: of the entries of the group inside the organisation, of one step, of what was told of late, and of the
    /// routes that were overtaken. Nothing in a build that does not number its words.
    #[must_use]
    pub const fn news() -> usize {
        if !NUMBERED {
            return 0;
        }
        let entries = Self::NEWS * (64 + Self::NEWS_OF * Self::PIECE);
        let step = Self::NEWS * (64 + Self::NEWS_OF * Self::WORD);
        let late = Self::WORDS * (2 * Self::KEY + 64 + Self::NEWS_OF * Self::WORD);
        entries + step + late + Self::OVERTAKEN * Self::HELD_DOWN
    }

    /// One refused announcement in its list, which grows by doubling.
    const REFUSAL: usize = 32;
    /// One pattern of a neighbour's interest beside its text: in its list, and in the way back from names to sessions.
    const PATTERN: usize = 128;
    /// One route that a neighbour with an interest holds: what it holds with its hash, what it has yet to hear of, and that
    /// somebody has yet to hear of it.
    const HELD: usize = 96;

    /// One key that was told of late: what was told, and its place in the order of time.
    const PAUSE: usize = 128;

    /// The most memory of keys that were told of late, in bytes. Nothing in a build that passes nothing on.
    #[must_use]
    pub const fn pauses() -> usize {
        if cfg!(feature = "transit") { Self::PAUSED * Self::PAUSE } else { 0 }
    }

    /// One withheld way, or one way that was taken back: what is known of it, and its place in the order of time.
    const WITHHOLDING: usize = 128;

    /// The most memory of ways that are not told for a while, in bytes. Nothing in a build that passes nothing on.
    #[must_use]
    pub const fn withheld() -> usize {
        if cfg!(feature = "transit") { (Self::WITHHELD + Self::FALLEN) * Self::WITHHOLDING } else { 0 }
    }

    /// The most memory of a neighbour's session with an interest, in bytes: it may match everything.
    fn interested(&self) -> usize {
        WireLimits::INTEREST_BYTES + WireLimits::INTEREST * Self::PATTERN + self.routes_per_peer * Self::HELD
    }

    /// The most memory of everything counted here, in bytes, an export group included: its entries, and what they say.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        (self.peers * (2_048 + Self::REFUSED * Self::REFUSAL + self.interested())
            + self.services * 512
            + self.notices * 256
            + (self.routes_per_peer + self.tombstones) * 256
            + Self::news()
            + Self::pauses()
            + Self::withheld()
            + self.flaps() * (512 + 8 * Self::FLAP_CHANGES as usize))
            .saturating_add(self.bytes_per_peer)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::CLOUD
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use catalyst_route_table::RouteKey;
    #[cfg(feature = "transit")]
    use catalyst_route_table::Slot;

    use super::*;
    use crate::sum::Sum;

    #[test]
    fn what_a_neighbour_with_an_interest_holds_is_in_the_sum() {
        let few = Limits { routes_per_peer: 1_000, ..Limits::EDGE };
        let many = Limits { routes_per_peer: 2_000, ..few };
        let one = size_of::<(RouteKey, Sum)>() + size_of::<RouteKey>() + size_of::<(RouteKey, usize)>();
        let least = few.peers * 1_000 * one;
        assert!(
            many.max_bytes() - few.max_bytes() > least,
            "a route that is held takes {one} bytes and more"
        );
        let lonely = Limits { peers: 0, ..few };
        assert!(few.max_bytes() - lonely.max_bytes() > few.peers * WireLimits::INTEREST_BYTES);
    }

    #[cfg(feature = "transit")]
    #[test]
    fn news_is_in_the_sum() {
        use alloc::boxed::Box;
        use alloc::string::String;
        use alloc::vec::Vec;
        use catalyst_names::Limits as NameLimits;
        use catalyst_wire::{Overtaken, Seqno, update::write_overtaken};

        use crate::news::News;

        let long = |n: usize| "x".repeat(n);
        let (service, node) = (long(NameLimits::SERVICE), long(NameLimits::LABEL));
        let seqno = Seqno { run: u32::MAX, count: u32::MAX };
        let mut buf = [0; 512];
        let news = Overtaken { service: &service, origin: &node, node: &node, seqno };
        let piece = write_overtaken(&mut buf, &news).unwrap().len() + size_of::<Box<[u8]>>();
        assert!(piece <= Limits::PIECE, "{piece} bytes");
        let word = size_of::<News>() + NameLimits::LABEL;
        assert!(word <= Limits::WORD, "{word} bytes");
        let key = NameLimits::SERVICE + 1 + NameLimits::LABEL + size_of::<String>();
        assert!(key + size_of::<Vec<News>>() <= Limits::KEY, "{key} bytes");
        let least = Limits::NEWS * Limits::NEWS_OF * (piece + word)
            + Limits::WORDS * (2 * key + Limits::NEWS_OF * (word + size_of::<u64>()))
            + Limits::OVERTAKEN * 2 * size_of::<(u64, Slot)>();
        let nobody = Limits {
            peers: 0,
            services: 0,
            notices: 0,
            routes_per_peer: 0,
            bytes_per_peer: 0,
            tombstones: 0,
            ..Limits::EDGE
        };
        assert!(nobody.max_bytes() > least, "{} of {least} bytes", nobody.max_bytes());
    }
}
