//! The simulated network: nodes, links, connections, and the events between them in the order of time.
//!
//! Everything follows from the plan and its seed. Time moves to the next event, never by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use catalyst_control::{Event, SessionId};
use catalyst_names::NodeName;

use crate::circles::Circles;
use crate::clock::Clock;
use crate::conn::{Conn, Item};
use crate::fault::Fault;
use crate::gaps::Gaps;
use crate::link::LinkPlan;
use crate::node::Node;
use crate::plan::{NodePlan, Plan};
use crate::rng::Rng;
use crate::seen::{See, Seen};
use crate::shadow::Shadows;

/// Is told of everything that happens: the moment in milliseconds, and what.
pub type Observer = Box<dyn FnMut(u64, &str)>;

/// Steps that may happen in one millisecond.
const ON_THE_SPOT: u64 = 1_000_000;

/// A link while the network runs.
pub(crate) struct Link {
    pub(crate) plan: LinkPlan,
    /// Nothing sent by this side passes before then.
    pub(crate) stalled_until: [u64; 2],
    /// No dial succeeds before then.
    pub(crate) down_until: u64,
    /// A dial is due.
    pub(crate) dialling: [bool; 2],
    /// The first connection that was made under the terms of today.
    pub(crate) fresh_from: u64,
    /// Dials in a row that led to no session.
    pub(crate) tries: [u32; 2],
}

/// What is to happen at a moment.
#[derive(Debug)]
pub(crate) enum Due {
    Tick {
        node: usize,
    },
    Item {
        conn: u64,
        from: usize,
        round: u32,
        item: Item,
    },
    Credit {
        conn: u64,
        side: usize,
        bytes: usize,
        small: bool,
    },
    Up {
        conn: u64,
        side: usize,
    },
    /// The transport of this side finds the connection gone.
    Gone {
        conn: u64,
        side: usize,
    },
    /// The transport reports a connection closed that the core itself closed.
    LocalDown {
        conn: u64,
        side: usize,
    },
    Dial {
        link: usize,
        side: usize,
    },
    Flow {
        link: usize,
    },
    Fault(Box<Fault>),
    Start {
        node: usize,
    },
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events of the simulator.
    pub steps: u64,
    /// Frames sent.
    pub frames: u64,
    /// Frames other than KEEPALIVE.
    pub loud: u64,
    /// Connections made.
    pub connections: u64,
    /// Routes announced or withdrawn for every link and changed route, in hundredths, at most.
    pub most_updates: u64,
    /// Comparisons with the oracle.
    pub checks: u64,
    /// Lost UPDATEs that were healed.
    pub healed: u64,
    /// Rests with routes that no session confirmed.
    pub stale: u64,
    /// Routes compared.
    pub routes: u64,
    /// Flows that ran in a circle for a moment, and for how long at most, in milliseconds.
    pub circles: u64,
    /// As above.
    pub longest_circle: u64,
    /// The longest that a network took to come to rest after the last thing that happened to it, in milliseconds.
    pub longest_unrest: u64,
    /// The most frames that a network sent in that time, for every link and key.
    pub most_frames: u64,
    /// A hash of everything sent, with its moments.
    pub trace: u64,
}

