//! What a neighbour's digests say: the sum over what it announced, and when to ask for a refresh.

use catalyst_route_table::Refusal;

use crate::limits::Limits;
use crate::sum::Sum;

/// What is known of a neighbour's table by its digests. Counters are since the start of this node.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Digests that did not fit what is held here.
    pub mismatches: u32,
    /// Refreshes that this side asked for.
    pub refreshes: u32,
    /// When a digest fitted last, by the monotonic clock.
    pub equal_at: Option<u64>,
    /// Over what it has announced since its table was last told from the beginning.
    pub(crate) sum: Sum,
    /// Something that it announced is not held: nothing to compare until its table is told anew.
    suspended: bool,
    /// When that is asked for, although there is nothing to compare.
    retry_at: Option<u64>,
    /// Digests in a row that did not fit.
    row: u32,
    /// Something that it announced is refused for want of room. The same, until it is withdrawn or has found room.
    refusing: bool,
    /// What it would need.
    lack: Lack,
    /// Between BEGIN and END of its refresh: when it ends at the latest.
    refreshing: Option<u64>,
    /// No refresh is asked for before this moment.
    not_before: u64,
    /// How long until the one after the next.
    interval: u64,
}

/// What would have to be free for something that was refused: more than was when it was.
#[derive(Clone, Copy, Debug, Default)]
struct Lack {
    /// Under its own limits: the least that was refused, in bytes of attributes.
    bytes: Option<usize>,
    /// In the table of all neighbours: fewer routes than these,
    routes: usize,
    /// or fewer names.
    names: usize,
}

impl Compared {
    /// Its table is told from the beginning.
    pub(crate) fn begin(&mut self) {
        self.sum = Sum::default();
        self.suspended = false;
        self.retry_at = None;
        self.refuses(false);
        self.refreshing = None;
        self.row = 0;
    }

    /// Its table is told from the beginning by a refresh, which ends `until` at the latest: one that begins anew has no
    /// longer than the one before.
    pub(crate) fn begin_refresh(&mut self, until: u64) {
        let until = self.refreshing.map_or(until, |before| before.min(until));
        self.begin();
        self.refreshing = Some(until);
    }

    /// Its refresh is over; whether one was under way.
    pub(crate) fn end_refresh(&mut self) -> bool {
        self.refreshing.take().is_some()
    }

    /// Whether its refresh takes too long.
    pub(crate) fn is_overdue(&self, now: u64) -> bool {
        self.refreshing.is_some_and(|until| now >= until)
    }

    /// Whether something that it announced is refused for want of room.
    pub(crate) fn refuses(&mut self, refusing: bool) {
        self.refusing = refusing;
        if !refusing {
            self.lack = Lack::default();
        }
    }

    /// A route with so many bytes of attributes was refused by its own limits.
    pub(crate) fn lacks_bytes(&mut self, bytes: usize) {
        self.lack.bytes = Some(self.lack.bytes.map_or(bytes, |least| least.min(bytes)));
    }

    /// The table has no room for a route of it, with so many routes and names as there are. What is too large for it stays so.
    pub(crate) fn lacks_table(&mut self, refusal: Refusal, routes: usize, names: usize) {
        match refusal {
            Refusal::Routes => self.lack.routes = routes,
            Refusal::Names => self.lack.names = names,
            Refusal::Attrs => {}
        }
    }

    /// Whether something that was refused would find room now: `fits` says whether so many bytes of attributes fit its own
    /// limits.
    pub(crate) fn has_room(&self, fits: impl Fn(usize) -> bool, routes: usize, names: usize) -> bool {
        self.lack.bytes.is_some_and(fits) || routes < self.lack.routes || names < self.lack.names
    }

    /// Between BEGIN and END of its refresh.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.refreshing.is_some()
    }

    /// Something that it announced is not held.
    pub(crate) fn suspend(&mut self) {
        self.suspended = true;
    }

    /// `equal`, `differs`, `suspended` while something that came is not held, `refreshing`; empty before the first
    /// digest.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Compared { refreshing: Some(_), .. } => "refreshing",
            Compared { suspended: true, .. } | Compared { refusing: true, .. } => "suspended",
            Compared { row: 1.., .. } => "differs",
            Compared { equal_at: Some(_), .. } => "equal",
            _ => "",
        }
    }

    /// What is counted so far: for tests.
    #[cfg(test)]
    pub(crate) fn sum(&self) -> [u8; 16] {
        self.sum.bytes()
    }

    /// Takes a digest; whether a refresh is to be asked for. `room` says that something which was refused for want of
    /// room would find it now.
    pub(crate) fn judge(&mut self, digest: [u8; 16], room: bool, now: u64) -> bool {
        if self.refreshing.is_some() {
            return false;
        }
        if self.suspended || self.refusing {
            if room && self.ask(Limits::REFRESH_MS, now) {
                return true;
            }
            // What was wrong with the route may be right some day, but nothing else would say so. Not at once: what is
            // refused now would be refused again.
            let retry_at = *self.retry_at.get_or_insert(now.saturating_add(Limits::REFRESH_MAX_MS));
            let asks = now >= retry_at && self.ask(Limits::REFRESH_MS, now);
            if asks {
                self.retry_at = Some(now.saturating_add(Limits::REFRESH_MAX_MS));
            }
            return asks;
        }
        if digest == self.sum.bytes() {
            (self.row, self.equal_at, self.interval) = (0, Some(now), Limits::REFRESH_MS);
            self.not_before = self.not_before.min(now.saturating_add(Limits::REFRESH_MS));
            return false;
        }
        self.row = self.row.saturating_add(1);
        self.mismatches = self.mismatches.saturating_add(1);
        let next = self.interval.max(Limits::REFRESH_MS);
        if self.row < 2 || !self.ask(next, now) {
            return false;
        }
        self.interval = (2 * next).min(Limits::REFRESH_MAX_MS);
        self.row = 0;
        true
    }

    /// Whether a refresh may be asked for; if so, the next after `interval` at the earliest.
    fn ask(&mut self, interval: u64, now: u64) -> bool {
        let may = now >= self.not_before;
        if may {
            self.refreshes = self.refreshes.saturating_add(1);
            self.not_before = now.saturating_add(interval);
        }
        may
    }
}
