//! The command line: every command answers in words and in JSON, and its exit code says how it went.

use std::process::{Command, Output};

use catalyst_e2e::process::{both, output};
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::{Value, json};

fn one(build: Build) -> (Fabric, Node) {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.offers("hello", "http", "127.0.0.1:9".parse().unwrap());
    node.exposes("hello.acme.example");
    (fabric, node)
}

#[track_caller]
fn json_of(out: &Output) -> Value {
    assert!(out.status.success(), "{}", both(out));
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn every_question_answers_in_words_and_in_json() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, mut node) = one(build);
        let org = node.org.clone();
        let mut peer = fabric.cloud(&org, "peer");
        node.joins(&mut peer);
        peer.start();
        node.start();
        node.wait_up(&peer);
        let ask = |args: &[&str]| {
            let text = node.cli(args);
            assert!(text.status.success() && !text.stdout.is_empty(), "{}", both(&text));
            json_of(&node.cli(&[args, &["--json"]].concat()))
        };
        let status = ask(&["status"]);
        assert_eq!(
            (&status["node"], &status["peers"][0]["state"]),
            (&json!("one.acme.example"), &json!("up"))
        );
        assert_eq!(ask(&["route", "ls"])[0]["service"], "hello.acme.example");
        assert_eq!(ask(&["route", "ls", "hello.acme.example"])[0]["standing"], "best");
        assert_eq!(ask(&["route", "ls", "nothing.acme.example"]), json!([]));
        assert_eq!(ask(&["peer", "ls"])[0]["name"], "peer.acme.example");
        assert_eq!(ask(&["service", "ls"])[0]["source"], "file");
        let add = [
            "service",
            "add",
            "db",
            "--target",
            "127.0.0.1:5432",
            "--cost",
            "3",
            "--tag",
            "acme.example:gold",
        ];
        assert_eq!(ask(&add)[1]["source"], "runtime");
        let row = ask(&["service", "ls"])[1].clone();
        assert_eq!((&row["weight"], &row["tags"]), (&json!(100), &json!(["acme.example:gold"])));
        let text = both(&node.cli(&["service", "ls"]));
        assert!(text.contains("db.acme.example: weight 100, tags acme.example:gold"), "{text}");
        let row = node.routes_to("db.acme.example");
        assert_eq!((&row[0]["cost"], &row[0]["tags"]), (&json!(3), &json!(["acme.example:gold"])));
        let out = node.cli(&["service", "rm", "db", "--json"]);
        assert_eq!(json_of(&out).as_array().unwrap().len(), 1);
        assert_eq!(ask(&["config", "check"]), json!({ "ok": true, "warnings": [] }));
        assert_eq!(ask(&["config", "schema"])["type"], "object");
    }
}

#[test]
fn making_an_organisation_and_a_node_answers_in_json_too() {
    let fabric = Fabric::new();
    let dir = fabric.dir().join("made");
    let dir = dir.to_str().unwrap();
    let run = |args: &[&str]| json_of(&output(fabric.command(Build::Cloud).args(args).arg("--json")));
    let made = run(&["org", "init", "acme.example", "--dir", dir]);
    let csr = run(&["node", "csr", "--org", "acme.example", "--node", "n", "--dir", dir]);
    let signed = run(&["org", "sign", csr["csr"].as_str().unwrap(), "--dir", dir]);
    for path in [&made["key"], &made["bundle"], &csr["key"], &csr["csr"], &signed["certificate"]] {
        assert!(std::path::Path::new(path.as_str().unwrap()).is_file(), "{path}");
    }
    assert!(made["fingerprint"].as_str().unwrap().starts_with("sha256:"));
    let certificate = std::fs::read_to_string(signed["certificate"].as_str().unwrap()).unwrap();
    assert!(certificate.contains("BEGIN CERTIFICATE") && !certificate.contains("PRIVATE"));
}

