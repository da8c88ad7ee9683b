//! One path through each pure crate: two nodes greet each other, a route is written, read, decided and
//! forgotten, an agreement is hashed, a stream gets its header. `None` means that a step went wrong.

use alloc::boxed::Box;
use alloc::vec::Vec;

use catalyst_control::{Core, Event, LocalService, Now, PeerConfig, SessionId, Settings};
use catalyst_names::{NodeName, OriginId, Protocol, ServiceName, SpiffeId};
use catalyst_peering::{Input, Session, Terms};
use catalyst_policy::{Agreement, Party, Role, border_origin};
use catalyst_route_table::{Fixed, Heap, Limits, Rank, RouteTable, Store};
use catalyst_tunnel::{FlowKind, StreamHeader};
use catalyst_wire::update::write_entry;
use catalyst_wire::{Announced, Attrs, Frame, Limits as WireLimits, Update, UpdateWriter, fuzz};

const ROOM: usize = 8 + WireLimits::FRAME_BODY;

/// Names.
pub fn names() -> Option<()> {
    ServiceName::parse("inventory.acme.example").ok()?;
    "spiffe://acme.example/node/edge-1".parse::<SpiffeId>().ok()?;
    let alias: Protocol = "http:gql".parse().ok()?;
    (alias.as_str() == "http:graphql").then_some(())
}

/// Peering: both sides send OPEN and are established.
pub fn peering() -> Option<()> {
    let a = NodeName::parse("edge-1.acme.example").ok()?;
    let b = NodeName::parse("cloud-1.acme.example").ok()?;
    let mut ours = Session::start(Terms::new(a.clone(), b.clone(), 1, 3_000), 0);
    let theirs = Terms::new(b, a, 2, 9_000);
    let mut buf = [0; 512];
    let open = theirs.open("", &mut buf).ok()?;
    let (frame, _) = Frame::split(open).ok()??;
    let _: Input<'_> = ours.receive(frame, 10).ok()?;
    ours.established()?;
    ours.tick(20).ok()?;
    ours.deadline().map(drop)
}

/// Wire and route table: a route goes into a frame, out of it, into both kinds of table and out again.
pub fn routes() -> Option<()> {
    let (mut element, mut frame) = ([0; 512], [0; ROOM]);
    let entry = write_entry(&mut element, "inventory.acme.example", "edge-1", &Attrs::default()).ok()?;
    let mut update = UpdateWriter::new(&mut frame).ok()?;
    update.announce(entry).ok()?;
    let bytes = update.finish().ok()?;
    fuzz::fuzz_frames(bytes);
    let (frame, _) = Frame::split(bytes).ok()??;
    let limits = Limits { routes: 4, names: 8, attrs: 256 };
    decide(frame, RouteTable::new(Heap::new(limits)))?;
    decide(frame, RouteTable::new(Fixed::<4, 8, 512, 240>::new(4)))
}

fn decide<S: Store>(frame: Frame<'_>, mut table: RouteTable<S>) -> Option<()> {
    let neighbour = table.intern("cloud-1.acme.example").ok()?;
    for announced in Update::read(frame.body).ok()?.announced() {
        let Announced::Route(route) = announced else { return None };
        let rank = Rank::of(&route.attrs, 400, false);
        let data = (route.attrs.protocol, route.attrs.weight);
        let names = (route.service, route.origin);
        let outcome = table.announce(neighbour, names, rank, data, route.raw).ok()?;
        outcome.change?;
    }
    let key = table.key("inventory.acme.example", "edge-1")?;
    table.best(key)?;
    table.withdraw(neighbour, key).change?;
    table.best(key).is_none().then_some(())
}

