//! Local ports that are opened and closed while the node runs.

use std::io;
use std::net::SocketAddr;

use catalyst_config::{Expose, HostPort, comes_back, listen_address};
use catalyst_names::{Protocol, ServiceLabel, ServiceName};
use catalyst_route_table::Store;

use crate::admin::{Answer, ExposeRow, ServiceSpec};
use crate::boot;
use crate::engine::{Engine, Outcome};
use crate::error::listen_help;
use crate::exposes::ExposeSpec;
use crate::own_ports::Carrier;
use crate::ports::{self, OpenPort};
use crate::shell::Shell;
use crate::turns::Around;

impl<Sh: Shell> Around<'_, Sh> {
    /// Opens a port, for good.
    pub(crate) fn expose<S: Store>(&self, engine: &mut Engine<S>, spec: ExposeSpec) -> Outcome {
        let result = engine.expose_wanted(spec).and_then(|wanted| match wanted {
            Wanted::There => Ok(Outcome::Done(Ok(Answer::Exposed(engine.expose_rows())))),
            Wanted::New(port) => {
                let listen = port.listen;
                let protocol = port.protocol;
                let may = |at: SocketAddr| engine.target_at(protocol, at).is_none();
                let open = ports::open(self.plane, port, engine.facts.config.expose_ports, may)
                    .map_err(|error| engine.cannot_listen(listen, protocol, &error))?;
                // One that was not open and was tried again.
                engine.facts.exposed.retain(|p| p.opened.is_ok() || p.wanted != open.wanted);
                let write = engine.exposes.add(&open.wanted);
                engine.facts.exposed.push(open);
                engine.interest_changed();
                Ok(Outcome::Write(write, Answer::Exposed(engine.expose_rows())))
            }
        });
        result.unwrap_or_else(|why| Outcome::Done(Err(why)))
    }
}

/// What a request to open a port comes to.
enum Wanted {
    /// It is open already.
    There,
    New(Expose),
}

impl<S: Store> Engine<S> {
    /// Who wants to hear of some services only wants to hear of those that have local ports, too.
    fn interest_changed(&mut self) {
        let exposed = self.facts.exposed.iter().map(|port| &port.wanted.service);
        let event = boot::interest(&self.facts.config, exposed);
        if self.facts.config.interest.is_some() {
            self.feed(&event);
        }
    }

