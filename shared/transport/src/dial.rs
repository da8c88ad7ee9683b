//! The dialler of one peer: connects, runs the session, connects again, for ever.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_tunnel::names::NodeName;
use futures_lite::future;
use quinn::{ClientConfig, Connection, RecvStream, SendStream};

use crate::backoff::{Backoff, Jitter};
use crate::code;
use crate::error::{DialError, explain};
use crate::event::Event;
use crate::limits::Limits;
use crate::profile::LinkProfile;
use crate::quic;
use crate::rt::lock;
use crate::session::{self, Link};
use crate::state::{Dialler, Shared};

/// Runs until the peer is no longer configured with this address. A session that is up by then is closed in order.
pub(crate) async fn run(shared: Arc<Shared>, peer: NodeName, dialler: Dialler) {
    let mut backoff = Backoff::new(shared.profile_of(&peer).backoff, Jitter::new(shared.seed, peer.as_str()));
    loop {
        let Some(link) = unless_stopped(&shared, &dialler, next_link(&shared, &peer, &dialler)).await else {
            return;
        };
        let wait = match link {
            Ok(link) => {
                let settled = link.profile.settled;
                if session::run(&shared, link).await >= settled {
                    backoff.reset();
                }
                backoff.next()
            }
            Err(e) => {
                let retry_in = backoff.next();
                let (peer, error) = (peer.clone(), e.to_string());
                tracing::debug!(%peer, error, ?retry_in, "dial failed");
                shared.emit(Event::DialFailed { peer, error, retry_in }).await;
                retry_in
            }
        };
        let pause = future::or(shared.rt.sleep(wait), dialler.now.heard());
        if unless_stopped(&shared, &dialler, pause).await.is_none() {
            return;
        }
    }
}

async fn unless_stopped<T>(shared: &Shared, dialler: &Dialler, work: impl Future<Output = T>) -> Option<T> {
    let stopped = async {
        future::or(dialler.stop.raised(), shared.stop.raised()).await;
        None
    };
    future::or(stopped, async { Some(work.await) }).await
}

async fn next_link(shared: &Shared, peer: &NodeName, dialler: &Dialler) -> Result<Link, DialError> {
    // One session is enough, whoever dialled it. (Two dials that cross are settled by the core.)
    while shared.has_session(peer) {
        dialler.free.heard().await;
    }
    connect(shared, peer, dialler, shared.profile_of(peer)).await
}

async fn connect(
    shared: &Shared,
    peer: &NodeName,
    dialler: &Dialler,
    profile: LinkProfile,
) -> Result<Link, DialError> {
    let address = dialler.address.as_str();
    let failed = |source| DialError::Resolve { address: address.to_owned(), source };
    let resolving = (shared.resolver)(address.to_owned());
    let found = shared.rt.timeout(profile.connect, resolving).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;

    let client = lock(&shared.dialling).client(quic::PEER, &shared.limits, &profile)?;
    let local = shared.endpoint.local_addr().map_err(failed)?;
    // A socket of one family cannot reach the other, but a v6 socket reaches v4 by mapped addresses.
    let usable = found.into_iter().filter(|a| a.is_ipv4() || local.is_ipv6()).take(Limits::ADDRESSES);
    let mut last = DialError::NoAddress { address: address.to_owned() };
    for remote in usable {
        match attempt(shared, peer, remote, client.clone(), profile).await {
            Ok((connection, (send, recv))) => {
                let (peer, stop) = (peer.clone(), dialler.stop.clone());
                return Ok(Link { connection, send, recv, peer, dialled: true, profile, stop });
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

async fn attempt(
    shared: &Shared,
    peer: &NodeName,
    remote: SocketAddr,
    client: ClientConfig,
    profile: LinkProfile,
) -> Result<(Connection, (SendStream, RecvStream)), DialError> {
    let handshake = |reason| DialError::Handshake { remote, reason };
    let work = async {
        let connection = shared
            .endpoint
            .connect_with(client, remote, catalyst_identity::SERVER_NAME)
            .map_err(|source| DialError::Connect { remote, source })?
            .await
            .map_err(|e| handshake(explain(&e)))?;
        let found = quic::name_of(&connection).map_err(handshake)?;
        // Waits until the peer has accepted our certificate as well: only then it lets us open a stream, and only
        // then it is told the reason when we close (RFC 9000 section 10.2.3 hides it during the handshake).
        let stream = connection.open_bi().await;
        if found != *peer {
            let text = format!("dialled as {peer}, but the certificate says {found}");
            connection.close(code::WRONG_NODE, text.as_bytes());
            return Err(DialError::WrongNode { remote, found, wanted: peer.clone() });
        }
        let stream = stream.map_err(|e| handshake(explain(&e)))?;
        Ok((connection, stream))
    };
    let late = DialError::NoAnswer { remote, waited: profile.connect };
    shared.rt.timeout(profile.connect, work).await.unwrap_or(Err(late))
}
