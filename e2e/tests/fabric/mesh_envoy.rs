//! Envoy as a process beside its node: killed, missing, broken, found again, run by hand.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::process::tail;
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The process of a node's Envoy, once it runs and hears its node.
#[track_caller]
fn envoy(node: &Node) -> u32 {
    let status = node.wait("Envoy runs", |status| {
        status["envoy"]["state"] == "running" && status["envoy"]["xds"]["settled"] == true
    });
    u32::try_from(status["envoy"]["pid"].as_u64().unwrap()).unwrap()
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// Whether it runs: one that has ended and was not seen off does not.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
fn answers(at: SocketAddr, service: &Http, host: &str) {
    wait::until(&format!("{host} answers"), SOON, || {
        http::get_at(at, host).ok().filter(|words| words == service.words())
    });
}

/// A connection that is held, and must go on.
struct Held(std::net::TcpStream);

impl Held {
    #[track_caller]
    fn through(port: SocketAddr) -> Held {
        let mut held = Held(wait::until("a connection", SOON, || {
            let mut stream = tcp::try_connect(port).ok()?;
            stream.write_all(b"?").ok()?;
            stream.read_exact(&mut [0]).ok()?;
            Some(stream)
        }));
        held.goes_on();
        held
    }

    #[track_caller]
    fn goes_on(&mut self) {
        let mut got = [0; 5];
        self.0.write_all(b"hello").unwrap();
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
}

/// Requests one after the other, each on a connection of its own and as many on one that is kept, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(at: SocketAddr, hosts: &[&str]) -> Load {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |host: &str, kept: bool| {
            let (stop, good, host) = (stop.clone(), good.clone(), host.to_owned());
            std::thread::spawn(move || {
                let (mut failed, mut client) = (Vec::new(), None);
                while !stop.load(Ordering::SeqCst) {
                    let mut used = match client.take() {
                        Some(client) => client,
                        None => match Client::connect_for(at, &host) {
                            Ok(client) => client,
                            Err(error) => {
                                failed.push(format!("{host}: connect: {error}"));
                                std::thread::sleep(Duration::from_millis(5));
                                continue;
                            }
                        },
                    };
                    match used.get() {
                        Ok(_) => {
                            good.fetch_add(1, Ordering::SeqCst);
                            client = kept.then_some(used);
                        }
                        Err(error) => failed.push(format!("{host}: {error}")),
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                failed
            })
        };
        let tasks = hosts.iter().flat_map(|host| [one(host, true), one(host, false)]).collect();
        Load { stop, good, tasks }
    }

    /// Waits until so many more were answered.
    #[track_caller]
    fn more(&self, count: usize) {
        let wanted = self.good.load(Ordering::SeqCst) + count;
        wait::until("more answers", SOON, || (self.good.load(Ordering::SeqCst) >= wanted).then_some(()));
    }

    /// What failed.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.into_iter().flat_map(|task| task.join().unwrap()).collect()
    }
}

#[test]
fn an_envoy_that_is_killed_comes_back_on_the_same_ports() {
    let fabric = Fabric::new();
    let (mut node, web) = (fabric.cloud(&fabric.org("acme.example"), "a"), Http::start("well"));
    let ingress = node.has_envoy();
    node.offers("web", "http", web.address());
    node.exposes("web.acme.example");
    node.start();
    let port = node.wait_reachable("web.acme.example");
    answers(ingress, &web, "web.acme.example");
    let first = envoy(&node);
    send(first, Signal::SIGKILL);
    answers(ingress, &web, "web.acme.example");
    answers(port, &web, "web.acme.example");
    let status = node.wait("it was started again", |status| {
        status["envoy"]["restarts"] == 1 && status["envoy"]["state"] == "running"
    });
    assert_ne!(status["envoy"]["pid"], first);
    assert!(!lives(first));
    assert_eq!(status["envoy"]["why"], "");
}

