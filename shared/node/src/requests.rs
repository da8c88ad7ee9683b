//! Requests of the admin API, answered from the engine's state: changes are in force at once, and written before the
//! answer goes out.

use catalyst_config::HostPort;
use catalyst_control::view::RouteRow;
use catalyst_control::{Event, LocalService};
use catalyst_names::{NodeName, ServiceLabel, ServiceName};
use catalyst_route_table::Store as RouteStore;
use tracing::warn;

use crate::admin::{Answer, Request, RuleRow, ServiceSpec};
use crate::boot;
use crate::engine::{Engine, Outcome};
use crate::overlay::local;
use crate::own_ports::{Carrier, circle};
use crate::peers::PeerSpec;
use crate::rules::{Direction, RuleSpec, Rules};
use crate::write::Write;

impl<S: RouteStore> Engine<S> {
    pub(crate) fn full_name(&self, label: &ServiceLabel) -> ServiceName {
        ServiceName::new(label, &self.facts.config.org)
    }

    /// Offers a service, or changes one that is offered.
    pub(crate) fn offer(&mut self, spec: &ServiceSpec, target: HostPort) -> Result<(), String> {
        self.tables.set_target(&self.full_name(&spec.name), Some(target));
        let service = LocalService { healthy: self.begins_healthy(&spec.name), ..local(spec) };
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
                let of = |row: &RouteRow| service.as_ref().is_none_or(|wanted| *wanted == row.service);
                let mut rows = match &service {
                    Some(service) => self.core.state().route_rows_to(service),
                    None => self.core.state().route_rows(),
                };
                rows.extend(self.remembered_rows().into_iter().filter(of));
                Outcome::Done(Ok(Answer::Routes(rows)))
            }
            Request::Peers => Outcome::Done(Ok(Answer::Peers(self.peer_rows()))),
            Request::PeerAdd { peer } => self.peer_added(peer).unwrap_or_else(|why| Outcome::Done(Err(why))),
            Request::PeerRemove { name } => self.peer_removed(&name),
            Request::Services => Outcome::Done(Ok(Answer::Services(self.service_rows()))),
            Request::ServiceAdd { service } => self.add(service),
            Request::ServiceRemove { name } => self.remove(&name),
            Request::Exposed => Outcome::Done(Ok(Answer::Exposed(self.expose_rows()))),
            // Sockets are not the engine's: `Around::expose` answers it.
            Request::ExposeAdd { .. } => Outcome::Done(Err("a local port is opened elsewhere".to_string())),
            Request::ExposeRemove { service, listen } => self.unexpose(&service, listen.as_deref()),
            Request::Rules => Outcome::Done(Ok(Answer::Rules(self.rule_rows()))),
            Request::RuleAdd { rule } => {
                let before = self.rules.clone();
                let write = self.rules.add(rule, &mut self.facts.config);
                self.rules_changed(before, write)
            }
            Request::RuleRemove { rule } => {
                let before = self.rules.clone();
                let write = self.rules.remove(&rule, &mut self.facts.config);
                self.rules_changed(before, write)
            }
            #[cfg(feature = "mesh")]
            // It takes turns with all else: `Around::plan` answers it.
            Request::PolicyPlan { .. } => Outcome::Done(Err("a plan is made elsewhere".to_string())),
            #[cfg(feature = "mesh")]
            Request::PolicyApply { rules, etag } => {
                let before = self.rules.clone();
                let write = self.rules.replace(rules, &etag, &mut self.facts.config);
                self.rules_changed(before, write)
            }
            // It has many answers: `serve` gives them.
            #[cfg(feature = "mesh")]
            Request::Watch { .. } => Outcome::Done(Err("a watch has a connection of its own".to_string())),
            #[cfg(feature = "mesh")]
            Request::Explain { service, peer } => Outcome::Done(self.explain(&service, peer.as_ref())),
            // The task beside it is not the engine's: `Around::drain` answers it.
            #[cfg(feature = "mesh")]
            Request::Drain { .. } => Outcome::Done(Err("a drain is begun elsewhere".to_string())),
            #[cfg(feature = "mesh")]
            Request::Drained => {
                let row = self.drain_row().unwrap_or_else(crate::drain::DrainRow::none);
                Outcome::Done(Ok(Answer::Drain(Box::new(row))))
            }
            #[cfg(feature = "mesh")]
            Request::Undrain => Outcome::Done(self.undrain()),
            #[cfg(feature = "mesh")]
            Request::Visibility => {
                let (mut all, passed) = (self.core.visibility(), self.core.passed_on());
                all.rows.extend(passed.rows);
                all.left_out += passed.left_out;
                Outcome::Done(Ok(Answer::Visibility(all)))
            }
            #[cfg(not(feature = "mesh"))]
            Request::Visibility => Outcome::Done(Ok(Answer::Visibility(self.core.visibility()))),
            Request::Bundle => Outcome::Done(self.bundle()),
            Request::Invite { node, ttl_s, address } => self.invite(&node, ttl_s, address),
            Request::Nodes => Outcome::Done(self.nodes()),
            Request::Revoke { node, force } => self.revoke(&node, force),
        }
    }

    pub(crate) fn peer_added(&mut self, spec: PeerSpec) -> Result<Outcome, String> {
        let write = self.peer_taken(spec)?;
        Ok(Outcome::Write(write, Answer::Peers(self.peer_rows())))
    }

    /// A neighbour from now on: trusted, known to the core, dialled.
    pub(crate) fn peer_taken(&mut self, spec: PeerSpec) -> Result<Write, String> {
        let checked = boot::foreign(&spec, &self.facts.config.org)?;
        let name = spec.name();
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
        self.tell_neighbour(&name);
        self.tell_trust();
        Ok(write)
    }

    fn peer_removed(&mut self, name: &NodeName) -> Outcome {
        match self.peer_gone(name, &Event::PeerRemoved(name.clone())) {
            Ok(write) => Outcome::Write(write, Answer::Peers(self.peer_rows())),
            Err(why) => Outcome::Done(Err(why)),
        }
    }

    /// No neighbour from now on: its session and its flows end. `gone` is what the core hears of it.
    pub(crate) fn peer_gone(&mut self, name: &NodeName, gone: &Event) -> Result<Write, String> {
        let write = self.peers.remove(name, &mut self.facts.config)?;
        self.feed(gone);
        // The transport would end the session without the word that says why.
        self.drain();
        self.transport.remove_peer(name);
        self.facts.dial_errors.remove(name);
        #[cfg(feature = "mesh")]
        self.facts.disagreements.remove(name);
        self.facts.remotes.remove(name);
        let org = name.org_id();
        if org != self.facts.config.org && !self.facts.config.peers.iter().any(|p| p.org == org) {
            self.facts.trust.remove(&org);
        }
        self.tell_neighbour(name);
        self.tell_trust();
        Ok(write)
    }

    /// Routes of the last run whose neighbours have not told their tables yet: for people, not for use.
    pub(crate) fn remembered_rows(&mut self) -> Vec<RouteRow> {
        self.forget_told();
        let (rows, _) = self.remembered.rows();
        rows.iter().map(|row| RouteRow { standing: "remembered".to_string(), ..row.clone() }).collect()
    }

    /// Forgets what peers have told anew, and what is of no peer any more.
    fn forget_told(&mut self) {
        let state = self.core.state();
        self.remembered.keep(|via| via.parse().is_ok_and(|n| state.peer(&n).is_some_and(|p| !p.synced)));
    }

    /// How many they are, and of when.
    pub(crate) fn remembered_count(&self) -> (usize, u64) {
        let (rows, at) = self.remembered.rows();
        let synced =
            |via: &str| via.parse().is_ok_and(|n| self.core.state().peer(&n).is_some_and(|p| p.synced));
        (rows.iter().filter(|row| !synced(&row.via)).count(), at)
    }

    /// What is to be written of the routes, if it is time; `last` says that the node stops.
    pub(crate) fn routes_to_save(&mut self, last: bool) -> Option<Write> {
        let due = self.remembered.due()?;
        if !last && due > std::time::Instant::now() {
            return None;
        }
        self.forget_told();
        let rows = self.core.state().some_heard_rows(self.remembered.most());
        let up = self.core.state().peers().filter(|peer| peer.session.is_some());
        let peers = up.map(|peer| peer.config.name.to_string()).collect();
        self.remembered.save(rows, peers, self.clocks.now().wall)
    }

    /// What is to be written of the clock, if it is time.
    pub(crate) fn time_to_save(&mut self, last: bool) -> Option<Write> {
        self.last_seen.save(self.clocks.now().mono, self.facts.certificate, last)
    }

    fn rule_rows(&self) -> Vec<RuleRow> {
        let source = |of_file| if of_file { "file" } else { "runtime" }.to_string();
        let state = self.core.state();
        let mut rows = Vec::new();
        for (direction, list, matches) in [
            (Direction::Export, state.exports(), state.export_matches()),
            (Direction::Import, state.imports(), state.import_matches()),
        ] {
            for (place, (rule, of_file)) in self.rules.effective(direction).into_iter().enumerate() {
                rows.push(RuleRow {
                    rule: RuleSpec {
                        direction,
                        org: rule.neighbour.clone(),
                        service: rule.service.to_string(),
                    },
                    source: source(of_file),
                    name: list.name(place),
                    matches: matches.get(place).copied().unwrap_or(0),
                    detail: Some(Box::new(rule)),
                });
            }
        }
        rows
    }

    /// The core hears all rules as they are now. Where it does not take them, those of `before` go on, here too.
    fn rules_changed(&mut self, before: Rules, write: Result<Write, String>) -> Outcome {
        match write {
            Ok(write) => {
                self.feed(&boot::policy(&self.facts.config));
                let (state, config) = (self.core.state(), &self.facts.config);
                if state.exports().rules() != config.exports || state.imports().rules() != config.imports {
                    self.rules = before;
                    self.rules.put_into(&mut self.facts.config);
                    return Outcome::Done(
                        Err("the rules do not hold together; the log says why".to_string()),
                    );
                }
                let answer = Answer::Rules(self.rule_rows());
                #[cfg(feature = "mesh")]
                return Outcome::Judged(write, answer);
                #[cfg(not(feature = "mesh"))]
                Outcome::Write(write, answer)
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
        if let Some(at) = self.tables.ports().aimed_at(Carrier::of(spec.protocol), &target) {
            return Outcome::Done(Err(circle(&target, at)));
        }
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
        // As it is now, the file does not say how it is run or checked.
        self.facts.local.release(&spec.name);
        match self.offer(&spec, target) {
            Ok(()) => {
                let label = spec.name.clone();
                let write = self.overlay.add(spec);
                Outcome::Write(write, self.service_answer(&label))
            }
            Err(why) => Outcome::Done(Err(why)),
        }
    }

    fn remove(&mut self, label: &ServiceLabel) -> Outcome {
        if self.core.state().service(label).is_none() {
            return Outcome::Done(Err(format!("no service '{label}' on this node; see 'service ls'")));
        }
        self.facts.local.release(label);
        self.feed(&Event::ServiceDown(label.clone()));
        self.tables.set_target(&self.full_name(label), None);
        let in_file = boot::in_file(&self.facts.config, label);
        let write = self.overlay.remove(label, in_file);
        Outcome::Write(write, self.service_answer(label))
    }

    /// What a change of one service answers: this one as it is now. All of them would cost the more the more there are.
    fn service_answer(&self, label: &ServiceLabel) -> Answer {
        let now = self.overlay.service(&self.facts.config, label);
        Answer::Services(now.iter().map(|spec| self.service_row(spec)).collect())
    }
}

fn is_tag(text: &str) -> bool {
    text.split_once(':').is_some_and(|(org, tag)| {
        catalyst_names::check::org(org, "tag").is_ok() && catalyst_names::check::label(tag, "tag").is_ok()
    })
}
