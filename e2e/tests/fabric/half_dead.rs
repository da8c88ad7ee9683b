//! A link that is dead in one direction only: one end hears nothing, the other hears everything. Both must give the session
//! up, what came over it is used by nobody, flows go over the other node, and all comes back by itself.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::lab::{self, Machine};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::{Fabric, wait};
use serde_json::json;

/// From the cut to the moment when both ends know: 2 s of silence, and as long again until the one that hears is told.
const NOTICED: Duration = Duration::from_secs(8);
/// What a dialler of this profile waits at most between two tries, and a try.
const BACK: Duration = Duration::from_secs(60);

fn answers(port: SocketAddr) -> Option<()> {
    let mut client = tcp::try_connect(port).ok()?;
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    client.write_all(b"x").ok()?;
    client.read_exact(&mut [0]).ok()
}

/// `far` - `first` - `edge` and `far` - `second` - `edge`, and the wire between `first` and the edge loses all packets towards
/// one of them.
fn one_way(test: &str, edge_is_deaf: bool) {
    if !lab::inside(test) {
        return;
    }
    let board = Machine::new();
    board.wire("lan", "10.2.0.1", "10.2.0.2");
    board.wire("wan", "10.1.0.1", "10.1.0.2");
    board.wire("other", "10.3.0.1", "10.3.0.2");
    let echo = Service::echo_on([10, 2, 0, 1].into());
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let [mut first, mut second, mut far] = ["cloud-1", "cloud-2", "far"].map(|n| fabric.cloud(&org, n));
    let mut edge = fabric.edge(&org, "edge-1");
    for (at, (middle, address)) in
        [(&mut first, "10.1.0.1:7443"), (&mut second, "10.3.0.1:7443")].into_iter().enumerate()
    {
        edge.joins(middle);
        far.joins(middle);
        middle.config["listen"] = json!(address);
        edge.config["peers"][at]["address"] = json!(address);
        far.config["peers"][at]["address"] = json!(address);
    }
    far.offers("above", "tcp", echo.address());
    edge.offers("below", "tcp", echo.address());
    edge.exposes("above.acme.example");
    edge.config["expose"][0]["listen"] = json!("10.2.0.2:0");
    far.exposes("below.acme.example");
    for node in [&mut first, &mut second, &mut far] {
        node.start();
    }
    edge.start_under(&board.enter());
    let ports = [edge.wait_reachable("above.acme.example"), far.wait_reachable("below.acme.example")];
    edge.wait_routes("above.acme.example", "two ways", |rows| rows.len() == 2);
    far.wait_routes("below.acme.example", "two ways", |rows| rows.len() == 2);
    for port in ports {
        wait::until("an answer", wait::SOON, || answers(port));
    }

    let deaf = |yes: bool| {
        let line = format!("iptables {} INPUT -i wan -j DROP", if yes { "-A" } else { "-D" });
        if edge_is_deaf { board.run(&line) } else { lab::run(&line) }
    };
    deaf(true);
    let cut = Instant::now();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The routes of a session that is dead for one of its ends alone must not be used by the other.
        let both_know = scope.spawn(|| {
            wait::until("down on both ends", NOTICED, || {
                let down = |row: serde_json::Value| row["state"] == "down";
                (down(first.peer(&edge)) && down(edge.peer(&first))).then_some(())
            });
            println!("down on both ends after {:?}: {}", cut.elapsed(), first.peer(&edge)["last_error"]);
            // Two hops on the way over the dead link is withdrawn, and the other one is there.
            far.wait_routes("below.acme.example", "the other way alone", |rows| {
                rows.len() == 1 && rows[0]["via"] == "cloud-2.acme.example" && rows[0]["standing"] == "best"
            });
            edge.wait_routes("above.acme.example", "the other way alone", |rows| {
                rows.len() == 1 && rows[0]["via"] == "cloud-2.acme.example" && rows[0]["standing"] == "best"
            });
            println!("withdrawn two hops on after {:?}", cut.elapsed());
        });
        let untouched = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(edge.peer(&second)["sessions"], 1);
                thread::sleep(Duration::from_millis(50));
            }
        });
        for (port, way) in ports.into_iter().zip(["from the edge", "to the edge"]) {
            wait::until("an answer over the other node", NOTICED, || answers(port));
            println!("{way}: an answer {:?} after the cut", cut.elapsed());
        }
        both_know.join().unwrap();
        for port in ports.into_iter().cycle().take(20) {
            assert!(answers(port).is_some(), "no flow hangs or fails once both ends know");
        }
        over.store(true, Ordering::Relaxed);
        untouched.join().unwrap();
    });
    deaf(false);
    let healed = Instant::now();
    edge.wait_for(
        "two ways again",
        BACK,
        json!({ "do": "routes", "service": "above.acme.example" }),
        |rows| {
            rows.as_array()
                .is_some_and(|rows| rows.iter().filter(|r| r["standing"] != "ineligible").count() == 2)
        },
    );
    far.wait_routes("below.acme.example", "two ways again", |rows| rows.len() == 2);
    println!("all is back {:?} after the link was", healed.elapsed());
    first.wait_up(&edge);
    for port in ports.into_iter().cycle().take(10) {
        assert!(answers(port).is_some());
    }
}

#[test]
fn an_edge_that_hears_nothing_is_given_up_by_both() {
    one_way("half_dead::an_edge_that_hears_nothing_is_given_up_by_both", true);
}

#[test]
fn an_edge_that_is_not_heard_is_given_up_by_both() {
    one_way("half_dead::an_edge_that_is_not_heard_is_given_up_by_both", false);
}
