//! What the one Envoy of this node shall hold: a table a kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Full, Reason};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::resource::Resource;

/// A set of changes, applied as one. Removals come before what is set; a name in both is cut off, and then there again.
///
/// Write it with `..Changes::default()`.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Added, or put in the place of one with the same name.
    pub set: Vec<Resource>,
    /// Removed when nothing refers to them any more: after the scopes of the same changes.
    pub remove: Vec<(Kind, String)>,
    /// Removed at once, ahead of everything that is under way: what these carry shall end now, whether or not
    /// something still refers to them. For permissions that are withdrawn: the internal listener of a grant.
    /// The cluster that leads to it belongs into `remove`.
    pub urgent: Vec<(Kind, String)>,
    /// Put in the place of one with the same name at once, ahead of everything that is under way. For permissions that
    /// are withdrawn, too: what is set refers to nothing that Envoy may not have yet. One that Envoy has not got at all
    /// comes as if it were in `set`.
    pub urgent_set: Vec<Resource>,
}

impl Changes {
    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.urgent.is_empty() && self.urgent_set.is_empty()
    }
}

/// One name whose resource is another now.
pub struct Changed {
    pub kind: Kind,
    pub name: Arc<str>,
    /// What stood there before.
    pub old: Option<Resource>,
    /// Nothing stands there now.
    pub gone: bool,
    /// It goes first.
    pub urgent: bool,
}

/// The tables.
pub struct Snapshot {
    tables: [BTreeMap<Arc<str>, Resource>; Kind::COUNT],
    bytes: usize,
    generation: u64,
    limits: Limits,
}

impl Snapshot {
    pub fn new(limits: Limits) -> Snapshot {
        Snapshot { tables: Default::default(), bytes: 0, generation: 0, limits }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts the calls of `apply`.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn get(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.table(kind).get(name)
    }

    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.table(kind).keys()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.table(kind).len()
    }

    /// Applies the changes and hands each real one to `changed`; what is equal is no change.
    pub fn apply(&mut self, changes: Changes, mut changed: impl FnMut(Changed)) -> Result<(), Full> {
        self.generation += 1;
        let urgent = changes.urgent.into_iter().map(|(kind, name)| (kind, name, true));
        let later = changes.remove.into_iter().map(|(kind, name)| (kind, name, false));
        for (kind, name, urgent) in urgent.chain(later) {
            if let Some(gone) = self.take(kind, &name, urgent) {
                changed(gone);
            }
        }
        let mut full = Full { refused: Vec::new(), count: 0 };
        let urgent = changes.urgent_set.into_iter().map(|resource| (resource, true));
        for (resource, urgent) in urgent.chain(changes.set.into_iter().map(|resource| (resource, false))) {
            let (kind, name) = (resource.kind(), Arc::clone(resource.shared_name()));
            if let Err(reason) = self.fits(&resource) {
                full.count += 1;
                if full.refused.len() < Limits::LISTED {
                    full.refused.push((kind, name.to_string(), reason));
                }
                // It says who may. The old one could let in somebody who may not any more.
                if kind.permits()
                    && let Some(gone) = self.take(kind, &name, true)
                {
                    changed(gone);
                }
                continue;
            }
            if self.get(kind, &name).is_some_and(|old| old.is_same(&resource)) {
                continue;
            }
            self.bytes += resource.body().len();
            let old = self.table_mut(kind).insert(Arc::clone(&name), resource);
            self.bytes = self.bytes.saturating_sub(old.as_ref().map_or(0, |old| old.body().len()));
            changed(Changed { kind, name, old, gone: false, urgent });
        }
        if full.count == 0 { Ok(()) } else { Err(full) }
    }

    fn take(&mut self, kind: Kind, name: &str, urgent: bool) -> Option<Changed> {
        let (name, old) = self.table_mut(kind).remove_entry(name)?;
        self.bytes = self.bytes.saturating_sub(old.body().len());
        Some(Changed { kind, name, old: Some(old), gone: true, urgent })
    }

    fn fits(&self, resource: &Resource) -> Result<(), Reason> {
        let (name, body) = (resource.name().len(), resource.body().len());
        if name == 0 || name > Limits::NAME_BYTES {
            return Err(Reason::Name(name));
        }
        if body > Limits::RESOURCE_BYTES {
            return Err(Reason::TooLarge(body));
        }
        let old = self.get(resource.kind(), resource.name());
        if old.is_none() && self.count(resource.kind()) >= self.limits.resources {
            return Err(Reason::Resources(self.limits.resources));
        }
        let old = old.map_or(0, |old| old.body().len());
        if body > old && self.bytes - old + body > self.limits.total_bytes {
            return Err(Reason::TotalBytes(self.limits.total_bytes));
        }
        Ok(())
    }

    fn table(&self, kind: Kind) -> &BTreeMap<Arc<str>, Resource> {
        &self.tables[kind.index()]
    }

    fn table_mut(&mut self, kind: Kind) -> &mut BTreeMap<Arc<str>, Resource> {
        &mut self.tables[kind.index()]
    }
}
