//! What people and programs may say wrongly: every request of the admin socket and every command, in both builds. Each is
//! refused with a reason, none changes anything.

use std::process::Command;

use catalyst_e2e::admin::Admin;
use catalyst_e2e::process::{both, output};
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::{Value, json};

fn one(build: Build) -> Node {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.offers("hello", "http", "127.0.0.1:9".parse().unwrap());
    node.exposes("hello.acme.example");
    let mut peer = fabric.cloud(&org, "peer");
    node.joins(&mut peer);
    node.start();
    node
}

/// What the node itself says that it can be asked.
fn requests(node: &Node) -> Vec<String> {
    let error = node.try_ask(json!({ "do": "nonsense" })).unwrap_err();
    let (_, list) = error.split_once("expected one of").unwrap_or_else(|| panic!("no list: {error}"));
    list.split('`').skip(1).step_by(2).map(ToString::to_string).collect()
}

fn service(more: Value) -> Value {
    let mut service = json!({ "name": "bad", "target": "127.0.0.1:9" });
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "service": service })
}

fn peer(more: Value) -> Value {
    let mut peer = json!({ "node": "bad", "org": "acme.example" });
    peer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "peer": peer })
}

fn rule(direction: &str, org: &str, service: &str) -> Value {
    json!({ "rule": { "direction": direction, "org": org, "service": service } })
}

fn rules(exports: Value) -> Value {
    json!({ "rules": { "exports": exports, "imports": [] }, "etag": "of another time" })
}

/// Arguments that must not be taken; `None` for a request that is not known here.
fn wrong(request: &str) -> Option<Vec<Value>> {
    let long = "x".repeat(64);
    Some(match request {
        // They take none, so only the version can be wrong.
        "status" | "peers" | "services" | "exposed" | "rules" | "visibility" | "bundle" | "drained"
        | "undrain" => Vec::new(),
        "routes" => vec![json!({ "service": 7 }), json!({ "service": ["hello.acme.example"] })],
        "peer-add" => vec![
            json!({}),
            json!({ "peer": null }),
            peer(json!({ "node": "UPPER" })),
            peer(json!({ "node": "../../etc" })),
            peer(json!({ "node": "one" })),
            peer(json!({ "org": "no dots" })),
            peer(json!({ "address": "nonsense" })),
            peer(json!({ "address": "127.0.0.1:99999" })),
            peer(json!({ "profile": "warp" })),
            peer(json!({ "transport": "pigeon" })),
            peer(json!({ "org": "globex.example", "bundle": "nonsense" })),
            peer(json!({ "org": "globex.example", "agreement": "{" })),
        ],
        "peer-remove" => {
            vec![json!({}), json!({ "name": "../../etc" }), json!({ "name": "nobody.acme.example" })]
        }
        "service-add" => vec![
            json!({}),
            service(json!({ "name": "" })),
            service(json!({ "name": "../../etc" })),
            service(json!({ "name": "UPPER" })),
            service(json!({ "name": long })),
            service(json!({ "name": "a\u{1b}[2J" })),
            service(json!({ "target": "javascript:alert(1)" })),
            service(json!({ "target": "127.0.0.1:99999" })),
            service(json!({ "target": "nowhere" })),
            service(json!({ "protocol": "nonsense" })),
            service(json!({ "cost": -1 })),
            service(json!({ "weight": 70_000 })),
            service(json!({ "tags": ["no colon"] })),
            service(json!({ "tags": (0..5_000).map(|n| format!("a.b:{n}")).collect::<Vec<_>>() })),
        ],
        "service-remove" => vec![json!({}), json!({ "name": 7 }), json!({ "name": "nobody" })],
        "expose-add" => vec![
            json!({}),
            json!({ "expose": { "service": "hello" } }),
            json!({ "expose": { "service": "hello.acme.example", "listen": "nonsense" } }),
            json!({ "expose": { "service": "hello.acme.example", "port": "nonsense" } }),
        ],
        "expose-remove" => vec![json!({}), json!({ "service": "nobody.acme.example" })],
        "rule-add" => vec![
            json!({}),
            rule("sideways", "globex.example", "hello"),
            rule("exports", "no dots", "hello"),
            rule("exports", "globex.example", "***"),
        ],
        "rule-remove" => {
            vec![json!({}), rule("exports", "globex.example", "hello"), rule("imports", "a b", "x")]
        }
        "policy-plan" => vec![
            json!({}),
            json!({ "rules": [] }),
            rules(json!([{ "service": "***", "to": "globex.example" }])),
            rules(json!([{ "service": "hello", "to": "no dots" }])),
        ],
        // The last one is good, but for rules that nobody has.
        "policy-apply" => vec![json!({}), rules(json!([{ "service": "", "to": "*" }])), rules(json!([]))],
        "watch" => {
            vec![json!({ "pattern": 7 }), json!({ "pattern": "UP per" }), json!({ "changes_only": "yes" })]
        }
        "explain" => vec![json!({}), json!({ "service": 7 }), json!({ "service": "x", "peer": "../../etc" })],
        "drain" => vec![json!({}), json!({ "deadline_s": -1 }), json!({ "deadline_s": "soon" })],
        "invite" => vec![
            json!({}),
            json!({ "node": "UPPER", "ttl_s": 60 }),
            json!({ "node": "new", "ttl_s": -1 }),
            json!({ "node": "new", "ttl_s": 60 }),
        ],
        "nodes" => vec![json!({})],
        "revoke" => vec![json!({}), json!({ "node": "../../etc" }), json!({ "node": "peer", "force": true })],
        _ => return None,
    })
}

