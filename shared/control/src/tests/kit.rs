//! One core, and neighbours played by hand: what they send is made here, what they hear is decoded here.

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};
use catalyst_route_table::{Heap, Limits as TableLimits, Store};
use catalyst_wire::{
    Announced, Attrs, Capabilities, Frame, FrameType, Interest, Keepalive, Notify, NotifyCode, Open, Path,
    Refresh, Refused, Update, UpdateWriter, Withdrawn,
    update::{write_entry, write_key},
};

use crate::record::{Record, Recording};
use crate::sum::Sum;
use crate::*;

pub(super) const SECRET: [u8; 32] = *b"a secret of the border: 32 bytes";
pub(super) const PLENTY: usize = 1 << 24;

pub(super) type Key = (String, String);

pub(super) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(super) fn key(service: &str, origin: &str) -> Key {
    (service.to_string(), origin.to_string())
}

pub(super) fn settings(limits: Limits) -> Settings {
    Settings {
        name: name("a.acme.example"),
        incarnation: 1,
        border_secret: SECRET,
        limits,
        mesh_address: String::new(),
        stale_max_ms: 0,
        flap: Default::default(),
    }
}

/// The agreement between `acme.example` and another organisation of this role; it may announce this much.
pub(super) fn agreement(other: &str, role: Role, max_services: u32, max_bytes: u32) -> Agreement {
    let party = |org: &str, role, max_services, max_bytes| Party {
        org: org.parse().unwrap(),
        role,
        max_services,
        max_bytes,
        bundle: Default::default(),
        contact: Default::default(),
    };
    let ours = party("acme.example", role.complement(), 1000, 1 << 20);
    Agreement::new(ours, party(other, role, max_services, max_bytes)).unwrap()
}

pub(super) fn peer(text: &str, agreement: Option<Agreement>) -> Event {
    Event::PeerConfigured(Box::new(PeerConfig { name: name(text), agreement, hold_ms: 3000, restart_ms: 0 }))
}

/// The same; neither side has a hold timer where [`open`] answers it.
pub(super) fn quiet(text: &str, agreement: Option<Agreement>) -> Event {
    Event::PeerConfigured(Box::new(PeerConfig { name: name(text), agreement, hold_ms: 0, restart_ms: 0 }))
}

pub(super) fn local(label: &str) -> LocalService {
    LocalService {
        label: ServiceLabel::parse(label).unwrap(),
        protocol: Protocol::Http,
        cost: 0,
        weight: 100,
        tags: Vec::new(),
        healthy: true,
        fail_closed: false,
    }
}

/// Rules in short: `inventory>globex.example` and `*<globex.example`.
pub(super) fn rules(texts: &[&str]) -> Event {
    let pattern = |text: &str| Pattern::parse(text).unwrap();
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for text in texts {
        if let Some((service, to)) = text.split_once('>') {
            exports.push(Rule::new(pattern(service), Neighbour::parse(to).unwrap()));
        } else if let Some((service, from)) = text.split_once('<') {
            imports.push(Rule::new(pattern(service), Neighbour::parse(from).unwrap()));
        }
    }
    Event::PolicyChanged { exports, imports }
}

/// A path of the wire; tests leak a few bytes for it.
pub(super) fn path(names: &[&str]) -> Path<'static> {
    let mut buf = [0u8; 8192];
    let mut out = catalyst_wire::Writer::new(&mut buf);
    out.u64(names.len() as u64).unwrap();
    names.iter().for_each(|n| out.text(n).unwrap());
    let bytes: &'static [u8] = Box::leak(out.written().to_vec().into_boxed_slice());
    Path::read(&mut catalyst_wire::Reader::new(bytes), 32, 200, |_| true).unwrap()
}

/// Attributes as an internal neighbour sends them for its own service.
pub(super) fn through(node: &str) -> Attrs<'_> {
    Attrs { node_path: Path::one(node), ..Attrs::default() }
}

/// Attributes as another organisation sends them for its own service.
pub(super) fn across(org: &str) -> Attrs<'_> {
    Attrs { org_path: Path::one(org), ..Attrs::default() }
}

