//! Many routes through one node, in turns with BIRD 2: a source, the node, a sink. The node is a process of its own with
//! real QUIC sessions; what counts is its CPU time and its memory. Source and sink are in this process and keep no tables.

mod alone;
mod bare;
mod bgp;
mod bird;
mod one_thread;
mod ours;
mod relay;
mod seen;
mod sessions;
mod short;
mod speaker;
mod table;

pub use alone::run as alone;
pub use bare::{SERVER, server};
pub use sessions::run as sessions;
pub use short::run as short;
pub use speaker::Speaker;
pub use table::{million, table};
