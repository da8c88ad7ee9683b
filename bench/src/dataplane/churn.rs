//! A hundred changes in ten seconds under load: what do requests and connections notice that a change does not concern?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use catalyst_dataplane::{Service, Via, Way};
use catalyst_names::{NodeName, Protocol, ServiceName};

use crate::Binaries;
use crate::edge::load;
use crate::org::Org;
use crate::report::{Bar, Report};

use super::node::{Node, join, local, nth, settled, ways};
use super::web::{Client, PATIENCE, service};
use super::wrk::{self, Wrk};

const CHANGES: usize = 100;
const TIME: Duration = Duration::from_secs(10);
const CONNECTIONS: u64 = 16;
/// Flows of each sort that stay open.
const HELD: usize = 8;

/// Requests by way of the ingress of `a` to `web`, which `b` and `d` have; flows from a port of `a` and from one of `c`,
/// which is another organisation's, to services of `b`.
struct World {
    a: Node,
    b: Node,
    _c: Node,
    d: Node,
    web: ServiceName,
    pages: [SocketAddr; 2],
    ports: [SocketAddr; 2],
    stranger: NodeName,
}

/// A change, of five sorts in turn.
fn change(world: &mut World, n: usize) -> Result<()> {
    let round = n / 5;
    let World { a, b, d, web, pages, stranger, .. } = world;
    let page = |n: usize| if n.is_multiple_of(2) { pages[1] } else { pages[0] };
    match n % 5 {
        // Endpoints: of the service under load.
        0 => {
            let node = if round.is_multiple_of(2) { &mut *b } else { &mut *d };
            node.planner.set_target(web, Some(vec![page(round)]));
        }
        // Routes: the ways of the service under load.
        1 => {
            let (b, d) = (b.via(), d.via());
            let way = |via, equal| Way { via, weight: 1, equal };
            let ways = match round % 3 {
                0 => vec![way(b, false), way(d, true)],
                1 => vec![way(d, false), way(b, false)],
                _ => vec![way(b, false)],
            };
            a.planner.set_service(web, Service { protocol: Protocol::Http, ways });
        }
        // Clusters: a service comes, another goes.
        2 => {
            local(&mut b.planner, &nth(1_000 + round)?, Protocol::Http, page(round));
            if let Some(before) = round.checked_sub(1) {
                let name = nth(1_000 + before)?;
                b.planner.set_target(&name, None);
                b.planner.set_service(&name, ways(Protocol::Http, &[]));
            }
        }
        // Grants: given, and withdrawn in the next round.
        3 => b.planner.set_grant(stranger, &nth(round / 2)?, round.is_multiple_of(2)),
        // The filter that lets neighbours in.
        _ => {
            let other: NodeName = "e.acme.example".parse()?;
            let mesh = round.is_multiple_of(2).then(Vec::new);
            b.planner.set_neighbour(&other, mesh);
        }
    }
    for node in [a, b, d] {
        node.tell()?;
    }
    Ok(())
}

fn build(binaries: &Binaries, runtime: &tokio::runtime::Runtime, folder: &std::path::Path) -> Result<World> {
    let (acme, globex) = (Org::new()?, Org::named("globex.example")?);
    let orgs = [&acme, &globex];
    let start = |name: &str| Node::start(runtime, &binaries.envoy, folder, name, &orgs);
    let mut a = start("a.acme.example")?;
    let mut b = start("b.acme.example")?;
    let mut c = start("c.globex.example")?;
    let mut d = start("d.acme.example")?;
    join(&mut a, &mut b)?;
    join(&mut a, &mut d)?;
    join(&mut b, &mut c)?;
    let web = ServiceName::parse("web.acme.example")?;
    let (held, foreign) =
        (ServiceName::parse("held.acme.example")?, ServiceName::parse("foreign.acme.example")?);
    let pages = [service("page")?, service("page")?];
    let echo = load::service()?;
    for node in [&mut b, &mut d] {
        local(&mut node.planner, &web, Protocol::Http, pages[0]);
    }
    for name in [&held, &foreign] {
        local(&mut b.planner, name, Protocol::Tcp, echo);
    }
    for n in 0..CHANGES {
        local(&mut b.planner, &nth(n)?, Protocol::Http, pages[0]);
    }
    b.planner.set_grant(&c.home.name, &foreign, true);
    let to_b = [Via::Peer(b.home.name.clone())];
    a.planner.set_service(&web, ways(Protocol::Http, &to_b));
    a.planner.set_service(&held, ways(Protocol::Tcp, &to_b));
    c.planner.set_service(&foreign, ways(Protocol::Tcp, &to_b));
    let ports = [load::free_port()?, load::free_port()?];
    a.planner.open_port(&held, ports[0]);
    c.planner.open_port(&foreign, ports[1]);
    for node in [&mut d, &mut c, &mut b, &mut a] {
        node.tell()?;
        settled(runtime, &node.publisher).with_context(|| node.envoy.log())?;
    }
    let stranger = c.home.name.clone();
    Ok(World { a, b, _c: c, d, web, pages, ports, stranger })
}

