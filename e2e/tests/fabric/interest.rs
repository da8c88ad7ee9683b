//! A node that uses a few services holds those alone.

use catalyst_e2e::{Fabric, Node};
use serde_json::json;

fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn services(node: &Node) -> Vec<String> {
    let mut all: Vec<String> =
        node.routes().iter().filter_map(|r| r["service"].as_str().map(str::to_owned)).collect();
    all.sort();
    all
}

#[test]
fn an_edge_with_an_interest_holds_only_what_it_names_and_what_it_exposes() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut cloud = fabric.cloud(&org, "cloud-1");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.joins(&mut cloud);
    edge.config["interest"] = json!(["orders.acme.example", "inv*.acme.example"]);
    edge.config["limits"] = json!({ "routes": 20 });
    edge.exposes("hello.acme.example");
    cloud.start();
    // Far more than the edge has room for.
    for n in 0..60 {
        cloud.add(&format!("s-{n}"), nowhere());
    }
    for label in ["orders", "inventory", "invoices", "hello", "prices"] {
        cloud.add(label, nowhere());
    }
    edge.start();
    edge.wait_up(&cloud);
    edge.wait_route("orders.acme.example");
    let wanted = ["hello", "inventory", "invoices", "orders"].map(|s| format!("{s}.acme.example"));
    edge.wait("four routes", |status| status["routes"] == json!([4, 20]));
    assert_eq!(services(&edge), wanted);
    assert_eq!(edge.peer(&cloud)["refused"], 0);
    assert_eq!(cloud.peer(&edge)["announced"], 4);
    // Who asks for what is to be seen at both ends, and so is why somebody does not hear of a service.
    let asked = &cloud.peer(&edge)["interest"];
    let list = ["hello.acme.example", "orders.acme.example", "inv*.acme.example"];
    assert_eq!((&asked["count"], &asked["patterns"]), (&json!(3), &json!(list)));
    let said = String::from_utf8(cloud.cli(&["peer", "ls"]).stdout).unwrap();
    assert!(said.contains(&format!("edge-1.acme.example: asks for {}", list.join(", "))), "{said}");
    let said = String::from_utf8(cloud.cli(&["route", "explain", "prices.acme.example"]).stdout).unwrap();
    let why =
        format!("not to edge-1.acme.example: it does not ask for it (its interest: {})", list.join(", "));
    assert!(said.contains(&why), "{said}");

    // One of the services with a local port is wanted from then on, in the same session.
    edge.ask(json!({ "do": "expose-add", "expose": { "service": "prices.acme.example", "port": "tcp" } }));
    edge.wait_route("prices.acme.example");
    edge.ask(json!({ "do": "expose-remove", "service": "prices.acme.example" }));
    edge.wait_no_route("prices.acme.example");
    // A service that comes later, and one that changes.
    cloud.add("invaders", nowhere());
    edge.wait_route("invaders.acme.example");
    cloud.add_service(json!({ "name": "orders", "target": "127.0.0.1:9", "cost": 5 }));
    edge.wait_routes("orders.acme.example", "its new cost", |rows| rows[0]["cost"] == 5);
    cloud.remove("inventory");
    edge.wait_no_route("inventory.acme.example");
    let row = edge.wait_peer(&cloud, "an equal digest", |row| row["digest"] == "equal");
    assert_eq!((&row["sessions"], &row["digest_mismatches"]), (&json!(1), &json!(0)), "{row:#}");
    // The edge's own services go out all the same.
    edge.add("own", nowhere());
    cloud.wait_route("own.acme.example");
}

#[test]
fn an_interest_without_an_organisation_is_refused_with_a_hint() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut edge = fabric.edge(&org, "edge-1");
    edge.config["interest"] = json!(["orders"]);
    edge.write_config();
    let (said, code) = edge.start_in_vain();
    assert!(code != 0 && said.contains("/interest/0") && said.contains("orders"), "{code}: {said}");
}
