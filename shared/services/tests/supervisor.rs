//! The supervisor as a real process, with real services.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use catalyst_services::{
    Apart, Checked, Exit, Inbox, Limits, Message, Order, Program, Report, Supervisor, entry,
};

/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    if let Some(code) = entry() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let all: &[(&str, fn())] = &[
        ("a_service_runs_speaks_and_ends", a_service_runs_speaks_and_ends),
        ("what_cannot_be_started_says_why", what_cannot_be_started_says_why),
        ("a_service_gets_its_folder_and_variables", a_service_gets_its_folder_and_variables),
        ("a_stop_is_asked_for_and_then_forced", a_stop_is_asked_for_and_then_forced),
        ("what_a_service_started_goes_with_it", what_a_service_started_goes_with_it),
        ("nothing_outlives_the_node", nothing_outlives_the_node),
        ("nothing_outlives_the_supervisor", nothing_outlives_the_supervisor),
        ("checks_have_a_result_and_an_end", checks_have_a_result_and_an_end),
        ("a_flood_of_output_is_counted", a_flood_of_output_is_counted),
        ("a_node_that_does_not_read_stops_no_service", a_node_that_does_not_read_stops_no_service),
        ("garbage_ends_everything", garbage_ends_everything),
        (
            "nothing_is_started_that_was_not_named_at_the_start",
            nothing_is_started_that_was_not_named_at_the_start,
        ),
        ("the_supervisor_is_small", the_supervisor_is_small),
    ];
    let mut failed = 0;
    for (name, test) in all {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            let good = std::panic::catch_unwind(test).is_ok();
            println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
            failed += usize::from(!good);
        }
    }
    println!("test result: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

struct Node {
    supervisor: Supervisor,
    link: UnixStream,
    inbox: Inbox,
}

impl Node {
    fn start() -> Self {
        let (supervisor, link) = Supervisor::open().unwrap();
        link.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Node { supervisor, link, inbox: Inbox::default() }
    }

    fn order(&mut self, order: &Order) {
        if let Order::Start { program, .. } | Order::Check { program, .. } = order {
            self.say(&Order::Allow(program.clone()));
        }
        self.say(order);
    }

    fn say(&mut self, order: &Order) {
        self.link.write_all(&order.encode()).unwrap();
    }

    fn run(&mut self, id: u16, name: &str, script: &str) {
        self.order(&Order::Start { id, grace_ms: 10_000, program: program(name, &["sh", "-c", script]) });
    }

    /// The next report, within a time.
    fn next(&mut self) -> Report {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(report) = self.inbox.message().unwrap() {
                return report;
            }
            assert!(Instant::now() < until, "no report");
            let mut some = [0; 4096];
            match self.link.read(&mut some) {
                Ok(0) => panic!("the supervisor is gone"),
                Ok(n) => self.inbox.extend(&some[..n]),
                Err(_) => {}
            }
        }
    }

    fn started(&mut self) -> i32 {
        match self.next() {
            Report::Started { pid, .. } => i32::try_from(pid).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn line(&mut self) -> String {
        match self.next() {
            Report::Line { line, .. } => String::from_utf8(line).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn program(name: &str, command: &[&str]) -> Program {
    Program {
        name: name.into(),
        command: command.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        directory: String::new(),
    }
}

/// Living processes with the service's mark.
fn processes(name: &str) -> Vec<i32> {
    let mark = format!("CATALYST_SERVICE={name}");
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|v| v == mark.as_bytes())
    })
    .collect()
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

fn a_service_runs_speaks_and_ends() {
    let mut node = Node::start();
    node.run(5, "speaks", "echo one; echo two >&2; printf three; exit 3");
    assert!(node.started() > 0);
    assert_eq!([node.line(), node.line(), node.line()], ["one", "two", "three"]);
    assert_eq!(node.next(), Report::Exited { id: 5, exit: Exit::Code(3) });
    assert_eq!(node.next(), Report::Gone { id: 5, left: 0 });
    // The same number can be used again.
    node.run(5, "speaks", "sleep 1000");
    let pid = node.started();
    kill(pid);
    assert_eq!(node.next(), Report::Exited { id: 5, exit: Exit::Signal(9) });
    assert_eq!(node.next(), Report::Gone { id: 5, left: 0 });
}

fn what_cannot_be_started_says_why() {
    let mut node = Node::start();
    node.order(&Order::Start { id: 1, grace_ms: 0, program: program("none", &["/no/such/program", "x"]) });
    let Report::Failed { id: 1, why } = node.next() else { panic!() };
    assert!(why.starts_with("the program cannot be started: No such file"), "{why}");
    assert_eq!(node.next(), Report::Exited { id: 1, exit: Exit::Code(127) });
    assert_eq!(node.next(), Report::Gone { id: 1, left: 0 });
    let lost = Program { directory: "/no/such/folder".into(), ..program("none", &["true"]) };
    node.order(&Order::Start { id: 2, grace_ms: 0, program: lost });
    let Report::Failed { id: 2, why } = node.next() else { panic!() };
    assert!(why.starts_with("the folder '/no/such/folder' cannot be entered: No such file"), "{why}");
    assert_eq!(node.next(), Report::Exited { id: 2, exit: Exit::Code(127) });
    assert_eq!(node.next(), Report::Gone { id: 2, left: 0 });
}

fn a_service_gets_its_folder_and_variables() {
    let mut node = Node::start();
    let script = "pwd; echo $COLOUR $CATALYST_SERVICE; cut -d ' ' -f 6 /proc/$$/stat; echo $$; \
                  sh -c 'kill -PIPE $$'; echo $?; echo $(grep SigBlk /proc/self/status); cat";
    let place = Program {
        env: vec!["COLOUR=a=b c".into()],
        directory: "/usr/bin".into(),
        ..program("place", &["sh", "-c", script])
    };
    node.order(&Order::Start { id: 0, grace_ms: 0, program: place });
    let pid = node.started().to_string();
    assert_eq!([node.line(), node.line()], ["/usr/bin", "a=b c place"]);
    assert_eq!([node.line(), node.line()], [pid.clone(), pid], "it leads a session of its own");
    // Signals are as they should be: SIGPIPE ends who gets it, and none is blocked.
    assert_eq!(node.line(), "141");
    assert_eq!(node.line(), "SigBlk: 0000000000000000");
    // Its standard input is empty: `cat` ends.
    assert_eq!(node.next(), Report::Exited { id: 0, exit: Exit::Code(0) });
}

fn a_stop_is_asked_for_and_then_forced() {
    let mut node = Node::start();
    node.run(1, "polite", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done");
    node.started();
    assert_eq!(node.line(), "up");
    node.order(&Order::Stop { id: 1 });
    // The shell may say something of its own before.
    while node.line() != "bye" {}
    assert_eq!(node.next(), Report::Exited { id: 1, exit: Exit::Code(7) });
    assert_eq!(node.next(), Report::Gone { id: 1, left: 0 });
    let stubborn = program("stubborn", &["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]);
    node.order(&Order::Start { id: 1, grace_ms: 300, program: stubborn });
    node.started();
    assert_eq!(node.line(), "up");
    let asked = Instant::now();
    node.order(&Order::Stop { id: 1 });
    assert_eq!(node.next(), Report::Exited { id: 1, exit: Exit::Signal(9) });
    assert!(asked.elapsed() >= Duration::from_millis(300), "it had its grace");
    assert_eq!(node.next(), Report::Gone { id: 1, left: 0 });
    assert_eq!(processes("stubborn"), []);
}

/// One child in the group, one in a session of its own, and one whose parent has died and whose session is its own.
const FORKS: &str = "sleep 1000 & setsid sleep 1001 & (setsid sh -c 'setsid sleep 1002 & exit' &) ; ";

fn what_a_service_started_goes_with_it() {
    let mut node = Node::start();
    node.run(1, "forks", &format!("{FORKS} echo up; wait"));
    node.started();
    assert_eq!(node.line(), "up");
    wait("three children", || processes("forks").len() == 4);
    node.order(&Order::Stop { id: 1 });
    assert!(matches!(node.next(), Report::Exited { id: 1, .. }));
    assert_eq!(node.next(), Report::Gone { id: 1, left: 0 });
    assert_eq!(processes("forks"), []);
    // The first one ends by itself: what it left behind goes too.
    node.run(2, "leaves", &format!("{FORKS} sleep 0.3; exit 0"));
    node.started();
    wait("three children", || processes("leaves").len() >= 4);
    assert_eq!(node.next(), Report::Exited { id: 2, exit: Exit::Code(0) });
    assert_eq!(node.next(), Report::Gone { id: 2, left: 0 });
    assert_eq!(processes("leaves"), []);
}

fn nothing_outlives_the_node() {
    let mut node = Node::start();
    node.run(1, "orphan", &format!("{FORKS} trap '' TERM; echo up; while :; do sleep 0.05; done"));
    node.started();
    assert_eq!(node.line(), "up");
    wait("three children", || processes("orphan").len() >= 4);
    let supervisor = node.supervisor.pid();
    // What the kernel does when the node is killed.
    drop(node.link);
    wait("the supervisor has ended", || !alive(supervisor));
    assert_eq!(processes("orphan"), []);
    while !node.supervisor.sweep(None) {
        std::thread::yield_now();
    }
}

fn nothing_outlives_the_supervisor() {
    let mut node = Node::start();
    let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let apart = Apart::new(other.id());
    node.run(1, "widow", &format!("{FORKS} echo up; wait"));
    let first = node.started();
    assert_eq!(node.line(), "up");
    wait("three children", || processes("widow").len() == 4);
    kill(i32::try_from(node.supervisor.pid()).unwrap());
    wait("the kernel ends the service", || !alive(first.unsigned_abs()));
    let until = Instant::now() + PATIENCE;
    while !node.supervisor.sweep(None) {
        assert!(Instant::now() < until, "left: {:?}", processes("widow"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(processes("widow"), []);
    assert!(other.try_wait().unwrap().is_none(), "what is no service was killed");
    drop(apart);
    wait("what is apart no more is killed", || node.supervisor.sweep(None) && !alive(other.id()));
}

fn checks_have_a_result_and_an_end() {
    let mut node = Node::start();
    let mut check = |command: &[&str], timeout_ms| {
        node.order(&Order::Check { id: 9, timeout_ms, program: program("checked", command) });
        match node.next() {
            Report::Checked { id: 9, checked } => checked,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(check(&["true"], 20_000), Checked::Ended(Exit::Code(0)));
    assert_eq!(check(&["sh", "-c", "echo noise; exit 4"], 20_000), Checked::Ended(Exit::Code(4)));
    assert_eq!(check(&["sh", "-c", "sleep 1000 & sleep 1000"], 100), Checked::TooLong);
    wait("the check is gone", || processes("checked").is_empty());
    assert!(matches!(check(&["/no/such/check"], 20_000), Checked::Failed(_)));
    assert_eq!(check(&["true"], 20_000), Checked::Ended(Exit::Code(0)));
}

/// What somebody could try who has taken over the node, and with it its end of the socket.
fn nothing_is_started_that_was_not_named_at_the_start() {
    let named = program("named", &["sh", "-c", "echo up; exec sleep 1000"]);
    let (supervisor, link) = Supervisor::launch(std::slice::from_ref(&named)).unwrap();
    link.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut node = Node { supervisor, link, inbox: Inbox::default() };
    let other =
        Program { command: vec!["sh".into(), "-c".into(), "exec sleep 1001".into()], ..named.clone() };
    let variables = Program { env: vec!["LD_PRELOAD=/tmp/x.so".into()], ..named.clone() };
    let folder = Program { directory: "/tmp".into(), ..named.clone() };
    for program in [other, variables, folder] {
        // It is too late to ask for it.
        node.say(&Order::Allow(program.clone()));
        node.say(&Order::Seal);
        node.say(&Order::Start { id: 1, grace_ms: 0, program: program.clone() });
        let Report::Failed { id: 1, why } = node.next() else { panic!() };
        assert!(why.contains("does not name this program"), "{why}");
        assert_eq!(node.next(), Report::Gone { id: 1, left: 0 });
        node.say(&Order::Check { id: 2, timeout_ms: 10_000, program });
        assert!(matches!(node.next(), Report::Checked { id: 2, checked: Checked::Failed(_) }));
    }
    node.say(&Order::Start { id: 1, grace_ms: 0, program: named });
    node.started();
    assert_eq!(node.line(), "up");
}

fn a_flood_of_output_is_counted() {
    let mut node = Node::start();
    node.run(1, "flood", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; exec sleep 1000");
    node.started();
    let (mut lines, mut dropped) = (0, 0);
    while lines + dropped < 3_000 {
        match node.next() {
            Report::Line { .. } => lines += 1,
            Report::Dropped { lines, .. } => dropped += lines,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lines + dropped, 3_000);
    assert!(lines >= Limits::LINES && dropped > 0, "{lines} {dropped}");
}

fn a_node_that_does_not_read_stops_no_service() {
    let mut node = Node::start();
    let folder = std::env::temp_dir().join(format!("catalyst-services-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let done = folder.join("done");
    // More than the socket and the outbox hold together.
    let script = format!("head -c 3000000 /dev/zero | tr '\\0' 'x' | fold -w 400; touch {}", done.display());
    node.run(1, "deaf", &script);
    wait("the service got rid of its output", || done.exists());
    std::fs::remove_dir_all(&folder).unwrap();
    loop {
        if let Report::Exited { exit, .. } = node.next() {
            assert_eq!(exit, Exit::Code(0));
            break;
        }
    }
}

fn garbage_ends_everything() {
    let mut node = Node::start();
    node.run(1, "garbage", "sleep 1000");
    node.started();
    node.link.write_all(&[255; 64]).unwrap();
    let supervisor = node.supervisor.pid();
    wait("the supervisor has ended", || !alive(supervisor));
    assert_eq!(processes("garbage"), []);
}

fn the_supervisor_is_small() {
    let mut node = Node::start();
    for id in 0..8 {
        node.run(id, "small", "echo up; exec sleep 1000");
    }
    let mut up = 0;
    while up < 8 {
        up += u32::from(matches!(node.next(), Report::Line { .. }));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.supervisor.pid())).unwrap();
    let kb = |key: &str| -> u64 {
        let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    println!("supervisor with 8 services: RssAnon {} kB, threads {}", kb("RssAnon:"), kb("Threads:"));
    assert_eq!(kb("Threads:"), 1);
    assert!(kb("RssAnon:") <= 300, "RssAnon {} kB", kb("RssAnon:"));
}
