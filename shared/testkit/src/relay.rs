//! A bad line between two real programs: a relay in user space that loses, delays and holds up what passes, for UDP and
//! TCP, because many kernels lack `netem`.
//!
//! What happens to the n-th packet of a direction follows from the seed and n alone. When it happens follows the clock,
//! so a run through a relay is alike, not the same.

mod line;
mod tcp;
mod udp;

pub use line::Line;
pub use tcp::TcpRelay;
pub use udp::{Counts, Relay};
