//! Many streams over one TCP connection, for networks where UDP does not pass.
//!
//! | file | subject |
//! |---|---|
//! | `frame` | the bytes |
//! | `state` | the rules, without I/O |
//! | `stream` | handles of a connection and of the halves of its streams |
//! | `driver` | the task that moves bytes between the state and TLS |

mod driver;
mod frame;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use driver::start;
pub(crate) use state::Windows;
pub(crate) use stream::{MuxConnection, MuxRecv, MuxSend};
