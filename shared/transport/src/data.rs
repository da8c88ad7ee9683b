//! Data connections: dialled with the first flow, by the side that dialled the control session, and gone with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalyst_tunnel::header::{PREFIX, StreamHeader};
use catalyst_tunnel::names::NodeName;
use catalyst_tunnel::{FlowKind, Limits as TunnelLimits, Refusal};
use futures_lite::future;

use crate::code;
use crate::config::Carrier;
use crate::conn::{Conn, RecvHalf};
use crate::connect;
use crate::end::HalfEnd;
use crate::error::{DialError, FlowError};
use crate::event::{Event, SessionId};
use crate::flow::FlowStream;
use crate::frame::DIAL_DATA;
use crate::limits::Limits;
use crate::packets::{DataConn, PacketFlow, Place, datagrams};
use crate::profile::LinkProfile;
use crate::quic;
use crate::state::{DataAnswer, DataPlan, Shared};
use crate::watch::silence;

/// Between two tries of one `open_flow`, when a connection broke under it.
const RETRY: Duration = Duration::from_millis(20);

/// Opens a flow to `peer`: waits for a data connection, sends the header, reads the answer.
pub(crate) async fn open_flow(
    shared: &Arc<Shared>,
    peer: &NodeName,
    header: &StreamHeader,
) -> Result<FlowStream, FlowError> {
    Ok(open(shared, peer, header).await?.0)
}

/// As [`open_flow`], for packets.
pub(crate) async fn open_packets(
    shared: &Arc<Shared>,
    peer: &NodeName,
    header: &StreamHeader,
) -> Result<PacketFlow, FlowError> {
    match open(shared, peer, header).await? {
        (stream, Some(place)) => Ok(PacketFlow::new(stream, place)),
        (_, None) => Err(FlowError::Refused(Refusal::BadHeader)),
    }
}

async fn open(
    shared: &Arc<Shared>,
    peer: &NodeName,
    header: &StreamHeader,
) -> Result<(FlowStream, Option<Place>), FlowError> {
    let packets = header.kind == FlowKind::Packets;
    let mut buf = [0; TunnelLimits::HEADER];
    let len = header.encode(&mut buf)?;
    let header = buf.get(..len).unwrap_or_default();
    let patience = shared.profile_of(peer).answer;
    let opening = Opening { shared, peer, patience, deadline: shared.rt.now() + patience };
    loop {
        let Some(connection) = opening.connection().await? else { continue };
        match opening.within("opening a stream", opening.stream(&connection, header, packets)).await?? {
            Some(flow) => return Ok(flow),
            // The connection broke before the peer answered: nothing has been promised to anyone yet.
            None => opening.within("waiting for a new data connection", shared.rt.sleep(RETRY)).await?,
        }
    }
}

struct Opening<'a> {
    shared: &'a Arc<Shared>,
    peer: &'a NodeName,
    patience: Duration,
    deadline: Instant,
}

