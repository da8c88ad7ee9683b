use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::admin::{ExposeRow, ServiceRow};
use crate::status::tests::{peer, status};

/// A status with a row of every kind, and names that need to be escaped.
fn full() -> Status {
    let mut s = status();
    let health = HealthRow {
        state: "healthy".into(),
        since_s: 1,
        why: String::new(),
        pid: Some(7),
        restarts: 2,
        checks_failed: 3,
    };
    let service = |name: &str| ServiceRow {
        name: name.into(),
        protocol: "tcp".into(),
        target: "127.0.0.1:1".into(),
        cost: 0,
        weight: 1,
        tags: Vec::new(),
        source: "file".into(),
        exported_to: Vec::new(),
        carried: (11, 22),
        health: Some(health.clone()),
    };
    let port = |name: &str| ExposeRow {
        source: "file".to_string(),
        service: name.into(),
        listen: "127.0.0.1:1".into(),
        port: "tcp".into(),
        protocol: "tcp".into(),
        state: "reachable".into(),
        carried: Some((33, 44)),
    };
    s.version = "0 \"odd\\ \n".into();
    s.peers = vec![peer("up", "x:1", ""), peer("down", "y:1", "")];
    s.peers[1].name = "cloud-2.acme.example".into();
    s.services = vec![service("a.acme.example"), service("both.acme.example")];
    s.expose = vec![port("both.acme.example"), port("b.acme.example"), port("b.acme.example")];
    s.carried = (100, 200);
    s
}

fn is_name(text: &str, more: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || more.contains(c);
    !text.is_empty() && text.chars().all(good) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// The labels of a sample, as text format 0.0.4 wants them.
fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(is_name(name, ""), "label {name}");
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => match chars.next().unwrap().1 {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    c => panic!("\\{c} in {text}"),
                },
                (_, c) => value.push(c),
            }
        };
        assert!(all.insert(name.to_string(), value).is_none(), "{name} twice");
        text = rest[end + 1..].strip_prefix(',').unwrap_or(&rest[end + 1..]);
    }
    all
}

/// Reads a page by the rules that `promtool check metrics` judges by; panics where one is broken.
fn lint(page: &str) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut family, mut helped) = (String::new(), String::new());
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.trim().is_empty() && help.ends_with('.'), "{line}");
            helped = name.to_string();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP, then TYPE");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(is_name(name, ":") && !name.contains("__"), "{line}");
            assert!(name.starts_with("catalyst_") || name.starts_with("process_"), "{line}");
            for unit in ["_ms", "_kb", "_minutes", "_milliseconds", "_kilobytes", "_mb", "_percent"] {
                assert!(!name.trim_end_matches("_total").ends_with(unit), "base units: {line}");
            }
            assert!(families.insert(name.to_string()), "a family twice: {line}");
            family = name.to_string();
        } else {
            assert!(!line.is_empty() && !line.starts_with('#'), "{line}");
            let (name, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match name.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap())),
                None => (name, BTreeMap::new()),
            };
            assert_eq!(name, family, "samples follow their family");
            let value: f64 = value.parse().unwrap();
            assert!(samples.insert((name.to_string(), labels), value).is_none(), "twice: {line}");
        }
    }
    samples
}

#[test]
fn the_page_keeps_every_rule_of_the_format() {
    let page = text(&full());
    let samples = lint(&page);
    let of = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
        samples.get(&(name.to_string(), labels.collect())).copied()
    };
    let bytes = |service: &str, direction: &str| {
        of("catalyst_service_bytes_total", &[("service", service), ("direction", direction)])
    };
    assert_eq!(bytes("a.acme.example", "to_service"), Some(11.0));
    assert_eq!(bytes("b.acme.example", "from_service"), Some(44.0));
    assert_eq!(bytes("both.acme.example", "to_service"), Some(33.0));
    assert_eq!(of("catalyst_bytes_total", &[("direction", "from_service")]), Some(200.0));
    assert_eq!(
        of(
            "catalyst_node_info",
            &[("node", "edge-1.acme.example"), ("build", "edge"), ("version", "0 \"odd\\ \n")]
        ),
        Some(1.0),
        "{page}"
    );
    assert_eq!(of("catalyst_peer_up", &[("peer", "cloud-2.acme.example")]), Some(0.0));
}

/// This process, seen from within, must agree with what the test can see by itself.
#[test]
fn the_process_is_measured() {
    let value = |name: &str| lint(&text(&status())).get(&(name.to_string(), BTreeMap::new())).copied();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = value("process_start_time_seconds").unwrap();
    assert!(started <= now + 2.0 && started > now - 24.0 * 3600.0, "{started} {now}");
    let before = value("process_open_fds").unwrap();
    let files: Vec<_> = (0..40).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
    assert!(value("process_open_fds").unwrap() >= before + 20.0, "{} opened", files.len());
    let cpu = value("process_cpu_seconds_total").unwrap();
    let spent = std::time::Instant::now();
    while value("process_cpu_seconds_total").unwrap() < cpu + 0.02 {
        assert!(spent.elapsed() < std::time::Duration::from_secs(20), "work takes no time");
    }
    let (resident, whole) = (value("process_resident_memory_bytes"), value("process_virtual_memory_bytes"));
    assert!(resident > Some(1e6) && whole > resident, "{resident:?} {whole:?}");
    assert!(value("process_max_fds") >= Some(64.0));
}

#[cfg(feature = "mesh")]
#[test]
fn envoy_has_figures_where_there_is_one() {
    let mut s = full();
    assert!(!text(&s).contains("catalyst_envoy"));
    let mut row = EnvoyRow { state: "running".into(), restarts: 3, rejected_count: 1, ..EnvoyRow::default() };
    row.xds.connected = true;
    row.xds.nacks = 4;
    row.xds.resources = [("cluster".to_owned(), 9)].into();
    s.envoy = Some(Box::new(row));
    let page = text(&s);
    lint(&page);
    for line in [
        "catalyst_envoy_up 1",
        "catalyst_envoy_restarts_total 3",
        "catalyst_envoy_nacks_total 4",
        "catalyst_envoy_rejected 1",
        "catalyst_envoy_resources{kind=\"cluster\"} 9",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}
