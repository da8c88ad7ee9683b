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
//! | `reach` | which addresses of other organisations' mesh ports may be dialled |
//! | `blame` | whose a resource is, by its name |
//! | `troubles`, `rejected` | what keeps services from being served |
//! | `neighbours`, `rows` | how Envoy and neighbours are, for `status` |
//! | `under_way` | what neighbours have under way |
//! | `access_log` | which is kept within a bound |
//! | `streams` | flows that only the tunnel can carry |

mod access_log;
mod blame;
mod limits;
mod mesh;
mod neighbours;
mod prepare;
mod reach;
mod rejected;
mod resolve;
mod rows;
mod shared;
mod state;
mod steering;
mod streams;
mod troubles;
mod under_way;

pub use limits::Limits;
pub use mesh::EnvoyMesh;
pub use prepare::{MeshError, Prepared, bootstrap, prepare};
