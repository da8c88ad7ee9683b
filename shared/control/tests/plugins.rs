//! The plugins of the example, from outside: no line of the core knows of them.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/plugin.rs"]
mod plugin;

use catalyst_control::{Core, Delta, Effect, Event, Notice, Now, State, Write};
use catalyst_route_table::{Heap, Store};
use plugin::{announced, core_with_plugins, forwarded, join, offer};

fn started() -> Core<Heap> {
    let mut core = core_with_plugins().unwrap();
    join(&mut core, 1, "b.acme.example").unwrap();
    announced(&mut core);
    core
}

#[test]
fn a_propagation_plugin_keeps_a_tagged_service_in() {
    let mut core = started();
    core.handle(&offer("payroll", &["acme.example:secret"]).unwrap(), Now::mono(1));
    core.handle(&offer("inventory", &["acme.example:gold"]).unwrap(), Now::mono(2));
    let heard = announced(&mut core);
    assert!(heard.contains(&"inventory.acme.example".to_string()));
    assert!(!heard.contains(&"payroll.acme.example".to_string()), "{heard:?}");
    // The tag comes later: what was announced is taken back. It goes: announced again.
    core.handle(&offer("inventory", &["acme.example:secret"]).unwrap(), Now::mono(3));
    assert!(announced(&mut core).is_empty());
    core.handle(&offer("inventory", &[]).unwrap(), Now::mono(4));
    assert_eq!(announced(&mut core), ["inventory.acme.example"]);
    // Nor does a neighbour that comes later hear of it.
    join(&mut core, 2, "c.acme.example").unwrap();
    let late = announced(&mut core);
    assert!(late.contains(&"inventory.acme.example".to_string()));
    assert!(!late.contains(&"payroll.acme.example".to_string()), "{late:?}");
}

#[test]
fn a_route_table_plugin_adds_routes_and_takes_them_away() {
    let mut core = started();
    core.handle(&offer("inventory", &[]).unwrap(), Now::mono(1));
    let rows: Vec<_> = core.state().route_rows().into_iter().map(|r| (r.service, r.cost)).collect();
    assert_eq!(
        rows,
        [("inventory-canary.acme.example".to_string(), 1000), ("inventory.acme.example".to_string(), 0)]
    );
    assert_eq!(announced(&mut core).len(), 2);
    core.handle(&Event::ServiceDown("inventory".parse().unwrap()), Now::mono(2));
    assert!(core.state().route_rows().is_empty());
}

#[test]
fn a_service_plugin_gives_the_data_plane_more_work() {
    let mut core = started();
    forwarded(&mut core);
    core.handle(&offer("inventory", &[]).unwrap(), Now::mono(1));
    let told = forwarded(&mut core);
    for service in ["inventory.acme.example", "inventory.old.example", "inventory-canary.old.example"] {
        assert!(told.contains(&service.to_string()), "{service} is missing in {told:?}");
    }
}

/// Wants to offer services in its own way, beside the default plugin.
struct Rival;

impl<S: Store> catalyst_control::plugin::RouteTablePlugin<S> for Rival {
    fn name(&self) -> &'static str {
        "rival"
    }

    fn apply<'e>(&self, event: &'e Event, _: &State<S>) -> Delta<'e> {
        let mut delta = Delta::default();
        if let Event::ServiceUp(service) = event {
            delta.push(Write::SetService(service.clone()));
        }
        delta
    }
}

#[test]
fn two_plugins_that_write_one_key_cost_the_event_and_nothing_else() {
    let mut core = started();
    core.handle(&offer("before", &[]).unwrap(), Now::mono(1));
    core.add_routes(Box::new(Rival));
    core.handle(&offer("inventory", &[]).unwrap(), Now::mono(2));
    assert!(core.state().route_rows().iter().all(|r| !r.service.starts_with("inventory")));
    assert_eq!(core.state().counters().plugin_conflicts, 1);
    let mut said = false;
    while let Some(effect) = core.poll_effect() {
        said |= matches!(effect, Effect::Notice(Notice::PluginConflict(why)) if why.contains("the service 'inventory'"));
    }
    assert!(said);
    assert_eq!(core.state().services().count(), 1);
}
