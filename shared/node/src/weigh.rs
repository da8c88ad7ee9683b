//! Whether a service of this node is healthy: what its checks say, and whether who carries flows can serve it.

use catalyst_control::Event;
use catalyst_names::ServiceLabel;
use catalyst_route_table::Store;

use crate::engine::Engine;

impl<S: Store> Engine<S> {
    /// Whether a service is healthy that is offered from now on: one that is checked has yet to show it.
    #[cfg(not(feature = "mesh"))]
    pub(crate) fn begins_healthy(&mut self, label: &ServiceLabel) -> bool {
        !self.facts.local.manages(label)
    }

    /// A check changed its mind.
    #[cfg(not(feature = "mesh"))]
    pub(crate) fn checked(&mut self, label: ServiceLabel, healthy: bool) {
        self.feed(&Event::Health { label, healthy });
    }
}

#[cfg(feature = "mesh")]
impl<S: Store> Engine<S> {
    /// Whether a service is healthy that is offered from now on: one that is checked has yet to show it.
    pub(crate) fn begins_healthy(&mut self, label: &ServiceLabel) -> bool {
        let managed = self.facts.local.manages(label);
        self.note(label, !managed);
        self.is_healthy(label)
    }

    /// A check changed its mind.
    pub(crate) fn checked(&mut self, label: ServiceLabel, healthy: bool) {
        self.note(&label, healthy);
        self.weigh(label);
    }

    /// What keeps a service from being served changed.
    pub(crate) fn weigh(&mut self, label: ServiceLabel) {
        let healthy = self.is_healthy(&label);
        self.feed(&Event::Health { label, healthy });
    }

    fn note(&mut self, label: &ServiceLabel, healthy: bool) {
        if healthy {
            self.facts.failing.remove(label);
        } else {
            self.facts.failing.insert(label.clone());
        }
    }

    fn is_healthy(&self, label: &ServiceLabel) -> bool {
        let service = self.full_name(label);
        let trouble = self.tables.mesh().get().and_then(|mesh| mesh.trouble(&service));
        trouble.is_none() && !self.facts.failing.contains(label)
    }
}
