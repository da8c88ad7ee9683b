//! What may happen to a network while it runs.

use catalyst_control::LocalService;
use catalyst_names::ServiceLabel;
use catalyst_policy::Rule;

use crate::link::Side;

/// Who notices that a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Both ends, each in its own time.
    Both,
    /// Only this end; the other runs into its hold timer.
    Only(usize),
    /// Neither; both run into their hold timers.
    Neither,
}

/// How a node goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// In order: sessions are ended with a reason.
    Stop,
    /// The process dies; its machine closes the connections.
    Kill,
    /// The machine loses power; nobody is told.
    Power,
    /// As above, and its disk is lost: it comes back with what it was set up with, and other origin ids at its borders.
    Wipe,
    /// The machine goes back to a snapshot: nobody is told, and it counts its words again from there, in the same run.
    Rewind,
}

/// What is said that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A path that does not begin with the liar.
    ForgedStart,
    /// A path that does not end where the service is at home.
    ForgedEnd,
    /// The listener's own service, as if it came back.
    Echo,
    /// A path that leads through the listener.
    Looped,
    /// Inner names beyond the border; inside, a path that does not begin with the liar.
    InnerPath,
    /// Attributes that cannot be read, beside a route that can.
    Malformed,
    /// A local_pref that would win over everything.
    HighPref,
    /// More than the agreement allows.
    Flood,
    /// More than the agreement allows, in tellings of the table that begin and never end.
    Refill,
    /// Withdrawals of what was never announced.
    Unsaid,
    /// The same route with ever another cost.
    Oscillation,
    /// Digests of no table at all.
    Digest,
    /// Ends of refreshes that never began, beginnings without an end, and far too many requests.
    Refresh,
    /// Far too high numbers of the words of all nodes of a path, in what is true otherwise. Of another organisation, as
    /// many as there may be.
    Numbers,
    /// As above, in ways that lead back through the listener. Of another organisation, nothing.
    Returned,
    /// News that all nodes have said something newer of all that the listener knows.
    News,
}

/// Those about routes and sessions.
pub(crate) const LIES: [Lie; 13] = [
    Lie::ForgedStart,
    Lie::ForgedEnd,
    Lie::Echo,
    Lie::Looped,
    Lie::InnerPath,
    Lie::Malformed,
    Lie::HighPref,
    Lie::Flood,
    Lie::Refill,
    Lie::Unsaid,
    Lie::Oscillation,
    Lie::Digest,
    Lie::Refresh,
];

/// Those about the numbers of words.
pub(crate) const NUMBERED: [Lie; 3] = [Lie::Numbers, Lie::Returned, Lie::News];

/// One thing that happens. Nodes, links and sides are places in the plan.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A service appears or changes.
    ServiceUp(usize, LocalService),
    /// A service is no longer offered.
    ServiceDown(usize, ServiceLabel),
    /// A health check changes its mind.
    Health(usize, ServiceLabel, bool),
    /// A node's rules change.
    Policy(usize, Vec<Rule>, Vec<Rule>),
    /// The connections of a link are lost; it can be dialled again at once.
    Lose(usize, Noticed),
    /// As above, and dials fail for so many milliseconds.
    Cut(usize, Noticed, u64),
    /// Nothing passes in the directions from these sides for so many milliseconds: a blackhole, or a peer that
    /// does not read.
    Stall(usize, [bool; 2], u64),
    /// A node goes away, and comes back after so many milliseconds, if at all in this epoch.
    Down(usize, Exit, Option<u64>),
    /// One side of a link dials although nothing is wrong, as one does that has given up a connection.
    Dial(usize, usize),
    /// A node's timer rings for nothing.
    Tick(usize),
    /// The next UPDATE from this side of a link comes to the other and is lost there.
    Swallow(usize, usize),
    /// This side of a link is asked for its table once more, for no reason.
    Refresh(usize, usize),
    /// A node is about to stop, or is not after all.
    Drain(usize, bool),
    /// A node wants to hear of something else.
    Interest(usize, Option<Vec<String>>),
    /// A side of a link lies to the other.
    Lie(usize, usize, Lie),
    /// One side of a link configures the other anew: other terms, or none at all.
    Configure(usize, usize, Option<Side>),
}
