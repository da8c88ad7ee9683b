//! The accepting side: from a datagram of a stranger to a session or a data connection of a peer.

use std::net::SocketAddr;
use std::sync::Arc;

use catalyst_tunnel::names::NodeName;
use futures_lite::future;
use quinn::{Connection, Incoming, VarInt};

use crate::code;
use crate::data;
use crate::error::explain;
use crate::quic;
use crate::session::{self, Link};
use crate::state::Shared;

/// Takes handshakes until the driver stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let accepting = async {
        while let Some(incoming) = shared.endpoint.accept().await {
            let remote = incoming.remote_address();
            if shared.is_busy() && incoming.may_retry() && !incoming.remote_address_validated() {
                // Fails only if the address is validated already.
                let _ = incoming.retry();
            } else if !shared.begin_handshake() {
                incoming.refuse();
                shared.refuse(remote, "too many handshakes at once".to_owned());
            } else {
                let own = Arc::clone(&shared);
                shared.rt.spawn(async move { incoming_connection(&own, incoming, remote).await });
            }
        }
    };
    future::or(accepting, shared.stop.raised()).await;
}

/// Gives the place back, however the handshake ends.
struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.end_handshake();
    }
}

enum Arrived {
    Control(Link),
    Data(NodeName, Connection),
}

async fn incoming_connection(shared: &Arc<Shared>, incoming: Incoming, remote: SocketAddr) {
    let place = Place(shared);
    let arrived = handshake(shared, incoming).await;
    drop(place);
    match arrived {
        Ok(Arrived::Control(link)) => drop(session::run(shared, link).await),
        Ok(Arrived::Data(peer, connection)) => data::accepted(shared, &peer, connection).await,
        Err(reason) => shared.refuse(remote, reason),
    }
}

async fn handshake(shared: &Shared, incoming: Incoming) -> Result<Arrived, String> {
    let limit = shared.profile.connect;
    let connecting = incoming.accept().map_err(|e| explain(&e))?;
    let connection = shared
        .rt
        .timeout(limit, connecting)
        .await
        .map_err(|_| format!("the handshake took longer than {limit:?}"))?
        .map_err(|e| explain(&e))?;
    let peer = quic::name_of(&connection)?;
    if quic::alpn_of(&connection).as_deref() == Some(quic::DATA) {
        return Ok(Arrived::Data(peer, connection));
    }
    if shared.session_count() >= shared.limits.sessions {
        let text = format!("as many sessions as this node may have ({}) are up", shared.limits.sessions);
        connection.close(code::FULL, text.as_bytes());
        return Err(format!("{peer}: {text}"));
    }
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
    let Ok(stream) = shared.rt.timeout(shared.limits.answer, connection.accept_bi()).await else {
        connection.close(code::NO_STREAM, b"the control stream did not come in time");
        return Err(format!("{peer}: no control stream within {:?}", shared.limits.answer));
    };
    let (send, recv) = stream.map_err(|e| format!("{peer}: {}", explain(&e)))?;
    let profile = shared.profile_of(&peer);
    Ok(Arrived::Control(Link {
        connection,
        send,
        recv,
        peer,
        dialled: false,
        profile,
        stop: shared.stop.clone(),
    }))
}
