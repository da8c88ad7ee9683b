//! The same transport with nothing behind it: what one end says, the other hears. What a change takes here is the price of
//! two sessions; what a node takes besides is its own.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use async_channel::bounded;
use catalyst_transport::{Event as Input, SessionId};
use catalyst_wire::{Frame, FrameType};
use tokio::runtime::Runtime;

use super::seen::Watch;
use super::speaker::{Speaker, open};
use crate::link;
use crate::org::Org;
use crate::report::{quantile, sorted};

/// Threads as a node has them.
struct Relay {
    at: SocketAddr,
    runtime: Runtime,
}

impl Relay {
    fn start(org: &Org) -> Result<Relay> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (events, inputs) = bounded(256);
        let own = org.name("middle")?;
        let transport = link::start(runtime.handle(), org, "middle", true, events)?;
        let at = transport.local_addr();
        let hello = open(&own, "")?;
        runtime.spawn(async move {
            let mut sessions: Vec<SessionId> = Vec::new();
            while let Ok(input) = inputs.recv().await {
                let Input::Frame { session, frame } = input else { continue };
                // Who does not hear of it waits in vain, and the measurement fails on that.
                match Frame::whole(&frame).map(|whole| whole.kind()) {
                    Ok(Ok(Some(FrameType::Open))) => {
                        sessions.push(session);
                        let _ = transport.send(session, hello.clone());
                    }
                    Ok(Ok(Some(FrameType::Update))) => {
                        for other in sessions.iter().filter(|other| **other != session) {
                            let _ = transport.send(*other, frame.clone());
                        }
                    }
                    _ => {}
                }
            }
        });
        Ok(Relay { at, runtime })
    }
}

/// Microseconds of single changes, median and 99th percentile.
pub fn changes(times: usize, (sink, watch): (super::seen::Sink, Watch)) -> Result<[f64; 2]> {
    let org = Org::new()?;
    let relay = Relay::start(&org)?;
    let _far = Speaker::connect(&org, "sink", "", relay.at, watch)?;
    let mut near = Speaker::connect(&org, "source", "", relay.at, Box::new(|_| ()))?;
    sink.single();
    let mut took = Vec::with_capacity(times);
    for turn in 0..times {
        near.announce(0, u32::try_from(turn)?)?;
        let came = sink.announced(0).with_context(|| format!("change {turn}"))?;
        took.push((came - near.sent()?).as_secs_f64() * 1e6);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    relay.runtime.shutdown_background();
    let took = sorted(took);
    Ok([0.5, 0.99].map(|share| quantile(&took, share)))
}
