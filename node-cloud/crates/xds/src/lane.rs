//! One kind on one stream: what Envoy asked for, what it was sent, what is due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::kind::Kind;
use crate::limits::Limits;
use crate::step::Step;

/// A resource in a response: the version that was sent, or `None` for a removal.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: Arc<str>,
    pub version: Option<u64>,
}

/// A part of a response that Envoy rejected, to be sent by itself.
pub struct Retry {
    pub step: Step,
    pub items: Vec<Item>,
}

/// Envoy asked for more names than [`Limits::subscriptions`].
pub struct TooMany;

/// The state of one kind.
pub struct Lane {
    kind: Kind,
    /// The first request of this kind came.
    asked: bool,
    wildcard: bool,
    names: BTreeSet<Arc<str>>,
    /// Compare all there is with `sent` before anything else is sent.
    pub fresh: bool,
    /// Envoy waits for a first answer, even if it is empty.
    pub owes: bool,
    /// What Envoy has been sent: a version, or that there is none.
    pub sent: BTreeMap<Arc<str>, Option<u64>>,
    /// To be sent in the kind's step. What became equal meanwhile is skipped.
    pub set: BTreeSet<Arc<str>>,
    /// To be removed in the last step.
    pub remove: BTreeSet<Arc<str>>,
    /// To be removed, or set, at once.
    pub urgent: BTreeSet<Arc<str>>,
    /// To be sent again in parts.
    pub retry: VecDeque<Retry>,
}

impl Lane {
    pub fn new(kind: Kind) -> Lane {
        Lane {
            kind,
            asked: false,
            wildcard: false,
            names: BTreeSet::new(),
            fresh: false,
            owes: false,
            sent: BTreeMap::new(),
            set: BTreeSet::new(),
            remove: BTreeSet::new(),
            urgent: BTreeSet::new(),
            retry: VecDeque::new(),
        }
    }

    pub fn asked(&self) -> bool {
        self.asked
    }

    pub fn subscribed(&self) -> usize {
        self.names.len()
    }

    pub fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Asked for by its name, so that "there is none" is an answer too.
    pub fn names_it(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Takes the subscription part of a request. `refresh` says of a name that Envoy must hear of it even if it
    /// says that it holds it.
    pub fn subscribe(
        &mut self,
        subscribe: Vec<String>,
        unsubscribe: &[String],
        held: Vec<(String, String)>,
        limits: &Limits,
        refresh: impl Fn(&str) -> bool,
    ) -> Result<(), TooMany> {
        let first = !self.asked;
        self.asked = true;
        if first {
            if held.len() > limits.subscriptions {
                return Err(TooMany);
            }
            if self.kind.is_wildcard() && subscribe.is_empty() {
                self.take_all();
            }
            self.owes = held.is_empty() && self.wildcard;
            self.sent = held
                .into_iter()
                .map(|(name, version)| (Arc::from(name), Some(crate::message::version_of(&version))))
                .collect();
        }
        for name in subscribe {
            if name == "*" {
                if self.kind.is_wildcard() && !self.wildcard {
                    self.take_all();
                    self.owes |= first && self.sent.is_empty();
                }
                continue;
            }
            if name.len() > Limits::NAME_BYTES {
                return Err(TooMany);
            }
            let name: Arc<str> = Arc::from(name);
            if !first || refresh(&name) {
                // Who subscribes anew wants to be told, whatever was sent before.
                self.sent.remove(&name);
            }
            self.names.insert(Arc::clone(&name));
            self.set.insert(name);
            if self.names.len() > limits.subscriptions {
                return Err(TooMany);
            }
        }
        for name in unsubscribe {
            if name == "*" {
                self.wildcard = false;
                let Lane { names, set, remove, urgent, sent, .. } = self;
                urgent.retain(|name| names.contains(name));
                set.retain(|name| names.contains(name));
                remove.retain(|name| names.contains(name));
                sent.retain(|name, _| names.contains(name));
            } else if self.names.remove(name.as_str()) && !self.wildcard {
                self.set.remove(name.as_str());
                self.remove.remove(name.as_str());
                self.urgent.remove(name.as_str());
                self.sent.remove(name.as_str());
            }
        }
        Ok(())
    }

    fn take_all(&mut self) {
        self.wildcard = true;
        self.fresh = true;
    }

    /// Envoy must be told, though it was sent these bytes before.
    pub fn force(&mut self, name: &Arc<str>) {
        self.sent.remove(name);
        self.set.insert(Arc::clone(name));
        self.remove.remove(name);
    }

    /// It stands at another version now, or is gone: notes what is to be done, if anything is.
    pub fn mark(&mut self, name: &Arc<str>, version: Option<u64>) {
        if !self.wants(name) {
            return;
        }
        let sent = self.sent.get(name).copied();
        match version {
            Some(_) if sent == Some(version) => {}
            Some(_) => {
                self.set.insert(Arc::clone(name));
            }
            // A scope goes with those that take its place.
            None if matches!(sent, Some(Some(_))) && self.kind == Kind::Scope => {
                self.set.insert(Arc::clone(name));
            }
            None if matches!(sent, Some(Some(_))) => {
                self.remove.insert(Arc::clone(name));
            }
            None => {}
        }
    }

    /// The first step in which this kind has something to send.
    pub fn due(&self) -> Option<Step> {
        let set = (self.owes || !self.set.is_empty()).then(|| Step::of(self.kind));
        let remove = (!self.remove.is_empty()).then_some(Step::Removals);
        let retry = self.retry.iter().map(|retry| retry.step).min();
        [set, remove, retry].into_iter().flatten().min()
    }

    /// Names that wait.
    pub fn waiting(&self) -> usize {
        let retry: usize = self.retry.iter().map(|retry| retry.items.len()).sum();
        self.set.len() + self.remove.len() + self.urgent.len() + retry
    }
}
