//! A response, while it is put together and until Envoy has answered it.

use std::sync::Arc;
use std::time::Duration;

use crate::kind::Kind;
use crate::lane::Item;
use crate::limits::Limits;
use crate::resource::Resource;
use crate::step::Step;

/// A response that Envoy has not answered.
pub struct Flight {
    pub kind: Kind,
    pub step: Step,
    pub items: Vec<Item>,
    pub at: Duration,
    /// The step went on without it.
    pub overdue: bool,
}

impl Flight {
    /// Its step waits for it.
    pub fn holds(&self) -> bool {
        !self.overdue
    }
}

/// A response in the making.
pub struct Draft {
    pub kind: Kind,
    pub step: Step,
    pub set: Vec<Resource>,
    pub remove: Vec<Arc<str>>,
    pub bytes: usize,
}

impl Draft {
    pub fn new(kind: Kind, step: Step) -> Draft {
        Draft { kind, step, set: Vec::new(), remove: Vec::new(), bytes: 0 }
    }

    pub fn set(&mut self, resource: Resource) {
        self.bytes += resource.body().len();
        self.set.push(resource);
    }

    pub fn remove(&mut self, name: Arc<str>) {
        self.remove.push(name);
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// All scopes go in one response. A secret goes alone, and so does a filter: Envoy takes a rejected secret for
    /// known when it is told the same bytes again, so the culprit among several could not be found.
    pub fn is_full(&self) -> bool {
        let count = self.set.len() + self.remove.len();
        match self.kind {
            Kind::Scope => false,
            Kind::Secret | Kind::Filter => count >= 1,
            _ => count >= Limits::RESPONSE_RESOURCES || self.bytes >= Limits::RESPONSE_BYTES,
        }
    }
}
