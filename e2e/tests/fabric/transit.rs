//! Three organisations in a row: one passes the services of another on to the third, under rules and roles.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use catalyst_e2e::http::{self, Http, Ticks};
use catalyst_e2e::process::both;
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org};
use serde_json::{Value, json};

/// A withdrawn permission ends its flows within this time.
const CUT: Duration = Duration::from_secs(2);

/// `acme` - `globex` - `initech`, each with an Envoy; acme and initech do not know each other.
struct Row {
    _fabric: Fabric,
    acme: Node,
    globex: Node,
    initech: Node,
    _web: Http,
    _echo: Service,
}

/// `roles` are those of acme towards globex, of globex towards acme, of globex towards initech, of initech towards
/// globex. Everybody's rules let everything pass.
fn row(roles: [&str; 4], envoys: bool) -> Row {
    let (web, echo) = (Http::start("web"), Service::echo());
    let fabric = Fabric::new();
    let orgs: [Org; 3] = ["acme.example", "globex.example", "initech.example"].map(|name| fabric.org(name));
    let [mut acme, mut globex, mut initech] = [("hub", &orgs[0]), ("gate", &orgs[1]), ("door", &orgs[2])]
        .map(|(name, org)| fabric.cloud(org, name));
    let agreement = |a: usize, b: usize, one: &str, other: &str| {
        let parties = [(a, one), (b, other)].map(|(at, role)| json!({ "org": orgs[at].name, "role": role }));
        fabric.agreement(&format!("{a}{b}.json"), parties)
    };
    let near = agreement(0, 1, roles[0], roles[1]);
    let far = agreement(1, 2, roles[2], roles[3]);
    acme.awaits_under(&globex, &near);
    globex.dials_under(&acme, &near);
    globex.awaits_under(&initech, &far);
    initech.dials_under(&globex, &far);
    acme.offers("web", "http", web.address());
    acme.offers("echo", "tcp", echo.address());
    acme.exports("*", &orgs[1]);
    globex.imports("*", &orgs[0]);
    globex.config["exports"] =
        json!([{ "name": "transit", "service": "*.acme.example", "to": "initech.example" }]);
    initech.config["imports"] =
        json!([{ "name": "through-globex", "service": "*.*", "from": "globex.example" }]);
    for node in [&mut globex, &mut initech] {
        node.exposes("echo.acme.example");
    }
    for node in [&mut acme, &mut globex, &mut initech] {
        if envoys {
            node.has_envoy();
        }
        node.start();
    }
    Row { _fabric: fabric, acme, globex, initech, _web: web, _echo: echo }
}

fn flow(at: SocketAddr) -> std::net::TcpStream {
    wait::until("a flow", SOON, || {
        let mut stream = tcp::try_connect(at).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        goes_on(&mut stream).then_some(stream)
    })
}

fn goes_on(stream: &mut std::net::TcpStream) -> bool {
    let mut back = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"ping"
}

