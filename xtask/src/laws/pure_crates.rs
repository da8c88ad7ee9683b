//! Which crates are pure: no I/O, no clock, no randomness, no thread, no std.

/// The folders below `shared/`. The package of each is `catalyst-` and this name.
pub const PURE: &[&str] =
    &["names", "dense", "wire", "route-table", "policy", "peering", "control", "tunnel"];
