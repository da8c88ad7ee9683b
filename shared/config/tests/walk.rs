//! Every key of the table, by file, by flag and by variable, reaches the typed configuration.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use catalyst_config::{
    Build, Check, CheckKind, Compiled, Config, PathKind, Run, agreement_schema_json, explain, from_text,
    key_list, schema_json,
};
use serde_json::{Value, json};

type Reach = fn(&Config) -> String;

fn run(config: &Config) -> &Run {
    config.services[0].run.as_ref().unwrap()
}

fn check(config: &Config) -> &Check {
    config.services[0].check.as_ref().unwrap()
}

fn envoy(config: &Config) -> &catalyst_config::Envoy {
    config.envoy.as_ref().unwrap()
}

fn https(config: &Config) -> &catalyst_config::Https {
    config.https.as_ref().unwrap()
}

/// For each key: a value that is not its default, as JSON, and how the typed configuration shows it.
fn samples() -> Vec<(&'static str, Value, Reach, &'static str)> {
    vec![
        ("version", json!(1), |_| "1".into(), "1"),
        ("org", json!("initech.example"), |c| c.org.to_string(), "initech.example"),
        ("node", json!("n-9"), |c| c.node.to_string(), "n-9"),
        ("state_dir", json!("/var/lib/x"), |c| c.state_dir.display().to_string(), "/var/lib/x"),
        (
            "identity",
            json!({ "key": "k", "certificate": "c", "bundle": "b" }),
            |c| {
                format!(
                    "{:?}",
                    c.paths()[1..4].iter().map(|p| p.path.display().to_string()).collect::<Vec<_>>()
                )
            },
            r#"["etc/k", "etc/c", "etc/b"]"#,
        ),
        ("identity.key", json!("my.key"), |c| c.identity.key.display().to_string(), "etc/my.key"),
        (
            "identity.certificate",
            json!("my.crt"),
            |c| c.identity.certificate.display().to_string(),
            "etc/my.crt",
        ),
        ("identity.bundle", json!("/b.pem"), |c| c.identity.bundle.display().to_string(), "/b.pem"),
        ("authority", json!({ "lifetime_s": 5 }), |c| c.authority.lifetime_s.to_string(), "5"),
        (
            "authority.root",
            json!("root"),
            |c| c.authority.root.as_ref().map_or("-".into(), |r| r.display().to_string()),
            "etc/root",
        ),
        (
            "authority.address",
            json!("ca.example:7"),
            |c| c.authority.address.as_ref().map_or("-".into(), ToString::to_string),
            "ca.example:7",
        ),
        ("authority.lifetime_s", json!(77), |c| c.authority.lifetime_s.to_string(), "77"),
        ("listen", json!("[::1]:7000"), |c| c.listen.unwrap().to_string(), "[::1]:7000"),
        ("admin", json!({ "socket": "s" }), |c| c.admin.socket.display().to_string(), "etc/s"),
        ("admin.socket", json!("/run/a.sock"), |c| c.admin.socket.display().to_string(), "/run/a.sock"),
        ("profile", json!("lan"), |c| c.profile.as_str().into(), "lan"),
        ("stale_max_s", json!(60), |c| c.stale_max_s.to_string(), "60"),
        ("flap", json!({ "changes": 7 }), |c| c.flap.changes.to_string(), "7"),
        ("flap.changes", json!(8), |c| c.flap.changes.to_string(), "8"),
        ("flap.window_s", json!(9), |c| c.flap.window_s.to_string(), "9"),
        ("flap.rest_s", json!(10), |c| c.flap.rest_s.to_string(), "10"),
        ("log", json!("debug"), |c| c.log.as_str().into(), "debug"),
        ("sandbox", json!("require"), |c| c.sandbox.as_str().into(), "require"),
        ("threads", json!(3), |c| c.threads.map_or("-".into(), |t| t.to_string()), "3"),
        (
            "metrics",
            json!({ "listen": "127.0.0.1:9" }),
            |c| c.metrics.map_or("-".into(), |m| m.to_string()),
            "127.0.0.1:9",
        ),
        (
            "metrics.listen",
            json!("[::1]:94"),
            |c| c.metrics.map_or("-".into(), |m| m.to_string()),
            "[::1]:94",
        ),
        ("peers", json!([{ "node": "p" }]), |c| c.peers[0].node.to_string(), "p"),
        ("peers.0.node", json!("q"), |c| c.peers[0].node.to_string(), "q"),
        ("peers.0.org", json!("hooli.example"), |c| c.peers[0].org.to_string(), "hooli.example"),
        (
            "peers.0.address",
            json!("h.example:1"),
            |c| c.peers[0].address.as_ref().unwrap().to_string(),
            "h.example:1",
        ),
        (
            "peers.0.bundle",
            json!("h.pem"),
            |c| c.peers[0].foreign.as_ref().unwrap().bundle.display().to_string(),
            "etc/h.pem",
        ),
        (
            "peers.0.agreement",
            json!("h.json"),
            |c| c.peers[0].foreign.as_ref().unwrap().agreement.display().to_string(),
            "etc/h.json",
        ),
        ("peers.0.profile", json!("satellite"), |c| c.peers[0].profile.as_str().into(), "satellite"),
        ("peers.0.restart_s", json!(7), |c| c.peers[0].restart_s.unwrap_or(0).to_string(), "7"),
        ("peers.0.transport", json!("tcp"), |c| c.peers[0].transport.as_str().into(), "tcp"),
        (
            "services",
            json!([{ "name": "s", "protocol": "udp", "target": "t:1" }]),
            |c| format!("{} {}", c.services[0].name, c.services.len()),
            "s 1",
        ),
        ("services.0.name", json!("other"), |c| c.services[0].name.to_string(), "other"),
        ("services.0.protocol", json!("http:gql"), |c| c.services[0].protocol.to_string(), "http:graphql"),
        ("services.0.target", json!("[::1]:81"), |c| c.services[0].target.to_string(), "[::1]:81"),
        ("services.0.cost", json!(7), |c| c.services[0].cost.to_string(), "7"),
        ("services.0.weight", json!(0), |c| c.services[0].weight.to_string(), "0"),
        (
            "services.0.tags",
            json!(["b.c:z", "b.c:a", "b.c:z"]),
            |c| c.services[0].tags.join(" "),
            "b.c:a b.c:z",
        ),
        ("services.0.on_stale", json!("fail_closed"), |c| c.services[0].fail_closed.to_string(), "true"),
        ("services.0.run", json!({ "command": ["other", "x"] }), |c| run(c).command.join(" "), "other x"),
        (
            "services.0.run.command",
            json!(["a b", "c"]),
            |c| format!("{:?}", run(c).command),
            r#"["a b", "c"]"#,
        ),
        (
            "services.0.run.env",
            json!(["PORT=80", "SECRET=a=b"]),
            |c| format!("{:?} {:?}", run(c).env, run(c).env.0),
            r#"["PORT", "SECRET"] ["PORT=80", "SECRET=a=b"]"#,
        ),
        ("services.0.run.directory", json!("www"), |c| run(c).directory.display().to_string(), "etc/www"),
        ("services.0.run.restart", json!("on-failure"), |c| run(c).restart.as_str().into(), "on-failure"),
        ("services.0.run.stop_grace_ms", json!(7), |c| run(c).stop_grace_ms.to_string(), "7"),
        ("services.0.check", json!({ "type": "tcp" }), |c| format!("{:?}", check(c).kind), "Tcp"),
        ("services.0.check.type", json!("tcp"), |c| format!("{:?}", check(c).kind), "Tcp"),
        (
            "services.0.check.path",
            json!("/up?now"),
            |c| format!("{:?}", check(c).kind),
            r#"Http { path: "/up?now" }"#,
        ),
        (
            "services.0.check.command",
            json!(["probe", "-q"]),
            |c| match &check(c).kind {
                CheckKind::Exec { command, directory, .. } => format!("{command:?} {}", directory.display()),
                other => format!("{other:?}"),
            },
            r#"["probe", "-q"] etc"#,
        ),
        ("services.0.check.interval_ms", json!(100), |c| check(c).interval_ms.to_string(), "100"),
        ("services.0.check.timeout_ms", json!(10), |c| check(c).timeout_ms.to_string(), "10"),
        ("services.0.check.rise", json!(9), |c| check(c).rise.to_string(), "9"),
        ("services.0.check.fall", json!(8), |c| check(c).fall.to_string(), "8"),
        (
            "exports",
            json!([{ "service": "*", "to": "globex.example" }]),
            |c| c.exports[0].service.to_string(),
            "*",
        ),
        ("exports.0.service", json!("x*.*"), |c| c.exports[0].service.to_string(), "x*.*"),
        ("exports.0.to", json!("globex.example"), |c| c.exports[0].neighbour.to_string(), "globex.example"),
        ("exports.0.name", json!("first"), |c| c.exports[0].name.clone(), "first"),
        ("exports.0.protocol", json!("udp"), |c| format!("{:?}", c.exports[0].protocol), "Some(Udp)"),
        ("exports.0.tag", json!("a.b:c"), |c| c.exports[0].tag.as_ref().unwrap().to_string(), "a.b:c"),
        ("exports.0.origin", json!("a.b"), |c| c.exports[0].origin.as_ref().unwrap().to_string(), "a.b"),
        (
            "exports.0.path",
            json!(["a.b", "**"]),
            |c| c.exports[0].path.as_ref().unwrap().to_string(),
            "a.b **",
        ),
        ("exports.0.set", json!({ "cost": 4 }), |c| format!("{:?}", c.exports[0].set.cost), "Some(4)"),
        ("exports.0.set.cost", json!(5), |c| format!("{:?}", c.exports[0].set.cost), "Some(5)"),
        ("exports.0.set.add_tags", json!(["a.b:c"]), |c| c.exports[0].set.add_tags[0].to_string(), "a.b:c"),
        ("exports.0.set.del_tags", json!(["*"]), |c| format!("{:?}", c.exports[0].set.del_tags), "All"),
        ("exports.0.action", json!("reject"), |c| format!("{:?}", c.exports[0].action), "Reject"),
        (
            "imports",
            json!([{ "service": "*", "from": "globex.example" }]),
            |c| c.imports[0].service.to_string(),
            "*",
        ),
        ("imports.0.service", json!("y"), |c| c.imports[0].service.to_string(), "y"),
        ("imports.0.from", json!("globex.example"), |c| c.imports[0].neighbour.to_string(), "globex.example"),
        ("imports.0.name", json!("first"), |c| c.imports[0].name.clone(), "first"),
        ("imports.0.protocol", json!("udp"), |c| format!("{:?}", c.imports[0].protocol), "Some(Udp)"),
        ("imports.0.tag", json!("a.b:c"), |c| c.imports[0].tag.as_ref().unwrap().to_string(), "a.b:c"),
        ("imports.0.origin", json!("a.b"), |c| c.imports[0].origin.as_ref().unwrap().to_string(), "a.b"),
        ("imports.0.path", json!(["*"]), |c| c.imports[0].path.as_ref().unwrap().to_string(), "*"),
        ("imports.0.set", json!({ "cost": 4 }), |c| format!("{:?}", c.imports[0].set.cost), "Some(4)"),
        (
            "imports.0.set.local_pref",
            json!(250),
            |c| format!("{:?}", c.imports[0].set.local_pref),
            "Some(250)",
        ),
        ("imports.0.set.cost", json!(5), |c| format!("{:?}", c.imports[0].set.cost), "Some(5)"),
        ("imports.0.set.add_tags", json!(["a.b:c"]), |c| c.imports[0].set.add_tags[0].to_string(), "a.b:c"),
        (
            "imports.0.set.del_tags",
            json!(["a.b:c"]),
            |c| format!("{:?}", c.imports[0].set.del_tags),
            "These([Tag(\"a.b:c\")])",
        ),
        ("imports.0.action", json!("reject"), |c| format!("{:?}", c.imports[0].action), "Reject"),
        ("interest", json!(["b.c.d", "*.a"]), |c| c.interest.as_ref().unwrap().join(" "), "b.c.d *.a"),
        (
            "expose",
            json!([{ "service": "a.b", "listen": "127.0.0.1:0" }]),
            |c| c.expose[0].listen.to_string(),
            "127.0.0.1:0",
        ),
        (
            "expose.0.service",
            json!("o.globex.example"),
            |c| c.expose[0].service.to_string(),
            "o.globex.example",
        ),
        ("expose.0.listen", json!("127.0.0.1:9999"), |c| c.expose[0].listen.to_string(), "127.0.0.1:9999"),
        ("expose.0.protocol", json!("udp"), |c| c.expose[0].protocol.to_string(), "udp"),
        ("expose_ports", json!("9100-9107"), |c| c.expose_ports.to_string(), "9100-9107"),
        (
            "http",
            json!({ "listen": "127.0.0.1:80" }),
            |c| c.http.map_or("-".into(), |h| h.to_string()),
            "127.0.0.1:80",
        ),
        ("http.listen", json!("[::1]:81"), |c| c.http.map_or("-".into(), |h| h.to_string()), "[::1]:81"),
        (
            "https",
            json!({ "listen": "127.0.0.1:82", "certificate": "w.crt", "key": "w.key" }),
            |c| https(c).listen.to_string(),
            "127.0.0.1:82",
        ),
        ("https.listen", json!("[::1]:83"), |c| https(c).listen.to_string(), "[::1]:83"),
        (
            "https.certificate",
            json!("/other.crt"),
            |c| https(c).certificate.display().to_string(),
            "/other.crt",
        ),
        ("https.key", json!("/other.key"), |c| https(c).key.display().to_string(), "/other.key"),
        ("envoy", json!({ "mode": "external" }), |c| envoy(c).mode.as_str().into(), "external"),
        ("envoy.mode", json!("external"), |c| envoy(c).mode.as_str().into(), "external"),
        (
            "envoy.path",
            json!("bin/envoy"),
            |c| envoy(c).path.as_ref().map_or("-".into(), |p| p.display().to_string()),
            "etc/bin/envoy",
        ),
        ("envoy.workers", json!(3), |c| format!("{:?}", envoy(c).workers), "Some(3)"),
        ("envoy.listen", json!("127.0.0.1:84"), |c| envoy(c).listen.to_string(), "127.0.0.1:84"),
        (
            "envoy.address",
            json!("gw.example:84"),
            |c| envoy(c).address.as_ref().map_or("-".into(), ToString::to_string),
            "gw.example:84",
        ),
        ("limits", json!({ "routes": 5 }), |c| c.limits.routes.to_string(), "5"),
        ("limits.routes", json!(11), |c| c.limits.routes.to_string(), "11"),
        ("limits.peers", json!(12), |c| c.limits.peers.to_string(), "12"),
        ("limits.services", json!(13), |c| c.limits.services.to_string(), "13"),
        ("limits.flows", json!(14), |c| c.limits.flows.to_string(), "14"),
        ("limits.udp_flows", json!(17), |c| c.limits.udp_flows.to_string(), "17"),
        ("limits.udp_idle_s", json!(18), |c| c.limits.udp_idle_s.to_string(), "18"),
        ("limits.routes_per_peer", json!(15), |c| c.limits.routes_per_peer.to_string(), "15"),
        ("limits.bytes_per_peer", json!(19), |c| c.limits.bytes_per_peer.to_string(), "19"),
        ("limits.expose", json!(16), |c| c.limits.expose.to_string(), "16"),
        ("limits.window", json!(70_000), |c| c.limits.window.to_string(), "70000"),
        ("limits.http_clients", json!(17), |c| c.limits.http_clients.to_string(), "17"),
    ]
}

