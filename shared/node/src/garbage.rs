//! Whatever comes in, nothing panics: everything that the node reads from outside or from its disk, damaged and made up.
//!
//! Frames, certificates, tokens, configurations and messages of HTTP have such tests in the crates that read them.

use std::path::Path;

use async_channel::bounded;
use catalyst_config::{Build, Compiled, Config, from_text};
use catalyst_identity::OrgRoot;
use catalyst_store::{MemoryStore, Store, Table};
use catalyst_wire::Trust;
use futures_lite::future::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::caller::Caller;
use crate::disagreement::difference;
use crate::enrolment::{Greeting, Question, Reply, hex, secret};
use crate::exposes::Exposes;
use crate::overlay::Overlay;
use crate::peers::Peers;
use crate::remember::Remembered;
use crate::revocations::Revocations;
use crate::rules::Rules;

/// What a client of the admin socket says.
const REQUESTS: &[&str] = &[
    r#"{"v":1,"do":"status"}"#,
    r#"{"v":1,"do":"routes","service":"web.acme.example"}"#,
    r#"{"v":1,"do":"service-add","service":{"name":"db","target":"127.0.0.1:5432","protocol":"http:grpc","cost":3,"weight":7,"tags":["acme.example:gold"],"fail_closed":true}}"#,
    r#"{"v":1,"do":"peer-add","peer":{"node":"gw","org":"globex.example","address":"gw.globex.example:7443","profile":"wan","bundle":"-----BEGIN CERTIFICATE-----\n","agreement":"{}"}}"#,
    r#"{"v":1,"do":"expose-add","expose":{"service":"db.acme.example","listen":"127.0.0.1:0","port":"udp"}}"#,
    r#"{"v":1,"do":"rule-add","rule":{"direction":"export","service":"*.*","org":"*"}}"#,
    r#"{"v":1,"do":"policy-apply","etag":"0a","rules":{"exports":[{"name":"a","service":"o*","to":"*","path":["x.example","**"],"set":{"cost":1,"del_tags":["*"]},"action":"reject"}],"imports":[]}}"#,
    r#"{"v":1,"do":"watch","pattern":"o*.acme.example","changes_only":true}"#,
    r#"{"v":1,"do":"drain","deadline_s":60,"stay":true}"#,
];

/// What the two sides of an enrolment say.
const ENROLMENT: &[&str] = &[
    r#"{"v":1,"bundle":"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n","now":1767225600}"#,
    r#"{"v":1,"token":{"id":"0011223344556677","secret":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},"csr":"-----BEGIN"}"#,
    r#"{"v":1,"chain":"-----BEGIN","node":"cloud-1.acme.example"}"#,
    r#"{"v":1,"error":"no"}"#,
];

const AGREEMENT: &str = r#"{"parties":[{"contact":"ops@acme.example","org":"acme.example","role":"provider"},{"org":"globex.example","role":"customer","max_services":100}],"version":1}"#;

/// Rows of the store: the table, the key, and what stands there.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "services",
        "db",
        r#"{"added":{"name":"db","protocol":"tcp","target":"127.0.0.1:1","cost":0,"weight":1,"tags":[]}}"#,
    ),
    ("services", "web", r#""removed""#),
    (
        "peers",
        "right.acme.example",
        r#"{"added":{"node":"right","org":"acme.example","address":"127.0.0.1:7443","profile":"lan"}}"#,
    ),
    ("exposes", "k", r#"[{"service":"db.acme.example","listen":"127.0.0.1:9001","port":"tcp"},"added"]"#),
    ("rules", "k", r#"[{"direction":"export","service":"db","org":"*"},"added"]"#),
    (
        "rules",
        "lists",
        r#"{"v":1,"file":"","lists":{"exports":[{"name":"a","service":"db","to":"*","set":{"cost":7}}],"imports":[]}}"#,
    ),
    ("node", "revocations", "\u{9}\0\0\u{4}"),
];

fn config(state_dir: &Path) -> Config {
    let text = format!(
        r#"{{"version":1,"org":"acme.example","node":"one","state_dir":"{}",
            "services":[{{"name":"web","protocol":"tcp","target":"127.0.0.1:9"}}]}}"#,
        state_dir.display()
    );
    from_text(Some((&text, Path::new("catalyst.json"))), &[], &[], Build::Cloud, &Compiled::CLOUD).unwrap()
}

