//! The local ports of remote services: opened at the start, and the same at the next one.
//!
//! Port 0 takes a free port once. It is kept in the store under the service and address, so that clients find the
//! service where it was. When another process has taken it meanwhile, a new one is taken, kept, and said aloud.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_config::{Expose, PortRange};
use catalyst_names::{Protocol, ServiceName};
use catalyst_store::{Store, Table};

use crate::adopt::spawn;
use crate::error::NodeError;
use crate::exposes::Exposes;
use crate::gate::Opened;
use crate::mesh::Change;
use crate::own_ports::Carrier;
use crate::packets::Port;
use crate::plane::Plane;
use crate::shell::{Shell, UdpPort};
use crate::udp;

const PORTS: Table = Table::new("ports");

/// A local port.
#[derive(Debug)]
pub(crate) struct OpenPort {
    /// As it is wanted.
    pub wanted: Expose,
    /// Where it is, or would be.
    pub address: SocketAddr,
    /// Open, or why not.
    pub opened: Result<Opened, String>,
}

enum Listener<Sh: Shell> {
    Tcp(Sh::TcpListener),
    Udp(Sh::Udp),
    /// Opened by the program that carries flows.
    Mesh(SocketAddr),
}

impl<Sh: Shell> Listener<Sh> {
    fn open(plane: &Plane<Sh>, protocol: Protocol, address: SocketAddr) -> io::Result<Self> {
        if protocol == Protocol::Udp {
            return udp::bind(&*plane.shell, address).map(Listener::Udp);
        }
        if plane.tables.mesh().get().is_some() {
            return of_mesh(address).map(Listener::Mesh);
        }
        plane.shell.listen(address).map(Listener::Tcp)
    }

    fn carrier(&self) -> Carrier {
        match self {
            Listener::Tcp(_) | Listener::Mesh(_) => Carrier::Tcp,
            Listener::Udp(_) => Carrier::Udp,
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Listener::Tcp(listener) => Sh::local_addr(listener),
            Listener::Udp(port) => port.local_addr(),
            Listener::Mesh(address) => Ok(*address),
        }
    }
}

/// Opens the local ports. Those of the file all or none; what keeps one closed that was added at run time is shown.
pub(crate) fn expose<Sh: Shell>(
    plane: &Arc<Plane<Sh>>,
    ports: &[Expose],
    exposes: &Exposes,
    limit: usize,
    store: &dyn Store,
) -> Result<Vec<OpenPort>, NodeError> {
    let mut places: Vec<_> = ports.iter().map(|port| (port, None)).collect();
    // Fixed ports first: none of them can then be given away as a free one.
    let (free, fixed): (Vec<_>, Vec<_>) =
        places.iter_mut().enumerate().partition(|(_, (port, _))| port.listen.port() == 0);
    for (at, (port, place)) in fixed.into_iter().chain(free) {
        let listen = |address| Listener::open(plane, port.protocol, address);
        let (key, what) = (key(port, twin(ports, at)), port.service.as_str());
        let listener = open_one(port.listen, &key, what, store, listen, Listener::address);
        let found = listener.and_then(|listener| listener.address().map(|address| (listener, address)));
        let fail = |source| NodeError::Listen {
            address: port.listen.to_string(),
            what: format!("expose: {}", port.service),
            source,
        };
        let found = match found {
            Ok(_) if at >= limit => Err(format!("limits.expose is {limit}: remove a port, or raise it")),
            Ok(found) => Ok(found),
            Err(source) if exposes.is_of_file(port) => return Err(fail(source)),
            Err(source) => Err(fail(source).to_string()),
        };
        if let Err(why) = &found {
            tracing::warn!(service = what, "{why}");
        }
        *place = Some(found);
    }
    let mut all = Vec::with_capacity(places.len());
    for (port, found) in places {
        let Some(found) = found else { continue };
        let address = found.as_ref().map_or(port.listen, |(_, address)| *address);
        let opened = found.map(|(listener, _)| serve(plane, listener, &port.service, address));
        all.push(OpenPort { wanted: port.clone(), address, opened });
    }
    Ok(all)
}

