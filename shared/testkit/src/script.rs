//! Faults at random, for a given network.

use catalyst_control::Limits;
use catalyst_names::{OrgId, ServiceLabel};

use crate::fault::{Exit, Fault, LIES, Lie, NUMBERED, Noticed};
use crate::hierarchy::everything;
use crate::link::Side;
use crate::pieces::{hold, interest, label, rules, service};
use crate::plan::Plan;
use crate::rng::Rng;

/// One to three epochs, each calm, busy or hectic.
pub(crate) fn epochs(rng: &mut Rng, plan: &Plan, orgs: &[OrgId], transit: bool) -> Vec<Vec<(u64, Fault)>> {
    (0..rng.between((1, 3)))
        .map(|_| {
            let span = rng.one_of([0, 50, 500, 3_000, 15_000]);
            let count = rng.one_of([0, 3, 6, 12]);
            // Some epochs are about services alone: what they find is easier to understand.
            let calm = rng.percent(25);
            let mut faults: Vec<(u64, Fault)> = (0..count)
                .filter_map(|_| Some((rng.between((0, span)), fault(rng, plan, orgs, (calm, transit))?)))
                .collect();
            faults.sort_by_key(|(ms, _)| *ms);
            faults
        })
        .collect()
}

/// Nodes die, and nothing else happens: those that offer something, if there are any. Or they come back, or links are lost.
pub(crate) fn losses(chance: &mut Rng, plan: &Plan) -> Vec<(u64, Fault)> {
    let mut nodes: Vec<usize> =
        (0..plan.nodes.len()).filter(|n| !plan.nodes[*n].services.is_empty()).collect();
    let span = chance.one_of([0, 50, 3_000]);
    let mut losses: Vec<(u64, Fault)> = Vec::new();
    for _ in 0..chance.one_of([1, 1, 1, 2]) {
        if !nodes.is_empty() {
            let node = nodes.swap_remove(chance.index(nodes.len()));
            let exit = chance.one_of([Exit::Stop, Exit::Kill, Exit::Power, Exit::Power]);
            losses.push((chance.between((0, span)), Fault::Down(node, exit, None)));
        }
    }
    if chance.percent(40) {
        for (_, fault) in &mut losses {
            let link = chance.index(plan.links.len());
            let noticed =
                chance.one_of([Noticed::Both, Noticed::Only(0), Noticed::Only(1), Noticed::Neither]);
            match (chance.below(4), &mut *fault) {
                (0, Fault::Down(.., back)) => *back = Some(chance.one_of([200, 5_000])),
                (1, _) => *fault = Fault::Lose(link, noticed),
                (2, _) => *fault = Fault::Cut(link, noticed, chance.one_of([1_000, 8_000])),
                _ => {}
            }
        }
    }
    losses.sort_by_key(|(ms, _)| *ms);
    losses
}

/// Links of one node are lost one after the other, as when it moves out of reach, and some come back; others between its neighbours are
/// lost before, so that some have ways through others alone.
pub(crate) fn partings(chance: &mut Rng, plan: &Plan) -> Vec<(u64, Fault)> {
    let homes: Vec<usize> = (0..plan.nodes.len()).filter(|n| !plan.nodes[*n].services.is_empty()).collect();
    let home = if homes.is_empty() { 0 } else { homes[chance.index(homes.len())] };
    let before = chance.one_of([0, 10, 30, 50]);
    let span = chance.one_of([100, 3_000, 12_000, 30_000]);
    let mut faults: Vec<(u64, Fault)> = Vec::new();
    for (link, ends) in plan.links.iter().map(|link| link.ends).enumerate() {
        let noticed = chance.one_of([Noticed::Both, Noticed::Both, Noticed::Only(0), Noticed::Only(1)]);
        if !ends.contains(&home) {
            if chance.percent(before) {
                faults.push((0, Fault::Cut(link, noticed, chance.one_of([20_000, 60_000]))));
            }
        } else if chance.percent(85) {
            let at = PARTING + chance.between((0, span));
            faults.push((at, Fault::Cut(link, noticed, chance.one_of([1_000, 8_000, 40_000, 40_000]))));
        }
    }
    faults.sort_by_key(|(ms, _)| *ms);
    faults
}

