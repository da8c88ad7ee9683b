//! Names that are good, names that are not, and what is said about the latter.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::str::FromStr;

use catalyst_names::{
    Limits, NameError, NodeId, NodeName, OrgId, OriginId, Protocol, Reason, ServiceLabel, ServiceName,
    SpiffeId, SpiffeKind, check,
};

/// Names that no parser may let through, whatever it parses.
const NEVER: &[&str] = &[
    "..",
    ".",
    "-",
    "../../etc",
    "../../etc/passwd",
    "/etc/passwd",
    "javascript:alert(1)",
    "javascript://acme.example/%0aalert(1)",
    "http://acme.example",
    "acme.example/",
    "acme.example:443",
    "a b",
    " acme",
    "acme ",
    "acme\n",
    "acme\0",
    "\u{feff}acme",
    "acme\u{200b}",
    "ACME",
    "Acme.example",
    "acme_example",
    "acme@example",
    "*.example",
    "a%2eb",
    "a\\b",
    "münchen",
    "аcme",
    "acme．example",
    "a..b",
    ".a.b",
    "a.b.",
    "-a.b",
    "a-.b",
    "a.-b",
    "a.b-",
    "$(id)",
    "';--",
    "<b>",
];

fn error<T: FromStr<Err = NameError> + Debug>(text: &str) -> NameError {
    text.parse::<T>().expect_err(text)
}

#[test]
fn good_labels_pass_unchanged() {
    let longest = "a".repeat(Limits::LABEL);
    for text in ["a", "0", "edge-1", "a--b", "xn--mnchen-3ya", "1a", "123", longest.as_str()] {
        assert_eq!(NodeId::parse(text).unwrap().as_str(), text);
        assert_eq!(OriginId::parse(text).unwrap().to_string(), text);
        assert_eq!(ServiceLabel::parse(text).unwrap().as_ref(), text);
        assert_eq!(OrgId::parse(text).unwrap().as_str(), text, "one label is an organisation, too");
        check::label(text, "label").unwrap();
    }
}

#[test]
fn what_must_never_pass_does_not() {
    for text in NEVER {
        error::<NodeId>(text);
        error::<OriginId>(text);
        error::<ServiceLabel>(text);
        error::<OrgId>(text);
        error::<ServiceName>(text);
        error::<NodeName>(text);
        error::<Protocol>(text);
        error::<SpiffeId>(text);
        error::<SpiffeId>(&format!("spiffe://{text}/node/edge-1"));
        error::<SpiffeId>(&format!("spiffe://acme.example/node/{text}"));
        error::<SpiffeId>(&format!("spiffe://acme.example/svc/{text}"));
        error::<ServiceName>(&format!("inventory.{text}"));
        error::<ServiceName>(&format!("{text}.acme.example"));
    }
}

#[test]
fn labels_say_where_they_are_wrong() {
    let over = "a".repeat(64);
    for (text, at, reason) in [
        ("", 0, Reason::Empty),
        ("a.b", 1, Reason::Character),
        ("edge_1", 4, Reason::Character),
        ("edgE", 3, Reason::Character),
        ("édge", 0, Reason::Character),
        ("edgé", 3, Reason::Character),
        ("-edge", 0, Reason::Hyphen),
        ("edge-", 4, Reason::Hyphen),
        ("-", 0, Reason::Hyphen),
        (over.as_str(), 63, Reason::TooLong(63)),
    ] {
        assert_eq!(error::<NodeId>(text), NameError { what: "node", at, reason }, "{text:?}");
        assert_eq!(error::<ServiceLabel>(text), NameError { what: "service", at, reason }, "{text:?}");
        assert_eq!(error::<OriginId>(text), NameError { what: "origin", at, reason }, "{text:?}");
    }
}

