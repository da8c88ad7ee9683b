//! Joining by token, renewal and revocation, with real processes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::lab;
use catalyst_e2e::process::{both, output};
use catalyst_e2e::{Build, Fabric, Node, Org, wait};
use serde_json::{Value, json};

/// A cloud node that holds the root and issues certificates.
pub(crate) fn authority(fabric: &Fabric, org: &Org) -> Node {
    authority_named(fabric, org, "cloud-1")
}

fn authority_named(fabric: &Fabric, org: &Org, name: &str) -> Node {
    let mut cloud = fabric.cloud(org, name);
    cloud.config["authority"] = json!({ "root": org.root, "address": cloud.address().to_string() });
    cloud
}

#[track_caller]
pub(crate) fn invite(cloud: &Node, name: &str, more: &[&str]) -> String {
    let out = cloud.cli(&[&["node", "invite", name], more].concat());
    assert!(out.status.success(), "{}", both(&out));
    String::from_utf8(out.stdout).unwrap().trim().to_string()
}

/// `catalyst-edge join TOKEN` in `dir`: what it said, and its exit code.
pub(crate) fn join_in(fabric: &Fabric, dir: &Path, token: &str) -> (String, i32) {
    fs::create_dir_all(dir).unwrap();
    let config = dir.join("catalyst.json");
    let out = output(fabric.command(Build::Edge).arg("join").arg("-c").arg(config).arg(token));
    assert!(!both(&out).contains(token), "a token is a secret");
    (both(&out), out.status.code().unwrap_or(-1))
}

/// A board that joined, as a node of the harness.
#[track_caller]
fn joined(fabric: &Fabric, org: &Org, cloud: &Node, name: &str) -> Node {
    let dir = fabric.dir().join(format!("{name}.{}", org.name));
    let token = invite(cloud, name, &[]);
    let (said, code) = join_in(fabric, &dir, &token);
    assert_eq!(code, 0, "{said}");
    fabric.adopt(org, Build::Edge, name, dir)
}

