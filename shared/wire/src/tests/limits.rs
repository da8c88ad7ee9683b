//! Every limit, at it and one over: on the way in and on the way out.

use std::vec::Vec;

use catalyst_names::Limits as NameLimits;

use super::kit::{attr, body, entry, frame, frame_of, long_org, names, path, post, update};
use crate::attr::{OPTIONAL, TRANSITIVE, kind};
use crate::frame::Header;
use crate::open::write_frame;
use crate::update::write_entry;
use crate::{
    Announced, AttrError, Attrs, Frame, FrameError, FrameType, Full, HEADER, Limits, Notify, NotifyCode,
    Open, Refused, Update, Writer,
};

fn writes(attrs: &Attrs<'_>) -> Result<Vec<u8>, Full> {
    let mut buf = [0; 16_384];
    let mut out = Writer::new(&mut buf);
    attrs.write(&mut out).map(|()| out.written().to_vec())
}

/// At the limit it is read and written; one over it is neither.
#[track_caller]
fn at_and_over(code: u16, at: (&[u8], Attrs<'_>), over: (&[u8], Attrs<'_>)) {
    let good = attr(code, 0, at.0);
    assert_eq!(Attrs::read(&good), Ok(at.1));
    assert_eq!(writes(&at.1), Ok(good));
    assert_eq!(Attrs::read(&attr(code, 0, over.0)), Err(AttrError::Value(code)));
    assert_eq!(writes(&over.1), Err(Full));
}

#[test]
fn the_body_of_a_frame() {
    for (len, fits) in [(Limits::FRAME_BODY, true), (Limits::FRAME_BODY + 1, false), (65_535, false)] {
        let bytes = frame_of(2, 0, &vec![0; len]);
        let refused = FrameError::TooLong(len);
        assert_eq!(Frame::whole(&bytes).map(|f| f.body.len()), if fits { Ok(len) } else { Err(refused) });
        assert_eq!(
            Frame::split(&bytes[..HEADER]),
            if fits { Ok(None) } else { Err(refused) },
            "by its header alone"
        );
        assert_eq!(Header::write(FrameType::Update, len).is_ok(), fits);
        let mut buf = vec![0; HEADER + len];
        let written = write_frame(&mut buf, FrameType::Update, |out| out.raw(&vec![0; len]));
        assert_eq!(written.is_ok(), fits);
    }
    assert_eq!(Header::write(FrameType::Update, usize::MAX), Err(FrameError::TooLong(usize::MAX)));
}

#[test]
fn organisations_of_a_path() {
    let all = ["a.example"; Limits::ORG_PATH + 1];
    let (at, over) = (&all[1..], &all[..]);
    let attrs = |org_path| Attrs { org_path, ..Attrs::default() };
    at_and_over(kind::ORG_PATH, (&names(at), attrs(path(at))), (&names(over), attrs(path(over))));
    assert_eq!(writes(&attrs(path(at).prepend("b.example"))), Err(Full), "a full path cannot be passed on");
    assert!(writes(&attrs(path(&at[1..]).prepend("b.example"))).is_ok());
}

#[test]
fn nodes_of_a_path() {
    let all = ["edge-1"; Limits::NODE_PATH + 1];
    let (at, over) = (&all[1..], &all[..]);
    let attrs = |node_path| Attrs { node_path, ..Attrs::default() };
    at_and_over(kind::NODE_PATH, (&names(at), attrs(path(at))), (&names(over), attrs(path(over))));
    assert_eq!(writes(&attrs(path(at).prepend("edge-2"))), Err(Full), "a full path cannot be passed on");
}

#[test]
fn tags_of_a_route() {
    let all = ["acme.example:gold"; Limits::TAGS + 1];
    let (at, over) = (&all[1..], &all[..]);
    let attrs = |tags| Attrs { tags, ..Attrs::default() };
    at_and_over(kind::TAGS, (&names(at), attrs(path(at))), (&names(over), attrs(path(over))));
}

#[test]
fn bytes_of_an_attestation() {
    let all = [7; Limits::ATTESTATION + 1];
    let attrs = |reference| Attrs { attestation: Some(reference), ..Attrs::default() };
    let (at, over) = (&all[1..], &all[..]);
    at_and_over(kind::ATTESTATION, (&post(at), attrs(at)), (&post(over), attrs(over)));
}

