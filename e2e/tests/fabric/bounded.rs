//! Memory: what `check` promises holds when every limit is filled at once, and when ten thousand clients come together.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use catalyst_e2e::tcp::{Service, connect};
use catalyst_e2e::wait::poll;
use catalyst_e2e::{Build, Fabric, Node};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use socket2::{Domain, SockRef, Socket, Type};

const LIMIT: Duration = Duration::from_secs(60);

/// Private memory of a process, in bytes.
fn anonymous(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// What `check` says that a node takes at most.
fn promised(node: &Node) -> usize {
    let out = node.cli(&["check", "--json", "--config", node.config_file().to_str().unwrap()]);
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    usize::try_from(said["memory_bytes"].as_u64().unwrap()).unwrap()
}

/// This process holds both ends of thousands of connections.
fn many_descriptors(wanted: u64) {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(most >= wanted, "this test needs {wanted} file descriptors, and the system allows {most}");
    if now < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, most).unwrap();
    }
}

/// As many bytes as the connection takes now, without waiting; at most a mebibyte.
fn stuff(mut to: &TcpStream, sent: &mut usize) {
    let bytes = [0x5a; 16 * 1024];
    while *sent < 1 << 20 {
        match to.write(&bytes) {
            Ok(some @ 1..) => *sent += some,
            _ => return,
        }
    }
}

/// A service that reads nothing, and says as much as anyone takes once it talks.
struct Deaf {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<(TcpStream, usize)>>>,
    talks: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Deaf {
    fn start() -> Deaf {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Small buffers of the system, so that what waits lies with the nodes.
        SockRef::from(&listener).set_recv_buffer_size(8 * 1024).unwrap();
        SockRef::from(&listener).listen(4_096).unwrap();
        listener.set_nonblocking(true).unwrap();
        let deaf = Deaf {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
            talks: Arc::default(),
            over: Arc::default(),
        };
        let (taken, talks, over) = (deaf.taken.clone(), deaf.talks.clone(), deaf.over.clone());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).unwrap();
                    taken.lock().unwrap().push((stream, 0));
                }
                if talks.load(Ordering::Relaxed) {
                    taken.lock().unwrap().iter_mut().for_each(|(stream, sent)| stuff(stream, sent));
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        deaf
    }

    fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn quiet_client(port: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.set_send_buffer_size(8 * 1024).unwrap();
    socket.connect(&port.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

#[test]
fn with_every_limit_filled_at_once_a_board_takes_less_than_check_says() {
    const FLOWS: usize = 1024;
    many_descriptors(8_000);
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut edge = fabric.edge(&org, "edge");
    let deaf = Deaf::start();
    let long = |kind: &str, n: usize| format!("{kind}-{n:04}-{}", "x".repeat(50));
    let mut clouds: Vec<Node> = (0..2).map(|n| fabric.cloud(&org, &format!("cloud-{n}"))).collect();
    for (n, cloud) in clouds.iter_mut().enumerate() {
        // Together more than the edge has room for; the one that is used comes before them.
        cloud.offers(&format!("far-{n}"), "tcp", deaf.address);
        (0..700).for_each(|s| cloud.offers(&format!("z{n}-{s}"), "tcp", "127.0.0.1:9".parse().unwrap()));
        cloud.exposes(&format!("near-{n}.acme.example"));
        edge.offers(&format!("near-{n}"), "tcp", deaf.address);
        edge.exposes(&format!("far-{n}.acme.example"));
        edge.joins(cloud);
    }
    (2..64).for_each(|s| edge.offers(&long("own", s), "http", "127.0.0.1:9".parse().unwrap()));
    let metrics = fabric.address();
    edge.config["http"] = json!({ "listen": "127.0.0.1:0" });
    edge.config["metrics"] = json!({ "listen": metrics.to_string() });
    edge.config["limits"] = json!({ "peers": 2, "flows": FLOWS });
    edge.start();
    let ports: Vec<_> = clouds
        .iter_mut()
        .enumerate()
        .map(|(n, cloud)| {
            cloud.start();
            (
                edge.wait_reachable(&format!("far-{n}.acme.example")),
                cloud.wait_reachable(&format!("near-{n}.acme.example")),
            )
        })
        .collect();
    edge.wait("a full route table", |status| status["routes"][0] == status["routes"][1]);
    let (pid, promised) = (edge.pid(), promised(&edge));
    let mut most = anonymous(pid);
    let start = most;

    let all: Vec<SocketAddr> = ports.iter().flat_map(|(out, back)| [*out, *back]).collect();
    let mut clients: Vec<(TcpStream, usize)> =
        (0..FLOWS).map(|n| (quiet_client(all[n % all.len()]), 0)).collect();
    edge.wait("all flows", |status| status["flows"][0] == FLOWS);
    let each = poll(LIMIT, || (deaf.count() == FLOWS).then_some(()));
    assert!(each.is_some(), "{} connections for {FLOWS} flows\n{}", deaf.count(), fabric.logs());
    deaf.talks.store(true, Ordering::Relaxed);
    let http: SocketAddr = edge.status()["http"].as_str().unwrap().parse().unwrap();
    let heads: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut client = connect(http);
            let head = format!("GET / HTTP/1.1\r\nHost: near-0.acme.example\r\nX: {}", "y".repeat(16_000));
            client.write_all(head.as_bytes()).unwrap();
            client
        })
        .collect();
    let scrapers: Vec<TcpStream> = (0..6)
        .map(|_| {
            let mut client = connect(metrics);
            client.write_all(&[b'x'; 4_000]).unwrap();
            client
        })
        .collect();
    // Until it takes no more, with questions and a long answer asked for all the while.
    let mut still = 0;
    while still < 20 {
        let admins: Vec<UnixStream> = (0..15)
            .map(|_| {
                let mut admin = UnixStream::connect(edge.socket()).unwrap();
                admin.set_nonblocking(true).unwrap();
                let _ = admin.write_all(&[b' '; 60_000]);
                admin
            })
            .collect();
        clients.iter_mut().for_each(|(client, sent)| stuff(client, sent));
        assert_eq!(edge.routes().len(), 1024);
        let now = anonymous(pid);
        still = if now > most + most / 100 { 0 } else { still + 1 };
        most = most.max(now);
        drop(admins);
    }
    println!("RssAnon {start} B, full {most} B, promised {promised} B");
    assert!(most < promised, "{most} bytes, and `check` says at most {promised}");
    // What is filled was filled: a bound that is never approached says nothing.
    assert!(most > start + 6 * 1024 * 1024, "only {start} -> {most}: the limits were not filled");
    let status = edge.status();
    // In time those that nobody reads are reset, as more than may stand still; no other flow is gone.
    let lost = |status: &serde_json::Value| status["flows_lost"][0].as_u64().unwrap();
    let reset = lost(&status) + clouds.iter().map(|cloud| lost(&cloud.status())).sum::<u64>();
    let left = status["flows"][0].as_u64().unwrap();
    println!("{left} flows are left, {reset} were reset for standing still");
    assert!(left + reset >= FLOWS as u64, "{left} of {FLOWS} flows are left, {reset} were reset");
    for row in status["peers"].as_array().unwrap() {
        assert_eq!(row["state"], "up", "{row:#}");
        assert_eq!(row["sessions"], 1, "no session suffers: {row:#}");
    }
    assert!(status["routes_refused"].as_u64().unwrap() > 0);

    drop((clients, heads, scrapers));
    deaf.taken.lock().unwrap().clear();
    edge.wait("no flow", |status| status["flows"][0] == 0);
}

#[test]
fn of_ten_thousand_clients_at_once_those_that_fit_are_served_and_the_rest_told() {
    const CLIENTS: usize = 10_000;
    const FLOWS: usize = 512;
    many_descriptors(CLIENTS as u64 + 2 * FLOWS as u64 + 500);
    let service = Service::echo();
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, Build::Edge, "one");
    node.offers("raw", "tcp", service.address());
    node.exposes("raw.acme.example");
    node.config["limits"] = json!({ "flows": FLOWS });
    node.start();
    let port = node.wait_reachable("raw.acme.example");
    let (pid, promised) = (node.pid(), promised(&node));
    let mut clients: Vec<(TcpStream, bool)> = (0..CLIENTS)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let begun = socket.connect(&port.into());
            assert!(begun.is_ok() || begun.unwrap_err().raw_os_error() == Some(nix::libc::EINPROGRESS));
            (socket.into(), false)
        })
        .collect();
    let (mut served, mut refused, mut most) = (Vec::new(), 0, 0);
    let told = poll(LIMIT, || {
        for (client, asked) in &mut clients {
            if !*asked {
                *asked = client.write(b"x").is_ok();
            }
        }
        for (mut client, asked) in std::mem::take(&mut clients) {
            match client.read(&mut [0]) {
                Ok(1) => served.push(client),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    clients.push((client, asked));
                }
                _ => refused += 1,
            }
        }
        most = most.max(anonymous(pid));
        clients.is_empty().then_some(())
    });
    assert!(told.is_some(), "{} clients were left without a word", clients.len());
    println!("{} served, {refused} told, RssAnon {most} B of {promised} B", served.len());
    assert_eq!(served.len() + refused, CLIENTS);
    assert_eq!(served.len(), FLOWS, "as many as there is room for");
    assert!(most < promised);
    let status = node.status();
    assert_eq!(status["flows"][0], FLOWS);
    assert_eq!(status["flows_total"][1], refused, "{}", fabric.logs());
    // Those that are there are served as before.
    for client in &mut served {
        client.set_nonblocking(false).unwrap();
        client.write_all(b"y").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    drop(served);
    node.wait("no flow", |status| status["flows"][0] == 0);
    let left = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    assert!(left < 64, "{left} descriptors are left");
}