/// A file with an element in every list, so that keys of elements can be set alone.
fn base() -> Value {
    json!({
        "version": 1, "org": "acme.example", "node": "edge-1", "listen": "0.0.0.0:7443",
        "peers": [
            { "node": "gw", "org": "globex.example", "bundle": "g.pem", "agreement": "g.json" },
            { "node": "gw-2", "org": "globex.example", "bundle": "g.pem", "agreement": "g.json" }
        ],
        "services": [{ "name": "inventory", "protocol": "http", "target": "127.0.0.1:8080",
            "run": { "command": ["server"] }, "check": { "type": "http" } }],
        "exports": [{ "service": "inventory", "to": "globex.example" }],
        "imports": [{ "service": "orders", "from": "globex.example" }],
        "expose": [{ "service": "orders.globex.example", "listen": "127.0.0.1:9001" }]
    })
}

fn read(file: &Value, env: &[(String, String)], sets: &[String]) -> Config {
    let text = serde_json::to_string_pretty(file).unwrap();
    from_text(Some((&text, Path::new("etc/catalyst.json"))), env, sets, Build::Cloud, &Compiled::CLOUD)
        .unwrap_or_else(|e| panic!("{e}\n{env:?} {sets:?}\n{text}"))
}

/// Rules refer to peers: whoever replaces all peers drops the rules.
fn base_for(path: &str) -> Value {
    let mut file = base();
    if path == "peers" || path == "org" {
        for list in ["exports", "imports"] {
            file.as_object_mut().unwrap().remove(list);
        }
    }
    if path.starts_with("https") {
        file["envoy"] = json!({ "mode": "managed" });
    }
    if path.starts_with("https.") {
        file["https"] = json!({ "listen": "127.0.0.1:85", "certificate": "w.crt", "key": "w.key" });
    }
    if path == "services.0.check.command" {
        file["services"][0]["check"] = json!({ "type": "exec", "command": ["test"] });
    }
    file
}

