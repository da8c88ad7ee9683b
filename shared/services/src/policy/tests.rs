use super::*;
use crate::spec::{Check, Run};

fn program() -> Program {
    Program { name: "s".into(), command: vec!["x".into()], env: Vec::new(), directory: String::new() }
}

fn spec(restart: Option<Restart>, probe: Option<Probe>) -> Spec {
    Spec {
        name: "s".into(),
        run: restart.map(|restart| Run { program: program(), grace_ms: 9, restart }),
        check: probe.map(|probe| Check { probe, interval_ms: 1_000, timeout_ms: 100, rise: 2, fall: 2 }),
    }
}

struct Bench(Policy);

impl Bench {
    fn new(spec: Spec) -> Self {
        let mut policy = Policy::new(vec![spec], 0);
        policy.start(0);
        Bench(policy)
    }

    /// Actions in short: S start, X stop, C check by the supervisor, P by the node, + healthy, - unhealthy.
    fn did(&mut self) -> String {
        let short = |action: &Action| match action {
            Action::Order(Order::Start { .. }) => Some('S'),
            Action::Order(Order::Stop { .. }) => Some('X'),
            Action::Order(Order::Allow(_) | Order::Seal) => panic!("the policy allows nothing"),
            Action::Order(Order::Check { .. }) => Some('C'),
            Action::Probe(_) => Some('P'),
            Action::Health(_, true) => Some('+'),
            Action::Health(_, false) => Some('-'),
            Action::Say(..) => None,
        };
        self.0.actions().iter().filter_map(short).collect()
    }

    fn report(&mut self, report: &Report, now: u64) -> String {
        self.0.report(report, now);
        self.did()
    }

    fn started(&mut self, now: u64) -> String {
        self.report(&Report::Started { id: 0, pid: 42 }, now)
    }

    fn exited(&mut self, code: i32, now: u64) -> String {
        let mut did = self.report(&Report::Exited { id: 0, exit: Exit::Code(code) }, now);
        did += &self.report(&Report::Gone { id: 0, left: 0 }, now);
        did
    }

    fn probed(&mut self, good: bool, now: u64) -> String {
        self.0.probed(0, if good { Ok(()) } else { Err("refused".into()) }, now);
        self.did()
    }

    fn tick(&mut self, now: u64) -> String {
        self.0.tick(now);
        self.did()
    }

    fn one(&self) -> &Local {
        &self.0.services()[0]
    }
}

#[test]
fn what_ends_is_started_again_each_time_later() {
    let mut bench = Bench::new(spec(Some(Restart::Always), None));
    assert_eq!(bench.did(), "S");
    assert_eq!(bench.one().standing(), Standing::Starting);
    assert_eq!(bench.started(0), "+");
    assert_eq!((bench.one().pid(), bench.one().why()), (Some(42), ""));
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..11 {
        bench.exited(1, now);
        assert_eq!(bench.one().standing(), Standing::Unhealthy);
        assert_eq!(bench.one().why(), "ended with exit code 1");
        let due = bench.0.deadline().unwrap();
        waits.push(due - now);
        assert_eq!(bench.tick(due - 1), "");
        assert_eq!(bench.tick(due), "S");
        assert_eq!(bench.started(due), "", "it may end again at once");
        assert_eq!(bench.one().standing(), Standing::Starting);
        now = bench.0.deadline().unwrap();
        assert_eq!((now, bench.tick(now).as_str()), (due + Limits::SETTLE_MS, "+"));
    }
    // It ended before it counted: nothing is announced, nothing withdrawn.
    assert_eq!(bench.exited(1, now), "-");
    now = bench.0.deadline().unwrap();
    bench.tick(now);
    assert_eq!(bench.started(now), "");
    assert_eq!(bench.exited(1, now + 5), "");
    now = bench.0.deadline().unwrap();
    bench.tick(now);
    bench.started(now);
    assert_eq!(waits[..4], [250, 500, 1_000, 2_000]);
    assert_eq!(waits[8..], [60_000; 3]);
    assert_eq!(bench.one().restarts(), 13);
    // It was steady: the wait begins anew.
    now += Limits::STEADY_MS;
    bench.exited(1, now);
    assert_eq!(bench.0.deadline(), Some(now + 250));
}

#[test]
fn what_must_not_run_again_does_not() {
    for (restart, code, again) in [
        (Restart::Always, 0, true),
        (Restart::OnFailure, 0, false),
        (Restart::OnFailure, 1, true),
        (Restart::Never, 1, false),
    ] {
        let mut bench = Bench::new(spec(Some(restart), None));
        bench.started(0);
        bench.did();
        assert_eq!(bench.exited(code, 5), "-");
        assert_eq!(bench.0.deadline().is_some(), again, "{restart:?} {code}");
        assert_eq!(bench.0.is_idle(), !again);
    }
}

#[test]
fn what_cannot_be_started_says_why_and_is_tried_again() {
    let mut bench = Bench::new(spec(Some(Restart::OnFailure), None));
    bench.did();
    assert_eq!(bench.report(&Report::Failed { id: 0, why: "no such file".into() }, 0), "");
    bench.exited(127, 0);
    assert_eq!((bench.one().standing(), bench.one().why()), (Standing::Unhealthy, "no such file"));
    assert_eq!(bench.tick(250), "S");
}

