//! Everything the core knows. Only a commit changes the tables.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use catalyst_names::{NodeName, ServiceLabel};
use catalyst_peering::{Agreed, CloneWatch};
use catalyst_policy::{Agreement, Digest, Direction, Relation, Rule, RuleList};
use catalyst_route_table::{Refusal, RouteTable, Store, Sym};

use crate::compared::Compared;
use crate::config::{LocalService, PeerConfig, Settings};
use crate::event::SessionId;
use crate::flap::Flaps;
use crate::holddown::HoldDown;
use crate::limits::{Limits, PIECES};
use crate::news::NewsOf;
use crate::refusals::Refusals;
use crate::stale::Stale;
use crate::walk::Judging;
use crate::words::Words;

/// A neighbour, its session and what it sent.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its configuration.
    pub config: PeerConfig,
    /// Its interned name.
    pub sym: Sym,
    /// What it is to us; `None` for another organisation without an agreement.
    pub relation: Option<Relation>,
    /// Digest of the agreement.
    pub agreement: Option<Digest>,
    /// The established session.
    pub session: Option<SessionId>,
    /// What both sides agreed on, while established.
    pub agreed: Option<Agreed>,
    /// Where it says its mesh port is, `host:port`; empty without one. Of the last session.
    pub mesh_address: String,
    /// When the session was established or lost, by the monotonic clock; before the first, when the peer was configured.
    pub since: u64,
    /// Whether its END_OF_RIB came.
    pub synced: bool,
    /// Which telling of its table this is: grows with each session that ends. Routes of an earlier one are not confirmed.
    pub generation: u16,
    /// What becomes of its routes that are not confirmed; `None` when there are none.
    pub stale: Option<Box<Stale>>,
    /// What its digests say of them.
    pub compared: Compared,
    /// Routes of it in Adj-RIB-In.
    pub routes: usize,
    /// Bytes of their attributes.
    pub bytes: usize,
    /// Routes, and bytes of their attributes, that it told in this telling of its table: its limits are about these, or what a
    /// restart leaves behind would keep out what takes its place.
    pub confirmed: (usize, usize),
    /// What is refused of it now for want of room.
    pub refused: Refusals,
    /// How many routes it says it does not hold now, and why.
    pub refused_by_peer: (u32, String),
    /// Services of this node's organisation that it names among them, [`crate::Limits::REFUSED_NAMES`] at most.
    pub refused_names_by_peer: BTreeSet<String>,
    /// Whether two processes use its identity.
    pub clones: CloneWatch,
    /// Malformed routes.
    pub malformed: u32,
    /// Routes that had already passed here.
    pub looped: u32,
    /// Routes that policy does not let in.
    pub denied: u32,
    /// A warning that it nears its limit was given.
    pub warned: bool,
    /// Why the last session ended.
    pub last_end: String,
    /// Sessions established so far.
    pub sessions: u32,
    /// It is configured no longer, and forgotten when the last of its routes is gone.
    pub(crate) removed: bool,
}

impl Peer {
    pub(crate) fn new(config: PeerConfig, sym: Sym, own_org: &str) -> Self {
        let relation = relation(&config, own_org);
        let agreement = config.agreement.as_ref().map(Agreement::digest);
        Peer {
            config,
            sym,
            relation,
            agreement,
            session: None,
            agreed: None,
            mesh_address: String::new(),
            since: 0,
            synced: false,
            generation: 0,
            stale: None,
            compared: Compared::default(),
            routes: 0,
            bytes: 0,
            confirmed: (0, 0),
            refused: Refusals::default(),
            refused_by_peer: (0, String::new()),
            refused_names_by_peer: BTreeSet::new(),
            clones: CloneWatch::default(),
            malformed: 0,
            looped: 0,
            denied: 0,
            warned: false,
            last_end: String::new(),
            sessions: 0,
            removed: false,
        }
    }

    /// Whether it is configured no longer, and its routes are on their way out.
    pub(crate) fn is_removed(&self) -> bool {
        PIECES && self.removed
    }

