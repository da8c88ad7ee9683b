//! Local ports as they are after what was changed at run time: the file, and the differences from it.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_config::{Config, Expose, listen_address};
use catalyst_names::{Protocol, ServiceName};
use catalyst_store::{Scan, Store, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::write::Write;

const EXPOSES: Table = Table::new("exposes");

/// A local port for a service: version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposeSpec {
    /// The full name of the service.
    pub service: ServiceName,
    /// The local address, `ip:port`; without it a free port of `expose_ports` on 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// What clients speak there: `tcp` or `udp`.
    #[serde(default)]
    pub port: Protocol,
}

/// What a row says of its port: version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Added,
    Removed,
}

/// The differences from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposes {
    of_file: BTreeSet<String>,
    added: BTreeMap<String, Expose>,
    removed: BTreeSet<String>,
}

/// What two entries have in common that are the same port.
fn key(port: &Expose) -> String {
    format!("{} {} {}", port.service, port.protocol, port.listen)
}

fn spec(port: &Expose) -> ExposeSpec {
    ExposeSpec { service: port.service.clone(), listen: Some(port.listen.to_string()), port: port.protocol }
}

fn row(port: &Expose, change: Change) -> Option<Vec<u8>> {
    serde_json::to_vec(&(spec(port), change)).ok()
}

impl Exposes {
    /// Reads the differences, and makes `config` say what holds after them. A row that does not decode is left out: it is
    /// of a later version.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store, config: &mut Config) -> Result<Self, StoreError> {
        let mut all = Exposes { of_file: config.expose.iter().map(key).collect(), ..Exposes::default() };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
            let rows = store.scan(EXPOSES, scan)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row) in &rows {
                if all.read(row).is_none() {
                    tracing::warn!(key = %String::from_utf8_lossy(key), "a stored local port does not decode");
                }
            }
        }
        config.expose.retain(|port| !all.removed.contains(&key(port)));
        config.expose.extend(all.added.values().cloned());
        Ok(all)
    }

    fn read(&mut self, row: &[u8]) -> Option<()> {
        let (spec, change) = serde_json::from_slice::<(ExposeSpec, Change)>(row).ok()?;
        let listen = listen_address(&spec.listen?).ok()?;
        let port = Expose { service: spec.service, listen, protocol: spec.port };
        match change {
            Change::Removed => drop(self.removed.insert(key(&port))),
            // The file has it by now.
            Change::Added if self.of_file.contains(&key(&port)) => {}
            Change::Added => drop(self.added.insert(key(&port), port)),
        }
        Some(())
    }

    /// Whether the port stands in the file.
    pub(crate) fn is_of_file(&self, port: &Expose) -> bool {
        self.of_file.contains(&key(port))
    }

    /// Takes a port in, which has a number.
    pub(crate) fn add(&mut self, port: &Expose) -> Write {
        let key = key(port);
        self.removed.remove(&key);
        if self.of_file.contains(&key) {
            return Write::one(EXPOSES, &key, None);
        }
        self.added.insert(key.clone(), port.clone());
        Write::one(EXPOSES, &key, row(port, Change::Added))
    }

    /// Takes a port out; one of the file needs a mark.
    pub(crate) fn remove(&mut self, port: &Expose) -> Write {
        let key = key(port);
        self.added.remove(&key);
        let mark = self.of_file.contains(&key).then(|| row(port, Change::Removed)).flatten();
        if mark.is_some() {
            self.removed.insert(key.clone());
        }
        Write::one(EXPOSES, &key, mark)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use catalyst_config::{Build, Compiled, from_text};
    use catalyst_store::MemoryStore;

    use super::*;

    fn config() -> Config {
        let text = r#"{ "version": 1, "org": "acme.example", "node": "edge-1", "expose": [
            { "service": "web.acme.example", "listen": "127.0.0.1:9001" },
            { "service": "db.acme.example", "listen": "127.0.0.1:0" }] }"#;
        from_text(Some((text, Path::new("c.json"))), &[], &[], Build::Edge, &Compiled::EDGE).unwrap()
    }

    fn port(service: &str, listen: &str, protocol: Protocol) -> Expose {
        Expose { service: ServiceName::parse(service).unwrap(), listen: listen.parse().unwrap(), protocol }
    }

    fn loaded(store: &MemoryStore) -> (Exposes, Vec<Expose>) {
        let mut config = config();
        let exposes = Exposes::load(store, &mut config).unwrap();
        (exposes, config.expose)
    }

    #[test]
    fn what_was_added_and_removed_is_there_after_a_restart() {
        let store = MemoryStore::default();
        let (mut exposes, of_file) = loaded(&store);
        assert_eq!(of_file, config().expose);
        let dns = port("dns.acme.example", "127.0.0.1:9053", Protocol::Udp);
        let web = port("web.acme.example", "127.0.0.1:9050", Protocol::Tcp);
        for write in [exposes.add(&dns), exposes.add(&web), exposes.remove(&of_file[0])] {
            write.run(&store).unwrap();
        }
        let (mut again, ports) = loaded(&store);
        assert_eq!(again, exposes);
        assert_eq!(ports, [of_file[1].clone(), dns.clone(), web.clone()]);
        assert!(again.is_of_file(&of_file[1]) && !again.is_of_file(&dns));
        for write in [again.remove(&dns), again.remove(&web), again.add(&of_file[0])] {
            write.run(&store).unwrap();
        }
        assert_eq!(loaded(&store).1, of_file);
        assert!(store.scan(EXPOSES, Scan::all()).unwrap().is_empty(), "no mark is left");
    }

    #[test]
    fn a_row_of_a_later_version_is_left_out() {
        let store = MemoryStore::default();
        store.put(EXPOSES, b"x", b"{}").unwrap();
        store.put(EXPOSES, b"y", br#"[{"service":"a.b","listen":"nowhere","port":"tcp"},"added"]"#).unwrap();
        assert_eq!(loaded(&store).1, config().expose);
    }
}
