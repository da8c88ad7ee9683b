//! A whole run: epochs of faults, a rest and a comparison after each.

use std::fmt;

use crate::fault::Fault;
use crate::net::{Net, Observer, Stats};
use crate::plan::Plan;

/// A run that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed of its plan.
    pub seed: u64,
    /// The plan in words.
    pub shape: String,
    /// The epoch in which it went wrong, from 0.
    pub epoch: usize,
    /// What went wrong.
    pub what: String,
    /// What makes it happen again: the seed, and what else was asked for.
    pub again: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} ({}), epoch {}: {}\nlook at it with: cargo xtask sim --seed {}",
            self.seed, self.shape, self.epoch, self.what, self.again
        )
    }
}

impl std::error::Error for Failure {}

/// Lets a plan happen.
///
/// # Errors
/// [`Failure`]: a broken promise, a network that does not come to rest, or a difference to the oracle.
pub fn run(plan: &Plan) -> Result<Stats, Failure> {
    run_observed(plan, None)
}

/// Lets a plan happen before an observer.
///
/// # Errors
/// As [`run`].
pub fn run_observed(plan: &Plan, observer: Option<Observer>) -> Result<Stats, Failure> {
    let mut net = Net::new(plan);
    if let Some(observer) = observer {
        net.observe(observer);
    }
    let fail = |epoch: usize, what: String| Failure {
        seed: plan.seed,
        shape: plan.shape.clone(),
        epoch,
        what,
        again: plan.seed.to_string(),
    };
    for (epoch, faults) in plan.epochs.iter().enumerate() {
        net.revive();
        for (ms, fault) in faults {
            net.schedule(*ms, fault.clone());
        }
        net.settle().and_then(|()| net.check()).map_err(|what| fail(epoch, what))?;
    }
    // In the end nothing is offered any more, and nothing may be left of it anywhere.
    net.revive();
    for node in 0..net.nodes.len() {
        let labels: Vec<_> = net.nodes[node].services.keys().cloned().collect();
        labels.into_iter().for_each(|label| net.apply(Fault::ServiceDown(node, label)));
    }
    net.settle().and_then(|()| net.check()).map_err(|what| fail(plan.epochs.len(), what))?;
    Ok(net.stats())
}
