//! No input panics, and what is accepted is JSON to everyone else too.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use catalyst_config::{Build, Compiled, Config, ConfigErrors, agreement, explain, from_text, key_list};
use proptest::prelude::*;

fn read(text: &str, env: &[(String, String)], sets: &[String], build: Build) -> Result<Config, ConfigErrors> {
    from_text(Some((text, Path::new("catalyst.json"))), env, sets, build, &Compiled::EDGE)
}

const GOOD: &str = include_str!("../../../docs/examples/edge.catalyst.json");
const AGREEMENT: &str = include_str!("../../../docs/examples/acme-globex.agreement.json");

/// Every error has a place and all its words; nothing of the input can write on a terminal.
fn well_formed(errors: &ConfigErrors) {
    assert!(!errors.errors.is_empty());
    for error in &errors.errors {
        assert!(!error.expected.is_empty() && !error.found.is_empty() && !error.place.source.is_empty());
        assert!(error.help.as_ref().is_some_and(|h| !h.is_empty()), "{error}");
        assert!(error.place.position.is_none_or(|(line, column)| line > 0 && column > 0));
    }
    assert!(errors.to_string().chars().all(|c| c == '\n' || !c.is_control()), "{errors}");
}

/// Words that the parsers look for, in an order that makes some sense of them.
fn json_like() -> impl Strategy<Value = String> {
    let words: Vec<String> = [
        "{", "}", "[", "]", ",", ":", "1", "-0.5e3", "null", "true", "\"", "\\", "\\ud800", "\\n", " ", "\n",
        "//", "é", "\u{0}",
    ]
    .iter()
    .map(|w| (*w).to_owned())
    .chain(key_list().iter().map(|k| format!("\"{}\":", k.path.rsplit('.').next().unwrap())))
    .chain(["\"acme.example\"", "\"a\"", "\"127.0.0.1:80\"", "\"[::]:1\"", "\"*\""].map(str::to_owned))
    .collect();
    proptest::collection::vec(proptest::sample::select(words), 0..40).prop_map(|w| w.concat())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f32>().prop_map(|f| serde_json::json!(f)),
        ".{0,8}".prop_map(Into::into),
        proptest::sample::select(vec![
            "acme.example",
            "a",
            "127.0.0.1:80",
            "*",
            "http",
            "wan",
            "x.y",
            "a.b:c"
        ])
        .prop_map(Into::into),
    ];
    let names: Vec<String> =
        key_list().iter().map(|k| k.path.rsplit('.').next().unwrap().to_owned()).collect();
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let name = prop_oneof![4 => proptest::sample::select(names.clone()), 1 => ".{0,4}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map(name, inner, 0..8)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in ".{0,60}") {
        well_formed(&read(&text, &[], &[], Build::Edge).unwrap_err());
        well_formed(&agreement::parse(&text, "agreement.json", None).unwrap_err());
    }

    #[test]
    fn text_made_of_json(text in json_like()) {
        if let Err(errors) = read(&text, &[], &[], Build::Cloud) {
            well_formed(&errors);
            // Errors in what the keys hold, and not in the text itself, come of JSON only.
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert!(errors.errors.iter().any(|e| e.pointer.is_none()) || parsed.is_ok(), "{text:?} {errors}");
        }
    }

    #[test]
    fn any_document(value in json_value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        if let Err(errors) = read(&text, &[], &[], Build::Cloud) {
            well_formed(&errors);
            prop_assert!(errors.errors.iter().all(|e| e.pointer.is_some()), "{errors}");
            // A pointer leads to a value, or to the object that misses a key.
            for error in &errors.errors {
                let pointer = error.pointer.clone().unwrap();
                let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                let shown = |p: &str| p.len() > 40 || p.contains('\\') || value.pointer(p).is_some();
                prop_assert!(shown(&pointer) || shown(parent), "{error}");
            }
        }
    }

    #[test]
    fn a_good_file_damaged(at in 0usize..GOOD.len(), byte in any::<u8>(), cut in any::<bool>()) {
        for good in [GOOD, AGREEMENT] {
            let mut bytes = good.as_bytes().to_vec();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Err(errors) = read(&text, &[], &[], Build::Edge) {
                well_formed(&errors);
            }
            if let Err(errors) = agreement::parse(&text, "agreement.json", None) {
                well_formed(&errors);
            }
        }
    }

    #[test]
    fn any_variable_and_any_flag(
        name in "CATALYST_[A-Z_0-9a-zé]{0,20}",
        path in "[a-z.0-9_]{0,16}",
        key in proptest::sample::select(key_list()),
        value in prop_oneof![".{0,20}".boxed(), json_like().boxed()],
    ) {
        let env = [(name, value.clone()), (key.env.clone(), value.clone())];
        let sets = [format!("{path}={value}"), format!("{}={value}", key.path), format!("{}.{path}={value}", key.path), value.clone()];
        if let Err(errors) = read(GOOD, &env, &sets, Build::Edge) {
            well_formed(&errors);
        }
        let _ = explain(&path);
    }
}

#[test]
fn no_control_character_reaches_a_terminal() {
    let odd: Vec<char> = (0..0xa0)
        .filter_map(char::from_u32)
        .filter(|c| c.is_control())
        .chain(['\u{2028}', '\u{feff}', '\u{202e}'])
        .collect();
    for key in key_list() {
        for c in &odd {
            for value in [
                format!("a{c}b"),
                format!("{c}"),
                format!("\"{c}\""),
                format!("[\"{c}\"]"),
                format!("{{\"{c}\":1}}"),
                format!(":{c}"),
                format!("{c}:1"),
                format!("localhost:{c}"),
                format!("[::1]:{c}"),
                format!("a:{c}"),
            ] {
                let env = [(key.env.clone(), value.clone()), (format!("CATALYST_X{c}"), value.clone())];
                let sets =
                    [format!("{}={value}", key.path), format!("{}.{value}=1", key.path), value.clone()];
                for (env, sets) in [(&env[..], &[][..]), (&[][..], &sets[..])] {
                    if let Err(errors) = read(GOOD, env, sets, Build::Edge) {
                        well_formed(&errors);
                    }
                }
            }
        }
    }
}

/// What the core takes for the address of a mesh port is what can be dialled here.
#[test]
fn the_core_and_the_configuration_know_the_same_addresses() {
    let host =
        |last| [("a", 63), ("b", 63), ("c", 63), ("d", last)].map(|(letter, n)| letter.repeat(n)).join(".");
    let (fit, long) = (format!("{}:1", host(61)), format!("{}:1", host(62)));
    let good =
        ["a:1", "a.b:65535", "a_b.c.:8443", "127.0.0.1:80", "[::1]:80", "[fe80::1]:1", "A-1:00080", &fit];
    let bad = [
        "",
        "a",
        ":1",
        "a:",
        "a:0",
        "a:65536",
        "a:+1",
        "a:1x",
        "-a:1",
        "a-:1",
        "a..b:1",
        ".:1",
        "1.2.3:4",
        "1.2.3.4.5:6",
        "::1:80",
        "[::1]",
        "[::1:80",
        "::1]:80",
        "[a]:80",
        "http://a:80",
        "a b:1",
        "a/b:1",
        &long,
    ];
    for (texts, want) in [(&good[..], true), (&bad[..], false)] {
        for text in texts {
            assert_eq!(catalyst_config::HostPort::parse(text).is_ok(), want, "{text}");
            assert_eq!(catalyst_names::check::is_host_port(text), want, "{text}");
        }
    }
}
