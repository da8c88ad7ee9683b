//! Where connections live when sessions have a thread of their own.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::pin::pin;
use std::sync::mpsc;

use catalyst_transport::Event;
use common::tcp::header;
use common::{frame, pair};
use futures_lite::future::{self, poll_once};
use tokio::sync::oneshot;

/// The thread for flows stands still: sessions go on, on both sides, and a flow waits until it moves again.
#[test]
fn sessions_go_on_where_flows_stand_still() {
    common::places::run(1, |home, pool| async move {
        let (edge, to_cloud, cloud, to_edge) = pair(&home).await;

        let (stands, stood) = oneshot::channel();
        let (go_on, gone_on) = mpsc::channel::<()>();
        pool.spawn(async move {
            let _ = stands.send(());
            // Of std, on purpose: it blocks the thread.
            let _ = gone_on.recv();
        });
        stood.await.unwrap();

        let wanted = header();
        let mut opening = pin!(edge.transport.open_flow(&cloud.name, &wanted));
        for i in 0..200u16 {
            assert!(
                poll_once(&mut opening).await.is_none(),
                "a flow went through a thread that stands still"
            );
            edge.transport.send(to_cloud, frame(6, &i.to_be_bytes())).unwrap();
            assert_eq!(cloud.frame().await, frame(6, &i.to_be_bytes()));
            cloud.transport.send(to_edge, frame(6, &i.to_le_bytes())).unwrap();
            assert_eq!(edge.frame().await, frame(6, &i.to_le_bytes()));
        }

        go_on.send(()).unwrap();
        let arrived = cloud.until("Flow", |event| match event {
            Event::Flow { flow, .. } => Some(flow),
            _ => None,
        });
        let accepted = async { arrived.await.accept().await.unwrap() };
        let (opened, _accepted) = future::zip(opening, accepted).await;
        opened.unwrap();
    });
}