/// A byte there and back on each; how many of them are no more.
fn closed(flows: &mut [TcpStream]) -> usize {
    let echoes = |flow: &mut TcpStream| -> std::io::Result<()> {
        flow.write_all(b"x")?;
        flow.read_exact(&mut [0])
    };
    flows.iter_mut().filter_map(|flow| echoes(flow).err()).count()
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let runtime = super::runtime()?;
    let folder = tempfile::tempdir()?;
    let mut world = build(binaries, &runtime, folder.path())?;
    Client::new(world.a.home.ingress)
        .until(world.web.as_str(), "page", Instant::now())
        .with_context(|| world.a.envoy.log())?;
    let mut flows = Vec::new();
    for port in world.ports {
        load::until_forwards(port)?;
        flows.extend(load::idle(port, HELD)?);
    }
    flows.iter().try_for_each(|flow| flow.set_read_timeout(Some(PATIENCE)))?;
    let entered = "http.ingress.downstream_cx_total";
    let left = "cluster.peer|b.acme.example.upstream_cx_destroy";
    let before = [world.a.envoy.stat(entered)?, world.a.envoy.stat(left)?];
    let load = Wrk::new(world.a.home.ingress, world.web.as_str(), CONNECTIONS, TIME.as_secs() + 2).start()?;
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let mut broken = 0;
    for n in 0..CHANGES {
        let due = TIME * u32::try_from(n)? / u32::try_from(CHANGES)?;
        thread::sleep(due.saturating_sub(start.elapsed()));
        change(&mut world, n)?;
        if n.is_multiple_of(10) {
            broken = closed(&mut flows).max(broken);
        }
    }
    let took = start.elapsed();
    let outcome = wrk::ended(load)?;
    for node in [&world.a, &world.b, &world.d] {
        settled(&runtime, &node.publisher).with_context(|| node.envoy.log())?;
    }
    broken = closed(&mut flows).max(broken);
    let now = [world.a.envoy.stat(entered)?, world.a.envoy.stat(left)?];
    let more = now.iter().zip(before).map(|(now, before)| now.saturating_sub(before) as f64);
    let [clients, mesh] = more.collect::<Vec<_>>()[..] else { bail!("two figures") };
    if outcome.requests == 0 {
        bail!("no request was answered");
    }
    let what = "100 changes under load";
    report.add(format!("{what}: all told after"), took.as_secs_f64(), "s", Bar::Below(11.0));
    report.add(format!("{what}: requests answered"), outcome.requests as f64, "", Bar::None);
    report.add(format!("{what}: errors"), outcome.errors as f64, "", Bar::AtMost(0.0));
    // wrk makes one more at first, to find out whether the address answers.
    let again = clients - CONNECTIONS as f64 - 1.0;
    report.add(format!("{what}: clients' connections closed"), again, "", Bar::AtMost(0.0));
    report.add(format!("{what}: mesh connections closed"), mesh, "", Bar::AtMost(0.0));
    report.add(format!("{what}: other flows closed, of 16"), broken as f64, "", Bar::AtMost(0.0));
    Ok(())
}
