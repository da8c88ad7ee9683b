//! A whole run: epochs of faults, a rest and a comparison after each.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

use catalyst_wire::{Attrs, Seqnos, Unknown};

use crate::fault::{Exit, Fault};
use crate::net::{Net, Observer, Stats};
use crate::plan::Plan;
use crate::seen::See;

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

/// Routes that may be announced and withdrawn for every link and changed route, in hundredths.
const UPDATES: u64 = 400;

/// Rests after which no route may be stale or restless any more.
const RESTS: usize = 400;

/// Milliseconds until the last timer rings that was due.
const AFTER: u64 = 20;

/// A hash of what each node holds at the end of each epoch.
type Ends = Vec<Vec<u64>>;

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
    ends(plan, observer).map(|(stats, _)| stats)
}

/// Lets a plan happen twice, with other delays the second time: every message comes in another order, and all must
/// end the same.
///
/// # Errors
/// As [`run`], or the first difference.
pub fn run_twice(plan: &Plan) -> Result<Stats, Failure> {
    let (stats, first) = ends(plan, None)?;
    let (_, second) = ends(&Plan { delays: 1, ..plan.clone() }, None)?;
    let differ = |epoch: &usize| first[*epoch] != second[*epoch];
    match (0..first.len()).find(differ) {
        None => Ok(stats),
        Some(epoch) => {
            let node = (0..plan.nodes.len()).find(|n| first[epoch][*n] != second[epoch][*n]).unwrap_or(0);
            let what = format!("with other delays {} ended with another state", plan.nodes[node].name);
            Err(failure(plan, epoch, what))
        }
    }
}

/// What a route says, without the numbers of its nodes' words: how often they spoke depends on the order of messages.
fn content(attrs: &[u8]) -> String {
    let attrs = Attrs::read(attrs).unwrap_or_default();
    let unknown: Vec<_> = attrs.unknown.iter().collect();
    format!("{:?} {unknown:?}", Attrs { seqnos: Seqnos::EMPTY, unknown: Unknown::default(), ..attrs })
}

fn failure(plan: &Plan, epoch: usize, what: String) -> Failure {
    Failure { seed: plan.seed, shape: plan.shape.clone(), epoch, what, again: plan.seed.to_string() }
}

/// Whether nothing keeps news from those whom it concerns.
fn calm(plan: &Plan, faults: &[(u64, Fault)]) -> bool {
    let harmless = |fault: &Fault| {
        matches!(
            fault,
            Fault::ServiceUp(..)
                | Fault::ServiceDown(..)
                | Fault::Health(..)
                | Fault::Policy(..)
                | Fault::Tick(_)
        )
    };
    let still = plan.nodes.iter().all(|node| node.flap.changes == 0);
    still
        && plan.links.iter().all(|link| link.window >= 65_536)
        && faults.iter().all(|(_, fault)| harmless(fault))
}

/// Whether all that happens is that services change, nodes die and come back, and links are lost: then each route that is
/// told, but for the first telling of a table, is due to one of those changes.
fn is_counted(faults: &[(u64, Fault)]) -> bool {
    let counted = |fault: &Fault| match fault {
        Fault::ServiceUp(..) | Fault::ServiceDown(..) | Fault::Health(..) | Fault::Tick(_) => true,
        Fault::Lose(..) | Fault::Cut(..) => true,
        Fault::Down(_, exit, _) => *exit != Exit::Rewind,
        _ => false,
    };
    !faults.is_empty() && faults.iter().all(|(_, fault)| counted(fault))
}

