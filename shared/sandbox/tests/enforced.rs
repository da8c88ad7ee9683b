//! What is forbidden fails, and what is wanted works. Runs itself again as a process of its own: nothing takes a sandbox back.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use catalyst_sandbox::{State, Wanted, enter};

const INSIDE: &str = "CATALYST_SANDBOX_TEST";

fn denied<T: std::fmt::Debug>(result: std::io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// The process inside: a panic is its failure.
fn inside(own: &str) {
    let own = PathBuf::from(own);
    let (read, sockets) = (own.with_file_name("read"), own.with_file_name("sockets"));
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let free = {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        probe.local_addr().unwrap().port()
    };
    let report = enter(
        &Wanted {
            read: vec![read.join("key")],
            write: vec![own.clone()],
            sockets: vec![sockets.clone()],
            listen: Some(vec![free]),
        }
        .names(),
    );
    for layer in &report.layers {
        println!("{}: {}: {}", layer.name, layer.state.as_str(), layer.why);
        assert_eq!(
            layer.state,
            State::Enforced,
            "{layer:?}: this test needs Linux 6.7 with Landlock and seccomp"
        );
    }
    assert_eq!(report.weakest(), None);
    // What a node goes on to do.
    std::fs::write(own.join("state"), b"x").unwrap();
    std::fs::rename(own.join("state"), own.join("state.2")).unwrap();
    std::os::unix::net::UnixListener::bind(own.join("sock")).unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    TcpStream::connect(elsewhere.local_addr().unwrap()).unwrap();
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    TcpListener::bind((Ipv4Addr::LOCALHOST, free)).unwrap();
    std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 1)).unwrap().next().unwrap();
    std::fs::create_dir(own.join("folder")).unwrap();
    std::fs::remove_dir(own.join("folder")).unwrap();
    assert_eq!(std::fs::read(read.join("key")).unwrap(), b"key");
    std::os::unix::net::UnixListener::bind(sockets.join("admin")).unwrap();
    std::fs::remove_file(sockets.join("admin")).unwrap();
    // What it does not. The configuration lies beside the key: it can neither be changed nor replaced.
    denied(std::fs::write(read.join("key"), b"x"));
    denied(std::fs::remove_file(read.join("key")));
    denied(std::fs::write(read.join("catalyst.json"), b"x"));
    denied(std::fs::write(read.join("new"), b"x"));
    denied(std::fs::rename(own.join("state.2"), read.join("catalyst.json")));
    denied(std::fs::read(sockets.join("file")));
    denied(std::fs::write(sockets.join("file"), b"x"));
    denied(std::fs::write(sockets.join("new"), b"x"));
    denied(std::os::unix::fs::symlink("/", own.join("link")));
    denied(std::fs::read("/etc/passwd"));
    denied(std::fs::read_dir("/"));
    denied(std::fs::write(own.parent().unwrap().join("outside"), b"x"));
    denied(Command::new("/bin/true").status());
    denied(TcpListener::bind((Ipv4Addr::LOCALHOST, free.wrapping_add(1).max(1025))));
}

#[test]
fn what_is_forbidden_fails_and_what_is_wanted_works() {
    if let Ok(own) = std::env::var(INSIDE) {
        return inside(&own);
    }
    let dir = std::env::temp_dir().join(format!("catalyst-sandbox-{}", std::process::id()));
    let own = dir.join("own");
    for folder in ["own", "read", "sockets"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    for file in ["read/key", "read/catalyst.json", "sockets/file"] {
        std::fs::write(dir.join(file), b"key").unwrap();
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=1", "what_is_forbidden_fails_and_what_is_wanted_works"])
        .env(INSIDE, &own)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert!(said.contains("system calls: enforced"), "{said}");
}
