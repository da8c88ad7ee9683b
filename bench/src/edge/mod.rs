//! The suite `edge`: the edge node beside programs that do a part of its work, in turns within one run.
//!
//! `load` is the service and its clients, `contestant` starts the programs, each other file is a scenario.

mod contestant;
mod forward;
mod idle;
mod join;
pub mod load;
mod small;
mod tunnel;

pub use forward::run as forward;
pub use idle::run as idle;
pub use join::run as join;
pub use small::run as small;
pub use tunnel::run as tunnel;

use anyhow::Result;
use contestant::Contestant;

use crate::report::{quantile, sorted};

/// Every contestant has so many turns; the middle one counts.
const TURNS: usize = 5;

/// Connections that ask at the same time, each for one thing after the other: few, where the way there and back
/// decides, and a crowd, where the work does.
const ASKING: [u64; 2] = [4, 32];

/// What one contestant spent, a figure a turn.
#[derive(Default)]
struct Spent {
    /// CPU-seconds a GB.
    bulk: Vec<f64>,
    /// For each number of connections in [`ASKING`].
    requests: [Requests; ASKING.len()],
}

#[derive(Default)]
struct Requests {
    /// CPU-microseconds a request.
    cpu: Vec<f64>,
    /// Requests a second.
    rate: Vec<f64>,
}

/// Bulk and requests through each contestant in turns, so that what else the machine does meets all alike.
fn in_turns(contestants: &[Contestant], bytes: u64) -> Result<Vec<Spent>> {
    const CONNECTIONS: u64 = 4;
    const REQUESTS: u64 = 32_000;
    let mut all: Vec<Spent> = contestants.iter().map(|_| Spent::default()).collect();
    for turn in 0..=TURNS {
        for (contestant, spent) in contestants.iter().zip(&mut all) {
            // The first turn warms up.
            let counts = turn > 0;
            let before = contestant.cpu_seconds()?;
            load::bulk(contestant.port, CONNECTIONS, bytes)?;
            let mut last = contestant.cpu_seconds()?;
            if counts {
                spent.bulk.push((last - before) / (bytes as f64 / 1e9));
            }
            for (asking, requests) in ASKING.into_iter().zip(&mut spent.requests) {
                let rate = load::requests(contestant.port, asking, REQUESTS / asking)?;
                let now = contestant.cpu_seconds()?;
                if counts {
                    requests.cpu.push((now - last) / REQUESTS as f64 * 1e6);
                    requests.rate.push(rate);
                }
                last = now;
            }
        }
    }
    Ok(all)
}

fn median(samples: &[f64]) -> f64 {
    quantile(&sorted(samples.to_vec()), 0.5)
}
