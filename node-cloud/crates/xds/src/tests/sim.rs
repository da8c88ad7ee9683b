//! A node without sockets, and an Envoy that behaves as the real one was seen to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::ScopedRouteConfiguration;
use prost::Message;

use crate::board::Board;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::message::{Request, Response, version_text};
use crate::resource::Resource;
use crate::session::Session;
use crate::snapshot::{Changes, Snapshot};

/// Snapshot and state machine, as the publisher holds them.
pub struct Node {
    pub snapshot: Snapshot,
    pub board: Board,
    pub session: Option<Session>,
    pub now: Duration,
}

impl Node {
    pub fn new() -> Node {
        let snapshot = Snapshot::new(Limits::CLOUD);
        Node { snapshot, board: Board::default(), session: None, now: Duration::ZERO }
    }

    pub fn apply(&mut self, changes: Changes) {
        let Node { snapshot, board, session, .. } = self;
        let outcome = snapshot.apply(changes, |changed| {
            if changed.gone {
                board.clear(changed.kind, &changed.name);
            }
            if let Some(session) = session {
                session.note(changed);
            }
        });
        outcome.unwrap();
    }

    pub fn again(&mut self, kind: Kind, name: &str) {
        self.session.as_mut().unwrap().again(kind, &Arc::from(name));
    }

    pub fn connect(&mut self) {
        let carried = self.session.take().map(Session::ended).unwrap_or_default();
        self.session = Some(Session::new(&self.snapshot, carried, self.now));
    }

    pub fn handle(&mut self, request: Request) {
        let Node { snapshot, board, session, now } = self;
        session.as_mut().unwrap().handle(request, snapshot, board, *now).unwrap();
    }

    pub fn poll(&mut self) -> Option<Response> {
        let Node { snapshot, board, session, now } = self;
        session.as_mut()?.poll(snapshot, board, *now)
    }

    pub fn settled(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.settled() == self.snapshot.generation())
    }

    /// A request for a kind, the first or a later one.
    pub fn ask(&mut self, kind: Kind, names: &[&str]) {
        let subscribe = names.iter().map(|name| (*name).to_owned()).collect();
        self.handle(Request { type_url: kind.type_url().into(), subscribe, ..Request::default() });
    }

    pub fn ack(&mut self, response: &Response) {
        let (type_url, nonce) = (response.kind.type_url().into(), response.nonce.to_string());
        self.handle(Request { type_url, nonce, ..Request::default() });
    }

    /// The next response, as text: the kind, what is set, what is removed (with a minus).
    pub fn told(&mut self) -> Option<(Response, String)> {
        let response = self.poll()?;
        let set = response.set.iter().map(|resource| resource.name().to_owned());
        let remove = response.remove.iter().map(|name| format!("-{name}"));
        let names: Vec<String> = set.chain(remove).collect();
        let text = format!("{} {}", response.kind, names.join(" "));
        Some((response, text.trim().to_owned()))
    }

    /// Takes and acknowledges all there is to say: the texts in order.
    pub fn drain(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((response, text)) = self.told() {
            self.ack(&response);
            all.push(text);
        }
        all
    }
}

/// One cluster in Envoy.
struct Held {
    resource: Resource,
    /// The newest version waits for its endpoints; an older one may still serve.
    warming: bool,
    serves: bool,
}

/// What an Envoy holds; it outlives a stream.
#[derive(Default)]
pub struct Envoy {
    clusters: BTreeMap<String, Held>,
    others: BTreeMap<(Kind, String), Resource>,
    /// Names asked for.
    asked: BTreeSet<(Kind, String)>,
    scopes_asked: bool,
    outbox: VecDeque<Request>,
    /// Acknowledgements of clusters, kept back while one is warming.
    kept: Vec<Request>,
    /// What went wrong.
    pub faults: Vec<String>,
}

impl Envoy {
    /// The first requests of a stream. One that holds something says so.
    pub fn connect(&mut self) {
        self.outbox.clear();
        self.kept.clear();
        self.first(Kind::Cluster);
        self.first(Kind::Listener);
        if self.scopes_asked {
            self.first(Kind::Scope);
        }
        for kind in [Kind::Endpoints, Kind::Filter, Kind::Secret] {
            self.first(kind);
        }
    }