/// A program that says that it is a good Envoy, and ends in its own way.
fn broken(node: &mut Node, way: &str) {
    let path = node.dir.join("broken-envoy");
    let real = node.config["envoy"]["path"].as_str().unwrap();
    let script = format!("#!/bin/sh\ncase \"$*\" in *--version*) exec {real} --version ;; esac\n{way}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    node.config["envoy"]["path"] = json!(path);
}

#[test]
fn an_envoy_that_ends_at_once_is_said_with_its_last_words_and_the_node_answers() {
    let fabric = Fabric::new();
    let mut node = fabric.cloud(&fabric.org("acme.example"), "a");
    node.has_envoy();
    broken(&mut node, "echo 'critical main it has no legs' >&2; exit 3");
    node.start();
    let status = node.wait("it waits before the next start", |status| {
        let why = status["envoy"]["why"].as_str().unwrap_or_default();
        status["envoy"]["state"] == "backoff" && why.contains("it has no legs") && why.contains('3')
    });
    assert!(status["next_step"].as_str().unwrap().contains("it has no legs"), "{status:#}");
    let text = catalyst_e2e::process::both(&node.cli(&["status"]));
    assert!(text.contains("backoff") && text.contains("it has no legs"), "{text}");
    node.stop();
}

#[test]
fn a_program_that_is_missing_keeps_the_node_from_starting_and_the_message_helps() {
    let fabric = Fabric::new();
    let mut node = fabric.cloud(&fabric.org("acme.example"), "a");
    node.has_envoy();
    node.config["envoy"]["path"] = json!(node.dir.join("nowhere"));
    let (said, _) = node.start_in_vain();
    assert!(said.contains("nowhere") && said.contains("envoy.path"), "{said}");
}

fn sockets(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).unwrap().flatten();
    let sockets = all.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    sockets.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_stop_leaves_no_process_and_no_socket() {
    let fabric = Fabric::new();
    let (mut node, web) = (fabric.cloud(&fabric.org("acme.example"), "a"), Http::start("well"));
    let ingress = node.has_envoy();
    node.offers("web", "http", web.address());
    node.start();
    answers(ingress, &web, "web.acme.example");
    let folder = node.dir.join("state/envoy");
    let keeper: Value = serde_json::from_slice(&fs::read(folder.join("keeper.pid")).unwrap()).unwrap();
    let keeper = u32::try_from(keeper["pid"].as_u64().unwrap()).unwrap();
    let envoy = envoy(&node);
    assert!(lives(envoy) && lives(keeper));
    node.stop();
    assert!(!lives(envoy) && !lives(keeper), "Envoy {envoy} or its keeper {keeper} is left");
    assert_eq!(sockets(&folder), [""; 0]);
    assert!(tcp::try_connect(ingress).is_err(), "its ports are free");
}

#[test]
fn a_node_that_is_killed_under_load_finds_its_envoy_again_and_nobody_notices() {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let (mut a, mut b) = (fabric.cloud(&org, "a"), fabric.cloud(&org, "b"));
    let ingress = a.has_envoy();
    b.has_envoy();
    a.joins(&mut b);
    let (here, there, echo) = (Http::start("here"), Http::start("there"), Service::echo());
    a.offers("here", "http", here.address());
    b.offers("there", "http", there.address());
    b.offers("echo", "tcp", echo.address());
    a.exposes("echo.acme.example");
    b.start();
    a.start();
    let port = a.wait_reachable("echo.acme.example");
    answers(ingress, &here, "here.acme.example");
    answers(ingress, &there, "there.acme.example");
    let (mut held, first) = (Held::through(port), envoy(&a));
    let load = Load::start(ingress, &["here.acme.example", "there.acme.example"]);
    load.more(50);
    a.kill();
    load.more(50);
    held.goes_on();
    a.start();
    assert_eq!(envoy(&a), first, "it was found again");
    a.wait_up(&b);
    load.more(50);
    held.goes_on();
    let failed = load.end();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.iter().take(5).collect::<Vec<_>>());
    let status = a.status();
    assert_eq!(status["envoy"]["restarts"], 0);
    assert_eq!(status["envoy"]["xds"]["nacks"], 0, "{:#}", status["envoy"]);
    // The one that waits to be dialled is no worse.
    let (load, first) = (Load::start(ingress, &["there.acme.example"]), envoy(&b));
    load.more(20);
    b.kill();
    load.more(20);
    b.start();
    assert_eq!(envoy(&b), first);
    a.wait_up(&b);
    load.more(20);
    held.goes_on();
    let failed = load.end();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.iter().take(5).collect::<Vec<_>>());
}

/// The lines of the access log about requests that failed.
fn refused(node: &Node) -> String {
    node.access_log().lines().filter(|line| line.contains("503")).map(|line| format!("{line}\n")).collect()
}

/// Three nodes: the client's, and two that offer one service, the first of them the better one.
struct Three {
    client: Node,
    best: Node,
    other: Node,
    ingress: SocketAddr,
    good: Http,
    second: Http,
}

fn three() -> Three {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let node = |name: &str| {
        let mut node = fabric.cloud(&org, name);
        let ingress = node.has_envoy();
        (node, ingress)
    };
    let ((mut client, ingress), (mut best, _), (mut other, _)) =
        (node("client"), node("best"), node("other"));
    client.joins(&mut best);
    client.joins(&mut other);
    let (good, second) = (Http::start("the best"), Http::start("the other"));
    best.offers("web", "http", good.address());
    other.offers("web", "http", second.address());
    other.config["services"][0]["cost"] = json!(10);
    best.start();
    other.start();
    client.start();
    client.wait_up(&best);
    client.wait_up(&other);
    client.wait_routes("web.acme.example", "two origins", |rows| rows.len() == 2);
    answers(ingress, &good, "web.acme.example");
    client.wait("its Envoy knows both", |status| {
        let rows = status["envoy"]["neighbours"].as_array().map_or(&[][..], Vec::as_slice);
        let well = rows.iter().filter(|row| row["way"] == "mesh" && row["healthy"] == true);
        status["envoy"]["xds"]["settled"] == true && well.count() == 2
    });
    Three { client, best, other, ingress, good, second }
}