#[test]
fn a_board_joins_by_token_and_serves() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.exposes("inventory.acme.example");
    cloud.start();
    let inventory = Http::start("inventory");
    let mut board = joined(&fabric, &acme, &cloud, "edge-1");
    board.offers("inventory", "http", inventory.address());
    board.start();
    let port = cloud.wait_reachable("inventory.acme.example");
    assert_eq!(http::get(port).unwrap(), "inventory");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(board.dir.join("edge-1.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // The neighbour that came by a token is kept over a restart of the authority.
    cloud.kill();
    cloud.start();
    cloud.wait_reachable("inventory.acme.example");
}

#[test]
fn a_token_is_good_once_in_time_whole_and_for_its_node() {
    let fabric = Fabric::new();
    let (acme, globex) = (fabric.org("acme.example"), fabric.org("globex.example"));
    let mut cloud = authority(&fabric, &acme);
    cloud.start();
    let dir = |name: &str| fabric.dir().join(name);

    let token = invite(&cloud, "edge-1", &[]);
    assert_eq!(join_in(&fabric, &dir("first"), &token).1, 0);
    let (said, code) = join_in(&fabric, &dir("second"), &token);
    assert!(code == 5 && said.contains("used already"), "{code}: {said}");
    assert!(!dir("second").join("edge-1.key").exists(), "nothing is left of a join in vain");

    let (said, code) = join_in(&fabric, &dir("cut"), &token[..token.len() - 9]);
    assert!(code == 2 && said.contains("cut or mistyped"), "{code}: {said}");
    let (said, code) = join_in(&fabric, &dir("cut"), "a-token");
    assert!(code == 2 && said.contains("does not begin with 'cn1.'"), "{code}: {said}");

    let token = invite(&cloud, "edge-2", &["--ttl", "1s"]);
    // A moment has to pass, and nothing but the clock tells that it has.
    let until = std::time::SystemTime::now() + Duration::from_millis(2_100);
    wait::until("two seconds have passed", wait::SOON, || {
        (std::time::SystemTime::now() > until).then_some(())
    });
    let (said, code) = join_in(&fabric, &dir("late"), &token);
    assert!(code == 5 && said.contains("expired"), "{code}: {said}");

    // A token of another organisation that leads here: the roots are others, and the secret stays at home.
    let mut other = authority(&fabric, &globex);
    other.start();
    let token = invite(&other, "edge-3", &["--address", &cloud.address().to_string()]);
    let (said, code) = join_in(&fabric, &dir("lured"), &token);
    assert!(code == 1 && said.contains("its roots are others"), "{code}: {said}");
    assert_eq!(join_in(&fabric, &dir("honest"), &invite(&other, "edge-3", &[])).1, 0);

    // An authority of the same name and root, but without the books: it did not make the token.
    let lost = invite(&cloud, "edge-4", &[]);
    cloud.stop();
    fs::remove_dir_all(cloud.dir.join("state")).unwrap();
    cloud.start();
    let (said, code) = join_in(&fabric, &dir("unknown"), &lost);
    assert!(code == 5 && said.contains("not known here"), "{code}: {said}");
    assert_eq!(cloud.status()["joins_refused"], 1);
    let text = both(&cloud.cli(&["status"]));
    assert!(text.contains("refused 1 question(s) for a certificate"), "{text}");
    let logs = fabric.logs();
    assert!(!logs.contains(&lost[4..40]), "no token in any log");
}

#[test]
fn a_node_without_a_root_says_so() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&acme, "cloud-1");
    let mut issuer = authority_named(&fabric, &acme, "cloud-2");
    cloud.start();
    let out = cloud.cli(&["node", "invite", "edge-1"]);
    assert!(out.status.code() == Some(5) && both(&out).contains("authority.root"), "{}", both(&out));
    cloud.stop();
    issuer.start();
    let token = invite(&issuer, "edge-1", &["--address", &cloud.address().to_string()]);
    issuer.stop();
    cloud.start();
    let (said, code) = join_in(&fabric, &fabric.dir().join("lost"), &token);
    assert!(code == 1 && said.contains("issues no certificates"), "{code}: {said}");
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_the_session_lives_on() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.config["authority"]["lifetime_s"] = json!(8);
    cloud.start();
    let mut board = joined(&fabric, &acme, &cloud, "edge-1");
    board.start();
    board.wait_up(&cloud);
    let until = |node: &Node| node.status()["certificate_until"].as_u64().unwrap();
    let first = until(&board);
    let kept = board.dir.join("state/renewed.crt");
    let file = fs::read_to_string(&kept).unwrap_or_default();
    wait::until("a certificate that ends later", Duration::from_secs(20), || {
        (until(&board) > first + 6).then_some(())
    });
    wait::until("the certificate on the disk", wait::SOON, || {
        fs::read_to_string(&kept).ok().filter(|kept| *kept != file)
    });
    assert_eq!(cloud.peer(&board)["sessions"], 1, "the session never noticed");
    assert!(board.status()["renewal_error"].is_null());
    // The renewed one is good for a new session, after the first has ended.
    board.kill();
    board.start();
    assert!(until(&board) > first, "the node began with what it has renewed");
    board.wait_up(&cloud);
    // One that is damaged is as good as none: the node begins with the one of its configuration.
    cloud.kill();
    board.kill();
    fs::write(&kept, "damaged").unwrap();
    board.start();
    assert_eq!(until(&board), first);
}

#[test]
fn a_revoked_node_is_cut_off_at_once_and_stays_out_until_it_is_invited_again() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.exposes("echo.acme.example");
    cloud.start();
    let echo = catalyst_e2e::tcp::Service::start(|mut stream| {
        let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
    });
    let mut board = joined(&fabric, &acme, &cloud, "edge-1");
    board.offers("echo", "tcp", echo.address());
    board.start();
    let port = cloud.wait_reachable("echo.acme.example");
    let mut live = catalyst_e2e::tcp::try_connect(port).unwrap();
    std::io::Write::write_all(&mut live, b"x").unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut live, &mut byte).unwrap();

    let out = cloud.cli(&["node", "revoke", "edge-1"]);
    assert!(out.status.success(), "{}", both(&out));
    live.set_read_timeout(Some(wait::SOON)).unwrap();
    let ended = std::io::Read::read(&mut live, &mut byte);
    assert!(!matches!(&ended, Ok(n) if *n > 0), "the live flow is cut: {ended:?}");
    cloud.wait_no_route("echo.acme.example");
    let revoked = |row: &Value| row["last_error"].as_str().is_some_and(|e| e.contains("revoked"));
    board.wait_peer(&cloud, "the reason", revoked);
    let rows = cloud.cli(&["node", "ls", "--json"]);
    let rows: Value = serde_json::from_slice(&rows.stdout).unwrap();
    assert_eq!((&rows[0]["node"], &rows[0]["state"]), (&json!("edge-1"), &json!("revoked")));

    // Neither a restart of the authority nor one of the board changes that.
    cloud.kill();
    cloud.start();
    board.kill();
    board.start();
    board.wait_peer(&cloud, "the reason", revoked);
    assert_eq!(cloud.routes_to("echo.acme.example"), [] as [Value; 0]);

    // Another board takes the name; the old one stays out.
    let dir = fabric.dir().join("new-board");
    assert_eq!(join_in(&fabric, &dir, &invite(&cloud, "edge-1", &[])).1, 0);
    let mut new = fabric.adopt(&acme, Build::Edge, "edge-1", dir);
    new.start();
    new.wait_up(&cloud);
    board.wait_peer(&cloud, "the reason", revoked);
    cloud.kill();
    cloud.start();
    new.wait_up(&cloud);
    board.wait_peer(&cloud, "the reason", revoked);
}