#[test]
fn organisations_say_where_they_are_wrong() {
    let long_label = format!("a.{}.b", "c".repeat(64));
    let long = format!("{}.{}", "a".repeat(63), "b".repeat(37));
    assert_eq!(long.len(), 101);
    for (text, at, reason) in [
        ("", 0, Reason::Empty),
        (".", 0, Reason::EmptyLabel),
        (".acme", 0, Reason::EmptyLabel),
        ("acme.", 5, Reason::EmptyLabel),
        ("acme..example", 5, Reason::EmptyLabel),
        ("acme.Example", 5, Reason::Character),
        ("acme.ex ample", 7, Reason::Character),
        ("acme.-x", 5, Reason::Hyphen),
        ("acme.x-", 6, Reason::Hyphen),
        ("acme-.x", 4, Reason::Hyphen),
        (long_label.as_str(), 65, Reason::TooLong(63)),
        (long.as_str(), 100, Reason::TooLong(100)),
    ] {
        assert_eq!(error::<OrgId>(text), NameError { what: "organisation", at, reason }, "{text:?}");
    }
}

#[test]
fn full_names_say_where_they_are_wrong() {
    let long_label = format!("{}.acme", "a".repeat(64));
    let long_org = format!("inventory.{}.{}", "a".repeat(63), "b".repeat(37));
    for (text, at, reason) in [
        ("", 0, Reason::Empty),
        ("inventory", 9, Reason::NoOrganisation),
        ("Inventory", 0, Reason::Character),
        ("inventory.", 10, Reason::EmptyLabel),
        (".acme", 0, Reason::EmptyLabel),
        (".", 0, Reason::EmptyLabel),
        ("inventory..acme", 10, Reason::EmptyLabel),
        ("inventory.acme.", 15, Reason::EmptyLabel),
        ("inventory.acme_x", 14, Reason::Character),
        ("inv/ntory.acme", 3, Reason::Character),
        ("inventory-.acme", 9, Reason::Hyphen),
        ("inventory.-acme", 10, Reason::Hyphen),
        (long_label.as_str(), 63, Reason::TooLong(63)),
        (long_org.as_str(), 110, Reason::TooLong(100)),
    ] {
        assert_eq!(error::<ServiceName>(text), NameError { what: "service name", at, reason }, "{text:?}");
        assert_eq!(error::<NodeName>(text), NameError { what: "node name", at, reason }, "{text:?}");
    }
    assert_eq!(check::service("inventory.acme.example", "x"), Ok(9), "the length of the label");
}

#[test]
fn limits_hold_at_the_limit_and_one_over() {
    let label = "l".repeat(Limits::LABEL);
    let org = format!("{}.{}", "o".repeat(63), "r".repeat(Limits::ORG - 64));
    assert_eq!((label.len(), org.len()), (63, 100));
    let full = format!("{label}.{org}");
    assert_eq!(full.len(), Limits::SERVICE);
    assert_eq!(ServiceName::parse(&full).unwrap().as_str(), full);
    assert_eq!(NodeName::parse(&full).unwrap().as_str(), full);
    let spiffe = format!("spiffe://{org}/node/{label}");
    assert_eq!(spiffe.len(), Limits::SPIFFE);
    assert_eq!(spiffe.parse::<SpiffeId>().unwrap().to_string(), spiffe);

    NodeId::parse(&format!("{label}l")).unwrap_err();
    OrgId::parse(&format!("{org}r")).unwrap_err();
    ServiceName::parse(&format!("l{full}")).unwrap_err();
    ServiceName::parse(&format!("{full}r")).unwrap_err();
    format!("{spiffe}l").parse::<SpiffeId>().unwrap_err();
    // Far over is as cheap as one over.
    OrgId::parse(&"a.".repeat(10_000_000)).unwrap_err();
    // As many labels as fit.
    let many = ["a"; 50].join(".");
    assert_eq!(OrgId::parse(&many).unwrap().as_str(), many);
}

