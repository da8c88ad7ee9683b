//! Three plugins of a user, added without a change to the core: one for each public trait.
//!
//! `cargo run -p catalyst-control --example plugin` shows what each of them does.

use std::borrow::Cow;

use catalyst_control::export::Marks;
use catalyst_control::plugin::{PropagationPlugin, RouteTablePlugin, ServicePlugin};
use catalyst_control::{
    Changes, Core, Delta, Effect, Event, Limits, LocalService, Now, PeerConfig, SessionId, Settings, State,
    Write,
};
use catalyst_names::{Protocol, ServiceName};
use catalyst_policy::LocalPref;
use catalyst_route_table::{Heap, Limits as TableLimits, Rank, RouteKey, Store};
use catalyst_wire::{Attrs, Frame, Open, Update, Writer};

/// Services with this tag are for this node alone: no neighbour hears of them, whatever the rules say.
pub struct KeepSecret {
    /// `organisation:label`.
    pub tag: &'static str,
}

impl KeepSecret {
    fn is_secret<S: Store>(&self, state: &State<S>, key: RouteKey) -> bool {
        let best = state.table().best(key);
        let attrs = best.as_ref().and_then(|(_, route)| Attrs::read(route.attrs.as_ref()).ok());
        attrs.is_some_and(|attrs| attrs.tags.contains(self.tag))
    }
}

impl<S: Store> PropagationPlugin<S> for KeepSecret {
    fn name(&self) -> &'static str {
        "keep-secret"
    }

    fn evaluate(&self, state: &State<S>, changes: &Changes, marks: &mut Marks<'_>) {
        for change in changes.routes.iter().filter(|c| self.is_secret(state, c.key)) {
            for group in marks.groups() {
                // A later wish wins: added after the default plugin, this one has the last word.
                marks.withdraw(group.id, change.key);
            }
        }
    }
}

/// Whenever a service `x` of this node comes or goes, so does a route `x-canary` that costs more.
pub struct Canaries;

impl Canaries {
    fn name<S: Store>(state: &State<S>, label: &str) -> Cow<'static, str> {
        Cow::Owned(format!("{label}-canary.{}", state.settings().name.org()))
    }

    fn origin<S: Store>(state: &State<S>) -> Cow<'static, str> {
        Cow::Owned(state.settings().name.node().to_string())
    }
}

impl<S: Store> RouteTablePlugin<S> for Canaries {
    fn name(&self) -> &'static str {
        "canaries"
    }

    fn apply<'e>(&self, event: &'e Event, state: &State<S>) -> Delta<'e> {
        let mut delta = Delta::default();
        match event {
            Event::ServiceUp(service) => {
                let attrs = Attrs { cost: 1000, protocol: service.protocol, ..Attrs::default() };
                let mut buf = [0u8; 64];
                let mut out = Writer::new(&mut buf);
                if attrs.write(&mut out).is_ok() {
                    delta.push(Write::Announce {
                        neighbour: state.own(),
                        service: Self::name(state, service.label.as_str()),
                        origin: Self::origin(state),
                        rank: Rank::of(&attrs, LocalPref::OWN, true),
                        protocol: service.protocol,
                        weight: 1,
                        attrs: Cow::Owned(out.written().to_vec()),
                    });
                }
            }
            Event::ServiceDown(label) => delta.push(Write::Withdraw {
                neighbour: state.own(),
                service: Self::name(state, label.as_str()),
                origin: Self::origin(state),
            }),
            _ => {}
        }
        delta
    }
}

/// The data plane of this node knows every service under its old name, too.
pub struct OldNames {
    /// The organisation that the services belonged to before.
    pub old: &'static str,
}

impl<S: Store> ServicePlugin<S> for OldNames {
    fn name(&self) -> &'static str {
        "old-names"
    }

    fn apply<'e>(&self, _: &'e Event, _: &State<S>) -> Delta<'e> {
        Delta::default()
    }

    fn react(&self, state: &State<S>, changes: &Changes, effects: &mut Vec<Effect>) {
        let known: Vec<Effect> = effects.clone();
        for service in changes.services() {
            let text = state.table().text(service);
            let is_this = |e: &&Effect| matches!(e, Effect::Forward(f) if f.service.as_str() == text);
            let Some(Effect::Forward(forward)) = known.iter().find(is_this) else { continue };
            let old = text.split_once('.').map(|(label, _)| format!("{label}.{}", self.old));
            if let Some(Ok(service)) = old.map(|old| old.parse::<ServiceName>()) {
                let mut forward = forward.clone();
                forward.service = service;
                effects.push(Effect::Forward(forward));
            }
        }
    }
}

