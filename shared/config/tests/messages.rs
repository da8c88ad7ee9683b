//! Each way to get it wrong, with the exact words that a person reads.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use catalyst_config::{Build, Compiled, Config, ConfigError, ConfigErrors, from_text};

fn read(text: &str, env: &[(&str, &str)], sets: &[&str], build: Build) -> Result<Config, ConfigErrors> {
    let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sets: Vec<_> = sets.iter().map(|s| (*s).to_owned()).collect();
    let compiled = if build == Build::Edge { Compiled::EDGE } else { Compiled::CLOUD };
    from_text(Some((text, Path::new("catalyst.json"))), &env, &sets, build, &compiled)
}

#[track_caller]
fn says(text: &str, expected: &str) {
    let errors = read(text, &[], &[], Build::Cloud).unwrap_err();
    assert_eq!(errors.to_string(), expected);
    for error in &errors.errors {
        points_at_what_it_found(text, error);
    }
}

/// The place of an error is where the thing stands that the error shows.
#[track_caller]
fn points_at_what_it_found(text: &str, error: &ConfigError) {
    let Some((line, column)) = error.place.position else { return };
    let here: String = text.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1).collect();
    let found = error.found.split(", which").next().unwrap().trim_end_matches(" again");
    // Names put together and values with escapes stand differently in the file.
    if found.starts_with('"')
        && found.ends_with('"')
        && !found.contains(['\\', ' '])
        && !found.contains(".acme.example\"")
    {
        assert!(here.starts_with(found), "{error}\nstands at: {here}");
    }
}

/// A good file with `more` among its keys, from line 3 on.
fn with(more: &str) -> String {
    format!(
        "{{ \"version\": 1,\n  \"org\": \"acme.example\", \"node\": \"edge-1\", \"listen\": \"0.0.0.0:7443\",\n{more}\n}}\n"
    )
}

const GLOBEX: &str = r#"{ "node": "gw", "org": "globex.example", "bundle": "globex.pem", "agreement": "globex.json", "address": "gw.globex.example:7443" }"#;

#[test]
fn text_that_is_not_json() {
    for (text, expected) in [
        ("", "1:1: expected JSON, found nothing\n  help: begin with { \"version\": 1 }, as in docs/examples"),
        (
            "{\n  \"version\": 1,\n}",
            "2:15: expected JSON, found a comma before a closing bracket\n  help: remove the comma",
        ),
        ("{ // why\n}", "1:3: expected JSON, found a comment\n  help: remove it: JSON has no comments"),
        ("{ 'a': 1 }", "1:3: expected JSON, found single quotes\n  help: use double quotes"),
        (
            "{ a: 1 }",
            "1:3: expected a key in double quotes, found a bare word\n  help: put the key in double quotes",
        ),
        ("{ \"a\": yes }", "1:8: expected JSON, found a bare word\n  help: put text in double quotes"),
        (
            "{ \"a\": 1 \"b\": 2 }",
            "1:9: expected a comma, found the next value\n  help: put a comma before it",
        ),
        (
            "{ \"a\" 1 }",
            "1:7: expected a colon after the key, found something else\n  help: put a colon between key and value",
        ),
        ("{ \"a\": 1", "1:1: expected a closing }, found the end of the file\n  help: close this object"),
        ("[1", "1:1: expected a closing ], found the end of the file\n  help: close this list"),
        (
            "{} {}",
            "1:4: expected one JSON object, found something after it\n  help: remove what follows the closing }",
        ),
        (
            "{ \"a\": 0x10 }",
            "1:8: expected a JSON number, found another notation\n  help: write the number in plain decimal digits",
        ),
        (
            "{ \"a\": \"b\tc\" }",
            "1:10: expected JSON, found a character that must not stand here unescaped\n  help: write it as an escape such as \\n or \\u00a0, or remove it",
        ),
        (
            "\u{feff}{}",
            "1:1: expected JSON, found a byte order mark\n  help: save the file as UTF-8 without a byte order mark",
        ),
    ] {
        says(text, &format!("error: catalyst.json:{expected}"));
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep, &[], &[], Build::Cloud).unwrap_err().to_string().contains("found too many levels"));
}

