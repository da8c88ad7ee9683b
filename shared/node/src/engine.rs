//! The engine: feeds the core, carries out its effects. One task owns it; it never waits for anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catalyst_config::{Config, HostPort};
use catalyst_control::{Core, Effect, Event, LOST, Notice, SessionId};
use catalyst_identity::TrustStore;
use catalyst_names::{NodeName, ServiceLabel, ServiceName};
use catalyst_route_table::Store as RouteStore;
use catalyst_transport::{Event as Input, SessionId as Link, Transport};
use tracing::{debug, info, warn};

use crate::admin::{Answer, Request, RuleRow, ServiceSpec};
use crate::boot;
use crate::clock::Clocks;
use crate::limits::Limits;
use crate::overlay::{Overlay, local};
use crate::peers::{PeerSpec, Peers};
use crate::record::Recorder;
use crate::rules::Rules;
use crate::tables::Tables;
use crate::write::Write;

/// What the engine knows beside the core: for answers, not for decisions.
pub(crate) struct Facts {
    /// As it is after all changes at run time.
    pub(crate) config: Config,
    pub(crate) trust: TrustStore,
    pub(crate) build: &'static str,
    pub(crate) certificate_until: u64,
    pub(crate) store_notice: Option<String>,
    pub(crate) exposed: Vec<(ServiceName, std::net::SocketAddr)>,
    /// Why the last dial of a peer failed, or its connection was lost, since its last session came up.
    pub(crate) dial_errors: BTreeMap<NodeName, String>,
    pub(crate) max_routes: usize,
    /// Where each peer was seen last, newest first.
    pub(crate) remotes: BTreeMap<NodeName, Vec<std::net::SocketAddr>>,
    /// Until when connections that are turned away get no line of their own, by the monotonic clock.
    pub(crate) quiet_until: u64,
}

impl Facts {
    /// Keeps the last addresses of a configured peer, newest first.
    fn remember(&mut self, peer: &NodeName, remote: std::net::SocketAddr) {
        let known =
            self.config.peers.iter().any(|p| p.node.as_str() == peer.node() && p.org.as_str() == peer.org());
        if !known {
            return;
        }
        let all = self.remotes.entry(peer.clone()).or_default();
        all.retain(|r| *r != remote);
        all.insert(0, remote);
        all.truncate(Limits::REMOTES);
    }
}

/// The core with its surroundings.
pub struct Engine<S> {
    pub(crate) core: Core<S>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) clocks: Clocks,
    pub(crate) overlay: Overlay,
    pub(crate) rules: Rules,
    pub(crate) peers: Peers,
    pub(crate) facts: Facts,
    pub(crate) recorder: Option<Recorder>,
}

/// What a request leads to: an answer now, or after a change is on the disk.
pub(crate) enum Outcome {
    /// The answer.
    Done(Result<Answer, String>),
    /// The change is in force; the answer waits until it is written.
    Write(Write, Answer),
}

