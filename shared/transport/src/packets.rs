//! Flows of packets: queues that drop instead of waiting, flows over datagrams and streams, and what joins two ends.
//!
//! | file | subject |
//! |---|---|
//! | `lanes` | the queue: one lane a flow, one bound for all; no I/O |
//! | `inboxes` | lanes that tasks wait at |
//! | `counters` | what was carried, and what was dropped and why |
//! | `link` | what the flows of one data connection share: the way in by flow id, the way out in turns |
//! | `deframe` | packets on a stream, without any I/O |
//! | `flow` | one flow to a peer |
//! | `carry` | joins two ends until one is over or nothing has passed for long enough |

mod carry;
mod counters;
mod deframe;
mod flow;
mod inboxes;
mod lanes;
mod link;

pub use carry::{PacketEnd, carry};
pub use counters::{Dropped, PacketCounters, PacketTotals};
pub use flow::PacketFlow;
pub(crate) use flow::Place;
pub use inboxes::Inboxes;
pub(crate) use link::{DataConn, datagrams};
