//! UDP sockets: those of local ports, and one to a service for each flow.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use catalyst_config::HostPort;
use catalyst_transport::{Dropped, Inboxes, PacketCounters, PacketEnd, PumpEnd, with_buffer};
use rustix::io::Errno;

use crate::limits::Limits;
use crate::own_ports::{Carrier, OwnPorts};
use crate::shell::{Shell, UdpPort};

/// Packets that are read before others get their turn.
const TURNS: usize = 32;
/// A socket that fails so often in a row is of no use any more.
const ERRORS: usize = 64;

/// What the local UDP ports of a node share.
pub(crate) struct UdpPorts {
    /// Clients at a time, at each port.
    pub flows: usize,
    /// How long a flow may be idle.
    pub idle: Duration,
    /// Packets of clients, until their flows take them.
    pub inboxes: Inboxes,
    /// The number of the last client.
    pub last: AtomicU64,
}

impl UdpPorts {
    pub fn new(flows: usize, idle: Duration, edge: bool) -> Self {
        let waiting = Inboxes::new(Limits::port_packets(edge));
        UdpPorts { flows, idle, inboxes: waiting, last: AtomicU64::new(0) }
    }
}

/// A socket for local clients.
pub(crate) fn bind<Sh: Shell>(shell: &Sh, address: SocketAddr) -> io::Result<Sh::Udp> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    shell.udp(socket)
}

/// A socket that talks with a service alone: the system hands it nothing from anybody else. `None`
/// when that is a port of this node, where each packet would begin anew.
pub(crate) async fn connect<Sh: Shell>(
    shell: &Sh,
    target: &HostPort,
    own: &OwnPorts,
) -> io::Result<Option<Sh::Udp>> {
    let mut last = Err(io::Error::from(ErrorKind::NotFound));
    for address in shell.resolver()(target.to_string()).await? {
        if let Some(at) = own.met(Carrier::Udp, address) {
            own.cut(target, at);
            last = Ok(None);
            continue;
        }
        let any: SocketAddr = match address {
            SocketAddr::V4(to) if to.ip().is_loopback() => (Ipv4Addr::LOCALHOST, 0).into(),
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(to) if to.ip().is_loopback() => (Ipv6Addr::LOCALHOST, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // A machine may have only one of the two families.
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return shell.udp(socket).map(Some);
            }
            Err(error) => last = Err(error),
        }
    }
    last
}

/// Sends now or never.
pub(crate) fn send(socket: &impl UdpPort, packet: &[u8], to: Option<SocketAddr>) -> Result<(), Dropped> {
    let call = || socket.send_now(packet, to);
    // The answer to an earlier packet (ICMP) is told to the next call, which then sends nothing.
    let sent = call().or_else(|e| if e.kind() == ErrorKind::ConnectionRefused { call() } else { Err(e) });
    match sent {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Err(Dropped::Full),
        Err(e) if e.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => Err(Dropped::TooLong),
        Err(e) if e.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => Err(Dropped::Full),
        Err(_) => Err(Dropped::Unreachable),
    }
}

/// The service's end of a flow. That nobody listens there (ICMP) does not end it: services come back.
pub(crate) struct Service<U> {
    pub socket: U,
    pub counters: Arc<PacketCounters>,
}

impl<U: UdpPort> PacketEnd for Service<U> {
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Poll<PumpEnd> {
        let mut errors = 0;
        for _ in 0..TURNS.max(ERRORS) {
            let read = with_buffer(|buffer| {
                let read = self.socket.poll_recv_from(cx, buffer);
                if let Poll::Ready(Ok((len, _))) = read {
                    sink(buffer.get(..len).unwrap_or_default());
                }
                read
            });
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => errors = 0,
                Poll::Ready(Err(error)) => {
                    self.counters.dropped(Dropped::Unreachable, 1);
                    errors += 1;
                    if errors == ERRORS {
                        return Poll::Ready(PumpEnd::LocalReset(error.kind()));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn send(&self, packet: &[u8]) -> Result<(), Dropped> {
        send(&self.socket, packet, None)
    }

    fn close(&mut self, _: &PumpEnd) {}
}