/// A node wants nothing until some of these links are lost, and then everything, mostly while ways are withheld.
pub(crate) fn wishes(chance: &mut Rng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    let node = chance.index(plan.nodes.len());
    let cuts: Vec<u64> = faults.iter().map(|(ms, _)| *ms).filter(|ms| *ms >= PARTING).collect();
    if cuts.is_empty() {
        return;
    }
    let at = cuts[chance.index(cuts.len())] + chance.between((0, 6_000));
    faults.push((0, Fault::Interest(node, Some(Vec::new()))));
    faults.push((at, Fault::Interest(node, None)));
    faults.sort_by_key(|(ms, _)| *ms);
}

/// When the first of them is lost, in milliseconds: what was lost before is settled.
const PARTING: u64 = 16_000;

/// Some of the lies are about the numbers of words, and some nodes go back to a snapshot. By a chance of its own: all else
/// stays as it is.
pub(crate) fn misnumber(chance: &mut Rng, epochs: &mut [Vec<(u64, Fault)>]) {
    for (_, fault) in epochs.iter_mut().flatten() {
        match fault {
            Fault::Lie(.., lie) if chance.percent(30) => *lie = chance.one_of(NUMBERED),
            Fault::Down(_, exit, back) if chance.percent(10) => {
                *exit = Exit::Rewind;
                *back = back.or(Some(200));
            }
            _ => {}
        }
    }
}

/// A neighbour inside lies about numbers, and again when what it hid is about to be looked at.
pub(crate) fn forgery(chance: &mut Rng, plan: &Plan) -> Vec<(u64, Fault)> {
    let org = |node: usize| plan.nodes[node].name.org();
    let inside = |link: &usize| plan.links[*link].ends.map(org).windows(2).all(|orgs| orgs[0] == orgs[1]);
    let links: Vec<usize> = (0..plan.links.len()).filter(inside).collect();
    if links.is_empty() {
        return Vec::new();
    }
    let (link, side) = (links[chance.index(links.len())], chance.index(2));
    let lie = Fault::Lie(link, side, chance.one_of([Lie::Numbers, Lie::Returned]));
    // The truth is told when the last of these has happened.
    let looked_at = Limits::OVERTAKEN_MS + 1_000;
    vec![
        (0, lie.clone()),
        (Limits::OVERTAKEN_MS - chance.between((1, 1_000)), lie),
        (looked_at, Fault::Tick(plan.links[link].ends[side])),
    ]
}

