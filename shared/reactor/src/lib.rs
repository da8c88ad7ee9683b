//! Waits for the sockets and timers of one thread.
//!
//! Linux tells of each change of a socket once (`EPOLLET`, epoll(7)) and this crate remembers it, so a socket is
//! registered once in its life and a wait is one system call. An executor runs beside it on the same thread; other
//! threads may wake its tasks.
//!
//! - [`Reactor`]: the thread's; [`Reactor::block_on`] runs it
//! - [`Source`]: a socket or another descriptor that does not block, with what is known of its readiness
//! - [`Stream`]: a source that bytes go through
//! - [`OneThread`]: timers, tasks and the UDP socket as QUIC wants them
//!
//! Not here: files, processes, name look-ups; other systems than Linux.

mod known;
mod quic;
mod reactor;
mod source;
mod stream;
mod timers;

pub use known::Side;
pub use quic::OneThread;
pub use reactor::Reactor;
pub use source::Source;
pub use stream::{Socket, Stream};