#[test]
fn arguments_of_cloud_commands_that_cannot_be_meant_are_a_wrong_command_line() {
    let fabric = Fabric::new();
    let dir = fabric.dir().join("made");
    let dir = dir.to_str().unwrap();
    let code = |args: &[&str]| {
        let out = output(fabric.command(Build::Cloud).args(args));
        (out.status.code().unwrap(), both(&out))
    };
    let init = ["init", "--org", "acme.example", "--node", "n", "--dir", dir, "--address"];
    for (malformed, word) in [
        (&["nonsense"][..], "--address nonsense"),
        (&["a.example:7443", "--expose", "x"], "--expose x"),
        (&["a.example:7443", "--expose", "x.acme.example=1"], "--expose x.acme.example=1"),
    ] {
        let (exit, said) = code(&[&init, malformed].concat());
        assert!(exit == 2 && said.contains(word), "{exit}: {said}");
    }
    assert!(!std::path::Path::new(dir).exists(), "nothing is made of it");
    for malformed in [
        &["org", "init", "Acme"][..],
        &["agreement", "new", "--org", "acme.example", "--with", "globex.example", "--role", "friend"],
        &["org", "sign", "x.csr", "--dir", fabric.dir().to_str().unwrap()],
    ] {
        let (exit, said) = code(malformed);
        assert_eq!(exit, 2, "{malformed:?}: {said}");
    }
    // What is well-formed and in the way of what is there has failed; nothing is changed.
    let good = [&init[..], &["a.example:7443"]].concat();
    assert_eq!(code(&good).0, 0);
    let (exit, said) = code(&good);
    assert!(exit == 1 && said.contains("exists already"), "{exit}: {said}");
}

#[test]
fn a_recording_replays() {
    let (fabric, mut node) = one(Build::Edge);
    let file = fabric.dir().join("recording.jsonl");
    let file = file.to_str().unwrap();
    node.start_with(&["--record", file]);
    node.add("db", "127.0.0.1:9".parse().unwrap());
    node.stop();
    let replay = || json_of(&output(fabric.command(Build::Cloud).args(["replay", file, "--json"])));
    let first = replay();
    assert!(first["events"].as_u64().unwrap() >= 3, "{first}");
    assert_eq!(first["digest"].as_str().unwrap().len(), 64, "{first}");
    assert_eq!(first, replay());
    // A node of the cloud notes what its state was, with a service and at its end; a replay that differs is an error.
    let (cloud, mut node) = one(Build::Cloud);
    let noted = cloud.dir().join("cloud.jsonl");
    node.start_with(&["--record", noted.to_str().unwrap()]);
    node.add("db", "127.0.0.1:9".parse().unwrap());
    node.stop();
    let replay = || output(cloud.command(Build::Cloud).args(["replay", noted.to_str().unwrap(), "--json"]));
    let told = json_of(&replay());
    assert_eq!(told["checkpoints"], 2, "{told}");
    let text = std::fs::read_to_string(&noted).unwrap();
    let wrong = told["digest"].as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "f");
    std::fs::write(&noted, text.replace(told["digest"].as_str().unwrap(), &wrong)).unwrap();
    let out = replay();
    assert!(!out.status.success() && both(&out).contains("the replay comes to"), "{}", both(&out));
    // It holds no secret, and is not overwritten.
    assert!(!std::fs::read_to_string(file).unwrap().contains("PRIVATE"));
    let again = output(&mut node.run_command(&["--record", file]));
    assert_eq!(again.status.code(), Some(1), "{}", both(&again));
}

#[test]
fn the_exit_code_says_what_kind_of_failure_it_was() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, mut node) = one(build);
        node.write_config();
        let code = |args: &[&str]| {
            let out = node.cli(args);
            assert!(!both(&out).contains("panicked"), "{}", both(&out));
            (out.status.code().unwrap(), both(&out))
        };
        // 4: no node answers.
        for question in [&["status"][..], &["route", "ls"], &["peer", "ls"], &["service", "ls"]] {
            let (exit, said) = code(question);
            assert_eq!(exit, 4, "{question:?}: {said}");
            assert!(said.contains("no node answers on"), "{said}");
        }
        // 2: a wrong command line.
        for wrong in [&["fly"][..], &["service", "add", "x"], &["status", "--nonsense"], &[]] {
            let out = output(fabric.command(build).args(wrong));
            assert_eq!(out.status.code(), Some(2), "{wrong:?}: {}", both(&out));
        }
        // The same, found by the program that no node is asked for.
        for malformed in [
            &["service", "add", "Bad_Name", "--target", "127.0.0.1:1"][..],
            &["service", "add", "x", "--target", "127.0.0.1:1", "--protocol", "nonsense"],
            &["expose", "add", "no-organisation"],
            &["peer", "rm", "Bad_Name"],
            &["node", "invite", "edge-9", "--ttl", "soon"],
            &["node", "csr", "--org", "acme", "--node", "Bad_Name"],
        ] {
            let (exit, said) = code(malformed);
            assert_eq!(exit, 2, "{malformed:?}: {said}");
        }
        node.start();
        let code = |args: &[&str]| {
            let out = node.cli(args);
            (out.status.code().unwrap(), both(&out))
        };
        // 0.
        assert_eq!(code(&["status"]).0, 0);
        assert_eq!(code(&["--help"]).0, 0);
        assert_eq!(code(&["--version"]).0, 0);
        // 5: the node refuses.
        for refused in [&["service", "rm", "nobody"][..], &["service", "add", "x", "--target", "nonsense"]] {
            let (exit, said) = code(refused);
            assert_eq!(exit, 5, "{refused:?}: {said}");
        }
        // 3: a wrong configuration, by the flag that makes it so.
        let (exit, said) = code(&["--set", "limits.routes=many", "status"]);
        assert_eq!(exit, 3, "{said}");
        assert!(said.contains("limits.routes=many"), "{said}");
        // 1: anything else.
        let out = output(fabric.command(Build::Cloud).args(["replay", "/nonexistent"]));
        assert_eq!(out.status.code(), Some(1), "{}", both(&out));
    }
}

