//! The bootstrap as the real Envoy reads it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::process::Command;

use catalyst_envoy::{BootstrapSpec, Place, print_bootstrap};

fn envoy() -> PathBuf {
    let path = std::env::var_os("CATALYST_ENVOY").map(PathBuf::from);
    path.filter(|path| path.is_file())
        .expect("CATALYST_ENVOY names no Envoy: run `cargo xtask envoy fetch` and set it to what that prints")
}

/// What Envoy says of this text: nothing if it takes it.
fn validate(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootstrap.json");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(envoy());
    command.args(["--mode", "validate", "--reject-unknown-dynamic-fields", "-c"]).arg(file);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let warned = said.lines().any(|line| line.contains("[warning]") || line.contains("deprecated"));
    if output.status.success() && !warned { Ok(()) } else { Err(said) }
}

fn spec() -> BootstrapSpec {
    let state = tempfile::tempdir().unwrap();
    BootstrapSpec::new("cloud-1.acme.example", "acme.example", &Place::of(state.path()))
}

#[test]
fn envoy_takes_it_without_a_warning() {
    validate(&print_bootstrap(&spec())).unwrap();
}

#[test]
fn envoy_takes_every_option() {
    let all = BootstrapSpec { heap: Some(1 << 30), deferred_stats: true, ..spec() };
    validate(&print_bootstrap(&all)).unwrap();
}

#[test]
fn envoy_would_refuse_a_wrong_word() {
    let text = print_bootstrap(&spec()).replace("initial_fetch_timeout", "initial_fetch_timeot");
    let said = validate(&text).unwrap_err();
    assert!(said.contains("initial_fetch_timeot"), "{said}");
}