#[test]
fn while_the_node_stands_still_requests_leave_an_origin_that_dies() {
    let Three { mut client, mut best, other: _other, ingress, good: _good, second } = three();
    let (envoy, keeper) = (envoy(&best), best.dir.join("state/envoy/keeper.pid"));
    client.freeze();
    best.kill();
    // Its keeper would start another.
    let keeper: Value = serde_json::from_slice(&fs::read(keeper).unwrap()).unwrap();
    send(u32::try_from(keeper["pid"].as_u64().unwrap()).unwrap(), Signal::SIGKILL);
    wait::until("the Envoy of the best is gone", SOON, || (!lives(envoy)).then_some(()));
    let begun = Instant::now();
    answers(ingress, &second, "web.acme.example");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let load = Load::start(ingress, &["web.acme.example"]);
    load.more(200);
    let failed = load.end();
    assert!(failed.is_empty(), "{failed:?}\n{}", refused(&client));
    client.thaw();
    client.wait_down(&best);
    answers(ingress, &second, "web.acme.example");
}

#[test]
fn a_neighbours_envoy_that_is_killed_costs_at_most_what_was_under_way() {
    let Three { client, best, other: _other, ingress, good, second } = three();
    let load = Load::start(ingress, &["web.acme.example"]);
    load.more(20);
    let before = second.requests();
    send(envoy(&best), Signal::SIGKILL);
    best.wait("it was started again", |status| status["envoy"]["restarts"] == 1);
    load.more(50);
    let failed = load.end();
    // One request of each of the two clients may have been under way.
    assert!(failed.len() <= 2, "{failed:?}\n{}", refused(&client));
    client.wait("the neighbours answer", |status| {
        let rows = status["envoy"]["neighbours"].as_array().map_or(&[][..], Vec::as_slice);
        rows.len() == 2 && rows.iter().all(|row| row["way"] == "mesh" && row["healthy"] == true)
    });
    answers(ingress, &good, "web.acme.example");
    println!("{} requests went to the other meanwhile, {} failed", second.requests() - before, failed.len());
}

/// An Envoy that the test runs, as a person would.
struct ByHand(Child);

impl ByHand {
    fn start(bootstrap: &Path, log: &Path) -> ByHand {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(std::env::var("CATALYST_ENVOY").unwrap());
        command.arg("-c").arg(bootstrap).args(["--reject-unknown-dynamic-fields", "--concurrency", "1"]);
        command.args(["--drain-time-s", "0", "--drain-strategy", "immediate", "--disable-hot-restart"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        ByHand(command.spawn().unwrap())
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_envoy_that_is_run_by_hand_is_told_all_and_a_second_one_is_refused() {
    let fabric = Fabric::new();
    let (mut node, web) = (fabric.cloud(&fabric.org("acme.example"), "a"), Http::start("well"));
    let ingress = node.has_envoy();
    node.config["envoy"]["mode"] = json!("external");
    node.config["envoy"].as_object_mut().unwrap().remove("path");
    node.offers("web", "http", web.address());
    node.start();
    let status = node.wait("it waits", |status| status["envoy"]["state"] == "waiting");
    assert!(status["next_step"].as_str().unwrap().contains("catalyst envoy bootstrap"), "{status:#}");
    let bootstrap = node.dir.join("envoy.json");
    let printed = node.cli(&["envoy", "bootstrap"]);
    assert!(printed.status.success());
    fs::write(&bootstrap, printed.stdout).unwrap();
    let (log, second_log) = (node.dir.join("envoy.log"), node.dir.join("second.log"));
    let by_hand = ByHand::start(&bootstrap, &log);
    answers(ingress, &web, "web.acme.example");
    let status = node.wait("it runs", |status| status["envoy"]["state"] == "running");
    assert_eq!((&status["envoy"]["mode"], &status["envoy"]["pid"]), (&json!("external"), &Value::Null));
    let second = ByHand::start(&bootstrap, &second_log);
    let status = node.wait("the second is refused", |status| status["envoy"]["xds"]["refused"] != 0);
    let why = status["envoy"]["xds"]["last_refused"].as_str().unwrap();
    assert!(why.contains("connected already"), "{why}");
    for log in [node.log(), &second_log] {
        wait::until(&format!("{} says it", log.display()), SOON, || {
            // Envoy writes the words of a gRPC status as they travel.
            tail(log, 400).replace("%20", " ").contains("two never share one configuration").then_some(())
        });
    }
    answers(ingress, &web, "web.acme.example");
    drop(second);
    drop(by_hand);
    node.wait("it waits again", |status| status["envoy"]["state"] == "waiting");
    let _again = ByHand::start(&bootstrap, &log);
    answers(ingress, &web, "web.acme.example");
}
