//! How many bytes each service was sent and has answered, for the services that the configuration bounds: this node's
//! own, and those with a local port here.

use std::collections::BTreeMap;

use catalyst_names::ServiceName;

/// Counted since the service is known here.
#[derive(Debug, Default)]
struct Row {
    own: bool,
    exposed: bool,
    bytes: (u64, u64),
}

/// Bytes by service.
#[derive(Debug, Default)]
pub(super) struct Carried(BTreeMap<ServiceName, Row>);

impl Carried {
    /// A service of this node, or no longer.
    pub fn own(&mut self, service: &ServiceName, own: bool) {
        self.know(service, own, |row| row.own = own);
    }

    /// A service with a local port, or no longer.
    pub fn exposed(&mut self, service: &ServiceName, exposed: bool) {
        self.know(service, exposed, |row| row.exposed = exposed);
    }

    fn know(&mut self, service: &ServiceName, is: bool, set: impl FnOnce(&mut Row)) {
        if is {
            set(self.0.entry(service.clone()).or_default());
        } else if let Some(row) = self.0.get_mut(service) {
            set(row);
            if !row.own && !row.exposed {
                self.0.remove(service);
            }
        }
    }

    /// A flow has ended that carried so much.
    pub fn add(&mut self, service: &ServiceName, (to, from): (u64, u64)) {
        if let Some(row) = self.0.get_mut(service) {
            row.bytes.0 += to;
            row.bytes.1 += from;
        }
    }

    /// Of one service, without its live flows.
    pub fn of(&self, service: &ServiceName) -> (u64, u64) {
        self.0.get(service).map_or((0, 0), |row| row.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_of_the_configuration_take_a_row_and_give_it_back() {
        let [own, port, other] = ["a", "b", "c"].map(|l| format!("{l}.acme.example").parse().unwrap());
        let mut all = Carried::default();
        all.own(&own, true);
        all.own(&port, true);
        all.exposed(&port, true);
        for service in [&own, &port, &other] {
            all.add(service, (2, 3));
            all.add(service, (0, 1));
        }
        assert_eq!((all.of(&own), all.of(&port), all.of(&other)), ((2, 4), (2, 4), (0, 0)));
        all.own(&own, false);
        all.own(&port, false);
        all.own(&other, false);
        assert_eq!((all.0.len(), all.of(&port)), (1, (2, 4)), "one that is gone keeps no row");
        all.exposed(&port, false);
        assert!(all.0.is_empty());
    }
}
