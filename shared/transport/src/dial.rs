//! The dialler of one peer: connects, runs the session, connects again, for ever.
//!
//! Where it may choose ([`Via::Auto`]), QUIC comes first. When QUIC gets no answer at all, TCP is tried; what worked
//! last is tried first the next time. While TCP carries the session, QUIC is probed at growing intervals, and a probe
//! that succeeds becomes the session: the core sees a newer one in the same direction and closes the older one, with
//! its flows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalyst_tunnel::names::NodeName;
use futures_lite::future;

use crate::backoff::{Backoff, Jitter};
use crate::code;
use crate::config::{Carrier, Via};
use crate::connect;
use crate::error::DialError;
use crate::event::Event;
use crate::limits::Limits;
use crate::profile::LinkProfile;
use crate::quic;
use crate::rt::Signal;
use crate::session::{self, Link};
use crate::state::{Dialler, Shared};

/// Runs until the peer is no longer configured with this address. A session that is up by then is closed in order.
pub(crate) async fn run(shared: Arc<Shared>, peer: NodeName, dialler: Dialler) {
    let profile = shared.profile_of(&peer);
    let jitter = Jitter::new(shared.seed, peer.as_str());
    let mut backoff = Backoff::new(profile.backoff, jitter.clone());
    let mut dial =
        Dial { shared, peer, dialler, last: Carrier::Quic, probes: Backoff::new(profile.probe, jitter) };
    loop {
        let (shared, dialler) = (Arc::clone(&dial.shared), dial.dialler.clone());
        let Some(link) = unless_stopped(&shared, &dialler, dial.next_link()).await else { return };
        let wait = match link {
            Ok(link) => {
                let settled = link.profile.settled;
                if dial.live(link).await >= settled {
                    backoff.reset();
                }
                backoff.next()
            }
            Err(e) => {
                let retry_in = backoff.next();
                let (peer, error) = (dial.peer.clone(), e.to_string());
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

struct Dial {
    shared: Arc<Shared>,
    peer: NodeName,
    dialler: Dialler,
    /// What worked last.
    last: Carrier,
    /// The waits between probes of QUIC.
    probes: Backoff,
}

impl Dial {
    async fn next_link(&mut self) -> Result<Link, DialError> {
        // One session is enough, whoever dialled it. (Two dials that cross are settled by the core.)
        while self.shared.has_session(&self.peer) {
            self.dialler.free.heard().await;
        }
        let profile = self.shared.profile_of(&self.peer);
        let addresses = self.resolve(&profile).await?;
        let (first, second) = match (self.dialler.via, self.last) {
            (Via::Quic, _) => (Carrier::Quic, None),
            (Via::Tcp, _) => (Carrier::Tcp, None),
            (Via::Auto, _) if self.shared.tcp.is_none() => (Carrier::Quic, None),
            (Via::Auto, Carrier::Quic) => (Carrier::Quic, Some(Carrier::Tcp)),
            (Via::Auto, Carrier::Tcp) => (Carrier::Tcp, Some(Carrier::Quic)),
        };
        let patience = match (first, second) {
            (Carrier::Quic, Some(_)) => profile.fallback,
            _ => profile.connect,
        };
        let (link, carrier) = match (self.connect(&addresses, first, patience, &profile).await, second) {
            (Err(error), Some(second)) if first == Carrier::Tcp || error.is_silence() => {
                let other = self.connect(&addresses, second, profile.connect, &profile).await;
                let both = |other| DialError::Both { first: Box::new(error), other: Box::new(other) };
                (other.map_err(both)?, second)
            }
            (link, _) => (link?, first),
        };
        self.last = carrier;
        Ok(link)
    }

    async fn resolve(&self, profile: &LinkProfile) -> Result<Vec<SocketAddr>, DialError> {
        let address = self.dialler.address.as_str();
        let failed = |source| DialError::Resolve { address: address.to_owned(), source };
        let resolving = (self.shared.resolver)(address.to_owned());
        let found = self.shared.rt.timeout(profile.connect, resolving).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
        let local = self.shared.endpoint.local_addr().map_err(failed)?;
        // A socket of one family cannot reach the other, but a v6 socket reaches v4 by mapped addresses.
        let usable = found.into_iter().filter(|a| a.is_ipv4() || local.is_ipv6());
        let usable: Vec<_> = usable.take(Limits::ADDRESSES).collect();
        if usable.is_empty() {
            return Err(DialError::NoAddress { address: address.to_owned() });
        }
        Ok(usable)
    }

    /// Tries the addresses in turn, each for the time of `patience`.
    async fn connect(
        &self,
        addresses: &[SocketAddr],
        carrier: Carrier,
        patience: Duration,
        profile: &LinkProfile,
    ) -> Result<Link, DialError> {
        let mut last = None;
        for remote in addresses.iter().copied() {
            let late = DialError::NoAnswer { remote, carrier, waited: patience };
            let attempt = self.attempt(remote, carrier, profile);
            match self.shared.rt.timeout(patience, attempt).await.unwrap_or(Err(late)) {
                Ok(link) => return Ok(link),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| DialError::NoAddress { address: self.dialler.address.clone() }))
    }

    async fn attempt(
        &self,
        remote: SocketAddr,
        carrier: Carrier,
        profile: &LinkProfile,
    ) -> Result<Link, DialError> {
        let (connection, found) =
            connect::connect(&self.shared, remote, carrier, quic::PEER, profile).await?;
        // Waits until the peer has accepted our certificate as well: only then it lets us open a stream, and only
        // then it is told the reason when we close (RFC 9000 section 10.2.3 hides it during the handshake).
        let stream = connection.open().await;
        let peer = self.peer.clone();
        if found != peer {
            let text = format!("dialled as {peer}, but the certificate says {found}");
            connection.close(code::WRONG_NODE, text.as_bytes());
            return Err(DialError::WrongNode { remote, found, wanted: peer });
        }
        let (send, recv) = stream.map_err(|e| DialError::Handshake { remote, reason: e.to_string() })?;
        let (profile, stop) = (*profile, self.dialler.stop.clone());
        Ok(Link { connection, send, recv, peer, dialled: true, profile, stop })
    }

    /// Runs a session to its end, and all that follow it without a pause. Returns how long the last one lived.
    async fn live(&mut self, mut link: Link) -> Duration {
        // A session over TCP runs as a task of its own, for one over QUIC may come beside it.
        let mut over_tcp: Option<Signal> = None;
        loop {
            let (settled, started) = (link.profile.settled, self.shared.rt.now());
            if self.dialler.via != Via::Auto {
                return session::run(&self.shared, link).await;
            }
            match link.connection.carrier() {
                Carrier::Quic => {
                    if session::run(&self.shared, link).await >= settled {
                        self.probes.reset();
                    }
                }
                Carrier::Tcp => {
                    let (own, ended) = (Arc::clone(&self.shared), Signal::new());
                    over_tcp = Some(ended.clone());
                    self.shared.rt.spawn(async move {
                        session::run(&own, link).await;
                        ended.raise();
                    });
                }
            }
            let next = match &over_tcp {
                Some(ended) => {
                    let gone = async {
                        ended.raised().await;
                        None
                    };
                    future::or(gone, async { Some(self.probe().await) }).await
                }
                None => None,
            };
            match next {
                Some(found) => link = found,
                None => return self.shared.rt.now().saturating_duration_since(started),
            }
        }
    }

    /// Tries QUIC until it answers.
    async fn probe(&mut self) -> Link {
        let profile = self.shared.profile_of(&self.peer);
        loop {
            let pause = self.shared.rt.sleep(self.probes.next());
            // "A link just came up": worth a look at once.
            future::or(pause, self.dialler.now.heard()).await;
            let Ok(addresses) = self.resolve(&profile).await else { continue };
            match self.connect(&addresses, Carrier::Quic, profile.connect, &profile).await {
                Ok(link) => {
                    self.last = Carrier::Quic;
                    return link;
                }
                Err(error) => tracing::debug!(peer = %self.peer, %error, "still on TCP"),
            }
        }
    }
}