#[test]
fn lengths_of_names() {
    let label = "a".repeat(NameLimits::LABEL);
    let org = long_org(NameLimits::ORG);
    let tag = format!("{org}:{label}");
    assert_eq!(tag.len(), Limits::TAG);
    let read = |code, value: &[u8]| Attrs::read(&attr(code, 0, value)).map(|_| ());
    assert_eq!(read(kind::ORG_PATH, &names(&[&org])), Ok(()));
    assert_eq!(read(kind::ONLY_TO_CUSTOMER, &post(&*org)), Ok(()));
    assert_eq!(read(kind::NODE_PATH, &names(&[&label])), Ok(()));
    assert_eq!(read(kind::TAGS, &names(&[&tag])), Ok(()));

    let (label, org) = (format!("{label}a"), long_org(NameLimits::ORG + 1));
    assert_eq!(read(kind::ORG_PATH, &names(&[&org])), Err(AttrError::Value(kind::ORG_PATH)));
    assert_eq!(read(kind::ONLY_TO_CUSTOMER, &post(&*org)), Err(AttrError::Value(kind::ONLY_TO_CUSTOMER)));
    assert_eq!(read(kind::NODE_PATH, &names(&[&label])), Err(AttrError::Value(kind::NODE_PATH)));
    for tag in [format!("a:{label}"), format!("{org}:a")] {
        assert_eq!(read(kind::TAGS, &names(&[&tag])), Err(AttrError::Value(kind::TAGS)));
    }
}

#[test]
fn lengths_of_a_key() {
    let (label, org) = ("a".repeat(NameLimits::LABEL), long_org(NameLimits::ORG));
    let (long_label, longer_org) = (format!("{label}a"), long_org(NameLimits::ORG + 1));
    let service = format!("{label}.{org}");
    assert_eq!(service.len(), NameLimits::SERVICE);
    let readable = |service: &str, origin: &str| {
        let bytes = body(&[entry(service, origin, &[])], &[]);
        let first = Update::read(&bytes).unwrap().announced().next();
        matches!(first, Some(Announced::Route(_)))
    };
    assert!(readable(&service, &label));
    assert!(!readable(&service, &long_label));
    assert!(!readable(&format!("{long_label}.acme"), "edge-1"));
    assert!(!readable(&format!("a.{longer_org}"), "edge-1"));
}

#[test]
fn numbers_of_a_route() {
    let attrs = Attrs { weight: u16::MAX, cost: u32::MAX, local_pref: Some(u32::MAX), ..Attrs::default() };
    assert_eq!(Attrs::read(&writes(&attrs).unwrap()), Ok(attrs));
    let over = attr(kind::WEIGHT, 0, &post(&(u32::from(u16::MAX) + 1)));
    assert_eq!(Attrs::read(&over), Err(AttrError::Value(kind::WEIGHT)));
    for code in [kind::COST, kind::LOCAL_PREF, kind::WELL_KNOWN] {
        let over = attr(code, 0, &post(&(u64::from(u32::MAX) + 1)));
        assert_eq!(Attrs::read(&over), Err(AttrError::Value(code)));
    }
}

#[test]
fn unknown_attributes_that_are_carried_on() {
    let first = kind::ATTESTATION + 1;
    // Type in one byte, flags in one, length in two.
    let one = attr(first, OPTIONAL | TRANSITIVE, &[7; 508]);
    assert_eq!(one.len(), Limits::UNKNOWN / 2);
    let two = attr(first + 1, OPTIONAL | TRANSITIVE, &[7; 508]);
    let third = attr(first + 2, OPTIONAL | TRANSITIVE, &[]);
    let at = [&one[..], &two].concat();
    assert_eq!(writes(&Attrs::read(&at).unwrap()), Ok(at.clone()));
    let over = [&at[..], &third].concat();
    assert_eq!(Attrs::read(&over), Err(AttrError::Value(first + 2)));
    let over = [&one[..], &attr(first + 1, OPTIONAL | TRANSITIVE, &[7; 509])].concat();
    assert_eq!(Attrs::read(&over), Err(AttrError::Value(first + 1)));
    // What is dropped is not counted.
    let dropped = [&at[..], &attr(first + 2, OPTIONAL, &[7; 2_000])].concat();
    assert_eq!(writes(&Attrs::read(&dropped).unwrap()), Ok(at));
}

/// An entry of exactly `len` bytes without its own length, filled by an attribute that is skipped.
fn entry_of(len: usize) -> Vec<u8> {
    let key = [post("a.acme.example"), post("edge-1")].concat();
    let head = 1 + 1 + 2;
    let fill = attr(kind::ATTESTATION + 1, OPTIONAL, &vec![7; len - key.len() - head]);
    let element = entry("a.acme.example", "edge-1", &fill);
    assert_eq!(element.len(), len + 2);
    element
}

#[test]
fn bytes_of_an_entry_on_the_way_in() {
    let next = entry("b.acme.example", "edge-1", &[]);
    for (len, fits) in [(Limits::ENTRY, true), (Limits::ENTRY + 1, false), (12_000, false)] {
        let bytes = frame(FrameType::Update, &body(&[entry_of(len), next.clone()], &[]));
        let read: Vec<_> = update(&bytes).announced().collect();
        assert_eq!(read.len(), 2);
        if fits {
            assert!(matches!(read[0], Announced::Route(r) if r.service == "a.acme.example"));
        } else {
            let (service, origin) = ("a.acme.example", "edge-1");
            assert_eq!(read[0], Announced::Malformed { service, origin, why: AttrError::Framing });
        }
        assert!(
            matches!(read[1], Announced::Route(r) if r.service == "b.acme.example"),
            "the next one is untouched"
        );
    }
}