/// What no wrong request may change.
fn state(node: &Node) -> Value {
    let ask = |what: &str| node.ask(json!({ "do": what }));
    let names = |rows: Value| -> Vec<String> {
        rows.as_array().unwrap().iter().map(|r| format!("{} {}", r["name"], r["org"])).collect()
    };
    let ports: Vec<Value> =
        ask("exposed").as_array().unwrap().iter().map(|r| json!([r["service"], r["listen"]])).collect();
    json!([ask("services"), names(ask("peers")), ports, ask("rules")])
}

#[test]
fn every_request_that_is_wrong_is_refused_with_a_reason_and_changes_nothing() {
    for build in [Build::Cloud, Build::Edge] {
        let node = one(build);
        let before = state(&node);
        // One connection takes all of it, but for a watch, which has one of its own.
        let mut admin = Admin::connect(&node.socket()).unwrap();
        let known = requests(&node);
        assert!(known.len() >= 18 && known.iter().any(|r| r == "service-add"), "{known:?}");
        for request in known {
            let Some(list) = wrong(&request) else {
                panic!("say here what is wrong for the request '{request}'")
            };
            for mut arguments in list {
                arguments["do"] = json!(request);
                let refused = match request.as_str() {
                    "watch" => node.try_ask(arguments.clone()),
                    _ => admin.ask(arguments.clone()),
                };
                let why = refused.map_or_else(|why| why, |ok| panic!("{build:?} took {arguments}: {ok}"));
                assert!(!why.is_empty() && !why.starts_with("no answer"), "{build:?} {arguments}: {why}");
            }
            let upper = json!({ "do": request.to_uppercase() });
            assert!(admin.ask(upper).is_err(), "{request} in capitals");
        }
        assert_eq!(state(&node), before);
        let log = std::fs::read_to_string(node.log()).unwrap();
        assert!(!log.contains("panicked"), "{log}");
        node.add("good", "127.0.0.1:9".parse().unwrap());
        assert_eq!(node.routes_to("good.acme.example").len(), 1);
    }
}