fn serve<Sh: Shell>(
    plane: &Arc<Plane<Sh>>,
    listener: Listener<Sh>,
    service: &ServiceName,
    address: SocketAddr,
) -> Opened {
    plane.tables.exposed(service, true);
    plane.tables.ports().opened(listener.carrier(), address);
    let (opened, gate) = Opened::new();
    let (shell, plane, service) = (&*plane.shell, plane.clone(), service.clone());
    match listener {
        Listener::Tcp(listener) => spawn(shell, plane.serve(listener, service, gate)),
        Listener::Udp(socket) => spawn(shell, plane.serve_packets(Port::new(socket, service, gate))),
        Listener::Mesh(at) => {
            plane.tables.mesh().tell(Change::Port { service: &service, at, open: true });
            plane.tables.mesh().tell(Change::Flush);
            spawn(shell, async move {
                gate.closing().await;
                plane.tables.mesh().tell(Change::Port { service: &service, at, open: false });
                plane.tables.mesh().tell(Change::Flush);
            });
        }
    }
    opened
}

/// Opens a port while the node runs: the one that is wanted, or the first free one of `range` that `may` be it.
pub(crate) fn open<Sh: Shell>(
    plane: &Arc<Plane<Sh>>,
    mut port: Expose,
    range: PortRange,
    may: impl Fn(SocketAddr) -> bool,
) -> Result<OpenPort, io::Error> {
    let numbers: Vec<u16> =
        if port.listen.port() == 0 { range.iter().collect() } else { vec![port.listen.port()] };
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for number in numbers {
        port.listen.set_port(number);
        if !may(port.listen) {
            continue;
        }
        match free(plane, port.protocol, port.listen)
            .and_then(|()| Listener::open(plane, port.protocol, port.listen))
        {
            Ok(listener) => {
                let opened = Ok(serve(plane, listener, &port.service, port.listen));
                return Ok(OpenPort { address: port.listen, wanted: port, opened });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The TCP ports that a node will open; 0 when it takes free ones.
pub(crate) fn wanted(ports: &[Expose], http: Option<SocketAddr>, store: &dyn Store) -> Vec<u16> {
    let mut all = Vec::new();
    for (at, port) in ports.iter().enumerate().filter(|(_, port)| port.protocol != Protocol::Udp) {
        all.push(port.listen.port());
        if port.listen.port() == 0 {
            all.extend(kept(&key(port, twin(ports, at)), store));
        }
    }
    if let Some(http) = http {
        all.push(http.port());
        all.extend(kept(&http_key(http), store).filter(|_| http.port() == 0));
    }
    all
}

/// An address for the program that carries flows, which opens it itself: it may have it open already.
fn of_mesh(address: SocketAddr) -> io::Result<SocketAddr> {
    match address.port() {
        0 => std::net::TcpListener::bind(address)?.local_addr(),
        _ => Ok(address),
    }
}

/// Whether the port can be given to the program that carries flows: what it does not get, it can only complain of. One that
/// was given to it a moment ago may not be open yet.
fn free<Sh: Shell>(plane: &Plane<Sh>, protocol: Protocol, address: SocketAddr) -> io::Result<()> {
    if protocol != Protocol::Udp && plane.tables.mesh().get().is_some() {
        if plane.tables.ports().met(Carrier::Tcp, address).is_some() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::net::TcpListener::bind(address)?;
    }
    Ok(())
}

/// Opens the port for HTTP by Host.
pub(crate) fn http<Sh: Shell>(
    plane: &Arc<Plane<Sh>>,
    listen: SocketAddr,
    clients: usize,
    store: &dyn Store,
) -> Result<SocketAddr, NodeError> {
    let fail = |source| NodeError::Listen { address: listen.to_string(), what: "http.listen".into(), source };
    if plane.tables.mesh().get().is_some() {
        let one = open_one(listen, &http_key(listen), "http", store, of_mesh, |at| Ok(*at)).map_err(fail)?;
        plane.tables.ports().opened(Carrier::Tcp, one);
        return Ok(one);
    }
    let open = |address| plane.shell.listen(address);
    let listener = open_one(listen, &http_key(listen), "http", store, open, Sh::local_addr).map_err(fail)?;
    let address = Sh::local_addr(&listener).map_err(fail)?;
    plane.tables.ports().opened(Carrier::Tcp, address);
    spawn(&*plane.shell, crate::http::serve(plane.clone(), listener, clients));
    Ok(address)
}

fn http_key(listen: SocketAddr) -> String {
    format!("http {}", listen.ip())
}

/// How many earlier entries are just like this one.
fn twin(ports: &[Expose], at: usize) -> usize {
    let Some(port) = ports.get(at) else { return 0 };
    ports.iter().take(at).filter(|e| *e == port).count()
}

/// `twin` tells entries apart that ask for a free port for the same service at the same address.
fn key(port: &Expose, twin: usize) -> String {
    let udp = if port.protocol == Protocol::Udp { " udp" } else { "" };
    format!("{} {} {twin}{udp}", port.service, port.listen.ip())
}

/// The free port that was taken under a key at an earlier start.
fn kept(key: &str, store: &dyn Store) -> Option<u16> {
    let row = store.get(PORTS, key.as_bytes()).ok().flatten()?;
    <[u8; 2]>::try_from(row.as_slice()).ok().map(u16::from_be_bytes).filter(|port| *port != 0)
}

/// One port: as configured, or the one that it had, or a free one from now on. It is kept under `key`; `what` is who
/// uses it, for the log.
fn open_one<L>(
    listen: SocketAddr,
    key: &str,
    what: &str,
    store: &dyn Store,
    open: impl Fn(SocketAddr) -> io::Result<L>,
    address: impl Fn(&L) -> io::Result<SocketAddr>,
) -> io::Result<L> {
    if listen.port() != 0 {
        return open(listen);
    }
    if let Some(kept) = kept(key, store) {
        match open(SocketAddr::new(listen.ip(), kept)) {
            Ok(listener) => return Ok(listener),
            Err(error) => tracing::warn!(
                service = what, port = kept, %error,
                "the local port of this service is taken by something else: it gets another one, which `status` shows; \
                 write a port of your own into the configuration to decide it"
            ),
        }
    }
    let listener = open(listen)?;
    let taken = address(&listener)?.port();
    if let Err(error) = store.put(PORTS, key.as_bytes(), &taken.to_be_bytes()) {
        tracing::warn!(service = what, port = taken, %error, "the next start may take another local port");
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use catalyst_store::MemoryStore;

    use super::*;

    fn one(service: &str, listen: &str) -> Expose {
        Expose {
            service: ServiceName::parse(service).unwrap(),
            listen: listen.parse().unwrap(),
            protocol: Protocol::Tcp,
        }
    }

    fn open(port: &Expose, twin: usize, store: &dyn Store) -> TcpListener {
        open_one(port.listen, &key(port, twin), "web", store, TcpListener::bind, TcpListener::local_addr)
            .unwrap()
    }

    fn number(listener: &TcpListener) -> u16 {
        listener.local_addr().unwrap().port()
    }

    #[test]
    fn a_free_port_is_kept_for_the_service_at_its_address() {
        let (store, web) = (MemoryStore::default(), one("web.acme.example", "127.0.0.1:0"));
        let first = number(&open(&web, 0, &store));
        assert_eq!(number(&open(&web, 0, &store)), first);
        let (a, twin) = (open(&web, 0, &store), open(&web, 1, &store));
        assert_eq!(number(&a), first);
        assert_ne!(number(&twin), first, "another entry for the same service has a port of its own");
        assert_ne!(number(&open(&one("db.acme.example", "127.0.0.1:0"), 0, &store)), first);
    }

    #[test]
    fn a_port_that_something_else_has_taken_is_replaced_for_good() {
        let (store, web) = (MemoryStore::default(), one("web.acme.example", "127.0.0.1:0"));
        let thief = open(&web, 0, &store);
        let second = open(&web, 0, &store);
        assert_ne!(number(&second), number(&thief));
        let new = number(&second);
        drop((thief, second));
        assert_eq!(number(&open(&web, 0, &store)), new, "not back to the first");
    }

    #[test]
    fn a_kept_row_that_is_damaged_is_as_good_as_none() {
        let (store, web) = (MemoryStore::default(), one("web.acme.example", "127.0.0.1:0"));
        for row in [&b""[..], &[0, 0], &[1, 2, 3]] {
            store.put(PORTS, b"web.acme.example 127.0.0.1 0", row).unwrap();
            assert_ne!(number(&open(&web, 0, &store)), 0);
        }
    }

    #[test]
    fn a_port_that_was_given_is_not_changed() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let fixed = one("web.acme.example", &holder.local_addr().unwrap().to_string());
        let refused = open_one(
            fixed.listen,
            "k",
            "web",
            &MemoryStore::default(),
            TcpListener::bind,
            TcpListener::local_addr,
        );
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
