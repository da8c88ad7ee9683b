//! The QUIC driver: a control and a data connection per neighbour.
//!
//! Both shells use it unchanged. A shell hands in its `quinn::Runtime` and the sending end of a channel of
//! [`Event`]s, and calls [`Transport`]; the driver knows frames only as bytes and never looks at a route.
//!
//! ```text
//!               frames                                             flows
//! core <-> Event / Transport::send                        local socket <-> pump <-> FlowStream
//!               |                                                                    |
//!     session (reader, writer, watch)                                          data connection
//!               |                                                                    |
//!        dialler | accept  ------------------  one QUIC endpoint  ------------------+
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `transport` | the handle |
//! | `dial`, `accept` | how a control connection comes to be |
//! | `session`, `outbox`, `frame`, `watch` | its life: credit, frames, silence |
//! | `data`, `flow` | the data connection and its streams |
//! | `pump`, `relay` | a stream joined with a local socket; two streams joined with each other |
//! | `state` | what the tasks share |
//!
//! **Backpressure.** Towards the peer: a session takes [`Limits::SESSION_CREDIT`] bytes, then as many as `Writable`
//! gives back when QUIC's flow control has let them through. From the peer: while the event channel is full
//! nothing is read, and QUIC's windows close.

mod accept;
mod backoff;
mod code;
mod config;
mod data;
mod dial;
mod error;
mod event;
mod flow;
mod frame;
mod limits;
mod outbox;
mod profile;
mod pump;
mod quic;
mod relay;
mod rt;
mod session;
mod state;
mod transport;
mod watch;

pub use config::{DialTarget, Resolver, Resolving, TransportConfig};
pub use error::{FlowError, SendError, TransportError};
pub use event::{DownReason, Event, SessionId};
pub use flow::{FlowControl, FlowStream};
pub use limits::Limits;
pub use profile::LinkProfile;
pub use pump::{LocalStream, PumpEnd, pump};
pub use relay::relay;
pub use transport::{Stats, Transport};