/// Policy: an agreement has one digest, whichever side writes it.
pub fn policy() -> Option<()> {
    let party = |org: &str, role| {
        Some(Party {
            org: catalyst_names::OrgId::parse(org).ok()?,
            role,
            max_services: 100,
            max_bytes: 10_000,
            bundle: Default::default(),
            contact: Default::default(),
        })
    };
    let (a, b) = (party("acme.example", Role::Customer)?, party("globex.example", Role::Provider)?);
    let one = Agreement::new(a.clone(), b.clone()).ok()?.digest();
    let other = Agreement::new(b, a).ok()?.digest();
    let opaque = border_origin(&[7; 32], &one, "edge-1");
    (one == other && opaque.as_str() != "edge-1").then_some(())
}

/// Tunnel: a stream header survives its bytes.
pub fn tunnel() -> Option<()> {
    let header = StreamHeader {
        service: ServiceName::parse("inventory.acme.example").ok()?,
        origin: Some(OriginId::parse("edge-1").ok()?),
        caller: NodeName::parse("cloud-1.acme.example").ok()?,
        trace: None,
        policy_epoch: 3,
        hop_limit: 8,
        kind: FlowKind::Bytes,
    };
    let mut buf = [0; catalyst_tunnel::Limits::HEADER];
    let length = header.encode(&mut buf).ok()?;
    let (read, used) = StreamHeader::decode(buf.get(..length)?).ok()?;
    (read == header && used == length).then_some(())
}

/// Control: an edge with a fixed store registers a service, and the cloud node beside it holds the route.
pub fn control() -> Option<()> {
    let mut edge = core("edge-1.acme.example", Fixed::<8, 16, 512, 240>::new(8))?;
    let limits = Limits { routes: 8, names: 16, attrs: 256 };
    let mut cloud = core("cloud-1.acme.example", Heap::new(limits))?;
    join(&mut edge, "cloud-1.acme.example", true)?;
    join(&mut cloud, "edge-1.acme.example", false)?;
    let service = LocalService {
        label: "inventory".parse().ok()?,
        protocol: Protocol::default(),
        cost: 0,
        weight: 100,
        tags: Vec::new(),
        healthy: true,
        fail_closed: false,
    };
    edge.handle(&Event::ServiceUp(service), Now::mono(1));
    settle(&mut edge, &mut cloud);
    let learned = cloud.state().route_rows().len();
    while cloud.poll_effect().is_some() {}
    cloud.handle(&Event::SessionDown { session: SessionId(1) }, Now::mono(2));
    cloud.next_deadline();
    (learned == 1 && cloud.state().route_rows().is_empty()).then_some(())
}

fn core<S: Store>(name: &str, store: S) -> Option<Core<S>> {
    let settings = Settings {
        name: name.parse().ok()?,
        incarnation: 1,
        border_secret: [7; 32],
        limits: catalyst_control::Limits::EDGE,
        mesh_address: alloc::string::String::new(),
        stale_max_ms: 0,
        flap: Default::default(),
    };
    Core::new(settings, store).ok()
}

fn join<S: Store>(core: &mut Core<S>, peer: &str, dialled: bool) -> Option<()> {
    let (now, session) = (Now::mono(0), SessionId(1));
    let name: NodeName = peer.parse().ok()?;
    let config = PeerConfig { name: name.clone(), agreement: None, hold_ms: 3_000, restart_ms: 0 };
    core.handle(&Event::PeerConfigured(Box::new(config)), now);
    core.handle(&Event::SessionUp { session, peer: name, dialled }, now);
    core.handle(&Event::Writable { session, bytes: 1 << 16 }, now);
    Some(())
}

/// Carries frames between the two until both are quiet.
fn settle<A: Store, B: Store>(a: &mut Core<A>, b: &mut Core<B>) {
    loop {
        let (from_a, from_b) = (a.poll_transmit(), b.poll_transmit());
        if from_a.is_none() && from_b.is_none() {
            return;
        }
        if let Some((session, frame)) = from_a {
            b.handle(&Event::PeerFrame { session, frame }, Now::mono(1));
        }
        if let Some((session, frame)) = from_b {
            a.handle(&Event::PeerFrame { session, frame }, Now::mono(1));
        }
    }
}