#[test]
fn checks_decide_and_begin_anew_with_each_start() {
    let mut bench = Bench::new(spec(Some(Restart::Always), Some(Probe::Net)));
    assert_eq!(bench.did(), "S");
    assert_eq!(bench.started(0), "P", "checked at once, and not healthy before");
    assert_eq!(bench.one().why(), "not checked yet");
    assert_eq!(bench.probed(false, 10), "");
    assert_eq!(bench.0.deadline(), Some(210), "soon again while it starts");
    assert_eq!(bench.tick(210), "P");
    assert_eq!(bench.tick(500), "", "one at a time");
    assert_eq!(bench.probed(true, 510), "+");
    assert_eq!(bench.0.deadline(), Some(1_510));
    for (now, good, did) in [(1_510, false, ""), (2_510, false, "-"), (3_510, true, ""), (4_510, true, "+")] {
        assert_eq!(bench.tick(now), "P");
        assert_eq!(bench.probed(good, now), did, "at {now}");
        assert_eq!(bench.one().since(), if did.is_empty() { bench.one().since() } else { now });
    }
    assert_eq!(bench.one().failures(), 3);
    // A result that comes after the end is of the run before.
    assert_eq!(bench.tick(5_510), "P");
    assert_eq!(bench.exited(1, 5_600), "-");
    assert_eq!(bench.tick(5_850), "S");
    assert_eq!(bench.started(5_850), "", "the check before is still under way");
    assert_eq!(bench.probed(true, 5_900), "P");
    assert_eq!(bench.one().standing(), Standing::Starting);
    assert_eq!(bench.probed(true, 5_910), "+");
}

#[test]
fn a_service_that_others_run_is_checked_alone() {
    let mut bench = Bench::new(spec(None, Some(Probe::Exec(program()))));
    assert_eq!(bench.did(), "C");
    let checked = |checked| Report::Checked { id: 0, checked };
    assert_eq!(bench.report(&checked(Checked::Ended(Exit::Code(0))), 1), "+");
    assert_eq!(bench.tick(1_001), "C");
    bench.report(&checked(Checked::TooLong), 1_002);
    assert_eq!(bench.tick(2_002), "C");
    assert_eq!(bench.report(&checked(Checked::Ended(Exit::Code(3))), 2_003), "-");
    assert_eq!(bench.one().why(), "the check ended with exit code 3");
}

#[test]
fn a_stop_stops_all_and_starts_nothing() {
    let mut policy =
        Policy::new(vec![spec(Some(Restart::Always), None), spec(Some(Restart::Always), None)], 0);
    policy.start(0);
    let mut bench = Bench(policy);
    assert_eq!(bench.did(), "SS");
    bench.started(0);
    bench.report(&Report::Exited { id: 1, exit: Exit::Code(1) }, 1);
    bench.report(&Report::Gone { id: 1, left: 0 }, 1);
    bench.0.stop();
    assert_eq!(bench.did(), "X");
    assert!(!bench.0.is_idle());
    assert_eq!(bench.exited(0, 2), "-");
    assert!(bench.0.is_idle());
    assert_eq!((bench.tick(u64::MAX), bench.0.deadline()), (String::new(), None));
}

#[test]
fn while_it_stops_nothing_is_due() {
    let mut bench = Bench::new(spec(Some(Restart::Always), Some(Probe::Net)));
    bench.started(0);
    bench.probed(true, 0);
    assert!(bench.0.deadline().is_some());
    bench.0.stop();
    assert_eq!((bench.0.deadline(), bench.0.is_idle()), (None, false));
}

#[test]
fn a_removed_service_is_stopped_for_good() {
    let mut bench = Bench::new(spec(Some(Restart::Always), Some(Probe::Net)));
    bench.started(0);
    bench.probed(true, 0);
    bench.did();
    bench.0.remove(0, 1);
    assert_eq!(bench.did(), "X");
    assert_eq!(bench.exited(0, 2), "-");
    assert_eq!((bench.0.deadline(), bench.0.is_idle()), (None, true));
}

#[test]
fn without_a_supervisor_nothing_that_needs_it_is_healthy() {
    let mut bench = Bench::new(spec(Some(Restart::Always), None));
    bench.started(0);
    bench.did();
    bench.0.lost(5);
    assert_eq!(bench.did(), "-");
    assert_eq!(bench.one().why(), "the process that runs local services has ended");
    bench.0.start(6);
    assert_eq!(bench.did(), "S");
    assert_eq!(bench.started(7), "+");
    let mut bench = Bench::new(spec(None, Some(Probe::Exec(program()))));
    bench.report(&Report::Checked { id: 0, checked: Checked::Ended(Exit::Code(0)) }, 1);
    bench.did();
    bench.0.lost(5);
    assert_eq!(bench.did(), "-");
    bench.0.start(6);
    assert_eq!(bench.did(), "C");
}