fn put(file: &mut Value, path: &str, value: Value) {
    let mut here = file;
    for step in path.split('.') {
        here = match step.parse::<usize>() {
            Ok(i) => &mut here[i],
            Err(_) => {
                if here.is_null() {
                    *here = json!({});
                }
                &mut here[step]
            }
        };
    }
    *here = value;
}

/// As a person writes it: text bare, everything else as JSON.
fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn every_key_has_a_sample_here() {
    let keys: Vec<String> = key_list().into_iter().map(|k| k.path).collect();
    let here: Vec<String> = samples().into_iter().map(|s| s.0.to_owned()).collect();
    assert_eq!(keys, here);
}

#[test]
fn every_key_reaches_the_configuration_from_file_flag_and_variable() {
    let schema: Value = serde_json::from_str(&schema_json()).unwrap();
    for (info, (path, value, reach, expected)) in key_list().into_iter().zip(samples()) {
        let start = base_for(path);
        if path != "version" {
            let before = std::panic::catch_unwind(|| reach(&read(&start, &[], &[])));
            assert_ne!(
                before.ok().as_deref(),
                Some(expected).filter(|_| !SAME.contains(&path)),
                "{path}: not told apart"
            );
        }
        let mut file = start.clone();
        put(&mut file, path, value.clone());
        assert_eq!(reach(&read(&file, &[], &[])), expected, "{path} in the file");
        for text in [bare(&value), value.to_string()] {
            let set = format!("{path}={text}");
            assert_eq!(reach(&read(&start, &[], &[set])), expected, "{path} by flag: {text}");
            let variable = (info.env.clone(), text);
            assert_eq!(reach(&read(&start, &[variable], &[])), expected, "{path} by variable {}", info.env);
        }
        assert!(in_schema(&schema, path, &value), "{path} in the schema");
        assert!(explain(path).unwrap().contains(info.doc), "{path}");
    }
}

