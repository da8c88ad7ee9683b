//! What Envoy is to be told, by name: of each resource the last wish alone. What is set and taken away again before anybody
//! was told is not there, whatever the order in which it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalyst_xds::{Changes, Kind, Resource};

/// The wishes since they were taken last.
#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeMap<(Kind, Arc<str>), Wish>);

/// What shall become of one name.
#[derive(Debug, Default)]
struct Wish {
    /// What stands there is cut off at once, also when something comes in its place.
    cut: bool,
    /// Nothing without it.
    set: Option<Resource>,
    /// It is set ahead of everything.
    now: bool,
}

impl Pending {
    /// This stands there.
    pub(crate) fn set(&mut self, resource: Resource) {
        let wish = self.wish(resource.kind(), resource.shared_name());
        wish.set = Some(resource);
    }

    /// This stands there, at once: it takes a permission away, and refers to nothing that Envoy could lack.
    pub(crate) fn set_now(&mut self, resource: Resource) {
        let wish = self.wish(resource.kind(), resource.shared_name());
        (wish.set, wish.now) = (Some(resource), true);
    }

    /// Nothing stands there any more.
    pub(crate) fn remove(&mut self, kind: Kind, name: &Arc<str>) {
        self.wish(kind, name).set = None;
    }

    /// Nothing stands there any more, and what it carries ends now.
    pub(crate) fn cut(&mut self, kind: Kind, name: &Arc<str>) {
        *self.wish(kind, name) = Wish { cut: true, ..Wish::default() };
    }

    /// All wishes; from now on there are none.
    pub(crate) fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        for ((kind, name), wish) in std::mem::take(&mut self.0) {
            if wish.cut {
                changes.urgent.push((kind, name.to_string()));
            } else if wish.set.is_none() {
                changes.remove.push((kind, name.to_string()));
            }
            let set = if wish.now { &mut changes.urgent_set } else { &mut changes.set };
            set.extend(wish.set);
        }
        changes
    }

    fn wish(&mut self, kind: Kind, name: &Arc<str>) -> &mut Wish {
        self.0.entry((kind, Arc::clone(name))).or_default()
    }
}
