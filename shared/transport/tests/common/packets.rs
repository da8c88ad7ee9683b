//! Flows of packets, with the test at each end.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use catalyst_transport::{
    Dropped, Event, FlowControl, Held, PacketEnd, PacketFlow, PacketTotals, PumpEnd, carry,
};
use catalyst_tunnel::{FlowKind, StreamHeader};
use futures_lite::Stream;
use quinn::Runtime;

use super::tcp::header as stream_header;
use super::{Node, PATIENCE, within};

pub fn header() -> StreamHeader {
    StreamHeader { kind: FlowKind::Packets, ..stream_header() }
}

/// What a socket would be: the test holds the other side.
struct Local {
    from_test: Pin<Box<Receiver<Vec<u8>>>>,
    to_test: Sender<Vec<u8>>,
}

impl PacketEnd for Local {
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Poll<PumpEnd> {
        loop {
            match self.from_test.as_mut().poll_next(cx) {
                Poll::Ready(Some(packet)) => sink(&packet),
                Poll::Ready(None) => return Poll::Ready(PumpEnd::Finished),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn send(&self, packet: &[u8]) -> Result<(), Dropped> {
        self.to_test.try_send(packet.to_vec()).map_err(|_| Dropped::Full)
    }

    fn close(&mut self, _: &PumpEnd) {}
}

/// One end of a flow, as a client or a service sees it.
pub struct End {
    pub send: Sender<Vec<u8>>,
    pub heard: Receiver<Vec<u8>>,
    pub control: Arc<FlowControl>,
    pub ended: Receiver<PumpEnd>,
    rt: Arc<dyn Runtime>,
}

impl End {
    /// Sends until the other end has it, as nothing promises that one packet arrives, and returns what was heard.
    pub async fn say(&self, packet: &[u8], to: &End) {
        for _ in 0..40 {
            self.send.send(packet.to_vec()).await.unwrap();
            while let Some(heard) = within(&self.rt, Duration::from_millis(500), to.heard.recv()).await {
                if heard.unwrap() == packet {
                    return;
                }
            }
        }
        panic!("a packet of {} bytes never came", packet.len());
    }

    pub async fn end(&self) -> PumpEnd {
        within(&self.rt, PATIENCE, self.ended.recv()).await.expect("the flow did not end").unwrap()
    }
}

/// Joins the test with a flow. `caller`: the test is the client, not the service.
pub fn join(node: &Node, mut flow: PacketFlow, caller: bool, idle: Duration) -> End {
    let (send, from_test) = async_channel::bounded::<Vec<u8>>(1024);
    let (to_test, heard) = async_channel::bounded(4096);
    let (tell, ended) = async_channel::bounded(1);
    let control = FlowControl::new(&Held::new(usize::MAX));
    let (own, rt, transport) = (control.clone(), node.rt.clone(), node.transport.clone());
    node.rt.spawn(Box::pin(async move {
        let mut local = Local { from_test: Box::pin(from_test), to_test };
        let counters = Arc::clone(transport.packets());
        drop(transport);
        let (a, b): (&mut dyn PacketEnd, &mut dyn PacketEnd) =
            if caller { (&mut local, &mut flow) } else { (&mut flow, &mut local) };
        let end = carry(&rt, a, b, &own, &counters, idle).await;
        let _ = tell.send(end).await;
    }));
    End { send, heard, control, ended, rt: node.rt.clone() }
}

/// Waits until the packets that a node has counted are as wanted.
pub async fn counted(node: &Node, wanted: impl Fn(&PacketTotals) -> bool) -> PacketTotals {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let totals = node.transport.packets().totals();
        if wanted(&totals) {
            return totals;
        }
        assert!(Instant::now() < deadline, "{}: {totals:?}", node.name);
        within(&node.rt, Duration::from_millis(10), std::future::pending::<()>()).await;
    }
}

/// The next flow of packets that somebody opens here.
pub async fn incoming(node: &Node) -> (StreamHeader, PacketFlow) {
    node.until("Packets", |e| match e {
        Event::Packets { header, flow, .. } => Some((*header, flow)),
        _ => None,
    })
    .await
}

/// A flow that `from` opens towards `to`, accepted.
pub async fn open_flow(from: &Node, to: &Node) -> (PacketFlow, PacketFlow) {
    let header = header();
    let opening = from.transport.open_packets(&to.name, &header);
    let accepting = async {
        let (seen, flow) = incoming(to).await;
        assert_eq!(seen, header);
        flow.accept().await.unwrap()
    };
    let (opened, accepted) = futures_lite::future::zip(opening, accepting).await;
    (opened.unwrap(), accepted)
}

/// The same, joined with the test at both ends.
pub async fn flow(from: &Node, to: &Node) -> (End, End) {
    let (opened, accepted) = open_flow(from, to).await;
    (join(from, opened, true, PATIENCE * 2), join(to, accepted, false, PATIENCE * 2))
}