    fn expose_wanted(&mut self, spec: ExposeSpec) -> Result<Wanted, String> {
        if !matches!(spec.port, Protocol::Tcp | Protocol::Udp) {
            return Err(format!(
                "a local port is for tcp, which HTTP is too, or for udp; not for {}",
                spec.port
            ));
        }
        let listen = match &spec.listen {
            Some(text) => listen_address(text).map_err(|why| format!("'{text}': {why}"))?,
            None => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let wanted = Expose { service: spec.service, listen, protocol: spec.port };
        let open = || self.facts.exposed.iter().filter(|p| p.wanted.protocol == wanted.protocol);
        let same = |p: &&OpenPort| match listen.port() {
            0 => p.wanted.service == wanted.service && p.address.ip() == listen.ip(),
            _ => meet(p.address, listen),
        };
        if let Some(there) = open().filter(|p| p.opened.is_ok()).find(same) {
            return match there.wanted.service == wanted.service {
                true => Ok(Wanted::There),
                false => {
                    Err(format!("{} is the local port of {} already", there.address, there.wanted.service))
                }
            };
        }
        let limit = self.facts.config.limits.expose;
        if self.facts.exposed.iter().filter(|p| p.wanted != wanted).count() >= limit as usize {
            return Err(format!(
                "the node has as many local ports as it may (limits.expose is {limit}); close one, or raise the limit"
            ));
        }
        if let Some((service, target)) = self.target_at(wanted.protocol, listen) {
            return Err(format!(
                "{listen} is the target '{target}' of the service '{service}' of this node: its connections would come \
                 back here; choose another port, or change the service"
            ));
        }
        if listen.port() == 0 && self.facts.config.expose_ports.0.is_none() {
            return Err("which port? Give --listen, or set 'expose_ports' in the configuration".to_string());
        }
        Ok(Wanted::New(wanted))
    }

    /// A service of this node whose target a listener would be.
    fn target_at(&self, protocol: Protocol, listen: SocketAddr) -> Option<(ServiceLabel, String)> {
        let udp = protocol == Protocol::Udp;
        let services = self.overlay.services(&self.facts.config);
        let aims = |target: &str| {
            let target = HostPort::parse(target).map(|t| t.plain_addresses()).unwrap_or_default();
            target.into_iter().any(|to| comes_back(to, listen))
        };
        let of = |s: &ServiceSpec| (s.protocol == Protocol::Udp) == udp && aims(&s.target);
        services.into_iter().find(of).map(|s| (s.name, s.target))
    }

    fn cannot_listen(&self, listen: SocketAddr, protocol: Protocol, error: &io::Error) -> String {
        let range = self.facts.config.expose_ports;
        let sandboxed = self.facts.sandbox.iter().any(|layer| layer.state != "off");
        // It keeps TCP ports closed, and those of the range open: else the system itself wants a right for a low port.
        let kept = sandboxed && protocol != Protocol::Udp && !range.holds(listen.port());
        match error.kind() {
            io::ErrorKind::AddrInUse if listen.port() == 0 => {
                format!("all ports of 'expose_ports' ({range}) are in use; widen it and start the node again")
            }
            io::ErrorKind::PermissionDenied if kept => format!(
                "cannot listen on {listen}: while it runs, this node's sandbox allows the ports {range} alone; choose one \
                 of them, or set 'expose_ports' in the configuration and start the node again"
            ),
            _ => format!("cannot listen on {listen}: {}", listen_help(error)),
        }
    }

    /// Closes ports of a service, for good.
    pub(crate) fn unexpose(&mut self, service: &ServiceName, listen: Option<&str>) -> Outcome {
        let (mut write, mut closed, mut found) = (crate::write::Write::default(), Vec::new(), false);
        let address = listen.map(listen_address).transpose();
        let address = match address {
            Ok(address) => address,
            Err(why) => return Outcome::Done(Err(format!("'{}': {why}", listen.unwrap_or_default()))),
        };
        for port in std::mem::take(&mut self.facts.exposed) {
            if port.wanted.service != *service || address.is_some_and(|a| a != port.address) {
                self.facts.exposed.push(port);
                continue;
            }
            found = true;
            write = write.with(self.exposes.remove(&port.wanted));
            if port.opened.is_ok() {
                self.tables.ports().closed(Carrier::of(port.wanted.protocol), port.address);
            }
            closed.extend(port.opened);
        }
        if !found {
            let at = listen.map_or_else(String::new, |listen| format!(" on {listen}"));
            return Outcome::Done(Err(format!("no local port for '{service}'{at}; see 'expose ls'")));
        }
        if !self.facts.exposed.iter().any(|port| port.wanted.service == *service) {
            self.tables.exposed(service, false);
        }
        self.interest_changed();
        Outcome::Closed(closed, write, Answer::Exposed(self.expose_rows()))
    }

    pub(crate) fn expose_rows(&self) -> Vec<ExposeRow> {
        let row = |open: &OpenPort| {
            let Expose { service, protocol, .. } = &open.wanted;
            let reachable = open.opened.as_ref().map_err(Clone::clone);
            let reachable = reachable.and_then(|_| self.tables.reachable(service, *protocol));
            let carried = Some(self.tables.carried(service));
            #[cfg(feature = "mesh")]
            let carried =
                carried.filter(|_| *protocol == Protocol::Udp || self.tables.mesh().get().is_none());
            #[cfg(feature = "mesh")]
            let reachable = match self.tables.mesh().get() {
                Some(mesh) if *protocol != Protocol::Udp => {
                    let why = |why: String| mesh.trouble(service).map_or(why, |trouble| trouble.why);
                    mesh.port_trouble(service, open.address).map_or(reachable.map_err(why), Err)
                }
                _ => reachable,
            };
            ExposeRow {
                service: service.to_string(),
                listen: open.address.to_string(),
                port: protocol.to_string(),
                carried,
                protocol: self.tables.protocol(service).map_or_else(String::new, |p| p.to_string()),
                state: reachable.err().unwrap_or_else(|| "reachable".to_string()),
                source: if self.exposes.is_of_file(&open.wanted) { "file" } else { "runtime" }.to_string(),
            }
        };
        self.facts.exposed.iter().map(row).collect()
    }
}

/// Whether two listeners cannot be there at one time.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