    fn first(&mut self, kind: Kind) {
        let names = self.asked.iter().filter(|(of, _)| *of == kind);
        let subscribe: Vec<String> = names.map(|(_, name)| name.clone()).collect();
        if subscribe.is_empty() && !kind.is_wildcard() {
            return;
        }
        let held = self.held(kind).into_iter().map(|(name, version)| (name, version_text(version))).collect();
        self.outbox.push_back(Request {
            type_url: kind.type_url().into(),
            subscribe,
            held,
            ..Request::default()
        });
    }

    pub fn held(&self, kind: Kind) -> BTreeMap<String, u64> {
        if kind == Kind::Cluster {
            let of = self.clusters.iter();
            return of.map(|(name, held)| (name.clone(), held.resource.version())).collect();
        }
        let of = self.others.iter().filter(|((of, _), _)| *of == kind);
        of.map(|((_, name), resource)| (name.clone(), resource.version())).collect()
    }

    pub fn asked(&self, kind: Kind, name: &str) -> bool {
        self.asked.contains(&(kind, name.to_owned()))
    }

    pub fn next_request(&mut self) -> Option<Request> {
        self.outbox.pop_front()
    }

    pub fn take(&mut self, response: Response) {
        let Response { kind, nonce, set, remove } = response;
        let mut answer =
            Request { type_url: kind.type_url().into(), nonce: nonce.to_string(), ..Request::default() };
        let bad: Vec<&Resource> = set.iter().filter(|resource| is_bad(resource)).collect();
        if !bad.is_empty() {
            answer.error = Some(format!("bad: {bad:?}"));
            // Only of listeners it takes the good ones.
            if kind == Kind::Listener {
                set.into_iter().filter(|resource| !is_bad(resource)).for_each(|good| self.set(good));
                remove.iter().for_each(|name| self.remove(kind, name));
            }
            self.outbox.push_back(answer);
            return;
        }
        remove.iter().for_each(|name| self.remove(kind, name));
        set.into_iter().for_each(|resource| self.set(resource));
        self.check();
        if kind == Kind::Cluster {
            self.kept.push(answer)
        } else {
            self.outbox.push_back(answer)
        }
        if self.clusters.values().all(|held| !held.warming) {
            self.outbox.extend(self.kept.drain(..));
        }
    }

    fn set(&mut self, resource: Resource) {
        let (kind, name) = (resource.kind(), resource.name().to_owned());
        match kind {
            Kind::Cluster => self.set_cluster(name, resource),
            Kind::Endpoints => {
                self.warmed(&name);
                self.others.insert((kind, name), resource);
            }
            _ => {
                self.others.insert((kind, name), resource);
            }
        }
        if kind == Kind::Listener && !self.scopes_asked {
            self.scopes_asked = true;
            self.first(Kind::Scope);
            self.subscribe(Kind::Filter, "filter");
            self.subscribe(Kind::Secret, "secret");
        }
    }

    /// Endpoints that are not told for long: Envoy takes those that it was told before.
    pub fn time_out(&mut self) {
        let names: Vec<String> = self.held(Kind::Endpoints).into_keys().collect();
        names.iter().for_each(|name| self.warmed(name));
    }

    /// The endpoints of that name were told.
    fn warmed(&mut self, service: &str) {
        for held in self.clusters.values_mut() {
            if held.resource.service() == Some(service) {
                (held.warming, held.serves) = (false, true);
            }
        }
    }

    fn set_cluster(&mut self, name: String, resource: Resource) {
        let old = self.clusters.remove(&name);
        if let Some(old) = old.as_ref().filter(|old| old.resource.version() == resource.version()) {
            let (warming, serves) = (old.warming, old.serves);
            self.clusters.insert(name, Held { resource, warming, serves });
            return;
        }
        // The new version waits for endpoints to be told after it, whatever is held of that name; it asks for
        // them only if nobody has.
        let service = resource.service().map(str::to_owned);
        let serves = service.is_none() || old.is_some_and(|old| old.serves);
        self.clusters.insert(name, Held { resource, warming: service.is_some(), serves });
        if let Some(service) = service {
            self.subscribe(Kind::Endpoints, &service);
        }
    }

