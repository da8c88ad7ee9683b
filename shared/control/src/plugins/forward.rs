//! Services of this node into routes, and changed routes into ways for the data plane.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use catalyst_names::{OriginId, Protocol, ServiceName};
use catalyst_policy::LocalPref;
use catalyst_route_table::{Best, Rank, Route, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, Health, Limits as WireLimits, WellKnown, Writer};

use crate::changes::Changes;
use crate::config::LocalService;
use crate::delta::{Delta, Write};
use crate::effect::{Effect, Endpoint, Forward, NextHop};
use crate::event::Event;
use crate::plugin::ServicePlugin;
use crate::plugins::overlay::path;
use crate::state::State;

/// Announces the services of this node and tells the data plane where flows go.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalServices;

fn encode(service: &LocalService) -> Option<(Vec<u8>, Rank)> {
    let mut list = Vec::new();
    let tags: Vec<&str> = service.tags.iter().map(String::as_str).collect();
    let tags = path(&tags, &mut list)?;
    let attrs = Attrs {
        protocol: service.protocol,
        cost: service.cost,
        weight: service.weight,
        tags,
        well_known: WellKnown(if service.fail_closed { WellKnown::FAIL_CLOSED } else { 0 }),
        health: if service.healthy { Health::Up } else { Health::Down },
        ..Attrs::default()
    };
    let mut buf = vec![0; WireLimits::ENTRY];
    let mut out = Writer::new(&mut buf);
    attrs.write(&mut out).ok()?;
    // Read back with the checks that a neighbour would make.
    let read = Attrs::read(out.written()).ok()?;
    let rank = Rank::of(&read, LocalPref::OWN, true);
    Some((out.written().to_vec(), rank))
}

/// Whether neighbours would take the service as it is described.
pub(crate) fn check_service(service: &LocalService) -> Result<(), String> {
    encode(service).map(|_| ()).ok_or_else(|| {
        alloc::format!(
            "its tags are not valid; a tag is 'organisation:label', and a service has at most {}",
            WireLimits::TAGS
        )
    })
}

fn full_name<S: Store>(state: &State<S>, service: &LocalService) -> String {
    String::from(ServiceName::new(&service.label, &state.settings.name.org_id()).as_str())
}

fn announce<'e, S: Store>(state: &State<S>, service: &LocalService, delta: &mut Delta<'e>) {
    let Some((attrs, rank)) = encode(service) else { return };
    delta.push(Write::SetService(service.clone()));
    delta.push(Write::Announce {
        neighbour: state.own,
        service: Cow::Owned(full_name(state, service)),
        origin: Cow::Owned(String::from(state.settings.name.node())),
        rank,
        protocol: service.protocol,
        weight: service.weight,
        attrs: Cow::Owned(attrs),
    });
}

impl<S: Store> ServicePlugin<S> for LocalServices {
    fn name(&self) -> &'static str {
        "local-services"
    }

    fn apply<'e>(&self, event: &'e Event, state: &State<S>) -> Delta<'e> {
        let mut delta = Delta::default();
        match event {
            Event::ServiceUp(service) => announce(state, service, &mut delta),
            Event::ServiceDown(label) => {
                if let Some(service) = state.services.get(label) {
                    delta.push(Write::Withdraw {
                        neighbour: state.own,
                        service: Cow::Owned(full_name(state, service)),
                        origin: Cow::Owned(String::from(state.settings.name.node())),
                    });
                    delta.push(Write::RemoveService(label.clone()));
                }
            }
            Event::Health { label, healthy } => {
                if let Some(service) = state.services.get(label).filter(|s| s.healthy != *healthy) {
                    announce(state, &LocalService { healthy: *healthy, ..service.clone() }, &mut delta);
                }
            }
            _ => {}
        }
        delta
    }

    fn react(&self, state: &State<S>, changes: &Changes, effects: &mut Vec<Effect>) {
        let services = changes.services();
        effects.reserve(services.len());
        for service in services {
            if let Some(forward) = ways(state, service) {
                effects.push(Effect::Forward(forward));
            }
        }
    }
}

/// All ways to a service: the winners of its keys in their order, then the next best path of each.
fn ways<S: Store>(state: &State<S>, service: Sym) -> Option<Forward> {
    let name = ServiceName::parse(state.table.text(service)).ok()?;
    let mut winners: Vec<(RouteKey, Best, &Route<S::Attrs>)> = state.table.winners(service).collect();
    winners.sort_by(|a, b| state.table.compare_winners((a.0, a.1, &a.2.rank), (b.0, b.1, &b.2.rank)));
    let protocol = winners.first().map_or(Protocol::default(), |w| w.2.protocol);
    let way = |key: RouteKey, neighbour: Sym, weight: u16, equal: bool, backup: bool| {
        let next = if neighbour == state.own {
            NextHop::Local
        } else {
            NextHop::Peer(state.by_sym.get(&neighbour)?.clone())
        };
        let origin = OriginId::parse(state.table.text(key.origin)).ok()?;
        Some(Endpoint { origin, next, weight, equal, backup })
    };
    let before = core::iter::once(None).chain(winners.iter().map(|(_, _, route)| Some(&route.rank)));
    let firsts = winners.iter().zip(before).filter_map(|((key, best, route), before)| {
        let equal = before.is_some_and(|before| before.compare(&route.rank).is_eq());
        way(*key, best.best, route.weight, equal, false)
    });
    let nexts = winners.iter().filter_map(|(key, best, _)| {
        let next = best.next?;
        way(*key, next, state.table.route(*key, next)?.weight, false, true)
    });
    Some(Forward { service: name, protocol, endpoints: firsts.chain(nexts).collect() })
}