/// Rules that change are often followed by others, and by changes of services, before the way through the table is at its
/// end. By a chance of its own: all else stays as it is.
pub(crate) fn rush(
    chance: &mut Rng,
    plan: &Plan,
    orgs: &[OrgId],
    transit: bool,
    epochs: &mut [Vec<(u64, Fault)>],
) {
    for faults in epochs {
        let edits: Vec<(u64, usize)> = faults
            .iter()
            .filter_map(
                |(ms, fault)| if let Fault::Policy(node, ..) = fault { Some((*ms, *node)) } else { None },
            )
            .collect();
        for (ms, node) in edits.into_iter().take(2) {
            if chance.percent(50) {
                continue;
            }
            let mut at = ms + chance.between((1, 30));
            let own = plan.nodes[node].name.org();
            let (none, (all, _)) = (Vec::new(), everything());
            let random = |chance: &mut Rng| rules(chance, orgs, own, false);
            let pairs = match chance.below(4) {
                // What either lets in the other does not let out.
                0 if transit => [(none.clone(), all.clone()), (all, none)],
                1 if transit => [(all.clone(), all.clone()), (none, all)],
                2 => [random(chance), (none.clone(), none)],
                _ => [random(chance), random(chance)],
            };
            // Somebody comes back in the middle, and has heard nothing.
            let links = (0..plan.links.len()).filter(|link| plan.links[*link].ends.contains(&node));
            let links: Vec<usize> = links.collect();
            if chance.percent(60) && !links.is_empty() {
                let link = links[chance.index(links.len())];
                faults.push((at.saturating_sub(chance.between((0, 60))), Fault::Lose(link, Noticed::Both)));
            }
            for (exports, imports) in pairs {
                faults.push((at, Fault::Policy(node, exports, imports)));
                at += chance.one_of([2, 10, 40, 300]);
            }
            for _ in 0..chance.between((0, 12)) {
                let home = chance.index(plan.nodes.len());
                let label = label(chance);
                let Some(service) = service(chance, label) else { continue };
                faults.push((at + chance.between((0, 60)), Fault::ServiceUp(home, service)));
            }
        }
        faults.sort_by_key(|(ms, _)| *ms);
    }
}

fn fault(rng: &mut Rng, plan: &Plan, orgs: &[OrgId], (calm, transit): (bool, bool)) -> Option<Fault> {
    let node = rng.index(plan.nodes.len());
    let link = rng.index(plan.links.len());
    let noticed = rng.one_of([Noticed::Both, Noticed::Only(0), Noticed::Only(1), Noticed::Neither]);
    let choice = if calm { rng.below(45) } else { rng.below(107) };
    Some(match choice {
        0..18 => {
            let label = label(rng);
            Fault::ServiceUp(node, service(rng, label)?)
        }
        18..32 => Fault::ServiceDown(node, ServiceLabel::parse(label(rng)).ok()?),
        32..45 => Fault::Health(node, ServiceLabel::parse(label(rng)).ok()?, rng.percent(50)),
        45..52 => {
            let own = plan.nodes[node].name.org();
            let (exports, imports) =
                if transit && rng.percent(40) { everything() } else { rules(rng, orgs, own, transit) };
            Fault::Policy(node, exports, imports)
        }
        52..60 => Fault::Lose(link, noticed),
        60..67 => Fault::Cut(link, noticed, rng.one_of([100, 1_000, 8_000])),
        67..78 => {
            let from = rng.one_of([[true, true], [true, false], [false, true]]);
            Fault::Stall(link, from, rng.one_of([50, 700, 4_000, 25_000]))
        }
        78 => match rng.below(4) {
            0 => Fault::Tick(node),
            1 => Fault::Refresh(link, rng.index(2)),
            2 => Fault::Interest(node, interest(rng, 60, orgs)),
            _ => Fault::Swallow(link, rng.index(2)),
        },
        79..81 => Fault::Lie(link, rng.index(2), rng.one_of(LIES)),
        81..84 => Fault::Dial(link, rng.index(2)),
        84..92 => {
            let exit = rng.one_of([Exit::Stop, Exit::Kill, Exit::Power, Exit::Wipe]);
            Fault::Down(node, exit, rng.one_of([Some(1), Some(200), Some(5_000), None]))
        }
        92..98 => {
            let side = rng.index(2);
            let old = plan.links[link].sides[side].clone();
            let agreement = old.and_then(|s| s.agreement);
            let fresh = match rng.below(4) {
                0 => None,
                1 => Some(Side { agreement: None, hold_ms: hold(rng) }),
                _ => Some(Side { agreement, hold_ms: hold(rng) }),
            };
            Fault::Configure(link, side, fresh)
        }
        98..101 => Fault::Swallow(link, rng.index(2)),
        101..103 => Fault::Refresh(link, rng.index(2)),
        103 => Fault::Interest(node, interest(rng, 60, orgs)),
        _ => Fault::Drain(node, rng.percent(65)),
    })
}