/// The supervisor of a node: the child that runs its programs.
fn supervisor(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap_or_else(|_| panic!("one child, not {children}"))
}

/// Private memory without what the loader relocated of files, of which a build without optimisation has a lot more than
/// the one that ships.
fn own(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut of_file = false;
    let mut kilobytes = 0;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["Anonymous:", size, "kB"] if !of_file => kilobytes += size.parse::<usize>().unwrap(),
            [range, _, _, _, _, path @ ..] if range.contains('-') => {
                of_file = path.first().is_some_and(|path| path.starts_with('/'));
            }
            _ => {}
        }
    }
    kilobytes * 1024
}

#[test]
fn the_process_that_runs_programs_is_small_and_stays_below_what_check_says() {
    const PROGRAMS: usize = 64;
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    for (programs, script) in [
        (1, "echo up; exec sleep 1000"),
        // Lines that never end, lines by the thousand, and an end now and then.
        (PROGRAMS, "yes $(seq 300) | head -c 3000000; sleep 0.2; [ $(($$ % 4)) = 0 ] || exec sleep 1000"),
    ] {
        let mut node = fabric.node(&org, Build::Edge, &format!("runs-{programs}"));
        for n in 0..programs {
            node.offers(&format!("s-{n}"), "tcp", "127.0.0.1:9".parse().unwrap());
            node.config["services"][n]["run"] = json!({ "command": ["sh", "-c", script] });
        }
        node.start();
        let running = |row: &serde_json::Value| {
            row["health"]["pid"].is_u64() || row["health"]["restarts"].as_u64() > Some(0)
        };
        node.wait("its programs run", |s| s["services"].as_array().unwrap().iter().all(running));
        let supervisor = supervisor(node.pid());
        let mut most = own(supervisor);
        if programs > 1 {
            // The node reads nothing for a while, and what the programs say has nowhere to go.
            node.freeze();
            let until = std::time::Instant::now() + Duration::from_secs(2);
            while std::time::Instant::now() < until {
                most = most.max(own(supervisor));
                thread::sleep(Duration::from_millis(10));
            }
            node.thaw();
            node.wait("it answers again", |s| s["services"].as_array().unwrap().len() == programs);
        }
        most = most.max(own(supervisor));
        let out = node.cli(&["check", "--json", "--config", node.config_file().to_str().unwrap()]);
        let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let part = |row: &&serde_json::Value| row["what"] == "process that runs programs";
        let promised =
            said["memory"].as_array().unwrap().iter().find(part).unwrap()["bytes"].as_u64().unwrap();
        println!("{programs} program(s): {most} B without relocated data, promised {promised} B with it");
        // The binary that ships has less than 192 KiB of relocated data.
        assert!(most + 192 * 1024 < usize::try_from(promised).unwrap(), "{most} of {promised}");
        assert!(programs > 1 || most < 108 * 1024, "{most}");
        node.stop();
    }
}