#[test]
fn bytes_of_an_entry_on_the_way_out() {
    let (service, origin) = ("a.acme.example", "edge-1");
    // Tags of 130 bytes fill the entry; the attestation makes it exact.
    let tag = format!("{}:{}", long_org(66), "a".repeat(63));
    let tags = [&*tag; 30];
    let with = |len: usize| {
        let attestation = vec![7; len];
        let attrs = Attrs { tags: path(&tags), attestation: Some(&attestation), ..Attrs::default() };
        let mut buf = [0; 8192];
        write_entry(&mut buf, service, origin, &attrs).map(<[u8]>::len)
    };
    let exact = (0..Limits::ATTESTATION).find(|n| with(*n) == Ok(Limits::ENTRY + 2)).unwrap();
    assert_eq!(with(exact + 1), Err(Full));
}

#[test]
fn words_for_a_person() {
    let at = "ä".repeat(Limits::REASON / 2);
    let over = format!("{at}b");
    let mut buf = [0; 8192];
    let notify = |reason, document| Notify { code: NotifyCode::LIMIT, reason, document };
    let sent = |bytes: &[u8]| bytes[HEADER..].to_vec();

    let body = sent(notify(&at, "").write(&mut buf).unwrap());
    assert_eq!(Notify::read(&body), Ok(notify(&at, "")));
    let body = sent(notify(&over, "").write(&mut buf).unwrap());
    assert_eq!(Notify::read(&body), Ok(notify(&at, "")), "cut by the writer");
    let body = [post(&NotifyCode::LIMIT.0), post(&*over)].concat();
    assert_eq!(Notify::read(&body), Err(FrameError::Value), "refused by the reader");

    let body = sent(Refused { count: 1, reason: &over, services: "" }.write(&mut buf).unwrap());
    assert_eq!(Refused::read(&body), Ok(Refused { count: 1, reason: &at, services: "" }));
    assert_eq!(Refused::read(&[vec![1], post(&*over)].concat()), Err(FrameError::Value));
    let count = post(&(u64::from(u32::MAX) + 1));
    assert_eq!(Refused::read(&[count, post("x")].concat()), Err(FrameError::Number));

    let at = "d".repeat(Limits::DOCUMENT);
    let over = format!("{at}d");
    let body = sent(notify("r", &at).write(&mut buf).unwrap());
    assert_eq!(Notify::read(&body), Ok(notify("r", &at)));
    let body = sent(notify("r", &over).write(&mut buf).unwrap());
    assert_eq!(Notify::read(&body), Ok(notify("r", "")), "left out by the writer");
    let body = [post(&1u16), post("r"), post(&*over)].concat();
    assert_eq!(Notify::read(&body), Err(FrameError::Value), "refused by the reader");
}

#[test]
fn the_mesh_address() {
    let mesh = "a".repeat(Limits::MESH_ADDRESS + 1);
    let open = |mesh_address| Open {
        version_min: 1,
        version_max: 1,
        node: "edge-1.acme.example",
        incarnation: 0,
        hold_ms: 0,
        restart_ms: 0,
        capabilities: 0,
        agreement: None,
        mesh_address,
    };
    let mut buf = [0; 1024];
    let bytes = open(&mesh[1..]).write(&mut buf).unwrap();
    assert_eq!(Open::read(&bytes[HEADER..]), Ok(open(&mesh[1..])));
    let head = bytes.len() - 2 - Limits::MESH_ADDRESS;
    let over = [&bytes[HEADER..head], &post(&*mesh)].concat();
    assert_eq!(Open::read(&over), Err(FrameError::Value));
    assert_eq!(open(&mesh).write(&mut [0; 1024]), Err(Full));
}

#[test]
fn one_over_spoils_one_route_only() {
    let long = attr(kind::ORG_PATH, 0, &names(&["a.example"; Limits::ORG_PATH + 1]));
    let bytes = body(
        &[
            entry("a.acme.example", "edge-1", &[]),
            entry("b.acme.example", "edge-1", &long),
            entry("c.acme.example", "edge-1", &[]),
        ],
        &[],
    );
    let read: Vec<_> = Update::read(&bytes).unwrap().announced().collect();
    let why = AttrError::Value(kind::ORG_PATH);
    assert!(
        matches!(read[0], Announced::Route(r) if r.service == "a.acme.example" && r.attrs == Attrs::default())
    );
    assert_eq!(read[1], Announced::Malformed { service: "b.acme.example", origin: "edge-1", why });
    assert!(matches!(read[2], Announced::Route(r) if r.service == "c.acme.example"));
    assert_eq!(read.len(), 3);
}
