//! A drain: neighbours are told to use other ways, and the node waits until none of them has anything under way here, or the
//! deadline is over. Pure: what there is to see is told, and time is an argument.

use std::time::Duration;

use async_channel::Sender;
use serde::{Deserialize, Serialize};

/// What neighbours have under way at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Requests and flows that last.
    pub now: u64,
    /// How many there have been, as far as they are over or counted when they begin.
    pub ever: u64,
}

impl UnderWay {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        UnderWay { now: self.now.saturating_add(other.now), ever: self.ever.wrapping_add(other.ever) }
    }
}

/// How far a drain is, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRow {
    /// `none`; `draining`; `drained`: nothing of neighbours is under way any more; `late`: something still was when the deadline
    /// was over.
    pub state: String,
    /// Requests and flows of neighbours under way: now while it drains, else at its end; with `stay`, now.
    pub flows: u64,
    /// Seconds since it began.
    pub for_s: u64,
    /// Seconds until the deadline, while it drains.
    pub left_s: u64,
    /// The node does not stop at the end.
    pub stay: bool,
    /// What it waits for, in words, when no flows are left; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waits_for: String,
}

impl DrainRow {
    /// Of a node that does not drain.
    #[must_use]
    pub fn none() -> Self {
        DrainRow {
            state: "none".to_string(),
            flows: 0,
            for_s: 0,
            left_s: 0,
            stay: true,
            waits_for: String::new(),
        }
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state != DRAINING
    }

    /// Whether something was still under way at the deadline.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.state == LATE
    }

    /// In a line: `12 flows left, 48 s`.
    #[must_use]
    pub fn line(&self) -> String {
        let flows = flows(self.flows);
        match (self.state.as_str(), self.stay) {
            (DRAINING, _) if self.waits_for.is_empty() => format!("{flows} left, {} s", self.left_s),
            (DRAINING, _) => format!("no flow left, waiting for {}, {} s", self.waits_for, self.left_s),
            (LATE, _) if self.flows == 0 => {
                "the deadline is over, and Envoy does not say what is under way".to_string()
            }
            (LATE, true) => {
                format!("the deadline is over: nothing was cut, neighbours still have {flows} here")
            }
            (LATE, false) => format!("the deadline is over: {flows} cut"),
            (_, true) if self.flows > 0 => format!("drained; {flows} have come since"),
            _ => "drained: nothing of neighbours is under way".to_string(),
        }
    }
}

fn flows(count: u64) -> String {
    if count == 1 { "1 flow".to_string() } else { format!("{count} flows") }
}

const DRAINING: &str = "draining";
const DRAINED: &str = "drained";
const LATE: &str = "late";

/// A drain that has begun. Times are of the monotonic clock, in milliseconds.
#[derive(Debug)]
pub(crate) struct Drain {
    since: u64,
    until: u64,
    stay: bool,
    /// How long nothing may have been under way.
    quiet: u64,
    state: &'static str,
    flows: u64,
    waits_for: &'static str,
    /// They were told once. What they are told after it has the mark, too, so that no news keeps the node.
    told: bool,
    ever: Option<u64>,
    quiet_since: Option<u64>,
    leave_at: Option<u64>,
}

/// So long a node stays after the end of its drain, for those who watch it.
const LINGER_MS: u64 = 1_000;

impl Drain {
    pub(crate) fn begin(now: u64, deadline: Duration, quiet: Duration, stay: bool) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Drain {
            since: now,
            until: now.saturating_add(ms(deadline)),
            stay,
            quiet: ms(quiet),
            state: DRAINING,
            flows: 0,
            waits_for: "neighbours to be told",
            told: false,
            ever: None,
            quiet_since: None,
            leave_at: None,
        }
    }

    /// There is nobody to wait for.
    pub(crate) fn skip(&mut self, now: u64) {
        self.end(DRAINED, now);
    }

    /// What is seen now. `told`: all neighbours were sent that they should use other ways. `seen`: what they have under way,
    /// as far as that is known. Says whether this is the end.
    pub(crate) fn look(&mut self, now: u64, told: bool, seen: Option<UnderWay>) -> bool {
        if let Some(seen) = seen {
            self.flows = seen.now;
        }
        if self.is_over() {
            return false;
        }
        self.told |= told;
        let told = self.told;
        let moved = seen.is_some_and(|seen| self.ever.replace(seen.ever) != Some(seen.ever));
        self.waits_for = match seen {
            None => "Envoy to say what is under way",
            Some(seen) if seen.now > 0 => "",
            Some(_) if !told => "neighbours to be told",
            Some(_) if moved => "neighbours to move away",
            Some(_) => "neighbours to stay away",
        };
        let busy = !told || moved || seen.is_none_or(|seen| seen.now > 0);
        let since = if busy { None } else { Some(self.quiet_since.unwrap_or(now)) };
        self.quiet_since = since;
        if since.is_some_and(|since| now.saturating_sub(since) >= self.quiet) {
            self.end(DRAINED, now);
        } else if now >= self.until {
            // Nothing under way at the last look is as good, whatever it waited for.
            self.end(if self.flows == 0 && seen.is_some() { DRAINED } else { LATE }, now);
        }
        self.is_over()
    }

    fn end(&mut self, state: &'static str, now: u64) {
        self.state = state;
        self.waits_for = "";
        if !self.stay {
            self.leave_at = Some(now.saturating_add(LINGER_MS));
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state != DRAINING
    }

    /// When the node is to stop.
    pub(crate) fn leave_at(&self) -> Option<u64> {
        self.leave_at
    }

    pub(crate) fn row(&self, now: u64) -> DrainRow {
        DrainRow {
            state: self.state.to_string(),
            flows: self.flows,
            for_s: now.saturating_sub(self.since) / 1000,
            left_s: if self.is_over() { 0 } else { self.until.saturating_sub(now).div_ceil(1000) },
            stay: self.stay,
            waits_for: self.waits_for.to_string(),
        }
    }
}