#[test]
fn where_udp_is_blocked_a_board_joins_serves_and_renews_over_tcp() {
    if !lab::inside("join::where_udp_is_blocked_a_board_joins_serves_and_renews_over_tcp") {
        return;
    }
    lab::run("iptables -A INPUT -p udp -j DROP");
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.config["authority"]["lifetime_s"] = json!(20);
    cloud.exposes("inventory.acme.example");
    cloud.start();
    let inventory = Http::start("inventory");
    let token = invite(&cloud, "edge-1", &[]);
    let dir = fabric.dir().join("edge-1.acme.example");
    let asked = Instant::now();
    let (said, code) = join_in(&fabric, &dir, &token);
    assert_eq!(code, 0, "{said}");
    println!("joined over TCP after {:?}", asked.elapsed());
    // The token is as good only once over TCP, and the refusal is as clear.
    let (said, code) = join_in(&fabric, &fabric.dir().join("second"), &token);
    assert!(code == 5 && said.contains("used already"), "{code}: {said}");

    let mut board = fabric.adopt(&acme, Build::Edge, "edge-1", dir);
    board.offers("inventory", "http", inventory.address());
    board.start();
    let port = cloud.wait_reachable("inventory.acme.example");
    assert_eq!(http::get(port).unwrap(), "inventory");
    assert_eq!(board.peer(&cloud)["via"], "tcp");
    let first = board.status()["certificate_until"].as_u64().unwrap();
    board.wait_for("a renewed certificate", Duration::from_secs(60), json!({ "do": "status" }), |status| {
        status["certificate_until"].as_u64().unwrap() > first
    });
    assert!(board.status()["renewal_error"].is_null());

    // A node that issues nothing says so, and one that is not there is named with both ways.
    let mut plain = fabric.cloud(&acme, "plain");
    plain.start();
    let token = invite(&cloud, "edge-2", &["--address", &plain.address().to_string()]);
    let (said, code) = join_in(&fabric, &fabric.dir().join("plain"), &token);
    assert!(code == 1 && said.contains("issues no certificates"), "{code}: {said}");
    let token = invite(&cloud, "edge-3", &["--address", &fabric.address().to_string()]);
    let (said, code) = join_in(&fabric, &fabric.dir().join("nobody"), &token);
    assert!(code == 1 && said.contains("over UDP") && said.contains("over TCP"), "{code}: {said}");
}

#[test]
fn one_address_may_not_try_tokens_without_end_while_renewals_go_on() {
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut cloud = authority(&fabric, &acme);
    cloud.config["authority"]["lifetime_s"] = json!(20);
    cloud.start();
    let mut board = joined(&fabric, &acme, &cloud, "edge-1");
    board.start();
    let first = board.status()["certificate_until"].as_u64().unwrap();
    // Good tokens cost nothing; this one is spent at once, and tried again and again.
    let token = invite(&cloud, "edge-2", &[]);
    assert_eq!(join_in(&fabric, &fabric.dir().join("edge-2"), &token).1, 0);
    let dir = fabric.dir().join("again");
    let begin = Instant::now();
    let mut tries = 0;
    let said = loop {
        let (said, code) = join_in(&fabric, &dir, &token);
        if said.contains("too many tries") {
            assert_eq!(code, 1, "{said}");
            break said;
        }
        assert!(code == 5 && said.contains("used already"), "{code}: {said}");
        tries += 1;
        assert!(tries < 100, "there is no limit");
    };
    println!("refused after {tries} tries in {:?}: {said}", begin.elapsed());
    assert!(tries >= 20);
    // The board next door renews its certificate, and what is turned away is counted.
    board.wait_for("a renewed certificate", Duration::from_secs(30), json!({ "do": "status" }), |status| {
        status["certificate_until"].as_u64().unwrap() > first
    });
    assert!(cloud.status()["refused_connections"].as_u64() > Some(0));
    // An honest board behind the same address gets its turn.
    let good = invite(&cloud, "edge-3", &[]);
    let joined = wait::until("a turn", Duration::from_secs(20), || {
        let (said, code) = join_in(&fabric, &fabric.dir().join("edge-3"), &good);
        assert!(code == 0 || said.contains("too many tries"), "{code}: {said}");
        (code == 0).then(|| begin.elapsed())
    });
    println!("an honest board joined {joined:?} after the first try");
}
