//! The accepting side: from a datagram or a TCP connection of a stranger to a session or a data connection of a peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalyst_tunnel::names::NodeName;
use futures_lite::future;
use quinn::Incoming;
use rustls::{ServerConfig, ServerConnection};

use crate::code;
use crate::conn::Conn;
use crate::connect;
use crate::data;
use crate::error::explain;
use crate::event::Event;
use crate::exchange::{EnrolStream, Line};
use crate::limits::Limits;
use crate::place;
use crate::quic;
use crate::session::{self, Link};
use crate::state::Shared;
use crate::tcp::{TcpAcceptor, TcpSocket};
use crate::tls::TlsStream;

/// Before another look at a listener that failed: out of descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes QUIC handshakes until the driver stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let accepting = async {
        while let Some(incoming) = shared.endpoint.accept().await {
            let remote = incoming.remote_address();
            if shared.is_busy() && incoming.may_retry() && !incoming.remote_address_validated() {
                // Fails only if the address is validated already.
                let _ = incoming.retry();
            } else if !shared.begin_handshake() {
                incoming.refuse();
                shared.refuse(remote, FULL.to_owned());
            } else {
                let own = Arc::clone(&shared);
                shared.flows.spawn(async move {
                    let handshake = over_quic(&own, incoming);
                    incoming_connection(&own, remote, handshake).await;
                });
            }
        }
    };
    future::or(accepting, shared.stop.raised()).await;
}

/// Takes TCP connections until the driver stops.
pub(crate) async fn run_tcp(shared: Arc<Shared>, listener: Box<dyn TcpAcceptor>) {
    let accepting = async {
        loop {
            let (socket, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a TCP connection");
                    shared.rt.sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(config) = shared.tcp_server().filter(|_| shared.begin_handshake()) else {
                shared.refuse(remote, FULL.to_owned());
                continue;
            };
            let own = Arc::clone(&shared);
            shared.flows.spawn(async move {
                let handshake = over_tcp(&own, socket, remote, config);
                incoming_connection(&own, remote, handshake).await;
            });
        }
    };
    future::or(accepting, shared.stop.raised()).await;
}

const FULL: &str = "too many handshakes at once";

/// Gives the place back, however the handshake ends.
struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.end_handshake();
    }
}

/// Who came, and for what.
enum Known {
    /// A connection whose peer is known, and which of the two protocols it wants.
    Peer { connection: Conn, peer: NodeName, data: bool },
    /// One that wants a certificate, and may have none.
    Enrol(Line),
}

enum Arrived {
    Control(Box<Link>),
    Data(NodeName, Conn),
    Enrol(Line, Arc<()>),
}

async fn incoming_connection(
    shared: &Arc<Shared>,
    remote: SocketAddr,
    handshake: impl Future<Output = Result<Known, String>>,
) {
    let place = Place(shared);
    let arrived = admitted(shared, handshake).await;
    drop(place);
    match arrived {
        Ok(Arrived::Control(link)) => {
            let own = Arc::clone(shared);
            shared.rt.spawn(async move {
                session::run(&own, *link).await;
            });
        }
        Ok(Arrived::Data(peer, connection)) => data::accepted(shared, &peer, connection).await,
        Ok(Arrived::Enrol(line, place)) => {
            match EnrolStream::accept(&shared.rt, line, place, &shared.visitors).await {
                Ok(stream) => shared.emit(Event::Enrol { stream }).await,
                Err(reason) => shared.refuse(remote, reason),
            }
        }
        Err(reason) => shared.refuse(remote, reason),
    }
}

