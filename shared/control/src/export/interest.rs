//! What a neighbour wants to hear of, and who wants to hear of a service.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use catalyst_policy::Pattern;

use crate::event::SessionId;

/// What a neighbour with an interest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It has promised a list that has not come.
    Awaited,
    /// These patterns.
    These(Vec<String>),
}

/// A list of patterns: full names, and the rest, which are few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interest {
    names: BTreeSet<Arc<str>>,
    patterns: Vec<Pattern>,
}

/// Whether a pattern names every service of everybody: who has it in its list wants everything.
pub(crate) fn is_all(pattern: &str) -> bool {
    let label = pattern.strip_suffix(".*");
    label.is_some_and(|label| !label.is_empty() && label.bytes().all(|c| c == b'*'))
}

fn org(service: &str) -> &str {
    service.split_once('.').map_or("", |s| s.1)
}

impl Interest {
    /// What is no pattern matches nothing.
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut interest = Interest::default();
        for text in texts {
            if !text.contains('*') {
                interest.names.insert(Arc::from(text.as_str()));
            } else if let Some(pattern) = Pattern::parse(text).ok().filter(Pattern::is_full) {
                interest.patterns.push(pattern);
            }
        }
        interest
    }

    /// The list, names first.
    pub(super) fn texts(&self) -> Vec<String> {
        let patterns = self.patterns.iter().map(Pattern::as_str);
        self.names.iter().map(|name| &**name).chain(patterns).map(String::from).collect()
    }

    /// The full names in it, where there is nothing else.
    pub(super) fn names(&self) -> Option<impl Iterator<Item = &str>> {
        self.patterns.is_empty().then(|| self.names.iter().map(|name| &**name))
    }

    pub(super) fn matches(&self, service: &str) -> bool {
        self.names.contains(service) || self.patterns.iter().any(|pattern| pattern.matches(service, ""))
    }
}

/// The way back: from a service to the sessions that may want it. A change that nobody wants costs two searches.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    names: BTreeSet<(Arc<str>, SessionId)>,
    /// By the organisation of each pattern, or `*`.
    orgs: BTreeSet<(Arc<str>, SessionId)>,
}

impl Index {
    fn lines(interest: &Interest) -> impl Iterator<Item = Arc<str>> {
        interest.patterns.iter().map(|pattern| Arc::from(org(pattern.as_str())))
    }

    pub(super) fn insert(&mut self, session: SessionId, interest: &Interest) {
        self.names.extend(interest.names.iter().map(|name| (name.clone(), session)));
        self.orgs.extend(Self::lines(interest).map(|org| (org, session)));
    }

    pub(super) fn remove(&mut self, session: SessionId, interest: &Interest) {
        for name in &interest.names {
            self.names.remove(&(name.clone(), session));
        }
        for org in Self::lines(interest) {
            self.orgs.remove(&(org, session));
        }
    }

    /// The sessions with this very name, or with a pattern of its organisation: that is to be looked at.
    pub(super) fn sessions(&self, service: &str) -> BTreeSet<SessionId> {
        let of = |set: &BTreeSet<(Arc<str>, SessionId)>, text: &str, out: &mut BTreeSet<SessionId>| {
            if !set.is_empty() {
                let text: Arc<str> = Arc::from(text);
                let range = (text.clone(), SessionId(0))..=(text, SessionId(u64::MAX));
                out.extend(set.range(range).map(|(_, session)| *session));
            }
        };
        let mut sessions = BTreeSet::new();
        of(&self.names, service, &mut sessions);
        of(&self.orgs, org(service), &mut sessions);
        of(&self.orgs, "*", &mut sessions);
        sessions
    }
}