/// A simulated network.
pub struct Net {
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) secrets: Rng,
    pub(crate) queue: BTreeMap<(u64, u64), Due>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) places: BTreeMap<NodeName, usize>,
    pub(crate) links: Vec<Link>,
    pub(crate) conns: BTreeMap<u64, Conn>,
    /// The same, by link.
    pub(crate) of_link: BTreeSet<(usize, u64)>,
    pub(crate) stats: Stats,
    pub(crate) violations: Vec<String>,
    /// Lies that were told and have not been checked: the link, the side of the liar, on which session.
    pub(crate) lied: Vec<(usize, usize, SessionId)>,
    /// Numbers of words were forged in this epoch, or went back with a node that did.
    pub(crate) misnumbered: bool,
    /// Links on which something happened that may end a session, in this epoch.
    pub(crate) disturbed_links: BTreeSet<usize>,
    /// Routes announced and withdrawn in UPDATE frames, in all.
    pub(crate) elements: u64,
    /// Names under which each service was spoken of in this epoch, and how often it changed at home.
    pub(crate) spoken: BTreeMap<String, BTreeSet<String>>,
    pub(crate) changes: BTreeMap<String, u64>,
    pub(crate) circles: Circles,
    pub(crate) shadows: Shadows,
    pub(crate) gaps: Gaps,
    /// Nothing happens that keeps news from those whom it concerns: circles and frames are counted.
    pub(crate) calm: bool,
    /// When the last thing happened to the network, stalls and cuts with their ends.
    pub(crate) disturbed_at: u64,
    pub(crate) loud_before: u64,
    pub(crate) observer: Option<Observer>,
    seq: u64,
    pub(crate) next_conn: u64,
    pub(crate) record: bool,
    /// Limits refuse routes: what is left depends on what came first, and the oracle has no answer.
    pub(crate) tight: bool,
}