/// All commands below one, as its help lists them; a command without others below is a leaf.
fn leaves(program: &dyn Fn() -> Command, path: &[String]) -> Vec<Vec<String>> {
    let out = output(program().args(path).arg("--help"));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("Usage:"), "{path:?}: {text}");
    let list = text.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    // A line that is no further indented begins with a name.
    let names = list.filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let below: Vec<String> = names.filter_map(|l| l.split_whitespace().next()).map(str::to_string).collect();
    if below.is_empty() {
        return vec![path.to_vec()];
    }
    let below = below.into_iter().filter(|name| name != "help");
    below.flat_map(|name| leaves(program, &[path, &[name]].concat())).collect()
}

#[test]
fn every_command_refuses_what_it_does_not_know_with_exit_code_two() {
    for build in [Build::Cloud, Build::Edge] {
        let node = one(build);
        let before = state(&node);
        let program = || node.fabric.command(build);
        let commands = leaves(&program, &[]);
        assert!(commands.len() > 15, "{commands:?}");
        println!("{build:?}: {} commands", commands.len());
        for command in commands {
            let unknown = ["--no-such-flag".to_string()];
            // More than any of them takes.
            let many: Vec<String> = (0..9).map(|n| format!("x{n}")).collect();
            for wrong in [&unknown[..], &many] {
                let out = output(
                    program()
                        .arg("-c")
                        .arg(node.config_file())
                        .args(&command)
                        .args(wrong)
                        .current_dir(node.fabric.dir()),
                );
                assert_eq!(out.status.code(), Some(2), "{build:?} {command:?} {wrong:?}: {}", both(&out));
                let said = String::from_utf8(out.stderr).unwrap();
                assert!(!said.trim().is_empty(), "{command:?} {wrong:?} says nothing");
                assert!(!said.contains("panicked"), "{command:?} {wrong:?}: {said:?}");
            }
        }
        assert_eq!(state(&node), before);
    }
}

#[test]
fn values_that_cannot_be_meant_are_refused_by_the_commands_about_routes() {
    let node = one(Build::Cloud);
    let before = state(&node);
    let dir = node.fabric.dir();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let (garbage, list) = (file("garbage.json", "{ not json"), file("list.json", "[1, 2]"));
    let pattern = file("pattern.json", r#"{ "exports": [{ "service": "***", "to": "globex.example" }] }"#);
    let unknown =
        file("unknown.json", r#"{ "exports": [{ "service": "a", "to": "b.example", "colour": 1 }] }"#);
    let missing = dir.join("missing.json").to_str().unwrap().to_string();
    let mut refused = vec![
        vec!["route", "explain", "no name"],
        vec!["route", "watch", "UP per"],
        vec!["route", "explain", "hello.acme.example", "--peer", "../../etc"],
        vec!["node", "drain", "--deadline", "soon"],
        vec!["node", "drain", "--deadline=-1s"],
        vec!["service", "add", "../../etc", "--target", "127.0.0.1:9"],
        vec!["service", "add", "x", "--target", "javascript:alert(1)"],
        vec!["service", "add", "x", "--target", "127.0.0.1:9", "--weight", "70000"],
        vec!["export", "add", "***", "--to", "globex.example"],
        vec!["import", "add", "hello", "--from", "no dots"],
        vec!["peer", "rm", "nobody"],
    ];
    for name in [&garbage, &list, &pattern, &unknown, &missing] {
        refused.push(vec!["policy", "plan", name]);
        refused.push(vec!["policy", "apply", name, "--yes"]);
    }
    for args in refused {
        let out = node.cli(&args);
        let said = both(&out);
        assert!(matches!(out.status.code(), Some(1..=5)), "{args:?}: {:?}: {said}", out.status);
        let errors = String::from_utf8(out.stderr).unwrap();
        assert!(!errors.trim().is_empty() && !errors.contains("panicked"), "{args:?}: {said}");
    }
    assert_eq!(state(&node), before);
    assert_eq!(node.status()["node"], "one.acme.example");
}
