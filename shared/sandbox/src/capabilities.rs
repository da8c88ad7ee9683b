//! Capabilities: all of them go.

use capctl::caps::{CapState, ambient, bounding};

use crate::{Layer, State};

const NAME: &str = "capabilities";

pub(crate) fn drop_all() -> Layer {
    let dropped = capctl::prctl::set_no_new_privs().and_then(|()| {
        // Without CAP_SETPCAP there is nothing in the bounding set that could ever be used.
        let _ = bounding::clear();
        ambient::clear()?;
        CapState::empty().set_current()
    });
    match dropped.and_then(|()| CapState::get_current()) {
        Ok(left) if left.permitted.is_empty() && left.effective.is_empty() => Layer {
            name: NAME,
            state: State::Enforced,
            why: "none is left, and none can be gained".to_string(),
        },
        Ok(_) => Layer { name: NAME, state: State::Partly, why: "some could not be dropped".to_string() },
        Err(error) => Layer { name: NAME, state: State::Off, why: error.to_string() },
    }
}
