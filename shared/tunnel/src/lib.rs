//! What the data path knows, without touching a socket or a clock: the header that starts each stream, the
//! codes that refuse one, where flows of a service go, and which flows are alive.
//!
//! | file | subject |
//! |---|---|
//! | [`header`] | the bytes before the payload of a stream |
//! | [`packet`] | packets of a flow, in datagrams and on streams |
//! | [`refusal`] | why a flow was not carried: a status byte, and the code of a stream reset |
//! | [`forward`] | services, their ranked endpoints, and who of another organisation may use them |
//! | [`Draws`] | numbers that decide among equals |
//! | [`flows`] | live flows, their counters, and which of them must end when a permission goes |
#![no_std]

extern crate alloc;

mod draw;
pub mod flows;
pub mod forward;
pub mod header;
mod limits;
pub mod packet;
pub mod refusal;

pub use catalyst_names as names;
pub use draw::Draws;
pub use flows::{Flow, FlowId, FlowTable};
pub use forward::{Caller, Choice, Endpoint, ForwardTable, NextHop};
pub use header::{FlowKind, HeaderError, StreamHeader, TraceContext};
pub use limits::Limits;
pub use refusal::Refusal;
