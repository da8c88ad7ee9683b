//! Services as they are after what was changed at run time: the file, and the differences from it.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_config::{Config, HostPort};
use catalyst_control::LocalService;
use catalyst_names::ServiceLabel;
use catalyst_store::{Scan, Store, StoreError, Table};

use crate::admin::ServiceSpec;
use crate::write::Write;

const SERVICES: Table = Table::new("services");

/// What one row holds: a service that was added or changed, or the mark that one of the file was removed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Row {
    /// Version 1 of an added service.
    Added(ServiceSpec),
    /// The service of the file is not offered.
    Removed,
}

/// The differences from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    added: BTreeMap<ServiceLabel, ServiceSpec>,
    removed: BTreeSet<ServiceLabel>,
}

/// The configuration's service as the admin API has it.
pub(crate) fn spec(service: &catalyst_config::Service) -> ServiceSpec {
    ServiceSpec {
        name: service.name.clone(),
        protocol: service.protocol,
        target: service.target.to_string(),
        cost: service.cost,
        weight: service.weight,
        tags: service.tags.clone(),
        fail_closed: service.fail_closed,
    }
}

/// The service as the core takes it.
pub(crate) fn local(spec: &ServiceSpec) -> LocalService {
    LocalService {
        label: spec.name.clone(),
        protocol: spec.protocol,
        cost: spec.cost,
        weight: spec.weight,
        tags: spec.tags.clone(),
        healthy: true,
        fail_closed: spec.fail_closed,
    }
}

impl Overlay {
    /// Reads the differences. A row that does not decode is left out: it is of a later version.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut overlay = Overlay::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
            let rows = store.scan(SERVICES, scan)?;
            let Some((last, _)) = rows.last() else { return Ok(overlay) };
            after = Some(last.clone());
            for (key, row) in rows {
                let label = std::str::from_utf8(&key).ok().and_then(|k| ServiceLabel::parse(k).ok());
                match (label, serde_json::from_slice::<Row>(&row)) {
                    (Some(label), Ok(Row::Added(spec))) if HostPort::parse(&spec.target).is_ok() => {
                        overlay.added.insert(label, spec);
                    }
                    (Some(label), Ok(Row::Removed)) => {
                        overlay.removed.insert(label);
                    }
                    _ => {
                        tracing::warn!(key = %String::from_utf8_lossy(&key), "a stored service does not decode")
                    }
                }
            }
        }
    }

    /// One service, of run time or of the file.
    pub(crate) fn service(&self, config: &Config, label: &ServiceLabel) -> Option<ServiceSpec> {
        let of_file = || config.services.iter().find(|s| s.name == *label && !self.removed.contains(label));
        self.added.get(label).cloned().or_else(|| of_file().map(spec))
    }

    /// All services: of the file, then of run time.
    pub(crate) fn services(&self, config: &Config) -> Vec<ServiceSpec> {
        let kept = |s: &&catalyst_config::Service| {
            !self.removed.contains(&s.name) && !self.added.contains_key(&s.name)
        };
        config.services.iter().filter(kept).map(spec).chain(self.added.values().cloned()).collect()
    }

    /// Whether the service is as the file has it.
    pub(crate) fn is_of_file(&self, label: &ServiceLabel) -> bool {
        !self.added.contains_key(label)
    }

    /// Whether the node offers the service as the file has it.
    pub(crate) fn offers_of_file(&self, label: &ServiceLabel) -> bool {
        self.is_of_file(label) && !self.removed.contains(label)
    }

    /// Takes a service in.
    pub(crate) fn add(&mut self, spec: ServiceSpec) -> Write {
        let label = spec.name.clone();
        let row = serde_json::to_vec(&Row::Added(spec.clone())).unwrap_or_default();
        self.removed.remove(&label);
        self.added.insert(label.clone(), spec);
        Write::one(SERVICES, label.as_str(), Some(row))
    }

    /// Takes a service out; one of the file needs a mark.
    pub(crate) fn remove(&mut self, label: &ServiceLabel, in_file: bool) -> Write {
        self.added.remove(label);
        let row = in_file.then(|| {
            self.removed.insert(label.clone());
            serde_json::to_vec(&Row::Removed).unwrap_or_default()
        });
        Write::one(SERVICES, label.as_str(), row)
    }
}

#[cfg(test)]
mod tests;