impl Opening<'_> {
    async fn within<T>(&self, doing: &'static str, work: impl Future<Output = T>) -> Result<T, FlowError> {
        let left = self.deadline.saturating_duration_since(self.shared.rt.now());
        let waited = self.patience;
        let late = |_| FlowError::TimedOut { peer: self.peer.clone(), doing, waited };
        self.shared.rt.timeout(left, work).await.map_err(late)
    }

    /// `None` when it is worth another look at once.
    async fn connection(&self) -> Result<Option<DataConn>, FlowError> {
        let (waiter, answer) = async_channel::bounded(1);
        match self.shared.plan_data(self.peer, waiter) {
            DataPlan::Have(connection) => return Ok(Some(connection)),
            DataPlan::NoSession => return Err(FlowError::NoSession(self.peer.clone())),
            DataPlan::Full => return Err(FlowError::TooManyWaiting(self.shared.limits.waiting_flows)),
            DataPlan::Dial(session, remote, carrier) => {
                spawn_dial(self.shared, self.peer.clone(), session, remote, carrier);
            }
            DataPlan::Ask(outbox) => outbox.send_own(Bytes::from_static(&DIAL_DATA)),
            DataPlan::Wait => {}
        }
        match self.within("waiting for a data connection", answer.recv()).await? {
            Ok(DataAnswer::Here(connection)) => Ok(Some(connection)),
            Ok(DataAnswer::Failed(why)) => Err(FlowError::Lost(why)),
            // Forgotten with its peer, it is told by the next look that there is no session.
            Ok(DataAnswer::Again) | Err(_) => Ok(None),
        }
    }

    /// `None` when the connection broke.
    async fn stream(
        &self,
        connection: &DataConn,
        header: &[u8],
        packets: bool,
    ) -> Result<Option<(FlowStream, Option<Place>)>, FlowError> {
        let (send, recv) = match self.shared.rt.timeout(self.patience / 4, connection.open()).await {
            Ok(Ok(halves)) => halves,
            Ok(Err(_)) => return Ok(None),
            Err(_) => {
                self.shared.unopened.fetch_add(1, Ordering::Relaxed);
                return Err(FlowError::NoStream { peer: self.peer.clone(), waited: self.patience / 4 });
            }
        };
        let mut flow = FlowStream::new(send, recv, Refusal::Aborted);
        if !packets {
            flow = flow.among(&connection.link.standing);
        }
        // The peer's first packets may overtake its answer.
        let place = packets.then(|| Place::take(connection, &flow));
        if flow.send.write_all(header).await.is_err() && connection.is_over() {
            return Ok(None);
        }
        let mut status = [0];
        match flow.recv.read_exact(&mut status).await {
            Ok(()) => match Refusal::from_status(status[0]) {
                None => Ok(Some((flow, place))),
                Some(refusal) => Err(FlowError::Refused(refusal)),
            },
            Err(HalfEnd::Peer(code)) => Err(FlowError::Refused(Refusal::from_reset(code))),
            Err(_) if connection.is_over() => Ok(None),
            Err(e) => Err(FlowError::Lost(e.to_string())),
        }
    }
}

/// Answers a DIAL_DATA: dials the data connection of a session that this node dialled, unless there is one.
pub(crate) fn asked_to_dial(shared: &Arc<Shared>, peer: &NodeName, session: SessionId) {
    if let Some((remote, carrier)) = shared.must_dial_data(session) {
        spawn_dial(shared, peer.clone(), session, remote, carrier);
    }
}

fn spawn_dial(
    shared: &Arc<Shared>,
    peer: NodeName,
    session: SessionId,
    remote: SocketAddr,
    carrier: Carrier,
) {
    let own = Arc::clone(shared);
    shared.flows.spawn(async move {
        match dial(&own, &peer, remote, carrier).await {
            Ok(connection) => {
                let silence = own.profile_of(&peer).silence;
                let connection = DataConn::new(connection, &own.limits, &own.packets, silence);
                if own.add_data(&peer, &connection, Some(session)) {
                    serve(&own, &peer, connection).await;
                } else {
                    connection.close(code::NO_SESSION, b"the session has ended");
                }
            }
            Err(e) => {
                tracing::debug!(%peer, error = %e, "no data connection");
                own.data_failed(&peer, session, e.to_string());
            }
        }
    });
}

async fn dial(
    shared: &Shared,
    peer: &NodeName,
    remote: SocketAddr,
    carrier: Carrier,
) -> Result<Conn, DialError> {
    let profile = shared.profile_of(peer);
    let late = |_| DialError::NoAnswer { remote, carrier, waited: profile.connect };
    let connecting = connect::connect(shared, remote, carrier, quic::DATA, &profile);
    let (connection, found) = shared.rt.timeout(profile.connect, connecting).await.map_err(late)??;
    if found != *peer {
        connection.close(code::WRONG_NODE, b"dialled as another node");
        return Err(DialError::WrongNode { remote, found, wanted: peer.clone() });
    }
    Ok(connection)
}

