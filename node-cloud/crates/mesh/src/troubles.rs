//! What keeps services of this node from being served: names that do not resolve, and what Envoy rejects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use catalyst_names::ServiceName;
use catalyst_node::envoy_row::Trouble;
use catalyst_xds::{Kind, Rejected, Rejection};

use crate::blame::Blame;

/// One reason.
#[derive(Clone, Debug)]
struct Reason {
    why: String,
    since: Instant,
}

fn shown(reason: &Reason) -> Trouble {
    Trouble { why: reason.why.clone(), since_s: reason.since.elapsed().as_secs() }
}

/// The reasons, by service.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    names: BTreeMap<ServiceName, Reason>,
    rejected: BTreeMap<ServiceName, BTreeMap<(Kind, String), Reason>>,
}

impl Troubles {
    /// The name of the service's target stands for nothing (`Some`), or for something. True: the service is worse or
    /// better off by it.
    pub(crate) fn name(&mut self, service: &ServiceName, why: Option<String>) -> bool {
        let before = self.names.contains_key(service);
        match why {
            None => drop(self.names.remove(service)),
            Some(why) => {
                let since = self.names.get(service).map_or_else(Instant::now, |known| known.since);
                self.names.insert(service.clone(), Reason { why, since });
            }
        }
        before != self.names.contains_key(service)
    }

    /// What Envoy says of one resource; `held`: it is still to hold it. One that is no more because its service is not
    /// served is no better than before: it would be rejected again. Returns the service that is worse or better off.
    pub(crate) fn rejection(&mut self, news: &Rejection, held: bool) -> Option<ServiceName> {
        let Blame::Service(service) = Blame::of(news.kind, &news.name) else { return None };
        let key = (news.kind, news.name.to_string());
        let before = self.rejected.contains_key(&service);
        match &news.reason {
            Some(why) => {
                let reason = Reason { why: format!("Envoy rejects it: {why}"), since: Instant::now() };
                self.rejected.entry(service.clone()).or_default().entry(key).or_insert(reason);
            }
            None if held => {
                if let Some(of) = self.rejected.get_mut(&service) {
                    of.remove(&key);
                    if of.is_empty() {
                        self.rejected.remove(&service);
                    }
                }
            }
            None => {}
        }
        (before != self.rejected.contains_key(&service)).then_some(service)
    }

    /// News that were missed: all that Envoy rejects by now, and that it rejects no more what is not among it.
    pub(crate) fn missed(&self, now: Vec<Rejected>) -> Vec<Rejection> {
        let rejected: BTreeSet<(Kind, &str)> = now.iter().map(|row| (row.kind, &*row.name)).collect();
        let known = self.rejected.values().flat_map(BTreeMap::keys);
        let over = known.filter(|(kind, name)| !rejected.contains(&(*kind, name.as_str())));
        let mut all: Vec<Rejection> = over
            .map(|(kind, name)| Rejection { kind: *kind, name: name.as_str().into(), reason: None })
            .collect();
        all.extend(now.into_iter().map(|row| Rejection {
            kind: row.kind,
            name: row.name,
            reason: Some(row.reason),
        }));
        all
    }

    /// The service was told anew, or is gone: it may be well now.
    pub(crate) fn forgive(&mut self, service: &ServiceName) {
        self.rejected.remove(service);
    }

    /// Services that are in trouble for what Envoy rejects.
    #[cfg(test)]
    fn rejected(&self) -> BTreeSet<&ServiceName> {
        self.rejected.keys().collect()
    }

    /// The first reason of a service.
    pub(crate) fn of(&self, service: &ServiceName) -> Option<Trouble> {
        self.names.get(service).map(shown).or_else(|| self.of_envoy(service))
    }

    /// The first thing of a service that Envoy rejects.
    pub(crate) fn of_envoy(&self, service: &ServiceName) -> Option<Trouble> {
        self.rejected.get(service).and_then(|of| of.values().next()).map(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(kind: Kind, name: &str, reason: Option<&str>) -> Rejection {
        Rejection { kind, name: name.into(), reason: reason.map(Into::into) }
    }

    #[test]
    fn a_rejected_service_is_in_trouble_until_it_is_accepted_and_others_are_not() {
        let (web, other): (ServiceName, ServiceName) =
            ("web.acme.example".parse().unwrap(), "other.acme.example".parse().unwrap());
        let mut troubles = Troubles::default();
        let bad = news(Kind::Cluster, "local|web.acme.example", Some("a bad one"));
        assert_eq!(troubles.rejection(&bad, true), Some(web.clone()));
        assert_eq!(troubles.rejection(&bad, true), None, "it is known");
        assert_eq!(troubles.of(&web).unwrap().why, "Envoy rejects it: a bad one");
        assert!(troubles.of(&other).is_none());
        let scope = news(Kind::Scope, "web.acme.example", Some("another"));
        assert_eq!(troubles.rejection(&scope, true), None);
        assert_eq!(troubles.rejection(&news(Kind::Cluster, "local|web.acme.example", None), true), None);
        assert!(troubles.of(&web).is_some(), "its scope is still rejected");
        let gone = news(Kind::Scope, "web.acme.example", None);
        assert_eq!(troubles.rejection(&gone, false), None, "it is gone because the service is not served");
        assert!(troubles.of(&web).is_some());
        assert_eq!(troubles.rejection(&gone, true), Some(web.clone()), "it is accepted");
        assert!(troubles.of(&web).is_none());
    }

    #[test]
    fn what_was_missed_is_made_up_for_however_much_it_is() {
        let mut troubles = Troubles::default();
        let scope = |n: usize| format!("s{n}.acme.example");
        troubles.rejection(&news(Kind::Scope, &scope(0), Some("bad")), true);
        let row = |n| Rejected { kind: Kind::Scope, name: scope(n).into(), reason: "bad".into() };
        for news in troubles.missed((1..500).map(row).collect()) {
            assert!(troubles.rejection(&news, true).is_some(), "{news:?}");
        }
        let ill: BTreeSet<String> = troubles.rejected().iter().map(ToString::to_string).collect();
        assert_eq!(ill, (1..500).map(scope).collect());
    }

    #[test]
    fn what_is_told_anew_may_be_well() {
        let web: ServiceName = "web.acme.example".parse().unwrap();
        let mut troubles = Troubles::default();
        troubles.rejection(&news(Kind::Scope, "web.acme.example", Some("bad")), true);
        assert_eq!(troubles.rejected().len(), 1);
        troubles.forgive(&web);
        assert!(troubles.of(&web).is_none());
    }

    #[test]
    fn ports_and_grants_do_not_make_a_service_ill() {
        let mut troubles = Troubles::default();
        for name in
            ["port|web.acme.example|127.0.0.1:1", "grant|web.acme.example|globex.example|local", "mesh"]
        {
            assert_eq!(troubles.rejection(&news(Kind::Listener, name, Some("taken")), true), None);
        }
        assert!(troubles.rejected().is_empty());
    }

    #[test]
    fn a_name_is_in_trouble_until_it_resolves() {
        let web: ServiceName = "web.acme.example".parse().unwrap();
        let mut troubles = Troubles::default();
        assert!(troubles.name(&web, Some("unknown".into())));
        assert!(!troubles.name(&web, Some("unknown still".into())));
        assert_eq!(troubles.of(&web).unwrap().why, "unknown still");
        assert!(troubles.name(&web, None));
        assert!(!troubles.name(&web, None));
    }
}
