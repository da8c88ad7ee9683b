//! A neighbour that goes on talking and reads nothing (RFC 9687): it alone is cut off, and may come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use catalyst_e2e::{Fabric, wait};
use catalyst_testkit::relay::{Line, Relay};
use catalyst_wire::FrameType;
use serde_json::json;

use crate::rogue::Rogue;

/// The send-hold time with a hold time of 3 s.
const SEND_HOLD: Duration = Duration::from_secs(10);

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

#[test]
fn a_neighbour_that_reads_nothing_is_cut_off_after_the_send_hold_time_and_it_alone() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hub = fabric.cloud(&org, "hub");
    let mut honest = fabric.cloud(&org, "honest");
    let identity = fabric.edge(&org, "deaf");
    honest.joins(&mut hub);
    hub.awaits(&identity);
    hub.start();
    honest.start();
    honest.wait_up(&hub);
    // 2 KiB of tags a service: its windows are soon full.
    let tags: Vec<String> = (0..32).map(|n| format!("acme.example:{n:02}{}", "x".repeat(48))).collect();
    let mut cost = 0u64;
    let mut change = || {
        cost += 1;
        let label = format!("s-{}", cost % 100);
        hub.add_service(
            json!({ "name": label, "target": nowhere().to_string(), "cost": cost, "tags": tags }),
        );
        cost
    };
    for _ in 0..100 {
        change();
    }
    // What it says comes slowly: it is heard all the time, and only what it does not read speaks against it.
    let relay = Relay::at("127.0.0.1:0".parse().unwrap(), hub.address(), 7).unwrap();
    let deaf = Rogue::deaf(&identity, &hub, relay.address(), &org, 2).connect();
    relay.lines(Line { rate: 2_000, ..Line::CLEAR }, Line::CLEAR);
    let begun = Instant::now();
    deaf.talk(60_000);
    hub.wait_up(&identity);
    let mut ended = None;
    while ended.is_none() && begun.elapsed() < 3 * SEND_HOLD {
        let last = change();
        let service = format!("s-{}.acme.example", last % 100);
        honest.wait_routes(&service, "the others hear of each change", |rows| {
            rows.first().is_some_and(|row| row["cost"] == last)
        });
        ended = (hub.peer(&identity)["state"] == "down").then(|| begun.elapsed());
        wait::stays("a while", Duration::from_millis(200), || true);
    }
    let ended = ended.expect("it was never cut off");
    let row = hub.peer(&identity);
    println!("cut off after {ended:?}: {}", row["last_error"]);
    assert!(ended > SEND_HOLD - Duration::from_secs(1) && ended < 2 * SEND_HOLD, "{ended:?}");
    assert!(row["last_error"].as_str().unwrap().contains("read"), "{row:#}");
    assert_eq!((&hub.peer(&honest)["sessions"], &honest.peer(&hub)["sessions"]), (&json!(1), &json!(1)));
    drop(deaf);

    // It listens again, and gets everything from the beginning.
    let again = Rogue::new(&identity, &hub, &org).connect();
    again.open();
    again.end_of_rib();
    again.frame(FrameType::EndOfRib);
    hub.wait_up(&identity);
    assert_eq!(hub.peer(&identity)["announced"], 100);
}