/// Keys whose sample must equal the base's value, as another would not fit the rest.
const SAME: &[&str] = &["exports.0.to", "imports.0.from"];

/// The schema describes the key, and its type admits the sample.
fn in_schema(schema: &Value, path: &str, value: &Value) -> bool {
    let mut here = schema;
    for step in path.split('.') {
        here = if step.parse::<usize>().is_ok() { &here["items"] } else { &here["properties"][step] };
        assert!(here.is_object(), "{path}");
    }
    match here["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object() && here["additionalProperties"] == json!(false),
        _ => here["const"] == *value,
    }
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let mut file = base();
    file["limits"] = json!({ "routes": 1, "peers": 100, "flows": 100 });
    let env =
        [("CATALYST_LIMITS__ROUTES".into(), "2".into()), ("CATALYST_LIMITS__PEERS".into(), "200".into())];
    let config = read(&file, &env, &["limits.routes=3".into(), "limits.routes=4".into()]);
    let limits = config.limits;
    assert_eq!((limits.routes, limits.peers, limits.flows, limits.services), (4, 200, 100, 4_096));
}

#[test]
fn lists_grow_in_the_order_of_their_indices() {
    let env: Vec<(String, String)> = (1..12)
        .rev()
        .flat_map(|i| {
            [("NAME", format!("s-{i}")), ("PROTOCOL", "tcp".into()), ("TARGET", format!("t:{i}"))]
                .map(|(key, value)| (format!("CATALYST_SERVICES__{i}__{key}"), value))
        })
        .collect();
    let config = read(&base(), &env, &[]);
    assert_eq!(config.services.len(), 12);
    assert_eq!((config.services[11].name.as_str(), config.services[11].target.port), ("s-11", 11));
    // A whole list first, then its elements.
    let env = [
        ("CATALYST_EXPOSE__0__LISTEN".into(), "127.0.0.1:5".into()),
        ("CATALYST_EXPOSE".into(), r#"[{"service":"a.b","listen":"127.0.0.1:4"}]"#.into()),
        ("CATALYST_CONFIG".into(), "elsewhere.json".into()),
        ("PATH".into(), "/bin".into()),
    ];
    assert_eq!(read(&base(), &env, &[]).expose[0].listen.port(), 5);
}

#[test]
fn null_takes_a_key_back_to_its_default() {
    let mut file = base();
    file["log"] = json!("debug");
    let config = read(&file, &[], &["log=null".into(), "services=null".into()]);
    assert_eq!((config.log.as_str(), config.services.len()), ("info", 0));
}

#[test]
fn everything_can_come_without_a_file() {
    let sets = ["org=acme.example".to_owned(), "node=edge-1".to_owned()];
    let config = from_text(None, &[], &sets, Build::Edge, &Compiled::EDGE).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.state_dir, PathBuf::from("state"));
    assert_eq!(config.admin.socket, PathBuf::from("state/admin.sock"));
    assert_eq!(config.identity.key, PathBuf::from("edge-1.key"));
    assert_eq!(config.identity.bundle, PathBuf::from("acme.example.bundle.pem"));
    assert_eq!((config.limits.routes, config.limits.peers), (1_024, 3));
    let small = Compiled { routes: 100, ..Compiled::EDGE };
    assert_eq!(from_text(None, &[], &sets, Build::Edge, &small).unwrap().limits.routes, 100);
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let config = read(&base(), &[], &["state_dir=s".into()]);
    let paths: Vec<_> =
        config.paths().into_iter().map(|p| (p.pointer, p.kind, p.path.display().to_string())).collect();
    assert_eq!(paths[0], ("/state_dir".into(), PathKind::StateDir, "etc/s".into()));
    assert_eq!(paths[1], ("/identity/key".into(), PathKind::PrivateKey, "etc/edge-1.key".into()));
    assert_eq!(paths[4], ("/admin/socket".into(), PathKind::Socket, "etc/s/admin.sock".into()));
    assert_eq!(paths[8], ("/peers/1/agreement".into(), PathKind::Agreement, "etc/g.json".into()));
    assert_eq!(paths.len(), 9);
}