impl Net {
    /// The network of a plan. Its nodes start at once; its epochs are the caller's to apply.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut net = Net {
            clock: Clock::default(),
            rng: Rng::new(plan.seed ^ plan.delays.rotate_left(32)).fork(),
            secrets: Rng::new(!plan.seed),
            queue: BTreeMap::new(),
            nodes: Vec::new(),
            places: BTreeMap::new(),
            links: Vec::new(),
            circles: Circles::default(),
            shadows: Shadows::default(),
            gaps: Gaps::default(),
            tight: plan.tight,
            calm: false,
            conns: BTreeMap::new(),
            of_link: BTreeSet::new(),
            stats: Stats::default(),
            violations: Vec::new(),
            lied: Vec::new(),
            misnumbered: false,
            disturbed_links: BTreeSet::new(),
            elements: 0,
            spoken: BTreeMap::new(),
            changes: BTreeMap::new(),
            disturbed_at: 0,
            loud_before: 0,
            observer: None,
            seq: 0,
            next_conn: 1,
            record: plan.record,
        };
        for node in &plan.nodes {
            net.add_node(node.clone());
        }
        for link in &plan.links {
            net.add_link(link.clone());
        }
        net
    }

    /// An empty network, to be filled by hand. Recordings of all nodes are kept and replayed by every comparison.
    #[must_use]
    pub fn empty(seed: u64) -> Self {
        let shape = "by hand".to_owned();
        Net::new(&Plan {
            seed,
            delays: 0,
            shape,
            nodes: Vec::new(),
            links: Vec::new(),
            epochs: Vec::new(),
            record: true,
            tight: false,
        })
    }

    /// From now on limits may refuse routes, and a refresh is asked for when there is room again.
    pub fn refuses(&mut self) {
        self.tight = true;
    }

    /// Adds a node; it starts with the next step.
    pub fn add_node(&mut self, plan: NodePlan) -> usize {
        let secret = self.secrets.bytes();
        let services = plan.services.iter().map(|s| (s.label.clone(), s.clone())).collect();
        self.places.insert(plan.name.clone(), self.nodes.len());
        self.nodes.push(Node {
            plan,
            links: Vec::new(),
            services,
            secret,
            core: None,
            incarnation: 0,
            draining: false,
            tick_at: None,
            recording: None,
            forwards: BTreeMap::new(),
            grants: BTreeSet::new(),
            notices: VecDeque::new(),
            changed: BTreeMap::new(),
            rules_changed: 0,
            paused: BTreeMap::new(),
            cut: None,
            withheld: BTreeMap::new(),
            said: BTreeMap::new(),
            told: BTreeMap::new(),
        });
        let node = self.nodes.len() - 1;
        self.after(0, Due::Start { node });
        node
    }

    /// Adds a link. Nodes that run already are configured at once.
    pub fn add_link(&mut self, plan: LinkPlan) -> usize {
        let (ends, sides) = (plan.ends, plan.sides.clone());
        self.links.push(Link {
            plan,
            stalled_until: [0; 2],
            down_until: 0,
            dialling: [false; 2],
            fresh_from: 0,
            tries: [0; 2],
        });
        let link = self.links.len() - 1;
        ends.iter().for_each(|end| self.nodes[*end].links.push(link));
        for side in 0..2 {
            if let Some(config) = &sides[side] {
                let restart_ms = self.nodes[ends[side]].plan.restart_ms;
                let config = config.config(&self.nodes[ends[1 - side]].plan.name, restart_ms);
                self.feed(ends[side], &Event::PeerConfigured(Box::new(config)));
            }
            self.want_dial(link, side);
        }
        link
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What a node holds; nothing while it does not run.
    #[must_use]
    pub fn see(&self, node: usize) -> Option<Seen> {
        self.nodes.get(node)?.core.as_ref().map(|core| core.look(See))
    }

    /// The present, in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// What the run has cost so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            healed: self.gaps.healed,
            circles: self.circles.seen,
            longest_circle: self.circles.longest,
            ..self.stats
        }
    }

    /// Routes announced and withdrawn in UPDATE frames since the epoch began.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// Promises that were broken.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// The connections of a link, the oldest first.
    pub(crate) fn conns_of(&self, link: usize) -> impl Iterator<Item = (u64, &Conn)> {
        let ids = self.of_link.range((link, 0)..=(link, u64::MAX)).map(|(_, id)| *id);
        ids.filter_map(|id| Some((id, self.conns.get(&id)?)))
    }

    /// Forgets a connection that is over at both ends.
    pub(crate) fn remove_if_over(&mut self, id: u64) {
        if let Some(conn) = self.conns.get(&id).filter(|conn| conn.over()) {
            self.of_link.remove(&(conn.link, id));
            self.conns.remove(&id);
        }
    }

    /// Is told of everything that happens from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// Something happens to the network until then.
    pub(crate) fn disturb(&mut self, until: u64) {
        self.disturbed_at = self.disturbed_at.max(until);
        self.loud_before = self.stats.loud;
    }

    pub(crate) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        if let Some(mut observer) = self.observer.take() {
            observer(self.clock.now(), &text(self));
            self.observer = Some(observer);
        }
    }

    pub(crate) fn violated(&mut self, node: usize, what: &str) {
        let text = format!("at {} ms, {}: {what}", self.clock.now(), self.nodes[node].plan.name);
        self.note(|_| format!("VIOLATION {text}"));
        self.violations.push(text);
    }

    pub(crate) fn after(&mut self, ms: u64, due: Due) {
        self.at(self.clock.now() + ms, due);
    }

    pub(crate) fn at(&mut self, moment: u64, due: Due) {
        self.seq += 1;
        self.queue.insert((moment.max(self.clock.now()), self.seq), due);
    }

    /// Does the next thing. False when nothing is due any more.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), due)) = self.queue.pop_first() else { return false };
        self.clock.advance_to(at);
        self.stats.steps += 1;
        match due {
            Due::Tick { node } => self.tick(node),
            Due::Item { conn, from, round, item } => self.arrive(conn, from, round, item),
            Due::Credit { conn, side, bytes, .. } => self.credit(conn, side, bytes),
            Due::Up { conn, side } => self.conn_up(conn, side),
            Due::Gone { conn, side } => self.conn_gone(conn, side),
            Due::LocalDown { conn, side } => self.local_down(conn, side),
            Due::Dial { link, side } => self.dial(link, side),
            Due::Flow { link } => self.flow_again(link),
            Due::Fault(fault) => self.apply(*fault),
            Due::Start { node } => self.start(node),
        }
        true
    }

    /// Runs for so many milliseconds. A network that runs in circles on the spot breaks a promise.
    pub fn run_for(&mut self, ms: u64) {
        let until = self.clock.now() + ms;
        let (mut moment, mut steps) = (self.clock.now(), 0);
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.step();
            steps = if self.clock.now() == moment { steps + 1 } else { 0 };
            moment = self.clock.now();
            if steps > ON_THE_SPOT {
                self.violations.push(format!("at {moment} ms: more than {ON_THE_SPOT} steps in one moment"));
                break;
            }
        }
        self.clock.advance_to(until);
    }
}