/// A core with the default plugins and these three.
///
/// # Errors
/// When a name or the table's limits do not fit.
pub fn core_with_plugins() -> Result<Core<Heap>, Box<dyn std::error::Error>> {
    let settings = Settings {
        name: "a.acme.example".parse()?,
        incarnation: 1,
        border_secret: [0; 32],
        limits: Limits::CLOUD,
        mesh_address: String::new(),
        stale_max_ms: 0,
        flap: Default::default(),
    };
    let mut core = Core::new(settings, Heap::new(TableLimits::CLOUD))?;
    core.add_propagation(Box::new(KeepSecret { tag: "acme.example:secret" }));
    core.add_routes(Box::new(Canaries));
    core.add_services(Box::new(OldNames { old: "old.example" }));
    Ok(core)
}

/// A service that this node offers, with these tags.
///
/// # Errors
/// When the label is none.
pub fn offer(label: &str, tags: &[&str]) -> Result<Event, Box<dyn std::error::Error>> {
    Ok(Event::ServiceUp(LocalService {
        label: label.parse()?,
        protocol: Protocol::Http,
        cost: 0,
        weight: 100,
        tags: tags.iter().map(ToString::to_string).collect(),
        healthy: true,
        fail_closed: false,
    }))
}

/// A neighbour of our own organisation that is established at once and reads everything.
///
/// # Errors
/// When its name is none.
pub fn join(core: &mut Core<Heap>, session: u64, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (now, session) = (Now::mono(0), SessionId(session));
    let config = PeerConfig { name: name.parse()?, agreement: None, hold_ms: 3000, restart_ms: 0 };
    core.handle(&Event::PeerConfigured(Box::new(config)), now);
    core.handle(&Event::SessionUp { session, peer: name.parse()?, dialled: true }, now);
    let open = Open {
        version_min: 1,
        version_max: 1,
        node: name,
        incarnation: 1,
        hold_ms: 3000,
        restart_ms: 0,
        capabilities: 0,
        agreement: None,
        mesh_address: "",
    };
    let mut buf = [0u8; 512];
    let frame = open.write(&mut buf)?.to_vec();
    core.handle(&Event::PeerFrame { session, frame }, now);
    core.handle(&Event::Writable { session, bytes: 1 << 20 }, now);
    Ok(())
}

/// The services that are announced in the frames that wait, in their order.
pub fn announced(core: &mut Core<Heap>) -> Vec<String> {
    let mut services = Vec::new();
    while let Some((_, bytes)) = core.poll_transmit() {
        let Ok(frame) = Frame::whole(&bytes) else { continue };
        let Ok(Some(catalyst_wire::FrameType::Update)) = frame.kind() else { continue };
        let Ok(update) = Update::read(frame.body) else { continue };
        services.extend(update.announced().filter_map(|element| match element {
            catalyst_wire::Announced::Route(route) => Some(route.service.to_string()),
            _ => None,
        }));
    }
    services
}

/// The services that the data plane was told of.
pub fn forwarded(core: &mut Core<Heap>) -> Vec<String> {
    let mut services = Vec::new();
    while let Some(effect) = core.poll_effect() {
        if let Effect::Forward(forward) = effect {
            services.push(forward.service.to_string());
        }
    }
    services
}

#[allow(dead_code)] // The tests include this file for its plugins.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut core = core_with_plugins()?;
    join(&mut core, 1, "b.acme.example")?;
    core.handle(&offer("inventory", &[])?, Now::mono(1));
    core.handle(&offer("payroll", &["acme.example:secret"])?, Now::mono(2));
    println!("in the table:         {:?}", names(&core));
    println!("b.acme.example hears: {:?}", announced(&mut core));
    println!("the data plane got:   {:?}", forwarded(&mut core));
    Ok(())
}

#[allow(dead_code)] // As above.
fn names(core: &Core<Heap>) -> Vec<String> {
    core.state().route_rows().into_iter().map(|row| row.service).collect()
}
