use std::path::Path;

use catalyst_config::{Build, Compiled, Config, from_text};
use catalyst_names::ServiceLabel;
use catalyst_store::{MemoryStore, Store, Table};

use super::Overlay;
use crate::admin::ServiceSpec;

fn config() -> Config {
    let text = r#"{"version":1,"org":"acme.example","node":"edge-1","services":[
        {"name":"inventory","protocol":"http","target":"127.0.0.1:8080"},
        {"name":"orders","protocol":"http","target":"127.0.0.1:8081"}]}"#;
    from_text(Some((text, Path::new("catalyst.json"))), &[], &[], Build::Cloud, &Compiled::CLOUD).unwrap()
}

fn label(text: &str) -> ServiceLabel {
    text.parse().unwrap()
}

fn spec(name: &str, target: &str) -> ServiceSpec {
    ServiceSpec {
        name: label(name),
        protocol: "tcp".parse().unwrap(),
        target: target.into(),
        cost: 0,
        weight: 100,
        tags: Vec::new(),
        fail_closed: false,
    }
}

fn listed(overlay: &Overlay) -> Vec<(String, String)> {
    let mut all: Vec<_> =
        overlay.services(&config()).into_iter().map(|s| (s.name.to_string(), s.target)).collect();
    all.sort();
    all
}

#[test]
fn changes_survive_a_restart() {
    let store = MemoryStore::new();
    let mut overlay = Overlay::load(&store).unwrap();
    overlay.add(spec("db", "127.0.0.1:5432")).run(&store).unwrap();
    overlay.add(spec("orders", "127.0.0.1:9999")).run(&store).unwrap();
    overlay.remove(&label("inventory"), true).run(&store).unwrap();
    let again = Overlay::load(&store).unwrap();
    assert_eq!(again, overlay);
    let want = [("db", "127.0.0.1:5432"), ("orders", "127.0.0.1:9999")];
    assert_eq!(listed(&again), want.map(|(n, t)| (n.to_string(), t.to_string())));
    assert!(!again.is_of_file(&label("db")));
}

#[test]
fn what_was_taken_back_is_as_the_file_has_it() {
    let store = MemoryStore::new();
    let mut overlay = Overlay::load(&store).unwrap();
    overlay.remove(&label("inventory"), true).run(&store).unwrap();
    overlay.add(spec("inventory", "127.0.0.1:1")).run(&store).unwrap();
    overlay.add(spec("db", "127.0.0.1:5432")).run(&store).unwrap();
    overlay.remove(&label("db"), false).run(&store).unwrap();
    let again = Overlay::load(&store).unwrap();
    assert_eq!(again, overlay);
    assert_eq!(listed(&again).len(), 2);
}

#[test]
fn a_row_that_does_not_decode_is_left_out() {
    let store = MemoryStore::new();
    store.put(Table::new("services"), b"db", b"not json").unwrap();
    store.put(Table::new("services"), b"../etc", br#"{"removed":null}"#).unwrap();
    assert_eq!(Overlay::load(&store).unwrap(), Overlay::default());
}
