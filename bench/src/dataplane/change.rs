//! How long a change takes until Envoy serves it, with 1,000 services loaded, beside a bare delta server that sends the
//! same resources.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use catalyst_dataplane::Planner;
use catalyst_names::{Protocol, ServiceName};
use catalyst_xds::Publisher;
use tokio::runtime::Runtime;

use crate::Binaries;
use crate::org::Org;
use crate::report::{Bar, Report, quantile, sorted};

use super::bare::Bare;
use super::envoy::Envoy;
use super::node::{Home, local, nth, publish};
use super::web::{Client, service};

const SERVICES: usize = 1_000;
/// Changes of each sort.
const CHANGES: usize = 200;

/// What brings the planner's resources to Envoy.
enum Server {
    Ours(Publisher),
    Bare(Bare),
}

/// One of the two that are measured in turns.
struct Side {
    server: Server,
    planner: Planner,
    client: Client,
    envoy: Envoy,
    /// Milliseconds.
    endpoints: Vec<f64>,
    new: Vec<f64>,
}

impl Side {
    fn start(
        runtime: &Runtime,
        program: &Path,
        folder: &Path,
        org: &Org,
        ours: bool,
        load: impl Fn(&mut Planner) -> Result<()>,
    ) -> Result<Side> {
        let home = Home::new(folder, "a.acme.example".parse()?)?;
        let mut planner = home.planner(org, &[org])?;
        load(&mut planner)?;
        let server = if ours {
            let publisher = publish(runtime, &home)?;
            publisher.apply(planner.drain())?;
            publisher.open();
            Server::Ours(publisher)
        } else {
            let bare = Bare::start(runtime, &home)?;
            bare.set(planner.drain().set);
            Server::Bare(bare)
        };
        let envoy = home.envoy(program)?;
        let client = Client::new(home.ingress);
        Ok(Side { server, planner, client, envoy, endpoints: Vec::new(), new: Vec::new() })
    }

    /// One change, and the time until a request through Envoy sees it. The resources are made within that time by both.
    fn change(&mut self, edit: impl FnOnce(&mut Planner), name: &ServiceName, words: &str) -> Result<f64> {
        let start = Instant::now();
        edit(&mut self.planner);
        let changes = self.planner.drain();
        match &self.server {
            Server::Ours(publisher) => publisher.apply(changes)?,
            Server::Bare(bare) => bare.set(changes.set),
        }
        let served = self.client.until(name.as_str(), words, start).with_context(|| self.envoy.log())?;
        Ok(served.as_secs_f64() * 1e3)
    }
}

/// Measures.
pub fn run(binaries: &Binaries, report: &mut Report) -> Result<()> {
    let runtime = super::runtime()?;
    let folder = tempfile::tempdir()?;
    let org = Org::new()?;
    let words = ["one", "two"];
    let at = [service("one")?, service("two")?];
    let load = |planner: &mut Planner| -> Result<()> {
        for n in 0..SERVICES {
            local(planner, &nth(n)?, Protocol::Http, at[0]);
        }
        Ok(())
    };
    let side = |name: &str, ours| {
        Side::start(&runtime, &binaries.envoy, &folder.path().join(name), &org, ours, load)
    };
    let mut sides = [side("ours", true)?, side("bare", false)?];
    let last = nth(SERVICES - 1)?;
    for side in &mut sides {
        side.client.until(last.as_str(), words[0], Instant::now()).with_context(|| side.envoy.log())?;
    }
    for n in 0..CHANGES {
        // Each begins as often as the other.
        sides.reverse();
        let (name, target) = (nth(n % SERVICES)?, n + 1);
        for side in &mut sides {
            side.client.until(name.as_str(), words[0], Instant::now())?;
            let edit = |planner: &mut Planner| planner.set_target(&name, Some(vec![at[1]]));
            let took = side.change(edit, &name, words[1])?;
            side.endpoints.push(took);
        }
        let name = nth(SERVICES + target)?;
        for side in &mut sides {
            let took =
                side.change(|planner| local(planner, &name, Protocol::Http, at[0]), &name, words[0])?;
            side.new.push(took);
        }
    }
    let is_ours = |side: &&Side| matches!(side.server, Server::Ours(_));
    let (Some(ours), Some(bare)) = (sides.iter().find(is_ours), sides.iter().find(|side| !is_ours(side)))
    else {
        return Ok(());
    };
    for (what, ours, bare) in
        [("endpoint change", &ours.endpoints, &bare.endpoints), ("new service", &ours.new, &bare.new)]
    {
        let (ours, bare) = (sorted(ours.clone()), sorted(bare.clone()));
        for (word, share, bar) in [("median", 0.5, Bar::TimesAtMost(1.3)), ("p90", 0.9, Bar::None)] {
            let beside = ("bare delta server", quantile(&bare, share));
            let what = format!("{what} of 1,000 services -> served, {word} of {CHANGES}");
            report.beside(what, quantile(&ours, share), "ms", beside, bar);
        }
    }
    Ok(())
}