fn is_cut(stream: &mut std::net::TcpStream) -> bool {
    stream.set_read_timeout(Some(CUT)).unwrap();
    match stream.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn explained(node: &Node, args: &[&str]) -> String {
    let mut all = vec!["route", "explain"];
    all.extend(args);
    let output = node.cli(&all);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    out.into_owned()
}

fn check(node: &Node) -> String {
    let output = node.cli(&["config", "check", "--json"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

#[test]
fn a_service_is_used_across_an_organisation_in_between_until_its_rule_goes() {
    let row = row(["customer", "provider", "provider", "customer"], true);
    let Row { acme, globex, initech, .. } = &row;
    initech.wait_up(globex);
    let routes = initech.wait_route("web.acme.example");
    assert_eq!(routes[0]["org_path"], json!(["globex.example", "acme.example"]));
    assert_eq!(routes[0]["node_path"], json!([]));
    let origin = routes[0]["origin"].as_str().unwrap();
    let inner = globex.wait_route("web.acme.example")[0]["origin"].as_str().unwrap().to_owned();
    assert!(origin.starts_with('o') && inner.starts_with('o') && inner != origin, "{origin} {inner}");

    // HTTP and TCP go through, for the one in between too.
    let got = wait::until("the answer", SOON, || http::get_at(initech.ingress(), "web.acme.example").ok());
    assert!(got.contains("web"), "{got}");
    let mut far = flow(initech.wait_reachable("echo.acme.example"));
    let mut near = flow(globex.wait_reachable("echo.acme.example"));
    let ticks =
        |node: &Node| wait::until("ticks", SOON, || Ticks::open(node.ingress(), "web.acme.example").ok());
    let (mut far_ticks, mut near_ticks) = (ticks(initech), ticks(globex));
    assert!(far_ticks.goes_on() && near_ticks.goes_on());

    // Nobody passes on what would come back, and the rule is named.
    let text = explained(globex, &["web.acme.example"]);
    assert!(text.contains("-> announced to door.initech.example (export rule 'transit')"), "{text}");
    assert!(text.contains("import rule 'imports/0'"), "{text}");
    assert!(text.contains("-x not to hub.acme.example: split horizon"), "{text}");
    let text = explained(initech, &["web.acme.example"]);
    assert!(text.contains("best: the only usable way"), "{text}");
    assert!(text.contains("import rule 'through-globex'"), "{text}");

    // A plan without the rule says who is cut; it changes nothing.
    let file = globex.config_file().with_file_name("rules.json");
    let none = json!({ "exports": [], "imports": [{ "service": "*", "from": "acme.example" }] });
    std::fs::write(&file, none.to_string()).unwrap();
    let output = globex.cli(&["policy", "plan", file.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hidden: Vec<&str> =
        plan["hidden"].as_array().unwrap().iter().map(|h| h["service"].as_str().unwrap()).collect();
    assert_eq!(hidden, ["echo.acme.example", "web.acme.example"], "{plan}");
    assert_eq!(plan["hidden"][0]["to"], "door.initech.example");
    assert_eq!(plan["lost"], json!([]));
    assert!(goes_on(&mut far));
    // Somebody has to say yes.
    assert!(!globex.cli(&["policy", "apply", file.to_str().unwrap()]).status.success());
    let output = globex.cli(&["policy", "apply", file.to_str().unwrap(), "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_cut(&mut far), "the third organisation's flow went on");
    assert!(far_ticks.is_cut(CUT), "its requests went on");
    assert!(goes_on(&mut near), "the flow of the one in between was cut too");
    assert!(near_ticks.goes_on());
    initech.wait_no_route("web.acme.example");
    assert!(acme.peer(globex)["state"] == "up");
    let text = explained(globex, &["web.acme.example", "--peer", "door.initech.example"]);
    assert!(text.contains("-x not to door.initech.example: not exported"), "{text}");

    // The file again: the rule is back, and so is the service.
    let output = globex.cli(&["policy", "apply", globex.config_file().to_str().unwrap(), "--yes"]);
    assert!(!output.status.success(), "a file with other keys is no file of rules");
    let back = json!({ "exports": globex.config["exports"], "imports": globex.config["imports"] });
    std::fs::write(&file, back.to_string()).unwrap();
    assert!(globex.cli(&["policy", "apply", file.to_str().unwrap(), "--yes"]).status.success());
    initech.wait_route("web.acme.example");
    let mut far = flow(initech.wait_reachable("echo.acme.example"));
    assert!(goes_on(&mut far));
}

#[test]
fn a_leak_is_refused_though_every_rule_lets_it_pass() {
    // Peer to peer to peer: what a peer shows is for customers alone.
    let row = row(["peer", "peer", "peer", "peer"], false);
    let Row { globex, initech, .. } = &row;
    initech.wait_up(globex);
    globex.wait_route("web.acme.example");
    initech.wait_peer(globex, "in sync", |p| p["state"] == "up");
    assert_eq!(initech.routes_to("web.acme.example"), Vec::<Value>::new());
    let text = explained(globex, &["web.acme.example"]);
    assert!(text.contains("-x not to door.initech.example: it would be a leak"), "{text}");
    assert!(text.contains("only-to-customer set by acme.example"), "{text}");
}

/// The rules in force, those of run time among them, are written as a file that changes nothing when it is applied.
fn shown_and_applied_again(node: &Node) {
    let run = |args: &[&str], code: i32| {
        let output = node.cli(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", both(&output));
        output
    };
    let answer = |args: &[&str]| -> Value { serde_json::from_slice(&run(args, 0).stdout).unwrap() };
    run(&["export", "add", "inventory", "--to", "initech.example"], 0);
    let file = node.config_file().with_file_name("shown.json");
    let path = file.to_str().unwrap();
    let shown = String::from_utf8(run(&["policy", "show"], 0).stdout).unwrap();
    assert_eq!(run(&["policy", "show", "--json"], 0).stdout, shown.as_bytes());
    std::fs::write(&file, &shown).unwrap();
    let names = |rows: &Value| -> Vec<String> {
        rows.as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_string()).collect()
    };
    let before = names(&answer(&["policy", "ls", "--json"]));
    assert_eq!(before, ["no-web", "rest", "exports/2", "pref", "imports/1"]);
    let plan = run(&["policy", "plan", path], 0);
    assert!(both(&plan).starts_with("nothing would change"), "{}", both(&plan));
    // For programs the plan comes with the rules, and somebody has said yes before.
    assert!(both(&run(&["policy", "apply", path, "--json"], 2)).contains("--yes"));
    let applied = answer(&["policy", "apply", path, "--json", "--yes"]);
    assert_eq!((&applied["plan"]["rules"], &applied["plan"]["hidden"]), (&json!([]), &json!([])));
    assert_eq!(names(&applied["rules"]), before);
    assert_eq!(run(&["policy", "show"], 0).stdout, shown.as_bytes());
    // A change of the file is what the plan speaks of.
    std::fs::write(&file, shown.replace("\"pref\"", "\"rank\"")).unwrap();
    let applied = answer(&["policy", "apply", path, "--json", "--yes"]);
    assert_eq!(applied["plan"]["rules"].as_array().map(Vec::len), Some(2), "{applied}");
    assert_eq!(names(&applied["rules"])[3], "rank");
    // An organisation that is misspelled is named with its place and the one that was meant.
    std::fs::write(&file, shown.replace("\"initech.example\"", "\"inotech.example\"")).unwrap();
    let said = both(&run(&["policy", "plan", path], 5));
    let words =
        "shown.json: /exports/1: no peer belongs to 'inotech.example': did you mean 'initech.example'?";
    assert!(said.contains(words), "{said}");
}

#[test]
fn rules_decide_in_order_and_count() {
    let mut row = row(["customer", "provider", "provider", "customer"], false);
    row.globex.wait_route("echo.acme.example");
    row.initech.wait_route("echo.acme.example");
    row.globex.stop();
    row.globex.config["exports"] = json!([
        { "name": "no-web", "service": "web.acme.example", "to": "*", "action": "reject" },
        { "name": "rest", "service": "*.*", "to": "initech.example", "set": { "cost": 7, "add_tags": ["globex.example:t"] } }
    ]);
    row.globex.config["imports"] = json!([
        { "name": "pref", "service": "echo", "from": "acme.example", "set": { "local_pref": 250 } },
        { "service": "*", "from": "acme.example" }
    ]);
    row.globex.start();
    let echo = row.initech.wait_route("echo.acme.example");
    assert_eq!((&echo[0]["cost"], &echo[0]["tags"]), (&json!(7), &json!(["globex.example:t"])));
    row.initech.wait_no_route("web.acme.example");
    assert_eq!(row.globex.wait_route("echo.acme.example")[0]["local_pref"], 250);
    let output = row.globex.cli(&["policy", "ls", "--json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (at, name) in ["no-web", "rest", "pref", "imports/1"].into_iter().enumerate() {
        assert_eq!(rows[at]["name"], name, "{rows}");
        assert!(rows[at]["matches"].as_u64().unwrap() > 0, "{rows}");
    }
    let text = explained(&row.globex, &["web.acme.example", "--peer", "door.initech.example"]);
    assert!(text.contains("rejected by 'no-web'"), "{text}");
    shown_and_applied_again(&row.globex);
    // A rule that another one covers is said to be so before the start.
    row.globex.config["imports"] = json!([
        { "name": "all", "service": "*", "from": "acme.example" },
        { "name": "late", "service": "echo", "from": "acme.example" }
    ]);
    row.globex.write_config();
    let output = check(&row.globex);
    assert!(output.contains("('late') never decides: 'all' before it speaks of all"), "{output}");
}
