//! The walk of `docs/dataplane.md`, with two real Envoys.

use std::fs;
use std::time::Duration;

use crate::walk::{Walk, blocks};
use crate::{page, said};

#[test]
fn a_request_from_envoy_to_envoy() {
    assert!(
        std::env::var_os("CATALYST_ENVOY").is_some(),
        "CATALYST_ENVOY must name an Envoy: 'cargo xtask envoy fetch' gets one and prints its path"
    );
    let mut walk = Walk::new();
    let (acme, globex) = (walk.host("acme"), walk.host("globex"));
    walk.world.wire((acme, "10.4.0.1"), (globex, "10.4.0.2"));
    walk.world.name("gateway.acme.example", "10.4.0.1");
    walk.world.name("gateway.globex.example", "10.4.0.2");
    page(&walk.home("acme"));
    let all = walk.walk(&blocks("dataplane.md", "A request from Envoy to Envoy"));
    assert_eq!(said(&all, "curl"), "the first byte\n");
    let config = fs::read_to_string(walk.home("acme").join("catalyst.json")).unwrap();
    assert!(config.contains("gateway.acme.example:8443"), "{config}");
    // The export is gone at the end of the walk, and so is what it allowed.
    let asked = "! curl -fsS -m 2 -H 'Host: orders.acme.example' http://127.0.0.1:8080/";
    walk.world.until(globex, asked, Duration::from_secs(5));
}
