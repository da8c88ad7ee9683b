//! One node and its Envoy.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime};

use catalyst_envoy::{Admin, Ended, Level, Limits, LogLine, Place, State};
use nix::sys::signal::Signal;

use crate::world::{Watched, envoy, lives, pretender, processes_of, signal, wait_for};

pub const ALL: &[(&str, fn())] = &[
    ("envoy_runs_answers_and_stops", envoy_runs_answers_and_stops),
    ("a_killed_envoy_is_started_again", a_killed_envoy_is_started_again),
    ("a_node_that_comes_late_is_found_soon", a_node_that_comes_late_is_found_soon),
    ("an_envoy_that_hangs_is_killed_at_the_stop", an_envoy_that_hangs_is_killed_at_the_stop),
    ("a_stop_at_once_leaves_nothing", a_stop_at_once_leaves_nothing),
    ("a_killed_keeper_is_followed_by_the_next", a_killed_keeper_is_followed_by_the_next),
    ("when_all_keepers_are_killed_new_ones_come", when_all_keepers_are_killed_new_ones_come),
    ("what_ends_at_once_is_tried_less_and_less", what_ends_at_once_is_tried_less_and_less),
    ("a_program_that_vanishes_is_told", a_program_that_vanishes_is_told),
    ("a_folder_that_cannot_be_written_is_told", a_folder_that_cannot_be_written_is_told),
    ("a_flood_of_output_stops_nobody", a_flood_of_output_stops_nobody),
];

fn envoy_runs_answers_and_stops() {
    let watched = Watched::start(|_| envoy());
    let pid = watched.running(&[]);
    let State::Running { since, restarts, version, .. } = watched.now() else { panic!() };
    assert_eq!((restarts, version.as_str()), (0, "1.40.0"));
    assert!(since <= SystemTime::now());
    watched.ready();
    assert_eq!(processes_of(watched.state.path()), [pid]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&watched.socket()), 0o600);
    assert_eq!(mode(&Place::of(watched.state.path()).keeper_socket()), 0o600);
    assert_eq!(mode(&Place::of(watched.state.path()).bootstrap()), 0o600);

    let admin = Admin::new(watched.socket());
    let info = watched.runtime.block_on(admin.server_info()).unwrap();
    assert_eq!(info.state, "LIVE");
    let stats = watched.runtime.block_on(admin.stats(r"^server\.(live|concurrency)$")).unwrap();
    assert_eq!(stats.get("server.live"), Some(&1));
    assert_eq!(stats.get("server.concurrency"), Some(&1));
    assert_eq!(stats.len(), 2);
    assert_eq!(watched.runtime.block_on(admin.certs()).unwrap(), []);
    let wrong = watched.runtime.block_on(admin.stats("(")).unwrap_err().to_string();
    assert!(wrong.contains("400"), "{wrong}");
    assert_eq!(watched.stop(), Ended::Asked);
}

fn a_killed_envoy_is_started_again() {
    let watched = Watched::start(|_| envoy());
    let first = watched.running(&[]);
    signal(first, Signal::SIGKILL);
    let killed = Instant::now();
    let second = watched.running(&[first]);
    println!("  running again after {} ms", killed.elapsed().as_millis());
    watched.ready();
    let State::Running { restarts, .. } = watched.now() else { panic!() };
    assert_eq!(restarts, 1);
    assert!(!lives(first) && lives(second));
    // Not with a line that Envoy wrote of something else: there is no node, which it says all the time.
    let ended = |line: &LogLine| line.text.starts_with("ended: signal: 9 (SIGKILL); started again");
    assert!(watched.lines.lock().unwrap().iter().any(ended));
    assert_eq!(watched.stop(), Ended::Asked);
}

fn a_node_that_comes_late_is_found_soon() {
    let watched = Watched::start(|_| envoy());
    watched.running(&[]);
    let admin = Admin::new(watched.socket());
    let failed = || {
        let stats = watched.runtime.block_on(admin.stats(r"^cluster\.xds\.upstream_cx_connect_fail$"));
        stats.unwrap().values().sum::<u64>()
    };
    // Envoy's own backoff would be at half a minute by now.
    wait_for("some failures", || (failed() >= 10).then_some(()));
    let xds = std::os::unix::net::UnixListener::bind(Place::of(watched.state.path()).xds_socket()).unwrap();
    xds.set_nonblocking(true).unwrap();
    let bound = Instant::now();
    wait_for("Envoy's call", || xds.accept().ok());
    assert!(bound.elapsed() < Duration::from_secs(3), "it came after {:?}", bound.elapsed());
    drop(xds);
    std::fs::remove_file(Place::of(watched.state.path()).xds_socket()).unwrap();
    assert_eq!(watched.stop(), Ended::Asked);
}