async fn over_quic(shared: &Shared, incoming: Incoming) -> Result<Known, String> {
    let (connecting, mut driver) = place::catch(&shared.flows, || incoming.accept());
    let connecting = connecting.map_err(|e| explain(&e))?;
    let connection = driver.meanwhile(connecting).await.map_err(|e| explain(&e))?;
    let alpn = quic::alpn_of(&connection);
    if alpn.as_deref() == Some(quic::PEER) {
        driver.start_at_home(&shared.rt);
    } else {
        drop(driver);
    }
    if alpn.as_deref() == Some(quic::JOIN) {
        return Ok(Known::Enrol(Line::Quic { connection, streams: None, endpoint: None }));
    }
    let peer = quic::name_of(&connection).inspect_err(|_| {
        connection
            .close(code::NO_CERTIFICATE, b"a node without a certificate can only ask for one: join first");
    })?;
    Ok(Known::Peer { connection: Conn::Quic(connection), peer, data: alpn.as_deref() == Some(quic::DATA) })
}

async fn over_tcp(
    shared: &Shared,
    socket: Box<dyn TcpSocket>,
    remote: SocketAddr,
    config: Arc<ServerConfig>,
) -> Result<Known, String> {
    let tls = ServerConnection::new(config).map_err(|e| e.to_string())?;
    let stream = TlsStream::handshake(socket, Box::new(tls)).await?;
    let data = match stream.alpn() {
        Some(quic::DATA) => true,
        Some(quic::PEER) => false,
        Some(quic::JOIN) => return Ok(Known::Enrol(Line::Tcp { stream: Box::new(stream), remote })),
        _ => return Err("it speaks no protocol of this node (no common ALPN)".to_owned()),
    };
    let peer = stream.peer()?;
    Ok(Known::Peer { connection: connect::start(shared, stream, remote, false, 0, !data), peer, data })
}

async fn admitted(
    shared: &Shared,
    handshake: impl Future<Output = Result<Known, String>>,
) -> Result<Arrived, String> {
    // Who comes is not known yet, nor over which link.
    let limit = shared.longest_connect();
    let known = shared.rt.timeout(limit, handshake).await;
    let late = |_| format!("the handshake took longer than {limit:?}");
    let (connection, peer, data) = match known.map_err(late)?? {
        Known::Peer { connection, peer, data } => (connection, peer, data),
        Known::Enrol(line) => {
            let place = Arc::clone(&shared.enrolling);
            if Arc::strong_count(&place) > Limits::ENROL + 1 {
                let text = "too many nodes ask for certificates at once; try again in a few seconds";
                line.refuse(code::FULL, text);
                return Err(text.to_owned());
            }
            // Who has a certificate already is known, and comes to renew it.
            if line.chain().is_empty()
                && let Err(wait) = shared.visitors.enter(line.remote().ip(), shared.rt.now())
            {
                let text = format!(
                    "too many tries to join from this address; try again in {} s",
                    wait.as_secs() + 1
                );
                line.refuse(code::FULL, &text);
                return Err(text);
            }
            return Ok(Arrived::Enrol(line, place));
        }
    };
    let profile = shared.profile_of(&peer);
    if profile.noisy {
        connection.expect_noise();
    }
    if data {
        return Ok(Arrived::Data(peer, connection));
    }
    // One that comes again, its old session not yet known to be lost, takes the place of that one.
    if !shared.has_session(&peer) && shared.peers_up() >= shared.limits.sessions {
        let text =
            format!("sessions with as many peers as this node may have ({}) are up", shared.limits.sessions);
        connection.close(code::FULL, text.as_bytes());
        return Err(format!("{peer}: {text}"));
    }
    connection.set_streams(1);
    let Ok(stream) = shared.rt.timeout(profile.answer, connection.accept()).await else {
        connection.close(code::NO_STREAM, b"the control stream did not come in time");
        return Err(format!("{peer}: no control stream within {:?}", profile.answer));
    };
    let (send, recv) = stream.map_err(|e| format!("{peer}: {e}"))?;
    let stop = shared.stop.clone();
    Ok(Arrived::Control(Box::new(Link { connection, send, recv, peer, dialled: false, profile, stop })))
}
