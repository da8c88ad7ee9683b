//! `catalyst.json`: one description of every key, and what follows from it.
//!
//! [`keys::ROOT`] describes each key once: its type, default, meaning and how to mend it. From that come the
//! JSON Schema ([`schema_json`]), the environment variables (`CATALYST_LIMITS__ROUTES`), the overrides of
//! the command line (`--set limits.routes=512`), validation, and the page of documentation.
//! Precedence: flags, then environment, then file, then default.
//!
//! ```text
//!   text -> read -> tree --+-- given (environment, flags)
//!                          v
//!                   check (types, unknown keys) -> complete (defaults) -> build -> cross -> Config
//! ```
//!
//! Nothing starts on a half-understood configuration: an unknown key is an error, so is a key that stands
//! twice, and all errors are reported at once, each with its place, its JSON pointer (RFC 6901), what was
//! expected, what was found and a likely fix.
//!
//! Only [`load`], [`agreement::load`] and [`files`] touch the disk; everything else is pure.
#![forbid(unsafe_code)]

mod address;
pub mod agreement;
mod build;
mod check;
mod compiled;
mod complete;
mod config;
mod cross;
mod envoy_keys;
mod error;
pub mod files;
mod form;
mod given;
mod key;
pub mod keys;
mod limits;
mod load;
mod local;
pub mod policy;
#[cfg(feature = "cloud")]
pub mod policy_file;
mod print;
mod programs;
mod read;
mod rule_keys;
mod schema;
mod service_keys;
mod suggest;
mod tree;

pub use address::{HostPort, PortRange, comes_back, listen as listen_address};
pub use compiled::{Build, Compiled};
pub use config::{
    Admin, Authority, Capacities, Config, ConfigPath, Envoy, EnvoyMode, Expose, Flap, Foreign, Https,
    Identity, LinkProfile, LogLevel, PathKind, Peer, PeerTransport, Sandbox, Service,
};
pub use error::{ConfigError, ConfigErrors, Place};
pub use given::RESERVED_ENVIRONMENT;
pub use key::{Key, KeyInfo, Kind, Need};
pub use limits::Limits;
pub use load::{LoadRequest, environment, from_text, load};
pub use local::{Check, CheckKind, Restart, Run, Variables};
pub use print::is_plain;
pub use schema::{agreement_schema_json, explain, key_list, schema_json};
pub use suggest::nearest;