fn an_envoy_that_hangs_is_killed_at_the_stop() {
    let watched = Watched::start(|_| envoy());
    signal(watched.running(&[]), Signal::SIGSTOP);
    assert_eq!(watched.stop(), Ended::Killed);
}

fn a_stop_at_once_leaves_nothing() {
    for _ in 0..5 {
        let watched = Watched::start(|_| envoy());
        let begun = Instant::now();
        watched.stop();
        assert!(begun.elapsed() < Limits::STOP_PATIENCE, "it took {:?}", begun.elapsed());
    }
}

/// The keeper whose child Envoy is.
fn keeper_of(envoy: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{envoy}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn a_killed_keeper_is_followed_by_the_next() {
    let watched = Watched::start(|_| envoy());
    let first = watched.running(&[]);
    signal(keeper_of(first), Signal::SIGKILL);
    let second = watched.running(&[first]);
    assert!(!lives(first), "Envoy outlives its keeper");
    assert!(watched.keepers.contains(&keeper_of(second)));
    assert_eq!(watched.stop(), Ended::Asked);
}

fn when_all_keepers_are_killed_new_ones_come() {
    let watched = Watched::start(|_| envoy());
    let first = watched.running(&[]);
    for keeper in &watched.keepers {
        signal(*keeper, Signal::SIGKILL);
    }
    let second = watched.running(&[first]);
    assert!(!lives(first) && !watched.keepers.contains(&keeper_of(second)));
    assert_eq!(watched.stop(), Ended::Asked);
}

fn what_ends_at_once_is_tried_less_and_less() {
    let watched =
        Watched::start(|folder| pretender(folder, "echo 'error config no such thing' >&2; echo bye; exit 3"));
    let mut states = watched.handle.state();
    let waits = watched.runtime.block_on(async {
        let mut waits = Vec::new();
        while waits.len() < 6 {
            let state = states.borrow_and_update().clone();
            if let State::Backoff { why, until } = state {
                assert_eq!(why, "exit status: 3: no such thing");
                waits.push(until);
            }
            tokio::time::timeout(Duration::from_secs(20), states.changed()).await.unwrap().unwrap();
        }
        waits
    });
    let gaps: Vec<Duration> = waits.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).collect();
    assert!(gaps.last().unwrap() > &(gaps[0] * 4), "{gaps:?}");
    assert!(watched.lines.lock().unwrap().iter().any(|l| l.level == Level::Error && l.logger == "config"));
    assert_eq!(watched.stop(), Ended::Asked);
}

fn a_program_that_vanishes_is_told() {
    let watched = Watched::start(|folder| {
        let found = pretender(folder, "rm \"$0\"; exit 1");
        assert!(found.program.exists());
        found
    });
    let why = wait_for("a reason", || match watched.now() {
        State::Backoff { why, .. } if why.contains("cannot be started") => Some(why),
        _ => None,
    });
    assert!(why.contains("No such file"), "{why}");
    assert_eq!(watched.stop(), Ended::Asked);
}

fn a_folder_that_cannot_be_written_is_told() {
    let state = tempfile::tempdir().unwrap();
    let spec = crate::world::spec(envoy(), state.path(), "cloud-1.acme.example", Duration::from_secs(20));
    // A folder stands where the keeper makes a file: no right that root has helps.
    fs::create_dir_all(spec.place.lock()).unwrap();
    let watched = Watched::launch(state, &spec);
    let why = wait_for("a reason", || match watched.now() {
        State::Missing { why } => Some(why),
        _ => None,
    });
    assert!(why.contains("keeper.lock"), "{why}");
    fs::remove_dir(spec.place.lock()).unwrap();
    // And it is tried again.
    watched.running(&[]);
    assert_eq!(watched.stop(), Ended::Asked);
}

fn a_flood_of_output_stops_nobody() {
    // It ends only once it has written far more than a pipe holds.
    let watched = Watched::start(|folder| {
        pretender(
            folder,
            "i=0; while [ $i -lt 20000 ]; do echo \"warning main line $i\"; i=$((i+1)); done; sleep 1",
        )
    });
    let told = |text: &str| watched.lines.lock().unwrap().iter().any(|line| line.text.contains(text));
    wait_for("the end of the flood", || (told("left out") && told("ended: exit status: 0")).then_some(()));
    let lines = watched.lines.lock().unwrap().len();
    assert!(lines < 2_000, "{lines} lines were told");
    assert_eq!(watched.stop(), Ended::Asked);
}
