//! What the clock floor is made of, and what is kept of it for the next start (ADR 0009).
//!
//! - when the program was built (`clock`);
//! - when the node's certificate was made: its authority's clock, signed;
//! - the last time that this node has seen, written down at the first session, once an hour and at the end.
//!
//! A clock that jumps years ahead must not spoil the floor for ever. So a time is kept only when a neighbour of the own
//! organisation proved its identity in this run, which it cannot while the clock is beyond its certificate; what has
//! passed since is counted by the monotonic clock; and nothing beyond the half-life of the own certificate is kept:
//! until then, no certificate of the organisation that is renewed in time can look expired.

use catalyst_identity::{BACKDATE_SECS, Validity};
use catalyst_store::{Store, StoreError, Table};

use crate::write::Write;

const NODE: Table = Table::new("node");
const KEY: &str = "last-seen";

/// Milliseconds between two writes.
const EVERY_MS: u64 = 3_600_000;

/// The last time that is worth keeping.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastSeen {
    /// A moment that a neighbour confirmed: by the wall clock, and by the monotonic one.
    confirmed: Option<(u64, u64)>,
    /// When it was written last, by the monotonic clock.
    written: Option<u64>,
}

/// The floor of a node that starts, in seconds since 1970: what is kept, and what its certificate says.
pub(crate) fn floor(store: &dyn Store, own: Validity) -> Result<u64, StoreError> {
    let kept = store.get(NODE, KEY.as_bytes())?.and_then(|row| <[u8; 8]>::try_from(row.as_slice()).ok());
    let kept = kept.map_or(0, u64::from_be_bytes).min(own.half_life());
    Ok(kept.max(made(own)))
}

/// When a certificate was made: it begins a little earlier, for clocks that are behind. None is shorter than that.
pub(crate) fn made(own: Validity) -> u64 {
    own.not_before.saturating_add(BACKDATE_SECS).min(own.not_after)
}

impl LastSeen {
    /// A neighbour of the own organisation has proved its identity at this moment.
    pub(crate) fn confirm(&mut self, wall: u64, mono: u64) {
        self.confirmed.get_or_insert((wall, mono));
    }

    /// When [`LastSeen::save`] has something to write, by the monotonic clock.
    pub(crate) fn due(&self) -> Option<u64> {
        self.confirmed.map(|(_, at)| self.written.map_or(at, |last| last.saturating_add(EVERY_MS)))
    }

    /// What to write, if it is time, or if it is the last time.
    pub(crate) fn save(&mut self, mono: u64, own: Validity, last: bool) -> Option<Write> {
        let due = self.due()?;
        if !last && mono < due {
            return None;
        }
        let (wall, at) = self.confirmed?;
        self.written = Some(mono);
        let seen = wall.saturating_add(mono.saturating_sub(at) / 1000).min(own.half_life());
        Some(Write::one(NODE, KEY, Some(seen.to_be_bytes().to_vec())).spare())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalyst_store::MemoryStore;

    const DAY: u64 = 86_400;
    const MADE: u64 = 1_800_000_000;
    const OWN: Validity = Validity { not_before: MADE - BACKDATE_SECS, not_after: MADE + 90 * DAY };

    fn kept(seen: &mut LastSeen, mono: u64) -> u64 {
        let store = MemoryStore::default();
        seen.save(mono, OWN, true).unwrap().run(&store).unwrap();
        floor(&store, OWN).unwrap()
    }

    #[test]
    fn without_a_neighbour_nothing_is_kept_and_the_certificate_is_the_floor() {
        assert!(LastSeen::default().save(5, OWN, true).is_none());
        assert_eq!(floor(&MemoryStore::default(), OWN).unwrap(), MADE);
    }

    #[test]
    fn it_is_written_at_the_first_session_then_each_hour_and_at_the_end() {
        let mut seen = LastSeen::default();
        assert_eq!(seen.due(), None);
        seen.confirm(MADE + DAY, 1_000);
        assert_eq!(seen.due(), Some(1_000));
        assert!(seen.save(1_000, OWN, false).is_some());
        assert!(seen.save(2_000, OWN, false).is_none());
        assert!(seen.save(1_000 + EVERY_MS, OWN, false).is_some());
        assert_eq!(
            kept(&mut seen, 1_000 + EVERY_MS + 60_000),
            MADE + DAY + 3_660,
            "an hour and a minute later"
        );
    }

    #[test]
    fn a_clock_that_jumps_while_a_session_stands_is_not_followed() {
        let mut seen = LastSeen::default();
        seen.confirm(MADE + DAY, 0);
        // Ten years ahead: another session would not come up, but say it did.
        seen.confirm(MADE + 3_650 * DAY, 60_000);
        assert_eq!(kept(&mut seen, 120_000), MADE + DAY + 120);
    }

    #[test]
    fn a_clock_that_was_ahead_from_the_start_spoils_the_floor_no_further_than_the_half_life() {
        let mut seen = LastSeen::default();
        seen.confirm(MADE + 80 * DAY, 0);
        assert_eq!(kept(&mut seen, 1), OWN.half_life());
        // A renewed certificate lifts what may be kept; a row from nowhere does not pass either.
        let store = MemoryStore::default();
        store.put(NODE, KEY.as_bytes(), &u64::MAX.to_be_bytes()).unwrap();
        assert_eq!(floor(&store, OWN).unwrap(), OWN.half_life());
        store.put(NODE, KEY.as_bytes(), b"junk").unwrap();
        assert_eq!(floor(&store, OWN).unwrap(), MADE);
    }
}
