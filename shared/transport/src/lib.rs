//! The driver: a control and a data connection per neighbour, over QUIC, or over TLS and TCP where UDP does not pass.
//!
//! Both shells use it unchanged. A shell hands in its `quinn::Runtime`, a [`TcpRuntime`] and the sending end of a
//! channel of [`Event`]s, and calls [`Transport`]; the driver knows frames only as bytes and never looks at a route.
//!
//! ```text
//!               frames                                             flows
//! core <-> Event / Transport::send                        local socket <-> pump <-> FlowStream
//!               |                                                                    |
//!     session (reader, writer, watch)                                          data connection
//!               |                                                                    |
//!        dialler | accept  ------  one QUIC endpoint, or TLS and a multiplexer  ----+
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `transport` | the handle |
//! | `dial`, `accept` | how a control connection comes to be |
//! | `exchange`, `enrol`, `visitors` | the exchange of a node that wants a certificate, the way to who answers, and how often one may ask |
//! | `session`, `outbox`, `frame`, `watch` | its life: credit, frames, silence |
//! | `connect`, `conn`, `end` | a connection and its streams, whatever carries them |
//! | `quic`, `congestion`; `tcp`, `tls`, `mux` | the two carriers |
//! | `data`, `flow` | the data connection and its streams |
//! | `control`, `standing` | how a flow is watched and cut; which flows may not hold up the others any longer |
//! | `packets` | flows of packets |
//! | `pump`, `relay` | a stream joined with a local socket; two streams joined with each other |
//! | `state`, `place` | what the tasks share, and where they live |
//!
//! **Backpressure.** Towards the peer: a session takes [`Limits::SESSION_CREDIT`] bytes, then as many as `Writable`
//! gives back when QUIC's flow control has let them through and less than half of it is left. From the peer: while the event channel is full
//! nothing is read, and QUIC's windows close.

mod accept;
mod backoff;
mod code;
mod config;
mod congestion;
mod conn;
mod connect;
mod control;
mod data;
mod dial;
mod end;
mod enrol;
mod error;
mod event;
mod exchange;
mod flow;
mod flow_io;
mod frame;
mod held;
mod limits;
mod mux;
mod outbox;
mod packets;
mod place;
mod profile;
mod pump;
mod quic;
mod relay;
mod rt;
mod session;
mod standing;
mod state;
mod tcp;
mod tls;
mod transport;
mod visitors;
mod watch;

pub use config::{Carrier, DialTarget, Resolver, Resolving, TransportConfig, Via};
pub use control::FlowControl;
pub use enrol::{JOIN_ALPN, TcpConnect, enrol};
pub use error::{FlowError, SendError, TransportError};
pub use event::{DownReason, Event, SessionId};
pub use exchange::{EnrolError, EnrolStream};
pub use flow::FlowStream;
pub use flow_io::FlowIo;
pub use held::{Held, Share};
pub use limits::Limits;
pub use packets::{Dropped, Inboxes, PacketCounters, PacketEnd, PacketFlow, PacketTotals, carry};
pub use profile::LinkProfile;
pub use pump::{LocalStream, PumpEnd, pump, with_buffer};
pub use relay::relay;
pub use tcp::{TcpAcceptor, TcpFuture, TcpRuntime, TcpSocket};
pub use transport::{Stats, Transport};