pub(super) type Route<'a> = (&'a str, &'a str, Attrs<'a>);

/// UPDATE frames with these announcements, then these withdrawals.
pub(super) fn updates(announced: &[Route<'_>], withdrawn: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut element = [0u8; 5000];
    for routes in announced.chunks(40) {
        let mut buf = [0u8; 17_000];
        let mut out = UpdateWriter::new(&mut buf).unwrap();
        for (service, origin, attrs) in routes {
            out.announce(write_entry(&mut element, service, origin, attrs).unwrap()).unwrap();
        }
        frames.push(out.finish().unwrap().to_vec());
    }
    for keys in withdrawn.chunks(60) {
        let mut buf = [0u8; 17_000];
        let mut out = UpdateWriter::new(&mut buf).unwrap();
        for (service, origin) in keys {
            out.withdraw(write_key(&mut element, service, origin).unwrap()).unwrap();
        }
        frames.push(out.finish().unwrap().to_vec());
    }
    frames
}

/// A frame as a neighbour heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Open,
    Update(Vec<Key>, Vec<Key>),
    EndOfRib,
    Keepalive,
    Refresh(u8),
    Interest(Option<Vec<String>>),
    Refused(u32, String),
    Trust(Vec<u8>),
}

/// The other end of one control connection.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) frames: Vec<Heard>,
    /// Its Adj-RIB-In: the raw attributes of each key.
    pub(super) table: BTreeMap<Key, Vec<u8>>,
    pub(super) credit: usize,
    pub(super) bytes: usize,
    /// Of the last KEEPALIVE.
    pub(super) digest: Option<[u8; 16]>,
    /// What a refresh that is under way has not confirmed.
    pub(super) unconfirmed: Option<BTreeSet<Key>>,
    /// It is told less than before: the end of a refresh may leave something unconfirmed, which then goes.
    pub(super) sweeps: bool,
    /// Refreshes that came to their end.
    pub(super) refreshes: usize,
}

impl Remote {
    fn take(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.credit, "{} bytes with a credit of {}", bytes.len(), self.credit);
        self.credit -= bytes.len();
        self.bytes += bytes.len();
        let frame = Frame::whole(bytes).unwrap();
        let heard = match frame.kind().unwrap().unwrap() {
            FrameType::Open => Heard::Open,
            FrameType::EndOfRib => Heard::EndOfRib,
            FrameType::Keepalive => {
                self.digest = Keepalive::read(frame.body).unwrap().digest;
                Heard::Keepalive
            }
            FrameType::Interest => {
                let read = Interest::read(frame.body).unwrap();
                Heard::Interest((!read.all).then(|| read.patterns().map(ToString::to_string).collect()))
            }
            FrameType::Refresh => self.refresh(Refresh::read(frame.body).unwrap()),
            FrameType::Refused => {
                let refused = Refused::read(frame.body).unwrap();
                Heard::Refused(
                    refused.count,
                    std::format!("{} [{}]", refused.reason, refused.services).replace(" []", ""),
                )
            }
            FrameType::Update => self.update(&Update::read(frame.body).unwrap()),
            FrameType::Trust => Heard::Trust(bytes.to_vec()),
            other => panic!("{other:?} was sent"),
        };
        self.frames.push(heard);
    }

    fn refresh(&mut self, refresh: Refresh) -> Heard {
        match refresh {
            Refresh::BEGIN => {
                assert!(self.unconfirmed.is_none(), "a refresh within a refresh");
                self.unconfirmed = Some(self.table.keys().cloned().collect());
            }
            Refresh::END => {
                let left = self.unconfirmed.take().expect("a refresh that ends has begun");
                // Whoever was told everything loses nothing, however much changed meanwhile.
                assert!(left.is_empty() || self.sweeps, "not told again: {left:?}");
                left.iter().for_each(|key| drop(self.table.remove(key)));
                self.refreshes += 1;
            }
            _ => {}
        }
        Heard::Refresh(refresh.kind)
    }

    /// The digest of what it holds.
    pub(super) fn sum(&self) -> [u8; 16] {
        let mut sum = Sum::default();
        self.table.iter().for_each(|((s, o), attrs)| sum.add(Sum::of_route(s, o, attrs)));
        sum.bytes()
    }

    fn update(&mut self, update: &Update<'_>) -> Heard {
        let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
        for element in update.announced() {
            let Announced::Route(route) = element else { panic!("a route that cannot be read was sent") };
            announced.push(key(route.service, route.origin));
            if let Some(left) = &mut self.unconfirmed {
                left.remove(&key(route.service, route.origin));
            }
            self.table.insert(key(route.service, route.origin), route.raw.to_vec());
        }
        for element in update.withdrawn() {
            let Withdrawn::Key { service, origin } = element else { panic!("a bad key was sent") };
            withdrawn.push(key(service, origin));
            if let Some(left) = &mut self.unconfirmed {
                left.remove(&key(service, origin));
            }
            self.table.remove(&key(service, origin));
        }
        assert!(!announced.is_empty() || !withdrawn.is_empty(), "an UPDATE says something");
        Heard::Update(announced, withdrawn)
    }

    pub(super) fn services(&self) -> Vec<&str> {
        self.table.keys().map(|(service, _)| service.as_str()).collect()
    }
}

