//! Capabilities: all of them go.

use caps::{CapSet, CapsHashSet};

use crate::{Layer, State};

const NAME: &str = "capabilities";

pub(crate) fn drop_all() -> Layer {
    if let Err(error) = nix::sys::prctl::set_no_new_privs() {
        return Layer { name: NAME, state: State::Off, why: format!("no_new_privs: {error}") };
    }
    // Without CAP_SETPCAP nothing of the bounding set can be dropped, or ever be used.
    let _ = caps::clear(None, CapSet::Bounding);
    let dropped = [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted]
        .into_iter()
        .try_for_each(|set| caps::clear(None, set));
    match dropped.and_then(|()| caps::read(None, CapSet::Permitted)) {
        Ok(left) if left == CapsHashSet::default() => Layer {
            name: NAME,
            state: State::Enforced,
            why: "none is left, and none can be gained".to_string(),
        },
        Ok(_) => Layer { name: NAME, state: State::Partly, why: "some could not be dropped".to_string() },
        Err(error) => Layer { name: NAME, state: State::Off, why: error.to_string() },
    }
}