#[test]
fn missing_and_unknown_keys() {
    says(
        "{}",
        "error: catalyst.json:1:1 at /version: expected the key \"version\", 1, found none\n  \
         help: write \"version\": 1; a file of a later version needs a later build\n\
         error: catalyst.json:1:1 at /org: expected the key \"org\", an organisation such as \"acme.example\", found none\n  \
         help: write \"org\": \"acme.example\" with your own domain\n\
         error: catalyst.json:1:1 at /node: expected the key \"node\", a node's name such as \"edge-1\", found none\n  \
         help: write \"node\": \"edge-1\" with a name of your choice",
    );
    says(
        &with(
            r#"  "services": [{ "nmae": "inventory", "name": "inventory", "protocol": "http", "target": "127.0.0.1:80", "port": 1 }], "weight": 5, "zebra": 1"#,
        ),
        "error: catalyst.json:3:18 at /services/0/nmae: expected a known key, found \"nmae\"\n  help: did you mean \"name\"?\n\
         error: catalyst.json:3:106 at /services/0/port: expected a known key, found \"port\"\n  \
         help: known here: name, protocol, target, cost, weight, tags, on_stale, run, check\n\
         error: catalyst.json:3:120 at /weight: expected a known key, found \"weight\"\n  help: \"weight\" belongs under \"services\"\n\
         error: catalyst.json:3:133 at /zebra: expected a known key, found \"zebra\"\n  \
         help: known here: version, org, node, state_dir, identity, authority, listen, admin, profile, stale_max_s, flap, log, sandbox, threads, metrics, peers, services, exports, imports, interest, expose, expose_ports, http, https, envoy, limits",
    );
    says(
        &with("  \"log\": \"warn\",\n  \"log\": \"info\""),
        "error: catalyst.json:4:3 at /log: expected each key once, found \"log\" again\n  \
         help: a key stands once in an object: remove one of the two",
    );
    says(
        &with("  \"lo\\u001b[31m~/g\": 1"),
        "error: catalyst.json:3:3 at /lo\\u001b[31m~0~1g: expected a known key, found \"lo\\u001b[31m~/g\"\n  \
         help: known here: version, org, node, state_dir, identity, authority, listen, admin, profile, stale_max_s, flap, log, sandbox, threads, metrics, peers, services, exports, imports, interest, expose, expose_ports, http, https, envoy, limits",
    );
}

#[test]
fn values_of_the_wrong_type() {
    says(
        "[1]",
        "error: catalyst.json:1:1 at /: expected an object, found a list\n  help: put everything into one object: { \"version\": 1, ... }",
    );
    says(
        &with(
            "  \"log\": 3, \"limits\": { \"routes\": \"512\", \"flows\": 1.5 }, \"admin\": [], \"peers\": {}, \"profile\": null",
        ),
        "error: catalyst.json:3:10 at /log: expected one of error, warn, info, debug, found 3\n  help: use \"info\"\n\
         error: catalyst.json:3:35 at /limits/routes: expected a whole number from 1 to 1000000, found \"512\"\n  help: remove the quotes\n\
         error: catalyst.json:3:51 at /limits/flows: expected a whole number from 1 to 1000000, found 1.5\n  help: leave it out for the default\n\
         error: catalyst.json:3:67 at /admin: expected an object, found an empty list\n  help: write an object with the key socket\n\
         error: catalyst.json:3:80 at /peers: expected a list of objects, found an object\n  \
         help: write a list of objects, one for each neighbour: [{ \"node\": \"cloud-1\", \"address\": \"gateway.acme.example:7443\" }]\n\
         error: catalyst.json:3:95 at /profile: expected one of lan, wan, cellular, satellite, found null\n  help: leave the key out instead",
    );
    says(
        "{ \"version\": 2, \"org\": \"acme.example\", \"node\": \"a\" }",
        "error: catalyst.json:1:14 at /version: expected 1, found 2\n  help: write \"version\": 1; a file of a later version needs a later build",
    );
}