#[test]
fn published_schemas_are_those_of_the_table() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, schema) in
        [("catalyst.schema.json", schema_json()), ("agreement.schema.json", agreement_schema_json())]
    {
        let file = docs.join(name);
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        let published = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            published == schema,
            "docs/{name} is out of date: run UPDATE_SCHEMA=1 cargo test -p catalyst-config"
        );
        assert_eq!(serde_json::from_str::<Value>(&schema).unwrap()["additionalProperties"], json!(false));
    }
}

#[test]
fn examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for (name, build, compiled) in [
        ("edge.catalyst.json", Build::Edge, Compiled::EDGE),
        ("edge.catalyst.json", Build::Cloud, Compiled::CLOUD),
        ("cloud.catalyst.json", Build::Cloud, Compiled::CLOUD),
    ] {
        let config = from_text(Some((&text(name), Path::new(name))), &[], &[], build, &compiled)
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(!config.peers.is_empty() && !config.services.is_empty(), "{name}");
    }
    let cloud = from_text(
        Some((&text("cloud.catalyst.json"), &folder.join("cloud.catalyst.json"))),
        &[],
        &[],
        Build::Cloud,
        &Compiled::CLOUD,
    )
    .unwrap();
    let peer = cloud.peers.iter().find(|p| p.foreign.is_some()).unwrap();
    let foreign = peer.foreign.as_ref().unwrap();
    catalyst_config::agreement::load(&foreign.agreement, &cloud.org, &peer.org)
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_variable_that_names_the_envoy_program_is_no_key() {
    let program = ("CATALYST_ENVOY".to_owned(), "/opt/envoy".to_owned());
    assert_eq!(envoy(&read(&base(), &[program], &[])).mode.as_str(), "off");
    let object = ("CATALYST_ENVOY".to_owned(), r#"{ "mode": "external" }"#.to_owned());
    assert_eq!(envoy(&read(&base(), &[object], &[])).mode.as_str(), "external");
}
