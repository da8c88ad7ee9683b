//! The page about the format says what the code says.

use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::{Limits as NameLimits, Protocol};

use crate::attr::kind;
use crate::{Capabilities, FrameType, Health, Limits, NotifyCode, Refresh, WellKnown};

const PAGE: &str = include_str!("../../../../docs/wire.md");

/// The cells of each row of a table, without code marks.
fn rows() -> Vec<Vec<String>> {
    let row = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().replace('`', "")).collect();
    PAGE.lines().filter(|line| line.starts_with('|')).map(row).collect()
}

#[track_caller]
fn row(first: &str, second: &str) {
    let found =
        rows().iter().any(|r| r.first().is_some_and(|c| c == first) && r.get(1).is_some_and(|c| c == second));
    assert!(found, "docs/wire.md has no row | {first} | {second} |");
}

#[test]
fn the_registries() {
    for frame in FrameType::ALL {
        row(&(frame as u8).to_string(), frame.as_str());
    }
    for code in NotifyCode::ALL {
        row(&code.0.to_string(), code.as_str());
    }
    for protocol in Protocol::ALL {
        row(&protocol.code().to_string(), protocol.as_str());
    }
    for (code, name) in [
        (kind::PROTOCOL, "protocol"),
        (kind::ORG_PATH, "org_path"),
        (kind::NODE_PATH, "node_path"),
        (kind::LOCAL_PREF, "local_pref"),
        (kind::COST, "cost"),
        (kind::WEIGHT, "weight"),
        (kind::TAGS, "tags"),
        (kind::WELL_KNOWN, "well_known"),
        (kind::HEALTH, "health"),
        (kind::ONLY_TO_CUSTOMER, "only_to_customer"),
        (kind::SCHEMA_DIGEST, "schema_digest"),
        (kind::ATTESTATION, "attestation"),
        (kind::SEQNOS, "seqnos"),
    ] {
        row(&code.to_string(), name);
    }
    for (bit, name) in [
        (WellKnown::NO_EXPORT, "no-export"),
        (WellKnown::GRACEFUL_SHUTDOWN, "graceful-shutdown"),
        (WellKnown::STALE, "stale"),
        (WellKnown::FAIL_CLOSED, "fail-closed"),
    ] {
        row(&bit.to_string(), name);
    }
    for (bit, name) in [
        (Capabilities::REFRESH, "refresh"),
        (Capabilities::INTEREST, "interest"),
        (Capabilities::INTERESTED, "interested"),
    ] {
        row(&bit.to_string(), name);
    }
    for (refresh, name) in [(Refresh::REQUEST, "request"), (Refresh::BEGIN, "begin"), (Refresh::END, "end")] {
        row(&refresh.kind.to_string(), name);
    }
    for (health, name) in [(Health::Up, "up"), (Health::Down, "down")] {
        row(&(health as u8).to_string(), name);
    }
}

#[test]
fn the_limits() {
    for (name, limit) in [
        ("FRAME_BODY", Limits::FRAME_BODY),
        ("ENTRY", Limits::ENTRY),
        ("ORG_PATH", Limits::ORG_PATH),
        ("NODE_PATH", Limits::NODE_PATH),
        ("TAGS", Limits::TAGS),
        ("TAG", Limits::TAG),
        ("ATTESTATION", Limits::ATTESTATION),
        ("UNKNOWN", Limits::UNKNOWN),
        ("REASON", Limits::REASON),
        ("DOCUMENT", Limits::DOCUMENT),
        ("INTEREST", Limits::INTEREST),
        ("INTEREST_BYTES", Limits::INTEREST_BYTES),
        ("MESH_ADDRESS", Limits::MESH_ADDRESS),
        ("LABEL", NameLimits::LABEL),
        ("ORG", NameLimits::ORG),
        ("SERVICE", NameLimits::SERVICE),
    ] {
        row(name, &limit.to_string());
    }
}