#[test]
fn messages_tell_what_to_do() {
    for (message, expected) in [
        (error::<NodeId>("").to_string(), "the node is empty"),
        (
            error::<NodeId>("Edge").to_string(),
            "only a-z, 0-9 and '-' (and '.' between labels); look at character 1",
        ),
        (error::<OrgId>("a.b-").to_string(), "starts or ends with '-'; look at character 4"),
        (error::<OrgId>("a..b").to_string(), "a '.' with nothing beside it; look at character 3"),
        (error::<ServiceName>("inventory").to_string(), "needs its organisation, as in 'NAME.acme.example'"),
        (
            error::<ServiceName>("inventory.").to_string(),
            "the service name has a '.' with nothing beside it; look at character 11",
        ),
        (error::<NodeId>(&"a".repeat(64)).to_string(), "a label of the node is longer than 63 characters"),
        (error::<OrgId>(&"a.".repeat(60)).to_string(), "the organisation is longer than 100 characters"),
        (
            error::<NodeName>(&"a.".repeat(60)).to_string(),
            "the organisation of the node name is longer than 100 characters",
        ),
        (error::<Protocol>("https").to_string(), "one of tcp, udp, http, http:graphql, http:grpc"),
        (error::<SpiffeId>("x").to_string(), "'spiffe://acme.example/node/edge-1'"),
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn full_names_split_at_the_first_dot_and_join_again() {
    for (text, label, org) in [
        ("inventory.acme.example", "inventory", "acme.example"),
        ("a.b", "a", "b"),
        ("x.y.z.w", "x", "y.z.w"),
    ] {
        let service = ServiceName::parse(text).unwrap();
        assert_eq!((service.label(), service.org()), (label, org));
        let joined = ServiceName::new(&label.parse().unwrap(), &org.parse().unwrap());
        assert_eq!(joined, service);

        let node = NodeName::parse(text).unwrap();
        assert_eq!((node.node(), node.org()), (label, org));
        assert_eq!((node.node_id().as_str(), node.org_id().as_str()), (label, org));
        assert_eq!(NodeName::new(&node.node_id(), &node.org_id()), node);
    }
}

#[test]
fn protocols_have_names_aliases_and_numbers_that_stay() {
    let table = [
        (Protocol::Tcp, 0, "tcp", false),
        (Protocol::Udp, 1, "udp", false),
        (Protocol::Http, 2, "http", true),
        (Protocol::HttpGraphql, 3, "http:graphql", true),
        (Protocol::HttpGrpc, 4, "http:grpc", true),
    ];
    assert_eq!(Protocol::ALL.to_vec(), table.iter().map(|row| row.0).collect::<Vec<_>>());
    for (protocol, code, name, http) in table {
        assert_eq!(protocol.code(), code);
        assert_eq!(Protocol::from_code(code), Some(protocol));
        assert_eq!(protocol.to_string(), name);
        assert_eq!(name.parse::<Protocol>().unwrap(), protocol);
        assert_eq!(protocol.is_http(), http);
    }
    for code in 5..=255 {
        assert_eq!(Protocol::from_code(code), None);
    }
    for alias in ["http:gql", "graphql-http", "http:graphql"] {
        let read: Protocol = alias.parse().unwrap();
        assert_eq!((read, read.to_string().as_str()), (Protocol::HttpGraphql, "http:graphql"));
    }
    for bad in
        ["", "TCP", "Http", "http:", "http:GQL", "graphql", "http:graphql ", "https", "quic", "tcp,udp"]
    {
        let why = error::<Protocol>(bad);
        assert_eq!(why, NameError { what: "protocol", at: 0, reason: Reason::UnknownProtocol }, "{bad:?}");
    }
    assert_eq!(Protocol::default(), Protocol::Tcp);
}

#[test]
fn spiffe_ids_name_nodes_and_services() {
    let node: SpiffeId = "spiffe://acme.example/node/edge-1".parse().unwrap();
    assert_eq!(node, SpiffeId::node(&"acme.example".parse().unwrap(), &"edge-1".parse().unwrap()));
    assert_eq!(node.node_name().unwrap().as_str(), "edge-1.acme.example");
    let service: SpiffeId = "spiffe://acme.example/svc/inventory".parse().unwrap();
    assert_eq!(service.kind, SpiffeKind::Service("inventory".parse().unwrap()));
    assert_eq!(service.node_name(), None);
    assert_eq!(service.to_string(), "spiffe://acme.example/svc/inventory");
}

#[test]
fn spiffe_ids_that_are_something_else_are_refused() {
    for text in [
        "",
        "spiffe://",
        "spiffe:///node/edge-1",
        "spiffe://acme.example",
        "spiffe://acme.example/",
        "spiffe://acme.example/node",
        "spiffe://acme.example/node/",
        "spiffe://acme.example//edge-1",
        "spiffe://acme.example/Node/edge-1",
        "spiffe://acme.example/ns/default/sa/edge-1",
        "spiffe://acme.example/node/edge-1/",
        "spiffe://acme.example/node/edge-1/x",
        "spiffe://acme.example/node//edge-1",
        "spiffe://acme.example/node/edge-1?x",
        "spiffe://acme.example/node/edge-1#x",
        "spiffe://acme.example:443/node/edge-1",
        "spiffe://user@acme.example/node/edge-1",
        "SPIFFE://acme.example/node/edge-1",
        "spiffe:/acme.example/node/edge-1",
        " spiffe://acme.example/node/edge-1",
        "https://acme.example/node/edge-1",
    ] {
        error::<SpiffeId>(text);
    }
    // Offsets count from the start of the whole text.
    for (text, what, at, reason) in [
        ("spiffe://acme.Example/node/edge-1", "organisation", 14, Reason::Character),
        ("spiffe://acme..x/node/edge-1", "organisation", 14, Reason::EmptyLabel),
        ("spiffe:///node/edge-1", "organisation", 9, Reason::Empty),
        ("spiffe://acme.example/node/edge_1", "node", 31, Reason::Character),
        ("spiffe://acme.example/node/", "node", 27, Reason::Empty),
        ("spiffe://acme.example/svc/inventory-", "service", 35, Reason::Hyphen),
        ("spiffe://acme.example/user/x", "SPIFFE ID", 0, Reason::NotSpiffe),
    ] {
        assert_eq!(error::<SpiffeId>(text), NameError { what, at, reason }, "{text}");
    }
}

#[test]
fn serde_speaks_text_both_ways_and_refuses_bad_names() {
    fn both<T>(text: &str, bad: &str, message: &str)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + FromStr<Err = NameError> + PartialEq + Debug,
    {
        let json = format!("\"{text}\"");
        let value: T = serde_json::from_str(&json).unwrap();
        assert_eq!(value, text.parse::<T>().unwrap());
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        // Escapes arrive as an owned string.
        let escaped: T =
            serde_json::from_str(&format!("\"\\u{:04x}{}\"", u32::from(text.as_bytes()[0]), &text[1..]))
                .unwrap();
        assert_eq!(escaped, value);
        let why = serde_json::from_str::<T>(&format!("\"{bad}\"")).unwrap_err().to_string();
        assert!(why.contains(message), "{why}");
        for other in ["1", "null", "[]", "{}", "true", "\"\""] {
            assert!(serde_json::from_str::<T>(other).is_err(), "{other}");
        }
    }
    both::<OrgId>("acme.example", "acme..example", "nothing beside it; look at character 6");
    both::<NodeId>("edge-1", "edge.1", "look at character 5");
    both::<OriginId>("o4f1c", "../../etc", "look at character 1");
    both::<ServiceLabel>("inventory", "javascript:x", "look at character 11");
    both::<ServiceName>("inventory.acme.example", "inventory", "needs its organisation");
    both::<NodeName>("edge-1.acme.example", "Edge-1.acme.example", "look at character 1");
    both::<Protocol>("http:graphql", "ftp", "one of tcp, udp");
    let alias: Protocol = serde_json::from_str("\"http:gql\"").unwrap();
    assert_eq!(serde_json::to_string(&alias).unwrap(), "\"http:graphql\"");
}

#[test]
fn names_are_found_by_their_text_in_every_map() {
    let names = ["b.example", "a.example", "a-b.example", "a0.example"].map(|t| OrgId::parse(t).unwrap());
    let tree: BTreeMap<OrgId, usize> = names.iter().cloned().zip(0..).collect();
    let hash: HashMap<OrgId, usize> = names.iter().cloned().zip(0..).collect();
    for (i, name) in names.iter().enumerate() {
        assert_eq!(tree.get(name.as_str()), Some(&i));
        assert_eq!(hash.get(name.as_str()), Some(&i));
    }
    let order: Vec<&str> = tree.keys().map(OrgId::as_str).collect();
    assert_eq!(order, ["a-b.example", "a.example", "a0.example", "b.example"], "in the order of the text");
    assert_eq!(format!("{:>11}|{:<11}|", names[0], names[0]), "  b.example|b.example  |");
    assert_eq!(format!("{:?} {:6}|", names[0], Protocol::Tcp), "\"b.example\" tcp   |");
}