    fn subscribe(&mut self, kind: Kind, name: &str) {
        if self.asked.insert((kind, name.to_owned())) {
            let (type_url, subscribe) = (kind.type_url().into(), vec![name.to_owned()]);
            self.outbox.push_back(Request { type_url, subscribe, ..Request::default() });
        }
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        if kind != Kind::Cluster {
            if kind == Kind::Endpoints {
                // "There are none" is an answer too.
                self.warmed(name);
            }
            self.others.remove(&(kind, name.to_owned()));
            return;
        }
        let service = self.clusters.remove(name).and_then(|held| held.resource.service().map(str::to_owned));
        let Some(service) = service else { return };
        if self.clusters.values().any(|held| held.resource.service() == Some(service.as_str())) {
            return;
        }
        self.asked.remove(&(Kind::Endpoints, service.clone()));
        self.others.remove(&(Kind::Endpoints, service.clone()));
        let (type_url, unsubscribe) = (Kind::Endpoints.type_url().into(), vec![service]);
        self.outbox.push_back(Request { type_url, unsubscribe, ..Request::default() });
    }

    /// No scope may refer to a cluster that does not serve.
    fn check(&mut self) {
        for ((_, scope), resource) in self.others.iter().filter(|((kind, _), _)| *kind == Kind::Scope) {
            let cluster =
                ScopedRouteConfiguration::decode(resource.body().clone()).unwrap().route_configuration_name;
            if cluster != "bad" && !self.clusters.get(&cluster).is_some_and(|held| held.serves) {
                self.faults.push(format!("scope {scope} refers to {cluster}, which does not serve"));
            }
        }
    }
}

/// An edition below zero.
pub fn is_bad(resource: &Resource) -> bool {
    let edition = match resource.kind() {
        Kind::Cluster => Cluster::decode(resource.body().clone()).unwrap().alt_stat_name,
        Kind::Listener => Listener::decode(resource.body().clone()).unwrap().stat_prefix,
        _ => return false,
    };
    edition.starts_with('-')
}

/// Lets both talk until neither has anything to say. Time stands still, but for removals that wait for Envoy to ask.
pub fn talk(node: &mut Node, envoy: &mut Envoy) {
    for _ in 0..100_000 {
        if let Some(request) = envoy.next_request() {
            node.handle(request);
        } else if let Some(response) = node.poll() {
            envoy.take(response);
        } else {
            match node.session.as_ref().and_then(|session| session.next_deadline()) {
                Some(at) if at <= node.now + Limits::ASKING => node.now = at,
                _ => return,
            }
        }
    }
    panic!("they never end");
}

/// A node with these resources, and an Envoy that has them.
pub fn connected(resources: impl IntoIterator<Item = Resource>) -> (Node, Envoy) {
    let (mut node, mut envoy) = (Node::new(), Envoy::default());
    node.apply(super::make::set(resources));
    node.connect();
    envoy.connect();
    talk(&mut node, &mut envoy);
    assert!(node.settled() && envoy.faults.is_empty(), "{:?}", envoy.faults);
    (node, envoy)
}

/// Asserts that Envoy holds the snapshot, the rejected aside, and that nothing had to be given up.
pub fn assert_holds_all(node: &Node, envoy: &Envoy) {
    for kind in Kind::ALL {
        let names: Vec<&Arc<str>> = node.snapshot.names(kind).collect();
        let resources = names.into_iter().filter_map(|name| node.snapshot.get(kind, name));
        let wanted: BTreeMap<String, u64> = resources
            .filter(|resource| !is_bad(resource))
            .filter(|resource| kind.is_wildcard() || envoy.asked(kind, resource.name()))
            .map(|resource| (resource.name().to_owned(), resource.version()))
            .collect();
        let mut held = envoy.held(kind);
        // Of a rejected one Envoy keeps the last good version.
        held.retain(|name, _| !node.snapshot.get(kind, name).is_some_and(is_bad));
        assert_eq!(held, wanted, "{kind}");
    }
    assert_eq!(envoy.faults, Vec::<String>::new());
    assert_eq!(node.board.overdue, 0);
    assert!(node.settled(), "nothing is left to say, and it is not settled");
}
