//! The admin socket under bad clients: each gets its answer, none keeps others from theirs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use catalyst_e2e::admin::Admin;
use catalyst_e2e::wait::{SOON, until};
use catalyst_e2e::{Build, Fabric, Node};
use serde_json::{Value, json};

fn one(build: Build) -> Node {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut node = fabric.node(&org, build, "one");
    node.start();
    node
}

fn offer(name: &str) -> String {
    let service = json!({ "name": name, "target": "127.0.0.1:9" });
    format!("{}\n", json!({ "v": 1, "do": "service-add", "service": service }))
}

#[test]
fn what_a_client_asked_that_has_gone_is_dropped() {
    const GONE: usize = 5;
    for build in [Build::Cloud, Build::Edge] {
        let mut node = one(build);
        node.freeze();
        for n in 0..GONE {
            let mut client = connect(&node);
            client.write_all(offer(&format!("ghost-{n}")).as_bytes()).unwrap();
        }
        // This one will ask no more, and waits for its answer, as 'nc -N' does.
        let mut waits = connect(&node);
        waits.write_all(offer("wanted").as_bytes()).unwrap();
        waits.shutdown(std::net::Shutdown::Write).unwrap();
        // And a command that a person ends.
        let args = ["service", "add", "regretted", "--target", "127.0.0.1:9"];
        let mut command = node.cli_command(&args).spawn().unwrap();
        until("the command has asked", SOON, || {
            let call = std::fs::read_to_string(format!("/proc/{}/syscall", command.id())).unwrap_or_default();
            // It waits for the answer: recvfrom(2), on x86-64 or aarch64.
            ["45 ", "207 "].iter().any(|number| call.starts_with(number)).then_some(())
        });
        command.kill().unwrap();
        command.wait().unwrap();

        node.thaw();
        let added = answer(&mut BufReader::new(waits));
        assert!(added["ok"]["services"].is_array(), "{added}");
        let said = || std::fs::read_to_string(node.log()).unwrap().matches("its client has gone").count();
        until("all others are dropped", SOON, || (said() == GONE + 1).then_some(()));
        let status = node.status();
        let services: Vec<_> =
            status["services"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
        assert_eq!(services, ["wanted.acme.example"]);
    }
}

fn connect(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn answer(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: '{line}'"))
}

#[test]
fn a_line_that_is_no_request_gets_an_error_and_the_connection_lives() {
    for build in [Build::Cloud, Build::Edge] {
        let node = one(build);
        let mut stream = connect(&node);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let bad: [&[u8]; 6] = [
            b"GET / HTTP/1.1\n",
            b"{}\n",
            b"{\"v\":1}\n",
            b"{\"v\":2,\"do\":\"status\"}\n",
            b"\xff\xfe\x00\n",
            b"\n",
        ];
        for line in bad {
            stream.write_all(line).unwrap();
            let reply = answer(&mut reader);
            assert!(reply["error"].as_str().is_some_and(|e| !e.is_empty()), "{reply}");
        }
        stream.write_all(b"{\"v\":1,\"do\":\"status\"}\n").unwrap();
        assert_eq!(answer(&mut reader)["ok"]["status"]["node"], "one.acme.example");
    }
}

#[test]
fn a_line_without_end_is_refused_and_closed() {
    let node = one(Build::Edge);
    let mut stream = connect(&node);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // The node may close while this is being written.
    let _ = stream.write_all(&vec![b'x'; 200_000]);
    let mut line = String::new();
    // It answers, or resets what it did not want to read; it never waits for more.
    if reader.read_line(&mut line).is_ok() && !line.is_empty() {
        assert!(line.contains("65536"), "{line}");
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    assert_eq!(node.status()["node"], "one.acme.example");
}

#[test]
fn silent_clients_do_not_keep_others_out_for_good() {
    let node = one(Build::Edge);
    // As many as it serves at a time, and none says a word.
    let silent: Vec<UnixStream> = (0..16).map(|_| connect(&node)).collect();
    // The seventeenth waits in the queue until they have been silent for too long.
    let mut late = connect(&node);
    late.write_all(b"{\"v\":1,\"do\":\"status\"}\n").unwrap();
    late.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let early = late.read(&mut [0; 1]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock, "{early}");
    late.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(answer(&mut BufReader::new(late))["ok"]["status"]["node"], "one.acme.example");
    drop(silent);
}

#[test]
fn clients_that_have_asked_and_stay_give_their_places_to_newcomers() {
    let node = one(Build::Edge);
    let asks = |client: &mut BufReader<UnixStream>| {
        client.get_mut().write_all(b"{\"v\":1,\"do\":\"peers\"}\n").unwrap();
        answer(client)
    };
    let open = || {
        let mut client = BufReader::new(connect(&node));
        assert_eq!(asks(&mut client)["v"], 1);
        client
    };
    // Many more than there are places, one after another: nobody waits for the minute that an idle one may stay.
    let begin = Instant::now();
    let mut clients: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // The newest are there still; the oldest had to go.
    let mut newest = clients.split_off(56);
    newest.iter_mut().for_each(|client| assert_eq!(asks(client)["v"], 1));
    let mut gone = String::new();
    assert_eq!(clients[0].read_line(&mut gone).unwrap(), 0, "{gone}");
}

#[test]
fn many_clients_at_once_all_get_their_answers() {
    let node = one(Build::Cloud);
    std::thread::scope(|scope| {
        for client in 0..12 {
            let node = &node;
            scope.spawn(move || {
                let mut admin = Admin::connect(&node.socket()).unwrap();
                for n in 0..10 {
                    let name = format!("c{client}-{n}");
                    admin
                        .ask(json!({ "do": "service-add", "service": { "name": name, "target": "127.0.0.1:9" } }))
                        .unwrap();
                    let row = admin.ask(json!({ "do": "routes", "service": format!("{name}.acme.example") })).unwrap();
                    assert_eq!(row.as_array().unwrap().len(), 1);
                }
            });
        }
    });
    assert_eq!(node.status()["services"].as_array().unwrap().len(), 120);
}