/// A drain, and what ends the task that looks: its other end.
#[derive(Debug)]
pub(crate) struct Draining {
    pub(crate) drain: Drain,
    #[expect(dead_code, reason = "its end is what matters")]
    pub(crate) looking: Sender<()>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const QUIET: Duration = Duration::from_secs(2);

    fn seen(now: u64, ever: u64) -> Option<UnderWay> {
        Some(UnderWay { now, ever })
    }

    #[test]
    fn it_ends_when_nothing_was_under_way_for_a_while() {
        let mut drain = Drain::begin(1_000, MINUTE, QUIET, false);
        assert!(!drain.look(1_500, false, seen(0, 5)));
        assert_eq!(drain.row(1_500).line(), "no flow left, waiting for neighbours to be told, 60 s");
        assert!(!drain.look(2_000, true, seen(12, 5)));
        assert_eq!(drain.row(13_000).line(), "12 flows left, 48 s");
        assert!(!drain.look(3_000, true, seen(0, 17)));
        assert!(drain.row(3_000).line().contains("to move away"), "something has been since");
        assert!(!drain.look(4_000, true, seen(0, 17)));
        assert!(!drain.look(5_900, true, seen(0, 17)));
        assert!(drain.leave_at().is_none());
        assert!(drain.look(6_000, true, seen(0, 17)));
        assert_eq!(drain.leave_at(), Some(6_000 + LINGER_MS));
        let row = drain.row(6_000);
        assert_eq!((row.state.as_str(), row.flows, row.is_late()), ("drained", 0, false));
        assert!(!drain.look(6_500, true, seen(9, 99)), "it ends once");
    }

    #[test]
    fn neighbours_are_told_once_whatever_changes_later() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(!drain.look(1_000, true, seen(0, 5)));
        assert!(!drain.look(2_000, false, seen(0, 5)));
        assert!(drain.look(4_000, false, seen(0, 5)));
    }

    #[test]
    fn short_requests_between_two_looks_are_noticed() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        for n in 0..100 {
            assert!(!drain.look(n * 500, true, seen(0, n)), "one more each time");
        }
    }

    #[test]
    fn at_the_deadline_what_is_left_is_told() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(!drain.look(59_999, true, seen(3, 3)));
        assert!(drain.look(60_000, true, seen(3, 3)));
        let row = drain.row(60_000);
        assert!(row.is_late());
        assert_eq!(row.line(), "the deadline is over: 3 flows cut");
        assert!(drain.leave_at().is_some());
        let mut drain = Drain::begin(0, MINUTE, QUIET, true);
        assert!(drain.look(60_000, true, seen(1, 3)));
        assert_eq!(
            drain.row(0).line(),
            "the deadline is over: nothing was cut, neighbours still have 1 flow here"
        );
        assert_eq!(drain.leave_at(), None, "it stays");
    }

    #[test]
    fn nothing_under_way_at_the_deadline_is_drained_whatever_it_waited_for() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(drain.look(60_000, false, seen(0, 3)));
        assert!(!drain.row(60_000).is_late());
    }

    #[test]
    fn what_nobody_can_say_is_not_nothing() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(!drain.look(1_000, true, seen(0, 3)));
        assert!(!drain.look(2_000, true, None));
        assert!(!drain.look(3_500, true, seen(0, 3)), "the time begins anew");
        assert!(drain.look(5_500, true, seen(0, 3)));
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(!drain.look(1_000, true, seen(4, 3)));
        assert!(drain.look(60_000, true, None));
        assert!(drain.row(60_000).is_late());
        let mut drain = Drain::begin(0, MINUTE, QUIET, false);
        assert!(drain.look(60_000, true, None));
        assert!(drain.row(60_000).line().contains("does not say"));
    }

    #[test]
    fn one_that_stays_goes_on_to_say_what_there_is() {
        let mut drain = Drain::begin(0, MINUTE, QUIET, true);
        drain.skip(100);
        assert_eq!(drain.leave_at(), None);
        drain.look(200, true, seen(2, 2));
        assert_eq!(drain.row(200).line(), "drained; 2 flows have come since");
    }
}