    /// Another telling of its table begins: nothing of before is confirmed.
    pub(crate) fn next_telling(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.confirmed = (0, 0);
        self.refused.clear();
        if let Some(stale) = &mut self.stale {
            stale.tellings = stale.tellings.saturating_add(u16::from(!mutant!(SweepTakesTold)));
        }
    }

    /// A session is over, and with it what it refused.
    pub(crate) fn forget_refused(&mut self) {
        self.refused.clear();
        self.refused.take_moved();
        self.warned = false;
    }

    /// How many routes it may have here: by the agreement, or by our own limit inside the organisation.
    #[must_use]
    pub fn max_routes(&self, limits: &Limits) -> usize {
        match &self.config.agreement {
            Some(a) => a.party(self.config.name.org()).map_or(0, |p| p.max_services as usize),
            None => limits.routes_per_peer,
        }
    }

    /// How many bytes of attributes it may have here, by the same.
    #[must_use]
    pub fn max_bytes(&self, limits: &Limits) -> usize {
        match &self.config.agreement {
            Some(a) => a.party(self.config.name.org()).map_or(0, |p| p.max_bytes as usize),
            None => limits.bytes_per_peer,
        }
    }
}

/// What a configured neighbour is to us.
pub(crate) fn relation(config: &PeerConfig, own_org: &str) -> Option<Relation> {
    let org = config.name.org();
    if org == own_org {
        return Some(Relation::Internal);
    }
    config.agreement.as_ref().and_then(|a| a.relation(own_org, org))
}

/// Counters of the whole node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Connections of nodes that are not configured.
    pub unconfigured: u64,
    /// Sessions that we ended for cause.
    pub sessions_ended: u64,
    /// Frames that could not be understood.
    pub malformed_frames: u64,
    /// Routes refused for want of room.
    pub refused: u64,
    /// Notices dropped because nobody drained them.
    pub dropped_notices: u64,
    /// Events dropped because two plugins wrote one key.
    pub plugin_conflicts: u64,
    /// How often a route came to rank behind others because it changed too often.
    pub demoted: u64,
}

/// A list of rules, and how often each of them has decided.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) list: RuleList,
    matches: Vec<u64>,
}

impl Rules {
    fn new(direction: Direction) -> Self {
        Rules { list: RuleList::empty(direction), matches: Vec::new() }
    }

    /// Counts a decision of the rule at this place.
    pub(crate) fn matched(&mut self, place: u16) {
        if let Some(count) = self.matches.get_mut(usize::from(place)) {
            *count = count.saturating_add(1);
        }
    }

    /// Other rules from now on. A rule of the same name goes on counting; one without a name does if it is the same.
    pub(crate) fn replace(&mut self, list: RuleList) {
        let mut known: BTreeMap<(&str, Option<&Rule>), u64> = BTreeMap::new();
        let key = |rule| -> (&str, Option<&Rule>) {
            let rule: &Rule = rule;
            if rule.name.is_empty() { ("", Some(rule)) } else { (rule.name.as_str(), None) }
        };
        for (rule, count) in self.list.rules().iter().zip(&self.matches) {
            known.insert(key(rule), *count);
        }
        let matches = list.rules().iter().map(|rule| known.get(&key(rule)).copied().unwrap_or(0)).collect();
        self.matches = matches;
        self.list = list;
    }
}

