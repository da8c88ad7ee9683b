//! Envoy as the data plane of a node.
//!
//! ```text
//!   engine ── Change ──> EnvoyMesh ── planner ── Changes ──> delta server ──> Envoy
//!   tunnel ── PROXY v2 on a Unix socket ────────────────────────────────────> Envoy
//!   tunnel <── CONNECT in HTTP/2 on a Unix socket ──────────────────────────  Envoy
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `mesh` | what the node tells, passed on; `prepare` and `EnvoyMesh` |
//! | `state` | what Envoy is told, behind one lock |
//! | `steering` | which next step each way is for Envoy |
//! | `resolve` | names of services and mesh ports |
//! | `streams` | flows that only the tunnel can carry |

mod limits;
mod mesh;
mod prepare;
mod resolve;
mod shared;
mod state;
mod steering;
mod streams;

pub use limits::Limits;
pub use mesh::EnvoyMesh;
pub use prepare::{MeshError, Prepared, bootstrap, prepare};