/// How many services, neighbours, local ports and export rules there are with this store.
fn load(store: &dyn Store, state_dir: &Path) -> [usize; 4] {
    let mut config = config(state_dir);
    let overlay = Overlay::load(store).unwrap();
    Peers::load(store, &mut config).unwrap();
    Exposes::load(store, &mut config).unwrap();
    Rules::load(store, &mut config).unwrap();
    Revocations::load(store, &config.org).unwrap();
    let services = overlay.services(&config);
    services.iter().for_each(|spec| drop(crate::overlay::local(spec)));
    [services.len(), config.peers.len(), config.expose.len(), config.exports.len()]
}

fn store(rows: &[(&'static str, Vec<u8>, Vec<u8>)]) -> MemoryStore {
    let store = MemoryStore::new();
    for (table, key, row) in rows {
        store.put(Table::new(table), key, row).unwrap();
    }
    store
}

fn good_rows() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    ROWS.iter().map(|(table, key, row)| (*table, key.as_bytes().to_vec(), row.as_bytes().to_vec())).collect()
}

/// The corpus is of use only as long as what is good in it is taken.
#[test]
fn what_is_good_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load(&store(&good_rows()), dir.path()), [1, 1, 1, 2]);
    for request in REQUESTS {
        assert_eq!(asked(request.as_bytes()), "the node is stopping", "{request}");
    }
    let [greeting, question, chain, refused] = ENROLMENT else { panic!() };
    assert!(serde_json::from_str::<Greeting>(greeting).is_ok());
    assert!(
        serde_json::from_str::<Question>(question).is_ok_and(|q| secret(&q.token.unwrap().secret).is_some())
    );
    assert!(serde_json::from_str::<Reply>(chain).is_ok_and(|r| r.node.is_some()));
    assert!(serde_json::from_str::<Reply>(refused).is_ok_and(|r| r.error.is_some()));
    assert!(difference(AGREEMENT, &AGREEMENT.replace("100", "99")).contains("max_services"));
    let text = String::from_utf8(remembered()).unwrap();
    assert_eq!(remembers(text.as_bytes(), dir.path()), 1, "{text}");
}

/// The error that a request is answered with; what is well-formed finds that there is no engine.
fn asked(line: &[u8]) -> String {
    let (engine, _) = bounded(1);
    let _ = crate::serve::watched(line);
    let reply = block_on(crate::serve::answer(line, Caller::default(), &engine));
    let text = serde_json::to_string(&reply).unwrap();
    let reply: serde_json::Value = serde_json::from_str(&text).unwrap();
    reply["error"].as_str().unwrap().to_owned()
}

/// What a node writes of its routes.
fn remembered() -> Vec<u8> {
    let row = serde_json::json!({
        "service": "web.acme.example", "origin": "o", "protocol": "tcp", "via": "x.acme.example", "standing": "best",
        "org_path": [], "node_path": [], "local_pref": 400, "cost": 0, "weight": 100, "tags": [], "healthy": true
    });
    let saved = serde_json::json!({ "v": 1, "at": 1, "routes": [row], "peers": ["x.acme.example"] });
    serde_json::to_vec(&saved).unwrap()
}

fn remembers(text: &[u8], dir: &Path) -> usize {
    std::fs::write(dir.join("routes.json"), text).unwrap();
    Remembered::load(dir, 3).rows().0.len()
}