/// Everything the core knows.
#[derive(Debug)]
pub struct State<S> {
    pub(crate) settings: Settings,
    pub(crate) own: Sym,
    pub(crate) table: RouteTable<S>,
    // Boxed: a tree keeps room for eleven values at once, and most nodes have few peers.
    pub(crate) peers: BTreeMap<NodeName, Box<Peer>>,
    pub(crate) by_sym: BTreeMap<Sym, NodeName>,
    pub(crate) by_session: BTreeMap<SessionId, NodeName>,
    pub(crate) services: BTreeMap<ServiceLabel, LocalService>,
    pub(crate) exports: Rules,
    pub(crate) imports: Rules,
    pub(crate) counters: Counters,
    /// What this node wants to hear of; everything without a list.
    pub(crate) interest: Option<Vec<String>>,
    /// All that is announced carries the graceful-shutdown mark.
    pub(crate) draining: bool,
    /// What changed of routes, while somebody watches.
    #[cfg(feature = "watch")]
    pub(crate) observed: Option<alloc::boxed::Box<crate::watch_row::Observed>>,
    /// What news told of late.
    pub(crate) words: Words,
    /// Routes that were overtaken of late.
    pub(crate) hold_down: HoldDown,
    /// What is new in the step that is being taken.
    pub(crate) news: NewsOf,
    /// What neighbours were told of late.
    #[cfg(feature = "transit")]
    pub(crate) pauses: crate::pause::Pauses,
    /// Ways that are not told for a while.
    #[cfg(feature = "transit")]
    pub(crate) withheld: crate::withheld::Withheld,
    /// Routes that have changed of late.
    pub(crate) flaps: Flaps,
    /// While rules that have changed are not in force for all routes.
    pub(crate) judging: Option<Judging>,
    /// The moment of the event that is being dealt with, by the monotonic clock.
    pub(crate) now: u64,
}

impl<S: Store> State<S> {
    pub(crate) fn new(settings: Settings, store: S) -> Result<Self, Refusal> {
        let mut table = RouteTable::new(store);
        let own = table.intern(settings.name.as_str())?;
        Ok(State {
            settings,
            own,
            table,
            peers: BTreeMap::new(),
            by_sym: BTreeMap::new(),
            by_session: BTreeMap::new(),
            services: BTreeMap::new(),
            exports: Rules::new(Direction::Export),
            imports: Rules::new(Direction::Import),
            counters: Counters::default(),
            interest: None,
            draining: false,
            #[cfg(feature = "watch")]
            observed: None,
            words: Words::default(),
            hold_down: HoldDown::default(),
            news: NewsOf::new(),
            #[cfg(feature = "transit")]
            pauses: Default::default(),
            #[cfg(feature = "transit")]
            withheld: Default::default(),
            flaps: Flaps::default(),
            judging: None,
            now: 0,
        })
    }

    /// The settings of this node.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The interned name under which this node's own services stand in Adj-RIB-In.
    pub fn own(&self) -> Sym {
        self.own
    }

    /// Adj-RIB-In and Loc-RIB.
    pub fn table(&self) -> &RouteTable<S> {
        &self.table
    }

    /// All configured peers, by name.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|peer| &**peer).filter(|peer| !peer.is_removed())
    }

    /// A configured peer.
    pub fn peer(&self, name: &NodeName) -> Option<&Peer> {
        self.peers.get(name).map(|peer| &**peer).filter(|peer| !peer.is_removed())
    }

    /// The peer whose established session this is.
    pub fn peer_of(&self, session: SessionId) -> Option<&Peer> {
        self.peer(self.by_session.get(&session)?)
    }

    /// The peer with this interned name; also one that is configured no longer, while it still has routes.
    pub fn peer_by_sym(&self, sym: Sym) -> Option<&Peer> {
        self.peers.get(self.by_sym.get(&sym)?).map(|peer| &**peer)
    }

    /// The services of this node.
    pub fn services(&self) -> impl Iterator<Item = &LocalService> {
        self.services.values()
    }

    /// A service of this node.
    pub fn service(&self, label: &ServiceLabel) -> Option<&LocalService> {
        self.services.get(label)
    }

    /// The export rules.
    pub fn exports(&self) -> &RuleList {
        &self.exports.list
    }

    /// The import rules.
    pub fn imports(&self) -> &RuleList {
        &self.imports.list
    }

    /// How often each export rule has decided since the start, in their order. A route is decided on when it comes in
    /// or changes, for each group of neighbours, and again when rules change or a session begins.
    pub fn export_matches(&self) -> &[u64] {
        &self.exports.matches
    }

    /// The same of the import rules.
    pub fn import_matches(&self) -> &[u64] {
        &self.imports.matches
    }

    /// What this node wants to hear of; everything without a list.
    pub fn interest(&self) -> Option<&[String]> {
        self.interest.as_deref()
    }

    /// Whether this node wants its neighbours to use other ways.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Counters of the whole node.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