fn ends(plan: &Plan, observer: Option<Observer>) -> Result<(Stats, Ends), Failure> {
    let mut net = Net::new(plan);
    if let Some(observer) = observer {
        net.observe(observer);
    }
    let mut ends = Ends::new();
    for (epoch, faults) in plan.epochs.iter().enumerate() {
        let started = net.begin(calm(plan, faults));
        for (ms, fault) in faults {
            net.schedule(*ms, fault.clone());
        }
        let counted = epoch > 0 && !started && is_counted(faults);
        net.come_to_rest(counted).map_err(|what| failure(plan, epoch, what))?;
        ends.push(net.states());
    }
    // In the end nothing is offered any more, and nothing may be left of it anywhere.
    let started = net.begin(calm(plan, &[]));
    for node in 0..net.nodes.len() {
        let labels: Vec<_> = net.nodes[node].services.keys().cloned().collect();
        labels.into_iter().for_each(|label| net.apply(Fault::ServiceDown(node, label)));
    }
    net.come_to_rest(!started).map_err(|what| failure(plan, plan.epochs.len(), what))?;
    ends.push(net.states());
    Ok((net.stats(), ends))
}

impl Net {
    /// Begins an epoch; true when nodes were down and start again.
    fn begin(&mut self, calm: bool) -> bool {
        let down = self.nodes.iter().any(|node| node.core.is_none());
        self.calm = calm && !down;
        self.disturbed_links.clear();
        self.misnumbered = false;
        self.elements = 0;
        self.spoken.clear();
        self.changes.clear();
        self.revive();
        down
    }

    fn come_to_rest(&mut self, counted: bool) -> Result<(), String> {
        self.settle()?;
        if !self.lied.is_empty() {
            self.check_lies()?;
            self.settle()?;
        }
        self.outlive_stale()?;
        if self.tight {
            self.check_local()?;
            self.refusals_told()?;
        } else {
            self.check()?;
        }
        self.warnings_fit()?;
        let restless = self.nodes.iter().any(|node| node.plan.flap.changes > 0);
        if counted && !self.tight && !restless { self.few_updates() } else { Ok(()) }
    }

    /// While routes of lost neighbours are kept the oracle has no answer: every node is compared with itself, at first,
    /// when some of them are kept for longer than the restart time, and when none is left.
    fn outlive_stale(&mut self) -> Result<(), String> {
        for _ in 0..RESTS {
            let Some((next, last)) = self.stale_until() else { return Ok(()) };
            self.check_local()?;
            self.stats.stale += 1;
            // In the middle of what is left, and at its end.
            let at = if last > next + 1_000 { next } else { last };
            self.run_for(at.saturating_sub(self.now()) + AFTER);
            self.settle()?;
        }
        Err(format!("routes are stale or restless after {RESTS} rests"))
    }

    /// Every route that was told or withdrawn is due to a change at the service's home, or to a loss on the way there.
    fn few_updates(&mut self) -> Result<(), String> {
        let names = |service: &String| self.spoken.get(service).map_or(1, |names| names.len() as u64);
        let routes: u64 = self.changes.iter().map(|(service, times)| times * names(service)).sum();
        if routes == 0 {
            return Ok(());
        }
        let ratio = self.elements * 100 / (routes * self.links.len().max(1) as u64);
        self.stats.most_updates = self.stats.most_updates.max(ratio);
        if ratio > UPDATES {
            return Err(format!(
                "{} routes told and withdrawn for {routes} changes on {} links",
                self.elements,
                self.links.len()
            ));
        }
        Ok(())
    }

    /// What each node holds, in a number; what differs from run to run, such as sessions, left out.
    fn states(&self) -> Vec<u64> {
        let state = |node: &crate::node::Node| {
            let mut hash = DefaultHasher::new();
            let Some(seen) = node.core.as_ref().map(|core| core.look(See)) else { return 0 };
            let rows: BTreeMap<_, BTreeMap<_, _>> = seen
                .adj_in
                .iter()
                .map(|(key, rows)| {
                    (key, rows.iter().map(|(via, row)| (via, (content(&row.attrs), row.eligible))).collect())
                })
                .collect();
            rows.hash(&mut hash);
            seen.loc_rib.hash(&mut hash);
            format!("{:?} {:?}", node.forwards(), node.grants()).hash(&mut hash);
            hash.finish()
        };
        self.nodes.iter().map(state).collect()
    }
}