/// The accepting side of a data connection.
pub(crate) async fn accepted(shared: &Arc<Shared>, peer: &NodeName, connection: Conn) {
    let silence = shared.profile_of(peer).silence;
    let connection = DataConn::new(connection, &shared.limits, &shared.packets, silence);
    if !shared.add_data(peer, &connection, None) {
        connection.close(code::NO_SESSION, b"no control session with this node");
        return;
    }
    connection.set_streams(shared.limits.flows_at_first());
    serve(shared, peer, connection).await;
}

/// Takes the peer's flows until the connection ends; both sides may open them. The control session, over the same
/// path, notices silence sooner and takes its data connections with it; QUIC and, for TCP, a slow watch of its own are
/// for a data connection that dies alone, and keep the way through middleboxes open.
async fn serve(shared: &Arc<Shared>, peer: &NodeName, connection: DataConn) {
    let standing = connection.link.standing.watch(&shared.rt, peer, &shared.stood_still);
    let flows = future::or(take_flows(shared, peer, &connection), standing);
    match connection.carrier() {
        Carrier::Quic => future::or(flows, datagrams(&connection)).await,
        Carrier::Tcp => {
            let profile = LinkProfile { silence: Limits::TCP_DATA_SILENCE, ..shared.profile_of(peer) };
            future::or(flows, async { drop(silence(&shared.rt, &connection, profile).await) }).await;
            connection.close(code::SILENT, b"nothing heard on this connection");
        }
    }
    shared.remove_data(peer, &connection);
}

async fn take_flows(shared: &Arc<Shared>, peer: &NodeName, connection: &DataConn) {
    let (mut allowed, most) = (shared.limits.flows_at_first(), shared.limits.flows_per_peer);
    // Its references are the flows that are open.
    let open = Arc::new(());
    while let Ok((send, recv)) = connection.accept().await {
        let flow = FlowStream::new(send, recv, Refusal::NoEndpoint).counted(Arc::clone(&open));
        let flow = flow.among(&connection.link.standing);
        if allowed < most && Arc::strong_count(&open) > allowed as usize / 2 {
            allowed = allowed.saturating_mul(2).min(most);
            connection.set_streams(allowed);
        }
        // A task each: one opener that stays silent must not hold up the next.
        let (own, peer, connection) = (Arc::clone(shared), peer.clone(), connection.clone());
        shared.flows.spawn(async move { incoming(&own, peer, &connection, flow).await });
    }
}

/// Dropped unanswered, by the shell or here, the flow tells the opener that there is no way on.
async fn incoming(shared: &Shared, peer: NodeName, connection: &DataConn, mut flow: FlowStream) {
    match shared.rt.timeout(shared.profile_of(&peer).answer, read_header(&mut flow.recv)).await {
        Ok(Ok(header)) => {
            let header = Box::new(header);
            let event = match header.kind {
                FlowKind::Bytes => Event::Flow { peer, header, flow },
                FlowKind::Packets => {
                    flow.mark = None;
                    let place = Place::take(connection, &flow);
                    Event::Packets { peer, header, flow: PacketFlow::new(flow, place) }
                }
            };
            shared.emit(event).await;
        }
        Ok(Err(e)) => {
            tracing::debug!(%peer, error = %e, "a flow without a header");
            flow.reset(Refusal::BadHeader);
        }
        Err(_) => flow.reset(Refusal::BadHeader),
    }
}

async fn read_header(recv: &mut RecvHalf) -> Result<StreamHeader, FlowError> {
    let lost = |e: HalfEnd| FlowError::Lost(e.to_string());
    let mut buf = [0; TunnelLimits::HEADER];
    let (prefix, fields) = buf.split_at_mut(PREFIX);
    recv.read_exact(prefix).await.map_err(lost)?;
    let rest = StreamHeader::needs(prefix)?.saturating_sub(PREFIX);
    recv.read_exact(fields.get_mut(..rest).unwrap_or_default()).await.map_err(lost)?;
    Ok(StreamHeader::decode(&buf)?.0)
}