#[test]
fn an_error_is_json_too_when_asked_for() {
    let (_fabric, node) = one(Build::Edge);
    node.write_config();
    let out = node.cli(&["status", "--json"]);
    assert_eq!(out.status.code(), Some(4));
    let error: Value = serde_json::from_slice(&out.stderr).unwrap();
    assert_eq!(error["exit"], 4);
    assert!(error["error"].as_str().unwrap().contains("no node answers"), "{error}");
    assert!(out.stdout.is_empty());
}

#[test]
fn the_environment_and_flags_override_the_file() {
    let (fabric, mut node) = one(Build::Cloud);
    let mut run = node.run_command(&["--set", "limits.routes=77"]);
    run.env("CATALYST_LIMITS__SERVICES", "5");
    let log = fabric.dir().join("env.log");
    let process = catalyst_e2e::process::Process::start(&mut run, &log);
    let status = node.wait("it runs", |status| status["routes"][1] == 77);
    assert_eq!(status["services"].as_array().unwrap().len(), 1);
    for n in 0..4 {
        node.add(&format!("s-{n}"), "127.0.0.1:9".parse().unwrap());
    }
    let one_more = json!({ "do": "service-add", "service": { "name": "s-4", "target": "127.0.0.1:9" } });
    assert!(node.try_ask(one_more).unwrap_err().contains("limits.services is 5"));
    drop(process);
    node.start();
    assert_eq!(node.status()["routes"][1], 100_000);
}

#[test]
fn words_that_cannot_be_written_are_told_and_a_reader_that_goes_away_is_no_fault() {
    for build in [Build::Cloud, Build::Edge] {
        let (fabric, mut node) = one(build);
        node.start();
        // The shell opens what the words are to go to.
        let shell = |args: &str, to: &str| {
            let program = fabric.command(build).get_program().to_string_lossy().into_owned();
            let text = format!("env -i {program} -c {} {args} {to}", node.config_file().display());
            output(Command::new("bash").args(["-o", "pipefail", "-c", &text]))
        };
        for args in ["status", "status --json", "config schema", "completions bash"] {
            let out = shell(args, "> /dev/full");
            assert_eq!(out.status.code(), Some(1), "{args:?}: {}", both(&out));
            assert!(both(&out).contains("could not be written to standard output"), "{}", both(&out));
            let out = shell(args, "| head -c 1");
            assert!(out.status.success() && out.stderr.is_empty(), "{args}: {}", both(&out));
        }
    }
}

#[test]
fn rules_of_hundreds_of_kilobytes_are_planned_and_too_many_are_refused_in_words() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.cloud(&org, "one");
    node.start();
    let file = fabric.dir().join("rules.json");
    let plan = |rules: usize, tags: usize| {
        let tag = |n: usize| format!("acme.example:t{n}{}", "x".repeat(30));
        let rule = |n: usize| {
            json!({ "name": format!("r{n}"), "service": format!("s{n}"), "to": "*",
                "set": { "add_tags": (0..tags).map(tag).collect::<Vec<_>>() } })
        };
        let text = json!({ "exports": (0..rules).map(rule).collect::<Vec<_>>(), "imports": [] }).to_string();
        std::fs::write(&file, &text).unwrap();
        let out = node.cli(&["policy", "plan", file.to_str().unwrap()]);
        (text.len(), out.status.code(), both(&out))
    };
    let (bytes, code, said) = plan(1_000, 2);
    assert!(bytes > 100_000);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing would change"), "{said}");
    let (bytes, code, said) = plan(1_000, 12);
    assert!(bytes > 600_000);
    assert!(code == Some(1) && said.contains("too much for one request"), "{code:?}: {said}");
}