/// Some bytes changed, cut, doubled, or put in from what is telling in JSON.
fn damage(good: &[u8], changes: &[(Index, u8, u8)]) -> Vec<u8> {
    const TELLING: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "-1",
        "1e999",
        "\\ud800",
        "\u{1b}",
        "+",
        "99999999999999999999",
    ];
    let mut bytes = good.to_vec();
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match how % 8 {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, bytes[at / 2..at].to_vec())),
            3 => drop(bytes.splice(at..at, TELLING[usize::from(*byte) % TELLING.len()].bytes())),
            4 => drop(bytes.splice(at..=at, TELLING[usize::from(*byte) % TELLING.len()].bytes())),
            5 => bytes[at] ^= 1 << (byte % 8),
            _ => bytes[at] = *byte,
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn a_request_of_any_bytes_is_answered(good in select(REQUESTS), changes in changes(), noise in vec(any::<u8>(), 0..80)) {
        for line in [damage(good.as_bytes(), &changes), noise] {
            prop_assert!(!asked(&line).is_empty());
        }
    }

    #[test]
    fn an_enrolment_of_any_bytes_is_read_or_not(good in select(ENROLMENT), changes in changes()) {
        let bytes = damage(good.as_bytes(), &changes);
        let _ = serde_json::from_slice::<Greeting>(&bytes);
        let _ = serde_json::from_slice::<Reply>(&bytes);
        if let Ok(Question { token: Some(proof), .. }) = serde_json::from_slice::<Question>(&bytes)
            && let Some(bytes) = secret(&proof.secret)
        {
            prop_assert_eq!(hex(&bytes), proof.secret.to_ascii_lowercase());
        }
    }

    #[test]
    fn a_secret_is_64_digits_and_nothing_else(text in "[0-9a-fA-F]{63,65}", at in 0..63_usize, other in "[0-9+x -]") {
        let mut text = text;
        text.replace_range(at..=at, &other);
        let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        prop_assert_eq!(secret(&text).is_some(), digits, "{}", text);
    }

    #[test]
    fn a_document_that_differs_is_told_in_few_words(ours in changes(), theirs in changes()) {
        let text = |changes: &[_]| String::from_utf8_lossy(&damage(AGREEMENT.as_bytes(), changes)).into_owned();
        for (ours, theirs) in [(AGREEMENT.to_owned(), text(&theirs)), (text(&ours), text(&theirs))] {
            prop_assert!(difference(&ours, &theirs).len() <= 620);
        }
    }

    #[test]
    fn an_answer_of_any_bytes_has_a_status_or_none(changes in changes(), noise in any::<[u8; 12]>()) {
        let mut damaged = damage(b"HTTP/1.1 200", &changes);
        damaged.resize(12, b'0');
        for head in [<[u8; 12]>::try_from(damaged).unwrap(), noise] {
            prop_assert!(crate::services::probe::status(&head).is_none_or(|code| code <= 999));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_store_with_damaged_rows_is_loaded_without_them(at in any::<Index>(), changes in changes(), key in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = good_rows();
        let (_, name, row) = &mut rows[at.index(ROWS.len())];
        let part = if key { name } else { row };
        *part = damage(part, &changes);
        prop_assume!(!part.is_empty());
        let found = load(&store(&rows), dir.path());
        // One row decides about one thing more or less.
        prop_assert!(found.iter().zip([1, 1, 1, 2]).all(|(found, good)| found.abs_diff(good) <= 1), "{found:?}");
    }

    #[test]
    fn routes_of_the_last_run_are_as_good_as_none_when_they_are_damaged(changes in changes(), noise in vec(any::<u8>(), 0..80)) {
        let dir = tempfile::tempdir().unwrap();
        for text in [damage(&remembered(), &changes), noise] {
            prop_assert!(remembers(&text, dir.path()) <= 3);
        }
    }

    #[test]
    fn a_damaged_list_of_revoked_nodes_changes_nothing(changes in changes()) {
        let root = OrgRoot::generate(&"acme.example".parse().unwrap(), 1_800_000_000).unwrap();
        let bundle = root.bundle().unwrap();
        let sign = |b: &[u8]| root.sign_statement(Trust::DOMAIN, b).map_err(|e| e.to_string());
        let list = [("edge-1.acme.example".parse().unwrap(), None)].into_iter().collect();
        let good = Revocations::default().next(root.org(), list, 100, sign).unwrap();
        let own = Revocations::default();
        prop_assert!(own.newer(good.frame(), &bundle).unwrap().is_some());
        let bad = damage(good.frame(), &changes);
        if let Ok(Some(taken)) = own.newer(&bad, &bundle) {
            // What is signed is as it was.
            prop_assert_eq!(taken.list().collect::<Vec<_>>(), good.list().collect::<Vec<_>>());
        }
    }
}