#[test]
fn names_and_words() {
    says(
        "{ \"version\": 1, \"org\": \"Acme\",\n\"node\": \"edge_1\", \"profile\": \"satelite\" }",
        "error: catalyst.json:1:24 at /org: expected an organisation such as \"acme.example\", found \"Acme\"\n  \
         help: the organisation may hold only a-z, 0-9 and '-' (and '.' between labels); look at character 1\n\
         error: catalyst.json:2:9 at /node: expected a node's name such as \"edge-1\", found \"edge_1\"\n  \
         help: the node may hold only a-z, 0-9 and '-' (and '.' between labels); look at character 5\n\
         error: catalyst.json:2:30 at /profile: expected one of lan, wan, cellular, satellite, found \"satelite\"\n  \
         help: did you mean \"satellite\"?",
    );
    says(
        &with(
            r#""services": [{ "name": "inventory.acme.example", "protocol": "HTTPS", "target": "a:1", "tags": ["gold", "acme.example:Gold"] }]"#,
        ),
        "error: catalyst.json:3:24 at /services/0/name: expected a service's label such as \"inventory\", found \"inventory.acme.example\"\n  \
         help: give the service's label alone: \"inventory\"\n\
         error: catalyst.json:3:62 at /services/0/protocol: expected one of tcp, udp, http, http:graphql, http:grpc, found \"HTTPS\"\n  \
         help: did you mean \"http\"?\n\
         error: catalyst.json:3:97 at /services/0/tags/0: expected a tag such as \"acme.example:gold\", found \"gold\"\n  \
         help: a tag names the organisation that it belongs to: \"acme.example:gold\"\n\
         error: catalyst.json:3:105 at /services/0/tags/1: expected a tag such as \"acme.example:gold\", found \"acme.example:Gold\"\n  \
         help: the tag may hold only a-z, 0-9 and '-' (and '.' between labels); look at character 1",
    );
    says(
        &with(r#""expose": [{ "service": "orders", "listen": "localhost:9001" }]"#),
        "error: catalyst.json:3:25 at /expose/0/service: expected a service's full name such as \"orders.globex.example\", found \"orders\"\n  \
         help: the service name needs its organisation, as in 'NAME.acme.example'\n\
         error: catalyst.json:3:45 at /expose/0/listen: expected an IP address and port such as \"127.0.0.1:9001\", found \"localhost:9001\"\n  \
         help: give it as an IP address: 127.0.0.1:9001",
    );
}

#[test]
fn addresses() {
    for (target, help) in [
        ("127.0.0.1:0", "port 0 cannot be reached: give the port that the other side listens on"),
        ("127.0.0.1", "the port is missing: host:port, such as gateway.acme.example:7443"),
        ("127.0.0.1:http", "'http' is not a port: give a number from 1 to 65535"),
        ("127.0.0.1:+80", "'+80' is not a port: give a number from 1 to 65535"),
        ("127.0.0.1:65536", "'65536' is not a port: give a number from 1 to 65535"),
        (":8080", "the host is missing: host:port, such as 127.0.0.1:8080"),
        ("::1", "an IPv6 address stands in brackets, with a port: [::1]:7443"),
        ("fe80::1%eth0:80", "an IPv6 address stands in brackets: [::1]:8080"),
        ("[::1:80", "the bracket of the IPv6 address is not closed"),
        ("[nonsense]:80", "what stands in the brackets is not an IPv6 address"),
        ("http://127.0.0.1:80", "give host:port alone, without a scheme such as http://"),
        ("256.0.0.1:80", "the host looks like an IPv4 address and is none"),
        ("a b:80", "the host is neither a DNS name nor an IP address"),
        ("-a.example:80", "the host is neither a DNS name nor an IP address"),
    ] {
        let more = format!(r#""services": [{{ "name": "a", "protocol": "tcp", "target": "{target}" }}]"#);
        says(
            &with(&more),
            &format!(
                "error: catalyst.json:3:58 at /services/0/target: expected host:port such as \"gateway.acme.example:7443\", found \"{target}\"\n  help: {help}"
            ),
        );
    }
    for (listen, help) in [
        (":9001", "give the address too: 127.0.0.1:9001 for this machine, 0.0.0.0:9001 for all"),
        ("9001", "an address to listen on has a port: 127.0.0.1:9001, 0.0.0.0:7443, [::]:7443"),
        ("::", "an IPv6 address stands in brackets, with a port: [::]:7443"),
        ("0.0.0.0:70000", "the port must be a number from 0 to 65535"),
        ("eth0:9001", "an address to listen on is an IP address of this machine: 127.0.0.1, 0.0.0.0 or [::]"),
    ] {
        let more = format!(r#""expose": [{{ "service": "a.b", "listen": "{listen}" }}]"#);
        says(
            &with(&more),
            &format!(
                "error: catalyst.json:3:42 at /expose/0/listen: expected an IP address and port such as \"127.0.0.1:9001\", found \"{listen}\"\n  help: {help}"
            ),
        );
    }
}

#[test]
fn paths() {
    for (path, help) in [
        ("", "the path is empty"),
        ("~/state", "'~' is not expanded: give the whole path"),
        ("a\\u0000b", "a path cannot hold a NUL character"),
    ] {
        says(
            &with(&format!("\"state_dir\": \"{path}\"")),
            &format!(
                "error: catalyst.json:3:14 at /state_dir: expected the path of a file, found \"{path}\"\n  help: {help}"
            ),
        );
    }
    let long = "d/".repeat(60);
    says(
        &with(&format!("\"state_dir\": \"{long}\"")),
        &format!(
            "error: catalyst.json at /admin/socket: expected a path of at most 107 bytes, as the system wants of a socket, found 130 bytes, \"{}...\"\n  \
             help: give a shorter admin.socket, or a shorter state_dir",
            &long[..60]
        ),
    );
}

#[test]
fn peers_that_do_not_fit() {
    says(
        &with(
            r#""peers": [
{ "node": "cloud-1", "address": "a:1" },
{ "node": "cloud-1", "org": "acme.example", "address": "b:1" },
{ "node": "edge-1" },
{ "node": "c", "bundle": "x.pem" },
{ "node": "gw", "org": "globex.example", "bundle": "x.pem" } ]"#,
        ),
        "error: catalyst.json:5:11 at /peers/1/node: expected each peer once, found \"cloud-1.acme.example\" again\n  \
         help: the first one is /peers/0: remove one of the two\n\
         error: catalyst.json:6:11 at /peers/2/node: expected a neighbour, found this node itself, \"edge-1\"\n  \
         help: remove this peer, or correct \"node\" here or at the top\n\
         error: catalyst.json:7:26 at /peers/3/bundle: expected no \"bundle\" for a node of the own organisation, found \"x.pem\"\n  \
         help: nodes of one organisation share everything: remove it, or write the peer's \"org\"\n\
         error: catalyst.json:8:1 at /peers/4/agreement: expected the key \"agreement\", as \"globex.example\" is another organisation, found none\n  \
         help: give the path of the agreement; without it nothing is exchanged with \"globex.example\"",
    );
    let no_listen =
        r#"{ "version": 1, "org": "acme.example", "node": "edge-1", "peers": [{ "node": "cloud-1" }] }"#;
    let at = "error: catalyst.json:1:68 at /peers/0/address: expected an address, as this node does not listen, found none\n  help: write";
    assert_eq!(
        read(no_listen, &[], &[], Build::Edge).unwrap_err().to_string(),
        format!("{at} \"address\": the edge dials out only")
    );
    says(no_listen, &format!("{at} \"address\", or let this node listen: \"listen\": \"0.0.0.0:7443\""));
}

#[test]
fn the_edge_does_not_listen() {
    assert_eq!(
        read(&with("\"log\": \"info\""), &[], &[], Build::Edge).unwrap_err().to_string(),
        "error: catalyst.json:2:54 at /listen: expected no \"listen\" in the edge build, found \"0.0.0.0:7443\"\n  \
         help: the edge dials out only: remove the key, and give each peer an address"
    );
    // One file for both: the edge unsets it.
    let config = read(&with("\"log\": \"info\""), &[], &["listen=null"], Build::Edge).unwrap();
    assert_eq!(config.listen, None);
}

#[test]
fn rules_need_the_organisation_of_a_peer() {
    says(
        &with(&format!(
            r#""peers": [{GLOBEX}],
"exports": [{{ "service": "*", "to": "globex.example" }}, {{ "service": "*", "to": "initech.example" }}],
"imports": [{{ "service": "a", "from": "acme.example" }}, {{ "service": "b", "from": "globex.example" }}, {{ "service": "b", "from": "globex.example" }},
  {{ "service": "C.globex.example", "from": "x" }}]"#
        )),
        "error: catalyst.json:4:81 at /exports/1/to: expected the organisation of a peer, found \"initech.example\", which no peer belongs to\n  \
         help: nothing can be exported: add a peer with \"org\": \"initech.example\", its bundle and the agreement\n\
         error: catalyst.json:6:16 at /imports/3/service: expected services such as \"inventory\", \"inv*\", \"*\" or \"orders.initech.example\", found \"C.globex.example\"\n  \
         help: a service is a label such as 'orders', a pattern such as 'inv*' or '*', or a full name such as 'orders.initech.example', '*.initech.example' or '*.*'",
    );
    says(
        &with(&format!(
            r#""peers": [{GLOBEX}],
"imports": [{{ "service": "a", "from": "acme.example" }}, {{ "service": "b", "from": "globex.example" }},
  {{ "service": "b", "from": "globex.example" }}, {{ "service": "c", "from": "nobody.example" }}]"#
        )),
        "error: catalyst.json:4:39 at /imports/0/from: expected another organisation, found the own one, \"acme.example\"\n  \
         help: nodes of one organisation share everything: remove this rule\n\
         error: catalyst.json:5:3 at /imports/2: expected each rule once, found \"b\" from \"globex.example\" again\n  \
         help: the first one is /imports/1: remove one of the two\n\
         error: catalyst.json:5:75 at /imports/3/from: expected the organisation of a peer, found \"nobody.example\", which no peer belongs to\n  \
         help: nothing can be imported: add a peer with \"org\": \"nobody.example\", its bundle and the agreement",
    );
}

#[test]
fn finer_rules_are_checked_where_they_stand() {
    says(
        &with(&format!(
            r#""peers": [{GLOBEX}],
"exports": [{{ "service": "*.*", "to": "gw.globex.example", "set": {{ "local_pref": 5 }} }}],
"imports": [{{ "service": "*", "from": "*", "set": {{ "local_pref": 400 }} }},
  {{ "service": "*", "from": "*", "path": ["globex.example", "Initech"] }}]"#
        )),
        "error: catalyst.json:4:69 at /exports/0/set/local_pref: expected a known key, found \"local_pref\"\n  \
         help: known here: cost, add_tags, del_tags\n\
         error: catalyst.json:5:67 at /imports/0/set/local_pref: expected a whole number from 0 to 399, found 400\n  \
         help: leave it out to rank by role\n\
         error: catalyst.json:6:61 at /imports/1/path/1: expected an organisation, \"*\" or \"**\", found \"Initech\"\n  \
         help: a path is a list of organisations, nearest first, with '*' for one of them and '**' for any number",
    );
    says(
        &with(&format!(
            r#""peers": [{GLOBEX}],
"exports": [{{ "name": "a", "service": "*", "to": "globex.example" }}, {{ "name": "a", "service": "b", "to": "*" }}],
"imports": [{{ "service": "*", "from": "*", "action": "reject", "set": {{ "cost": 1 }} }}]"#
        )),
        "error: catalyst.json:4:80 at /exports/1/name: expected each name once, found \"a\" again\n  \
         help: the rule at place 0 has this name already; names are unique in a list\n\
         error: catalyst.json:5:13 at /imports/0: expected a rule that holds together, found one that does not\n  \
         help: a rule that rejects sets nothing; remove 'set' or the action",
    );
}

#[test]
fn an_interest_is_no_longer_than_neighbours_read() {
    let stars: Vec<String> = (0..65).map(|n| format!("\"s{n}*.globex.example\"")).collect();
    says(
        &with(&format!("\"interest\": [{}]", stars.join(","))),
        "error: catalyst.json:3:13 at /interest: expected at most 64 patterns with '*', found 65\n  \
         help: name services, or everything of an organisation",
    );
    let names: Vec<String> = (0..1024).map(|n| format!("\"s{n}.globex.example\"")).collect();
    let expose = |service: &str| {
        format!(
            "\"interest\": [{}], \"expose\": [{{ \"service\": \"{service}\", \"listen\": \"127.0.0.1:9001\" }}]",
            names.join(",")
        )
    };
    says(
        &with(&expose("more.globex.example")),
        "error: catalyst.json:3:13 at /interest: expected at most 1024 services and patterns, those of 'expose' among them, \
         found 1025\n  help: use patterns",
    );
}

#[test]
fn services_and_exposed_ports_stand_once() {
    says(
        &with(
            r#""services": [{ "name": "a", "protocol": "tcp", "target": "a:1" }, { "name": "a", "protocol": "udp", "target": "a:2" }],
"expose": [{ "service": "x.y", "listen": "127.0.0.1:9001" }, { "service": "z.y", "listen": "0.0.0.0:9001" },
{ "service": "x.y", "listen": "127.0.0.1:7443" }, { "service": "x.y", "listen": "127.0.0.1:0" }, { "service": "z.y", "listen": "127.0.0.1:0" }]"#,
        ),
        "error: catalyst.json:3:77 at /services/1/name: expected each service once, found \"a\" again\n  \
         help: the first one is /services/0: remove one of the two\n\
         error: catalyst.json:4:92 at /expose/1/listen: expected a free address, found \"0.0.0.0:9001\"\n  \
         help: /expose/0 listens there already: give another port\n\
         error: catalyst.json:5:31 at /expose/2/listen: expected a free address, found \"127.0.0.1:7443\"\n  \
         help: the node itself listens there (/listen): give another port",
    );
}

#[test]
fn a_target_is_no_port_of_the_node_itself() {
    let file = |target: &str, protocol: &str| {
        with(&format!(
            r#""services": [{{ "name": "a", "protocol": "{protocol}", "target": "{target}" }}],
"expose": [{{ "service": "x.y", "listen": "127.0.0.1:9001" }}, {{ "service": "z.y", "listen": "[::]:9002", "protocol": "udp" }}],
"http": {{ "listen": "0.0.0.0:80" }}"#
        ))
    };
    let circle = |target: &str, protocol: &str, place: &str| {
        let column = 55 + protocol.len();
        says(
            &file(target, protocol),
            &format!(
                "error: catalyst.json:3:{column} at /services/0/target: expected the address of a server, found \"{target}\", \
                 which this node itself listens on ({place})\n  \
                 help: each connection would open another one: give the address of the server behind the service"
            ),
        );
    };
    for (target, place) in [
        ("127.0.0.1:9001", "/expose/0"),
        ("localhost:9001", "/expose/0"),
        ("web.LOCALHOST.:9001", "/expose/0"),
        ("0.0.0.0:9001", "/expose/0"),
        ("[::ffff:127.0.0.1]:9001", "/expose/0"),
        ("127.8.8.8:80", "/http"),
        ("[::1]:80", "/http"),
        ("[::]:7443", "/listen"),
    ] {
        circle(target, "tcp", place);
    }
    circle("127.0.0.1:9002", "udp", "/expose/1");
    circle("127.0.0.1:7443", "udp", "/listen");
    for (target, protocol) in [
        ("127.0.0.1:9001", "udp"),
        ("127.0.0.1:9002", "http"),
        ("127.0.0.1:80", "udp"),
        ("127.0.0.2:9001", "tcp"),
        ("[::1]:9001", "tcp"),
        ("192.0.2.7:80", "tcp"),
        ("localhost.example:80", "tcp"),
    ] {
        assert!(read(&file(target, protocol), &[], &[], Build::Cloud).is_ok(), "{target} {protocol}");
    }
}

#[test]
fn limits() {
    let text = with(r#""limits": { "routes": 0, "peers": 1 }, "peers": [{ "node": "a" }, { "node": "b" }]"#);
    says(
        &text,
        "error: catalyst.json:3:23 at /limits/routes: expected a whole number from 1 to 1000000, found 0\n  \
         help: leave it out for the default",
    );
    says(
        &text.replace("\"routes\": 0", "\"routes\": 1"),
        "error: catalyst.json:3:49 at /peers: expected at most 1 of them, found 2\n  \
         help: raise limits.peers (CATALYST_LIMITS__PEERS), or remove some",
    );
    let text = text.replace("\"listen\": \"0.0.0.0:7443\",", "").replace("\"routes\": 0", "\"routes\": 4097");
    let text = text
        .replace("\"a\" }", "\"a\", \"address\": \"a:1\" }")
        .replace("\"b\" }", "\"b\", \"address\": \"b:1\" }");
    assert_eq!(
        read(&text, &[], &[], Build::Edge).unwrap_err().to_string(),
        "error: catalyst.json:3:23 at /limits/routes: expected a whole number from 1 to 4096, found 4097\n  \
         help: the edge build serves at most 4096"
    );
    let tags = vec!["\"a:b\""; 17].join(",");
    let more =
        format!(r#""services": [{{ "name": "a", "protocol": "tcp", "target": "a:1", "tags": [{tags}] }}]"#);
    assert!(read(&with(&more), &[], &[], Build::Cloud).unwrap_err().to_string().starts_with(
        "error: catalyst.json:3:73 at /services/0/tags: expected at most 16 of them, found 17\n"
    ));
}

#[test]
fn variables_and_flags_are_named() {
    let good = with("\"log\": \"info\"");
    for (env, set, expected) in [
        (
            Some(("CATALYST_LIMITS__ROUTES", "many")),
            None,
            "environment variable CATALYST_LIMITS__ROUTES at /limits/routes: expected a whole number from 1 to 1000000, found \"many\"\n  help: write plain decimal digits",
        ),
        (
            Some(("CATALYST_LIMITS__ROUTS", "1")),
            None,
            "environment variable CATALYST_LIMITS__ROUTS at /limits/routs: expected a known key, found \"ROUTS\"\n  help: did you mean ROUTES?",
        ),
        (
            Some(("CATALYST_log", "info")),
            None,
            "environment variable CATALYST_log: expected a name in capitals, found CATALYST_log\n  help: did you mean CATALYST_LOG?",
        ),
        (
            Some(("CATALYST_PEERS", "cloud-1")),
            None,
            "environment variable CATALYST_PEERS at /peers: expected a list of objects, found \"cloud-1\"\n  help: write it as JSON, quoted for your shell",
        ),
        (
            Some(("CATALYST_PEERS", "[{\"node\": \"A\", \"x\": 1, \"x\": 2}]")),
            None,
            "environment variable CATALYST_PEERS at /peers/0/x: expected each key once, found \"x\" again\n  help: a key stands once in an object: remove one of the two\n\
             error: environment variable CATALYST_PEERS at /peers/0/node: expected a node's name such as \"edge-1\", found \"A\"\n  \
             help: the node may hold only a-z, 0-9 and '-' (and '.' between labels); look at character 1\n\
             error: environment variable CATALYST_PEERS at /peers/0/x: expected a known key, found \"x\"\n  \
             help: known here: node, org, address, bundle, agreement, profile, restart_s, transport",
        ),
        (
            Some(("CATALYST_PORT_7443_TCP", "tcp://10.0.0.1:7443")),
            None,
            "environment variable CATALYST_PORT_7443_TCP at /port_7443_tcp: expected a known key, found \"PORT_7443_TCP\"\n  \
             help: if Kubernetes set it for a Service named catalyst, set enableServiceLinks: false in the pod",
        ),
        (
            None,
            Some("limits.routes"),
            "flag --set limits.routes: expected key=value, found \"limits.routes\"\n  help: write --set limits.routes=512",
        ),
        (
            None,
            Some("log=loud"),
            "flag --set log=loud at /log: expected one of error, warn, info, debug, found \"loud\"\n  help: use \"info\"",
        ),
        (
            None,
            Some("services.2.name=a"),
            "flag --set services.2.name=a at /services/2: expected an index from 0 to 0, found \"2\"\n  help: count from 0; the next free index adds an element",
        ),
        (
            None,
            Some("log.level=info"),
            "flag --set log.level=info at /log/level: expected one of error, warn, info, debug itself, found a key below it, \"level\"\n  help: shorten the name: there is nothing below this key",
        ),
        (
            Some(("CATALYST_LIMITS_ROUTES", "9")),
            None,
            "environment variable CATALYST_LIMITS_ROUTES at /limits_routes: expected a known key, found \"LIMITS_ROUTES\"\n  help: did you mean LIMITS__ROUTES? Two underscores part a key from the one above it",
        ),
        (
            None,
            Some("$schema=x"),
            "flag --set $schema=x at /$schema: expected a known key, found \"$schema\"\n  help: known here: version, org, node, state_dir, identity, authority, listen, admin, profile, stale_max_s, flap, log, sandbox, threads, metrics, peers, services, exports, imports, interest, expose, expose_ports, http, https, envoy, limits",
        ),
    ] {
        let env: Vec<_> = env.into_iter().collect();
        let sets: Vec<_> = set.into_iter().collect();
        let errors = read(&good, &env, &sets, Build::Cloud).unwrap_err();
        assert_eq!(errors.to_string(), format!("error: {expected}"));
    }
}

#[test]
fn without_a_file_the_place_is_the_configuration() {
    let errors =
        from_text(None, &[], &["org=acme.example".into()], Build::Cloud, &Compiled::CLOUD).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "error: configuration at /node: expected the key \"node\", a node's name such as \"edge-1\", found none\n  \
         help: write \"node\": \"edge-1\" with a name of your choice"
    );
}

#[test]
fn all_errors_are_told_up_to_a_number() {
    let many: Vec<_> = (0..60).map(|i| format!("\"key{i}\": 1")).collect();
    let errors = read(&with(&many.join(",\n")), &[], &[], Build::Cloud).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (50, 10));
    assert!(errors.to_string().ends_with("\nand 10 more errors; mend these first"));
    assert_eq!(errors.errors[49].place.position, Some((52, 1)));
}

#[test]
fn long_values_are_cut() {
    let errors =
        read(&with(&format!("\"log\": \"{}\"", "é".repeat(100))), &[], &[], Build::Cloud).unwrap_err();
    assert_eq!(errors.errors[0].found, format!("\"{}...\"", "é".repeat(60)));
}

#[test]
fn programs_and_checks() {
    let service = |protocol: &str, more: &str| {
        with(&format!(
            "\"services\": [{{ \"name\": \"s\", \"protocol\": \"{protocol}\", \"target\": \"t:1\",\n{more} }}]"
        ))
    };
    for (protocol, more, expected) in [
        (
            "tcp",
            r#""run": { "command": [] }"#,
            "4:21 at /services/0/run/command: expected a program and its arguments, found none\n  help: write a list such \
             as [\"python3\", \"-m\", \"http.server\", \"8000\"]",
        ),
        (
            "tcp",
            r#""run": { "command": "server -x" }"#,
            "4:21 at /services/0/run/command: expected a list of values, found \"server -x\"\n  help: write a list such \
             as [\"python3\", \"-m\", \"http.server\", \"8000\"]",
        ),
        (
            "tcp",
            r#""run": { "command": ["s"], "env": ["8000"] }"#,
            "4:36 at /services/0/run/env/0: expected a variable such as \"PORT=8000\", found \"8000\"\n  help: write \
             NAME=VALUE, in one text",
        ),
        (
            "tcp",
            r#""run": { "command": ["s"], "restart": "allways" }"#,
            "4:39 at /services/0/run/restart: expected one of always, on-failure, never, found \"allways\"\n  help: did you \
             mean \"always\"?",
        ),
        (
            "tcp",
            r#""check": { "type": "exec" }"#,
            "4:10 at /services/0/check/command: expected a program and its arguments, found none\n  help: write a list such \
             as [\"python3\", \"-m\", \"http.server\", \"8000\"]",
        ),
        (
            "tcp",
            r#""check": { "type": "tcp", "path": "/x" }"#,
            "4:35 at /services/0/check/path: expected no \"path\" in a check of type \"tcp\", found \"/x\"\n  help: remove \
             it, or write \"type\": \"http\"",
        ),
        (
            "tcp",
            r#""check": { "type": "http", "path": "x" }"#,
            "4:36 at /services/0/check/path: expected a path such as \"/healthz\", found \"x\"\n  help: a path begins with a \
             slash; host and port are those of the target",
        ),
        (
            "udp",
            r#""check": { "type": "tcp" }"#,
            "4:20 at /services/0/check/type: expected \"exec\", as the service speaks udp, found \"tcp\"\n  help: nothing of \
             a UDP service answers to TCP: write \"type\": \"exec\" with a program that asks it",
        ),
        (
            "tcp",
            r#""check": { "type": "tcp", "rise": 0 }"#,
            "4:35 at /services/0/check/rise: expected a whole number from 1 to 100, found 0\n  help: leave it out for 2",
        ),
    ] {
        says(&service(protocol, more), &format!("error: catalyst.json:{expected}"));
    }
}

#[test]
fn ports_of_run_time() {
    for (text, help) in [
        ("9000-", "ports are numbers from 1 to 65535: \"9000-9099\""),
        ("0", "ports are numbers from 1 to 65535: \"9000-9099\""),
        ("9100-9000", "the smaller number comes first: \"9000-9100\""),
        ("1000-2024", "at most 1024 ports"),
    ] {
        let set = format!("expose_ports={text}");
        let error = read(&with("\"log\": \"info\""), &[], &[&set], Build::Cloud).unwrap_err().to_string();
        assert!(error.ends_with(&format!("at /expose_ports: expected ports such as \"9000-9099\", or \"none\", found \"{text}\"\n  help: {help}")), "{error}");
    }
    for (text, ports) in [("none", 0), ("9000", 1), ("1000-2023", 1024)] {
        let set = format!("expose_ports={text}");
        let config = read(&with("\"log\": \"info\""), &[], &[&set], Build::Cloud).unwrap();
        assert_eq!(config.expose_ports.iter().count(), ports);
    }
}
