//! Notices that a peer has gone silent.

use std::time::Duration;

use crate::conn::Conn;
use crate::event::DownReason;
use crate::profile::LinkProfile;
use crate::rt::Rt;

/// Looks so often in the time that the profile allows.
const LOOKS: u32 = 4;

/// Ends when nothing came for the profile's time. Time in which this process itself did not run counts as two
/// looks at most: a board that was busy, or a laptop that slept, first gets the chance to read what has arrived.
pub(crate) async fn silence(rt: &Rt, connection: &Conn, profile: LinkProfile) -> DownReason {
    let step = profile.silence / LOOKS;
    let mut seen = connection.heard();
    let mut quiet = Duration::ZERO;
    let mut last = rt.now();
    loop {
        rt.sleep(step).await;
        let now = rt.now();
        let heard = connection.heard();
        if heard == seen {
            connection.ping();
            quiet += now.saturating_duration_since(last).min(step * 2);
        } else {
            seen = heard;
            quiet = Duration::ZERO;
        }
        last = now;
        if quiet >= profile.silence {
            return DownReason::Silent;
        }
    }
}
