//! A service that comes and goes ranks behind its steady twin until it has been at rest.

use std::io::Write;
use std::time::{Duration, Instant};

use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, Node, wait};
use serde_json::{Value, json};

const WORD: &str = "word.acme.example";
const REST: Duration = Duration::from_secs(4);

fn says(word: &'static [u8]) -> Service {
    Service::start(move |mut stream| {
        let _ = stream.write_all(word);
    })
}

/// The route by one of two nodes that offer the service.
fn of(rows: &[Value], node: &Node) -> Value {
    rows.iter().find(|r| r["origin"] == node.name.as_str()).cloned().unwrap_or_default()
}

#[test]
fn a_service_that_toggles_ranks_behind_its_steady_twin_until_it_has_been_at_rest() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut first, mut second, mut user] = ["cloud-1", "cloud-2", "user"].map(|n| fabric.cloud(&org, n));
    let (one, two) = (says(b"1"), says(b"2"));
    user.joins(&mut first);
    user.joins(&mut second);
    user.exposes(WORD);
    user.config["flap"] = json!({ "changes": 5, "window_s": 60, "rest_s": REST.as_secs() });
    for node in [&mut first, &mut second, &mut user] {
        node.start();
    }
    first.add("word", one.address());
    second.add_service(
        json!({ "name": "word", "protocol": "tcp", "target": two.address().to_string(), "cost": 10 }),
    );
    user.wait_routes(WORD, "two origins", |rows| rows.len() == 2);
    let port = user.wait_reachable(WORD);
    let word = || tcp::read_all(&tcp::try_connect(port).ok()?).ok().filter(|w| !w.is_empty());
    wait::until("the cheaper one", wait::SOON, || word().filter(|w| w == b"1"));

    for _ in 0..4 {
        first.remove("word");
        user.wait_routes(WORD, "one origin", |rows| rows.len() == 1);
        first.add("word", one.address());
        user.wait_routes(WORD, "two origins", |rows| rows.len() == 2);
    }
    let last = Instant::now();
    let rows = user.routes_to(WORD);
    assert_eq!(of(&rows, &first)["flapping"], true, "{rows:#?}");
    assert_eq!(of(&rows, &second).get("flapping"), None);
    assert_eq!(of(&rows, &first)["standing"], "best", "it is still there: the best of its origin");
    assert_eq!(user.status()["flapping"], json!([1, 1]));
    let said = user.cli(&["route", "explain", WORD]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("origin cloud-2: used first"), "{said}");
    assert!(said.contains("behind the one before: steady against flapping"), "{said}");
    let said = String::from_utf8(user.cli(&["route", "ls"]).stdout).unwrap();
    assert!(said.contains("cloud-1.acme.example (flapping)"), "{said}");
    wait::stays("traffic is with the steady one", Duration::from_secs(1), || {
        word().is_some_and(|w| w == b"2")
    });

    wait::until("traffic is back", REST + wait::SOON, || word().filter(|w| w == b"1"));
    assert!(last.elapsed() > REST - Duration::from_millis(500), "back after {:?}", last.elapsed());
    assert_eq!(user.status()["flapping"], json!([0, 1]));
    assert_eq!(user.peer(&first)["sessions"], 1);
}
