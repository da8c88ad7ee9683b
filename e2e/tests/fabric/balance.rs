//! Several nodes offer one service equally well: new flows are shared by weight.

use catalyst_e2e::tcp::{Service, connect};
use catalyst_e2e::{Build, Fabric};
use serde_json::json;

const FLOWS: usize = 400;

fn shared(user: Build) {
    let (light, heavy) = (Service::echo(), Service::echo());
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut hosts = ["cloud-1", "cloud-2"].map(|n| fabric.cloud(&org, n));
    let mut user = fabric.node(&org, user, "user");
    for (host, (service, weight)) in hosts.iter_mut().zip([(&light, 100), (&heavy, 300)]) {
        host.offers("web", "tcp", service.address());
        host.config["services"][0]["weight"] = json!(weight);
        user.joins(host);
    }
    user.exposes("web.acme.example");
    hosts.iter_mut().for_each(|host| host.start());
    user.start();
    user.wait_routes("web.acme.example", "both ways", |rows| rows.len() == 2);
    let port = user.wait_reachable("web.acme.example");
    let round = || {
        let before = (light.taken(), heavy.taken());
        for _ in 0..FLOWS {
            let mut client = connect(port);
            std::io::Write::write_all(&mut client, b"x").unwrap();
            std::io::Read::read_exact(&mut client, &mut [0]).unwrap();
        }
        (light.taken() - before.0, heavy.taken() - before.1)
    };
    let (one, three) = round();
    assert_eq!(one + three, FLOWS);
    // Five standard deviations.
    assert!(one.abs_diff(FLOWS / 4) < 44, "{one} and {three}");

    // Without weight it gets no new flows while the other is there, and all of them when it is alone.
    let target = light.address().to_string();
    hosts[0].add_service(json!({ "name": "web", "target": target, "weight": 0 }));
    user.wait_routes("web.acme.example", "the new weight", |rows| rows.iter().any(|r| r["weight"] == 0));
    assert_eq!(round(), (0, FLOWS));
    hosts[1].remove("web");
    user.wait_routes("web.acme.example", "one way", |rows| rows.len() == 1);
    assert_eq!(round(), (FLOWS, 0));
    // One that is worse gets nothing, whatever its weight.
    let target = heavy.address().to_string();
    hosts[1].add_service(json!({ "name": "web", "target": target, "weight": 65_535, "cost": 1 }));
    user.wait_routes("web.acme.example", "both ways", |rows| rows.len() == 2);
    assert_eq!(round(), (FLOWS, 0));
}

#[test]
fn flows_of_an_edge_are_shared_by_weight() {
    shared(Build::Edge);
}

#[test]
fn flows_of_a_cloud_node_are_shared_by_weight() {
    shared(Build::Cloud);
}
