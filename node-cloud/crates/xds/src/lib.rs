//! The delta ADS server of one node for its one Envoy.
//!
//! It knows nothing of services, routes or policy: it is given resources ([`Publisher::apply`]) and brings Envoy to
//! hold exactly those, with differences only, and in an order in which no request fails that had somewhere to go.
//!
//! ```text
//!   node ── apply(Changes) ──▶ snapshot ──▶ session ──▶ response ──▶ Envoy
//!           open()                             ▲                        │
//!           status, settled, rejections ◀── board ◀── request, ACK, NACK┘
//! ```
//!
//! # The order of a change: make before break
//!
//! What changed when nothing was under way is one *batch*. It goes in steps, and a step waits until Envoy has
//! acknowledged those before it. What changes meanwhile is the next batch, in which changes of one name are one.
//!
//! ```text
//!   secrets ▶ clusters, and their ▶ filters ▶ listeners ▶ scopes set ▶ listeners, clusters,
//!             endpoints until warm                        and removed   all others removed
//! ```
//!
//! - A batch with one step leaves at once when nothing is in flight. Cost follows the change, not the tables.
//! - A cluster that is new *or changed* takes no traffic before it is told its endpoints, and of a changed one
//!   Envoy does not ask again. So they are sent again after it, and the scopes wait for them.
//! - A name that Envoy asks for and that is not there is answered with "not there" (`removed_resources`), and
//!   passes the queue when it comes. A cluster whose endpoints are not there is warm and empty: it answers 503.
//! - A step that makes no progress for [`Limits::STEP_DEADLINE`] is left behind, logged and counted.
//! - Large changes go in pieces of [`Limits::RESPONSE_RESOURCES`]; all scopes in one, because a listener takes
//!   traffic after the first answer; secrets and filters one by one.
//! - **Withdrawn permissions do not queue.** [`Changes::urgent`] is removed ahead of everything under way: the
//!   listener of a grant, whose flows end with it. Its cluster and scope follow in their order, and answer 503
//!   for that moment. [`Changes::urgent_set`] goes ahead in the same way: the list of those who are let in. On a new
//!   stream (either end started again) all of this is ordinary.
//!
//! # What Envoy rejects
//!
//! Envoy 1.40 rejects a response of clusters, endpoints or scopes as a whole; of listeners it takes the good ones;
//! of filters and secrets a response holds one. So a rejected response is sent again in halves until the culprit stands alone. That one is rejected
//! until its bytes change: what Envoy had of it stays, everything else arrives, the batch goes on, and `status` and
//! [`Publisher::rejections`] name it with Envoy's reason. Of secrets no text of Envoy's is kept that could quote one.
//!
//! # Two ends that start again
//!
//! - Until [`Publisher::open`] Envoy gets no answer: the first snapshot is complete, and an Envoy that serves keeps
//!   what it has while the node gathers.
//! - An Envoy that comes back says what it holds, and hears the differences. Versions are hashes of the bytes,
//!   equal in every run of the node; equal messages are equal bytes, maps included.
//! - One gap: a node that dies within the milliseconds between a *changed* cluster and its endpoints leaves Envoy
//!   waiting for them; Envoy goes on with the old version of that cluster until its own 15 s are over.
//! - One Envoy: another node's is refused with PERMISSION_DENIED, a second one with ALREADY_EXISTS.
//!
//! What an Envoy that does not read can cost is bounded ([`Limits::IN_FLIGHT`] responses of a kind); `status`
//! says how long it has not answered.
#![forbid(unsafe_code)]

mod board;
mod canonical;
mod error;
mod flight;
mod kind;
mod lane;
mod limits;
mod message;
mod publisher;
mod reason;
mod resource;
mod serve;
mod session;
mod snapshot;
mod status;
mod step;
mod wire;

pub use error::{Error, Full, Reason};
pub use kind::Kind;
pub use limits::Limits;
pub use publisher::Publisher;
pub use resource::Resource;
pub use serve::serve;
pub use snapshot::Changes;
pub use status::{Connected, KindStatus, Nack, Rejected, Rejection, Status};

#[cfg(test)]
mod tests;