/// A core and its neighbours.
pub(super) struct Bench<S = Heap> {
    pub(super) core: Core<S>,
    pub(super) now: u64,
    pub(super) effects: Vec<Effect>,
    pub(super) remotes: BTreeMap<SessionId, Remote>,
    pub(super) recording: Recording,
}

impl Bench<Heap> {
    pub(super) fn new() -> Self {
        Bench::over(Heap::new(TableLimits::CLOUD), Limits::CLOUD)
    }

    pub(super) fn limited(limits: Limits) -> Self {
        Bench::over(Heap::new(TableLimits::CLOUD), limits)
    }
}

impl<S: Store> Bench<S> {
    pub(super) fn over(store: S, limits: Limits) -> Self {
        Bench::with(store, settings(limits))
    }

    pub(super) fn with(store: S, settings: Settings) -> Self {
        let recording = Recording::new(&settings);
        let core = Core::new(settings, store).unwrap();
        Bench { core, now: 1000, effects: Vec::new(), remotes: BTreeMap::new(), recording }
    }

    pub(super) fn moment(&self) -> Now {
        Now::mono(self.now)
    }

    /// Feeds an event and drains what comes out of it, as a shell does.
    pub(super) fn feed(&mut self, event: Event) {
        let now = self.moment();
        if let Event::Writable { session, bytes } = &event {
            self.remotes.entry(*session).or_default().credit += bytes;
        }
        if let Event::PeerFrame { session, frame } = &event
            && frame.first() == Some(&(FrameType::Interest as u8))
        {
            self.remotes.entry(*session).or_default().sweeps = true;
        }
        self.core.handle(&event, now);
        self.recording.records.push(Record { now, event });
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            self.effects.push(effect);
        }
        while let Some((session, frame)) = self.core.poll_transmit() {
            self.remotes.entry(session).or_default().take(&frame);
        }
    }

    pub(super) fn frame(&mut self, session: u64, frame: Vec<u8>) {
        self.feed(Event::PeerFrame { session: SessionId(session), frame });
    }

    pub(super) fn writable(&mut self, session: u64, bytes: usize) {
        self.feed(Event::Writable { session: SessionId(session), bytes });
    }

    pub(super) fn down(&mut self, session: u64) {
        self.feed(Event::SessionDown { session: SessionId(session) });
    }

    /// The OPEN that fits what is configured here.
    pub(super) fn open_of(&self, peer: &str, incarnation: u64) -> Vec<u8> {
        let agreement = self.core.state().peer(&name(peer)).and_then(|p| p.agreement);
        open(peer, incarnation, agreement)
    }

    /// A connection that comes up, with this OPEN.
    pub(super) fn up_by(&mut self, session: u64, peer: &str, open: Vec<u8>) {
        let id = SessionId(session);
        self.feed(Event::SessionUp { session: id, peer: name(peer), dialled: true });
        self.frame(session, open);
        self.writable(session, PLENTY);
    }

    /// A connection that comes up and is established, with this much credit.
    pub(super) fn up_with(&mut self, session: u64, peer: &str, bytes: usize) {
        let id = SessionId(session);
        self.feed(Event::SessionUp { session: id, peer: name(peer), dialled: true });
        let open = self.open_of(peer, 1);
        self.frame(session, open);
        if bytes > 0 {
            self.writable(session, bytes);
        }
        assert_eq!(self.peer(peer).session, Some(id), "{peer} is up");
    }

    /// The same for a node without optional abilities.
    pub(super) fn up_old(&mut self, session: u64, peer: &str, bytes: usize) {
        self.feed(Event::SessionUp { session: SessionId(session), peer: name(peer), dialled: true });
        let open = self.open_of(peer, 1);
        let old = Open { capabilities: 0, ..Open::read(&open[4..]).unwrap() };
        self.frame(session, old.write(&mut [0; 1024]).unwrap().to_vec());
        self.writable(session, bytes);
    }

    pub(super) fn up(&mut self, session: u64, peer: &str) {
        self.up_with(session, peer, PLENTY);
    }

    /// Configures an internal neighbour and brings it up.
    pub(super) fn internal(&mut self, session: u64, text: &str) {
        self.feed(peer(text, None));
        self.up(session, text);
    }

    pub(super) fn announce(&mut self, session: u64, routes: &[Route<'_>]) {
        updates(routes, &[]).into_iter().for_each(|f| self.frame(session, f));
    }

    pub(super) fn withdraw(&mut self, session: u64, keys: &[(&str, &str)]) {
        updates(&[], keys).into_iter().for_each(|f| self.frame(session, f));
    }

    pub(super) fn offer(&mut self, label: &str) {
        self.feed(Event::ServiceUp(local(label)));
    }

    pub(super) fn stop_offering(&mut self, label: &str) {
        self.feed(Event::ServiceDown(label.parse().unwrap()));
    }

    /// Runs the timers until this moment, one deadline after the other.
    pub(super) fn run_until(&mut self, until: u64) {
        let mut rounds = 0;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Event::Tick);
            rounds += 1;
            assert!(rounds < 10_000, "the timers spin at {}", self.now);
        }
        self.now = until;
    }

    pub(super) fn peer(&self, text: &str) -> &Peer {
        self.core.state().peer(&name(text)).unwrap()
    }

    pub(super) fn remote(&self, session: u64) -> &Remote {
        self.remotes.get(&SessionId(session)).unwrap()
    }

    /// The frames that a neighbour heard since this was asked before.
    pub(super) fn heard(&mut self, session: u64) -> Vec<Heard> {
        self.remotes.get_mut(&SessionId(session)).map(|r| std::mem::take(&mut r.frames)).unwrap_or_default()
    }

    /// The effects since this was asked before.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        let of = |e| match e {
            Effect::Notice(notice) => Some(notice),
            _ => None,
        };
        self.effects().into_iter().filter_map(of).collect()
    }

    /// Connections that were closed since the effects were taken before, with the code of the NOTIFY.
    pub(super) fn closed(&mut self) -> Vec<(u64, Option<NotifyCode>, String)> {
        let of = |e| match e {
            Effect::Close { session, last } if last.is_empty() => Some((session.0, None, String::new())),
            Effect::Close { session, last } => {
                let notify = Notify::read(Frame::whole(&last).unwrap().body).unwrap();
                Some((session.0, Some(notify.code), notify.reason.to_string()))
            }
            _ => None,
        };
        self.effects().into_iter().filter_map(of).collect()
    }

    /// The route rows in short: service, via, standing.
    pub(super) fn rows(&self) -> Vec<(String, String, String)> {
        let rows = self.core.state().route_rows();
        rows.into_iter().map(|r| (r.service, r.via, r.standing)).collect()
    }

    /// What must hold after every event.
    pub(super) fn check(&self) {
        let state = self.core.state();
        assert!(self.core.groups().are_sound());
        let mut total = 0;
        for peer in state.peers() {
            let (mut routes, mut bytes, mut after) = (0, 0, None);
            let (mut sum, mut confirmed) = (Sum::default(), (0, 0));
            while let Some(key) = state.table().next_of(peer.sym, after) {
                routes += 1;
                let route = state.table().route(key, peer.sym).unwrap();
                bytes += route.attrs.as_ref().len();
                if route.generation == peer.generation {
                    confirmed = (confirmed.0 + 1, confirmed.1 + route.attrs.as_ref().len());
                    let (service, origin) = (state.table().text(key.service), state.table().text(key.origin));
                    sum.add(Sum::of_route(service, origin, route.attrs.as_ref()));
                }
                after = Some(key);
            }
            assert_eq!((peer.routes, peer.bytes), (routes, bytes), "{}", peer.config.name);
            assert_eq!(peer.confirmed, confirmed, "{}", peer.config.name);
            self.check_ages(peer, routes);
            if peer.compares() {
                assert_eq!(peer.compared.sum(), sum.bytes(), "the digest of {}", peer.config.name);
            }
            assert_eq!(state.table().text(peer.sym), peer.config.name.as_str());
            total += routes;
        }
        let mut after = None;
        while let Some(key) = state.table().next_of(state.own(), after) {
            total += 1;
            after = Some(key);
        }
        assert_eq!(state.table().store().len(), total, "a route of nobody");
        assert_eq!(state.table().text(state.own()), "a.acme.example");
        assert_eq!(self.core.of_peer.len(), self.core.links.len());
        assert!(self.core.timers.len() <= self.core.links.len(), "a timer of a connection that is gone");
        assert!(self.core.closing.len() <= Limits::CLOSING);
    }

    /// No route is older than it may be.
    fn check_ages(&self, peer: &Peer, routes: usize) {
        let who = &peer.config.name;
        let Some(stale) = &peer.stale else {
            assert!(peer.session.is_some() || routes == 0, "{who} is down, its routes are not");
            return;
        };
        let due = self.core.ages.iter().filter(|(_, name)| name == who).count();
        assert_eq!(due, 1, "{who} has unconfirmed routes and so many timers");
        assert!(self.now < stale.until || stale.walk.is_some(), "{who}: routes of {}", stale.since);
        let (mut after, table) = (None, self.core.state().table());
        while let Some(key) = table.next_of(peer.sym, after) {
            after = Some(key);
            let route = table.route(key, peer.sym).unwrap();
            if route.generation != peer.generation && stale.walk.is_none() {
                let aged = self.core.state().aged(peer, route, route.rank);
                assert_eq!(aged, Some(route.rank), "{who}: a route in {:?}", stale.phase);
            }
        }
    }

    /// Ends everything; then no name may be left but this node's.
    pub(super) fn give_all_back(&mut self) {
        let labels: Vec<_> = self.core.state().services().map(|s| s.label.clone()).collect();
        labels.into_iter().for_each(|l| self.feed(Event::ServiceDown(l)));
        let names: Vec<_> = self.core.state().peers().map(|p| p.config.name.clone()).collect();
        names.into_iter().for_each(|n| self.feed(Event::PeerRemoved(n)));
        // Where walks go in small pieces, so do their routes.
        self.run_until(self.now);
        self.check();
        assert!(self.core.links.is_empty() && self.core.of_peer.is_empty() && self.core.timers.is_empty());
        assert!(self.core.ages.is_empty());
        assert!(self.core.state.by_session.is_empty() && self.core.state.by_sym.is_empty());
        assert_eq!(self.core.state().table().store().len(), 0);
        assert_eq!(self.core.state().table().store().names(), 1, "names are left behind");
    }
}

pub(super) fn open(peer: &str, incarnation: u64, agreement: Option<[u8; 32]>) -> Vec<u8> {
    let open = Open {
        version_min: 1,
        version_max: 1,
        node: peer,
        incarnation,
        // It leaves it to what is configured here.
        hold_ms: 0,
        restart_ms: 0,
        capabilities: Capabilities::REFRESH | Capabilities::INTEREST,
        agreement,
        mesh_address: "",
    };
    open.write(&mut [0; 1024]).unwrap().to_vec()
}

pub(super) fn plain(kind: FrameType) -> Vec<u8> {
    std::vec![kind as u8, 0, 0, 0]
}