impl<S: RouteStore> Engine<S> {
    /// Feeds one event, without draining.
    pub(crate) fn feed(&mut self, event: &Event) {
        let now = self.clocks.now();
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event, now);
        }
        self.core.handle(event, now);
    }

    /// Feeds what the transport says. Flows are not for the core and must not come here.
    pub(crate) fn transport(&mut self, input: Input) {
        match input {
            Input::SessionUp { session, peer, dialled, remote } => {
                debug!(%peer, %remote, dialled, session = session.0, "a control connection is up");
                self.facts.dial_errors.remove(&peer);
                self.facts.remember(&peer, remote);
                self.feed(&Event::SessionUp { session: SessionId(session.0), peer, dialled });
            }
            Input::Frame { session, frame } => {
                self.feed(&Event::PeerFrame { session: SessionId(session.0), frame: frame.to_vec() });
            }
            Input::Writable { session, bytes } => {
                self.feed(&Event::Writable { session: SessionId(session.0), bytes });
            }
            Input::SessionDown { session, peer, reason } => {
                debug!(%peer, session = session.0, %reason, "a control connection is gone");
                self.feed(&Event::SessionDown { session: SessionId(session.0) });
                // What NOTIFY said, or this node itself, helps more than how the connection closed after it.
                if self.core.state().peer(&peer).is_some_and(|p| p.last_end == LOST) {
                    self.facts.dial_errors.insert(peer, reason.to_string());
                }
            }
            Input::DialFailed { peer, error, retry_in } => {
                let first = !self.facts.dial_errors.contains_key(&peer);
                if first {
                    warn!(%peer, %error, ?retry_in, "cannot reach a peer; trying on");
                } else {
                    debug!(%peer, %error, ?retry_in, "cannot reach a peer");
                }
                let mut error = error;
                let end = (0..=Limits::REASON).rev().find(|n| error.is_char_boundary(*n)).unwrap_or(0);
                error.truncate(end.min(error.len()));
                self.facts.dial_errors.insert(peer, error);
            }
            Input::Refused { remote, reason } => {
                // A stranger must not be able to fill the disk; 'status' counts every one.
                let now = self.clocks.now().mono;
                if now >= self.facts.quiet_until {
                    self.facts.quiet_until = now + Limits::TURNED_AWAY_MS;
                    info!(%remote, %reason, "a connection was turned away");
                } else {
                    debug!(%remote, %reason, "a connection was turned away");
                }
            }
            Input::Flow { .. } => {}
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        self.feed(&Event::Tick);
    }

    /// When [`Engine::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<std::time::Instant> {
        self.core.next_deadline().map(|mono| self.clocks.at(mono))
    }

    /// Carries out all effects, then sends all frames that credit allows.
    pub(crate) fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            self.carry_out(effect);
        }
        while let Some((session, frame)) = self.core.poll_transmit() {
            if let Err(error) = self.transport.send(Link(session.0), Bytes::from(frame)) {
                // Its SessionDown is on the way.
                debug!(session = session.0, %error, "a frame was not taken");
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Forward(forward) => {
                if let Some(why) = self.tables.set_forward(&forward) {
                    warn!(service = %forward.service, why, "a service is known but cannot be used");
                }
            }
            Effect::Grant { peer, service, granted } => {
                if let Some(why) = self.tables.set_grant(&peer, &service, granted) {
                    warn!(%peer, %service, why, "an exported service cannot be used by a peer");
                }
            }
            Effect::Close { session, last } => {
                let last = (!last.is_empty()).then(|| Bytes::from(last));
                self.transport.close(Link(session.0), last);
            }
            Effect::Notice(notice) => log(notice),
        }
    }

    fn full_name(&self, label: &ServiceLabel) -> ServiceName {
        ServiceName::new(label, &self.facts.config.org)
    }

    /// Offers a service, or changes one that is offered.
    pub(crate) fn offer(&mut self, spec: &ServiceSpec, target: HostPort) -> Result<(), String> {
        let service = local(spec);
        self.tables.set_target(&self.full_name(&spec.name), Some(target));
        self.feed(&Event::ServiceUp(service.clone()));
        if self.core.state().service(&service.label) == Some(&service) {
            return Ok(());
        }
        self.tables.set_target(&self.full_name(&spec.name), None);
        let limit = self.facts.config.limits.services;
        Err(format!(
            "the service '{}' was not taken: the node is full (limits.services is {limit}, limits.routes is {}); \
             remove one, or raise the limit",
            spec.name, self.facts.max_routes
        ))
    }

    /// All services of the file and of run time, as the node starts.
    pub(crate) fn offer_all(&mut self) {
        for spec in self.overlay.services(&self.facts.config) {
            let Ok(target) = HostPort::parse(&spec.target) else { continue };
            if let Err(error) = self.offer(&spec, target) {
                warn!("{error}");
            }
        }
    }

    /// Answers a request of the admin API.
    pub(crate) fn request(&mut self, request: Request) -> Outcome {
        match request {
            Request::Status => Outcome::Done(Ok(Answer::Status(Box::new(self.status())))),
            Request::Routes { service } => {
                let mut rows = self.core.state().route_rows();
                if let Some(service) = service {
                    rows.retain(|r| r.service == service);
                }
                Outcome::Done(Ok(Answer::Routes(rows)))
            }
            Request::Peers => Outcome::Done(Ok(Answer::Peers(self.peer_rows()))),
            Request::PeerAdd { peer } => self.peer_added(peer).unwrap_or_else(|why| Outcome::Done(Err(why))),
            Request::PeerRemove { name } => self.peer_removed(&name),
            Request::Services => Outcome::Done(Ok(Answer::Services(self.service_rows()))),
            Request::ServiceAdd { service } => self.add(service),
            Request::ServiceRemove { name } => self.remove(&name),
            Request::Rules => Outcome::Done(Ok(Answer::Rules(self.rule_rows()))),
            Request::RuleAdd { rule } => {
                let write = self.rules.add(rule, &mut self.facts.config);
                self.rules_changed(write)
            }
            Request::RuleRemove { rule } => {
                let write = self.rules.remove(&rule, &mut self.facts.config);
                self.rules_changed(write)
            }
            Request::Visibility => Outcome::Done(Ok(Answer::Visibility(self.core.visibility()))),
            Request::Bundle => Outcome::Done(self.bundle()),
        }
    }

    /// A neighbour from now on: trusted, known to the core, dialled.
    pub(crate) fn peer_added(&mut self, spec: PeerSpec) -> Result<Outcome, String> {
        let checked = boot::foreign(&spec, &self.facts.config.org)?;
        let (peer, write) = self.peers.add(spec, &mut self.facts.config)?;
        let agreement = match checked {
            Some((bundle, agreement)) => {
                self.facts.trust.insert(bundle).map_err(|e| e.to_string())?;
                Some(agreement)
            }
            None => None,
        };
        let (event, dial) = boot::neighbour(&peer, agreement);
        self.feed(&event);
        self.transport.set_peer(dial);
        Ok(Outcome::Write(write, Answer::Peers(self.peer_rows())))
    }

    fn peer_removed(&mut self, name: &NodeName) -> Outcome {
        let write = match self.peers.remove(name, &mut self.facts.config) {
            Ok(write) => write,
            Err(why) => return Outcome::Done(Err(why)),
        };
        self.feed(&Event::PeerRemoved(name.clone()));
        self.transport.remove_peer(name);
        self.facts.dial_errors.remove(name);
        self.facts.remotes.remove(name);
        let org = name.org_id();
        if org != self.facts.config.org && !self.facts.config.peers.iter().any(|p| p.org == org) {
            self.facts.trust.remove(&org);
        }
        Outcome::Write(write, Answer::Peers(self.peer_rows()))
    }

    fn rule_rows(&self) -> Vec<RuleRow> {
        let source = |of_file| if of_file { "file" } else { "runtime" }.to_string();
        self.rules
            .effective()
            .map(|(rule, of_file)| RuleRow { rule: rule.clone(), source: source(of_file) })
            .collect()
    }

    /// The core hears all rules as they are now.
    fn rules_changed(&mut self, write: Result<Write, String>) -> Outcome {
        match write {
            Ok(write) => {
                self.feed(&boot::policy(&self.facts.config));
                Outcome::Write(write, Answer::Rules(self.rule_rows()))
            }
            Err(why) => Outcome::Done(Err(why)),
        }
    }

    fn bundle(&self) -> Result<Answer, String> {
        let org = &self.facts.config.org;
        let bundle =
            self.facts.trust.bundle(org).ok_or_else(|| format!("this node holds no bundle of '{org}'"))?;
        Ok(Answer::Bundle {
            org: org.to_string(),
            pem: bundle.to_pem(),
            fingerprints: bundle.fingerprints().map(|f| f.to_string()).collect(),
        })
    }

    fn add(&mut self, mut spec: ServiceSpec) -> Outcome {
        let target = match HostPort::parse(&spec.target) {
            Ok(target) => target,
            Err(why) => {
                return Outcome::Done(Err(format!("the target '{}' is not usable: {why}", spec.target)));
            }
        };
        spec.tags.sort();
        spec.tags.dedup();
        if let Some(tag) = spec.tags.iter().find(|t| !is_tag(t)) {
            let why = format!("the tag '{tag}' must look like 'acme.example:gold'");
            return Outcome::Done(Err(why));
        }
        if spec.tags.len() > catalyst_wire::Limits::TAGS {
            let why = format!("a service has at most {} tags", catalyst_wire::Limits::TAGS);
            return Outcome::Done(Err(why));
        }
        match self.offer(&spec, target) {
            Ok(()) => {
                let write = self.overlay.add(spec);
                Outcome::Write(write, Answer::Services(self.service_rows()))
            }
            Err(why) => Outcome::Done(Err(why)),
        }
    }

    fn remove(&mut self, label: &ServiceLabel) -> Outcome {
        if self.core.state().service(label).is_none() {
            return Outcome::Done(Err(format!("no service '{label}' on this node; see 'service ls'")));
        }
        self.feed(&Event::ServiceDown(label.clone()));
        self.tables.set_target(&self.full_name(label), None);
        let in_file = boot::in_file(&self.facts.config, label);
        let write = self.overlay.remove(label, in_file);
        Outcome::Write(write, Answer::Services(self.service_rows()))
    }
}

