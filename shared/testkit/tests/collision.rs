//! Both sides dial at once: in every order of events exactly one session stays, the same on both sides.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::VecDeque;

use catalyst_control::{Effect, Event, Now, PeerConfig, SessionId, Settings};
use catalyst_testkit::See;
use catalyst_testkit::any::{AnyCore, StoreKind};

use common::service;

/// Choices of which every combination is tried; after them the first choice is taken each time.
const DEPTH: usize = 10;

const NAMES: [&str; 2] = ["a.acme.example", "b.acme.example"];

/// Two cores and the connections between them: number by number, which side dialled.
struct Pair {
    cores: [AnyCore; 2],
    dialled_by: Vec<usize>,
    /// By connection and side.
    state: Vec<[End; 2]>,
    /// Frames to a side; nothing stands for the end of the connection.
    to: Vec<[VecDeque<Option<Vec<u8>>>; 2]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Coming,
    Up,
    Closed,
}

#[derive(Clone, Copy)]
enum Step {
    Up(usize, usize),
    Deliver(usize, usize),
}

impl Pair {
    fn new(dialled_by: &[usize]) -> Self {
        let cores = [0, 1].map(|side| {
            let settings = Settings {
                name: NAMES[side].parse().unwrap(),
                incarnation: 7,
                border_secret: [0; 32],
                limits: catalyst_control::Limits::CLOUD,
                mesh_address: String::new(),
                stale_max_ms: 0,
                flap: Default::default(),
            };
            AnyCore::new(settings, StoreKind::Heap).unwrap()
        });
        let links = dialled_by.len();
        let mut pair = Pair {
            cores,
            dialled_by: dialled_by.to_vec(),
            state: vec![[End::Coming; 2]; links],
            to: vec![[VecDeque::new(), VecDeque::new()]; links],
        };
        for side in 0..2 {
            let name = NAMES[1 - side].parse().unwrap();
            pair.feed(
                side,
                &Event::PeerConfigured(Box::new(PeerConfig {
                    name,
                    agreement: None,
                    hold_ms: 3_000,
                    restart_ms: 0,
                })),
            );
            pair.feed(side, &Event::ServiceUp(service(["s", "t"][side], 0)));
        }
        pair
    }

    fn feed(&mut self, side: usize, event: &Event) {
        self.cores[side].handle(event, Now::mono(0));
        while let Some(effect) = self.cores[side].poll_effect() {
            if let Effect::Close { session, last } = effect {
                let conn = usize::try_from(session.0).unwrap();
                self.state[conn][side] = End::Closed;
                self.to[conn][1 - side]
                    .extend([(!last.is_empty()).then_some(last)].into_iter().filter(Option::is_some));
                self.to[conn][1 - side].push_back(None);
            }
        }
        while let Some((session, frame)) = self.cores[side].poll_transmit() {
            self.to[usize::try_from(session.0).unwrap()][1 - side].push_back(Some(frame));
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for conn in 0..self.state.len() {
            for side in 0..2 {
                match self.state[conn][side] {
                    End::Coming => steps.push(Step::Up(conn, side)),
                    End::Up if !self.to[conn][side].is_empty() => steps.push(Step::Deliver(conn, side)),
                    _ => {}
                }
            }
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Up(conn, side) => {
                let session = SessionId(conn as u64);
                self.state[conn][side] = End::Up;
                let (peer, dialled) = (NAMES[1 - side].parse().unwrap(), self.dialled_by[conn] == side);
                self.feed(side, &Event::SessionUp { session, peer, dialled });
                self.feed(side, &Event::Writable { session, bytes: 100_000 });
            }
            Step::Deliver(conn, side) => {
                let session = SessionId(conn as u64);
                match self.to[conn][side].pop_front().flatten() {
                    Some(frame) => self.feed(side, &Event::PeerFrame { session, frame }),
                    None => {
                        self.state[conn][side] = End::Closed;
                        self.feed(side, &Event::SessionDown { session });
                    }
                }
            }
        }
    }

    fn sessions(&self) -> [Option<SessionId>; 2] {
        [0, 1].map(|side| self.cores[side].look(See).peers[NAMES[1 - side]].session)
    }
}

/// Runs one order of events: the first choices as given, then always the first step there is. Gives back how many
/// choices there were at each place.
fn run(dialled_by: &[usize], choices: &[usize]) -> Vec<usize> {
    let mut pair = Pair::new(dialled_by);
    let mut widths = Vec::new();
    for place in 0.. {
        let steps = pair.steps();
        if steps.is_empty() {
            break;
        }
        assert!(place < 200, "{choices:?}: no end");
        widths.push(steps.len());
        pair.take(steps[choices.get(place).copied().unwrap_or(0)]);
    }
    let [first, second] = pair.sessions();
    assert!(first.is_some() && first == second, "order {choices:?} ends with {first:?} and {second:?}");
    let open = pair.state.iter().filter(|ends| **ends == [End::Up; 2]).count();
    let half = pair.state.iter().filter(|ends| ends[0] != ends[1]).count();
    assert_eq!((open, half), (1, 0), "order {choices:?}");
    for core in &pair.cores {
        let seen = core.look(See);
        assert_eq!(seen.loc_rib.len(), 2, "order {choices:?}");
        assert!(seen.peers.values().all(|p| p.synced && p.routes == 1), "order {choices:?}");
    }
    widths
}

/// Every order, as far as [`DEPTH`] choices decide it.
fn every_order(dialled_by: &[usize]) -> usize {
    let mut choices: Vec<usize> = Vec::new();
    let mut runs = 0;
    loop {
        let widths = run(dialled_by, &choices);
        runs += 1;
        // The next combination, as an odometer counts.
        choices.resize(DEPTH.min(widths.len()), 0);
        loop {
            let Some(last) = choices.pop() else { return runs };
            if last + 1 < widths[choices.len()] {
                choices.push(last + 1);
                break;
            }
        }
    }
}

#[test]
fn crossing_dials_leave_one_session_in_every_order() {
    let runs = every_order(&[0, 1]);
    assert!(runs > 10_000, "only {runs} orders were tried");
    println!("{runs} orders");
}

#[test]
fn one_dial_works_in_every_order() {
    for dialler in 0..2 {
        every_order(&[dialler]);
    }
}