fn is_tag(text: &str) -> bool {
    text.split_once(':').is_some_and(|(org, tag)| {
        catalyst_names::check::org(org, "tag").is_ok() && catalyst_names::check::label(tag, "tag").is_ok()
    })
}

fn log(notice: Notice) {
    match notice {
        Notice::PeerUp(peer, session) => info!(%peer, session = session.0, "the session is established"),
        Notice::PeerDown(peer, why) => warn!(%peer, why, "the session is over; its routes are withdrawn"),
        Notice::SessionEnded(peer, code, why) => {
            warn!(%peer, %code, why, "a connection was ended by this node")
        }
        Notice::NotifiedBy(peer, code, reason, document) if document.is_empty() => {
            warn!(%peer, %code, reason, "the peer ended the session");
        }
        Notice::NotifiedBy(peer, code, reason, document) => {
            warn!(%peer, %code, reason, theirs = document, "the peer ended the session");
        }
        Notice::MalformedRoute(peer, what) => {
            warn!(%peer, what, "a malformed route was treated as withdrawn")
        }
        Notice::Clones(peer, runs) => warn!(
            %peer, ?runs, "two processes use the identity of this peer and take turns: a copied board? stop one of \
            them, and give it an identity of its own"
        ),
        Notice::NearLimit(peer) => warn!(%peer, "the peer has used 80 % of its limit"),
        Notice::Refusing(peer, why) => warn!(%peer, why, "routes of the peer are refused; those held stay"),
        Notice::RefusedBy(peer, count, why) => {
            warn!(%peer, count, why, "the peer refuses routes of this node")
        }
        Notice::ServiceRefused(service, why) => warn!(%service, why, "a service was not taken"),
        Notice::PluginConflict(what) => warn!("{what}"),
    }
}
