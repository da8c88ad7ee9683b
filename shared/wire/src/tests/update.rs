//! UPDATE: what it weighs, what a broken element costs, and the writer that fills frames.

use std::vec::Vec;

use catalyst_names::Protocol;
use proptest::prelude::*;

use super::kit::{attr, body, entry, frame, key, names, post, update};
use super::model::{label, noise, route, service};
use crate::attr::kind;
use crate::update::{write_entry, write_key};
use crate::{
    Announced, AttrError, Attrs, FrameError, FrameType, Full, HEADER, Limits, Path, Update, UpdateWriter,
    Withdrawn,
};

const FRAME: usize = HEADER + Limits::FRAME_BODY;

#[test]
fn one_route_weighs_51_bytes() {
    let attrs = Attrs { protocol: Protocol::Http, node_path: Path::one("edge-1"), ..Attrs::default() };
    let (mut element, mut buf) = ([0; 256], [0; FRAME]);
    let element = write_entry(&mut element, "inventory.acme.example", "edge-1", &attrs).unwrap();
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    writer.announce(element).unwrap();
    let bytes = writer.finish().unwrap();
    println!("a single-route UPDATE of inventory.acme.example from edge-1: {} bytes", bytes.len());
    assert_eq!(bytes.len(), 51);
    assert!(bytes.len() <= 80, "the bar that the format was made for");
    let read: Vec<_> = update(bytes).announced().collect();
    assert_eq!(read.len(), 1);
    let Announced::Route(route) = read[0] else { panic!("{read:?}") };
    assert_eq!((route.service, route.origin), ("inventory.acme.example", "edge-1"));
    assert_eq!(route.attrs, attrs);
    assert_eq!(Attrs::read(route.raw), Ok(attrs));
}

proptest! {
    #[test]
    fn an_update_is_what_postcard_writes(route in route(), noise in noise(), keys in proptest::collection::vec((service(), label()), 0..4)) {
        let bytes = body(
            &[entry(&route.service, &route.origin, &route.encode(&noise))],
            &keys.iter().map(|(s, o)| key(s, o)).collect::<Vec<_>>(),
        );
        let read = Update::read(&bytes).unwrap();
        let announced: Vec<_> = read.announced().collect();
        let Announced::Route(got) = announced[0] else { panic!("{announced:?}") };
        assert_eq!((got.service, got.origin), (&*route.service, &*route.origin));
        assert_eq!(got.raw, route.encode(&noise));
        route.assert_known(&got.attrs);
        let want: Vec<_> = keys.iter().map(|(service, origin)| Withdrawn::Key { service, origin }).collect();
        assert_eq!(read.withdrawn().collect::<Vec<_>>(), want);

        // And written again.
        let (mut element, mut buf) = ([0; 8192], [0xaa; FRAME]);
        let mut writer = UpdateWriter::new(&mut buf).unwrap();
        let announced = write_entry(&mut element, got.service, got.origin, &got.attrs).unwrap();
        assert_eq!(announced, entry(&route.service, &route.origin, &route.canonical()));
        writer.announce(announced).unwrap();
        for (service, origin) in &keys {
            let withdrawn = write_key(&mut element, service, origin).unwrap();
            assert_eq!(withdrawn, key(service, origin));
            writer.withdraw(withdrawn).unwrap();
        }
        assert_eq!(writer.count(), 1 + keys.len());
        let mut want = body(
            &[entry(&route.service, &route.origin, &route.canonical())],
            &keys.iter().map(|(s, o)| key(s, o)).collect::<Vec<_>>(),
        );
        if keys.is_empty() {
            want.pop();
        }
        assert_eq!(writer.finish().unwrap(), frame(FrameType::Update, &want));
    }

    #[test]
    fn a_tail_is_skipped(route in route(), tail in proptest::collection::vec(any::<u8>(), 0..40)) {
        let element = entry(&route.service, &route.origin, &route.canonical());
        let withdrawn = key(&route.service, &route.origin);
        let longer = entry(&route.service, &route.origin, &tail);
        let bytes = [body(std::slice::from_ref(&element), &[withdrawn, longer]), tail].concat();
        let read = Update::read(&bytes).unwrap();
        assert_eq!(read.announced().count(), 1);
        let want = Withdrawn::Key { service: &route.service, origin: &route.origin };
        assert_eq!(read.withdrawn().collect::<Vec<_>>(), vec![want; 2], "also behind a withdrawn key");
    }

    #[test]
    fn a_broken_length_ends_the_frame(route in route(), at in any::<proptest::sample::Index>()) {
        let whole = body(&[entry(&route.service, &route.origin, &route.canonical())], &[key("a.acme.example", "b")]);
        let cut = &whole[..at.index(whole.len())];
        match Update::read(cut) {
            Err(e) => assert!(matches!(e, FrameError::Truncated | FrameError::Number)),
            // Cut right behind the announcements.
            Ok(read) => assert_eq!((read.announced().count(), read.withdrawn().count()), (1, 0)),
        }
    }

    #[test]
    fn a_writer_fills_a_frame_and_what_it_took_is_read_back(
        sizes in proptest::collection::vec(prop_oneof![20usize..300, 20usize..4_096], 0..120),
        keys in 0usize..1_200, room in prop_oneof![Just(FRAME), Just(60_000), 8usize..FRAME],
    ) {
        let mut buf = vec![0xaa; room];
        let mut writer = UpdateWriter::new(&mut buf).unwrap();
        let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
        for (n, size) in sizes.iter().enumerate() {
            let element = sized(n, *size);
            if writer.announce(&element).is_err() {
                break;
            }
            announced.push(element);
        }
        for n in 0..keys {
            let element = key(&format!("gone-{n}.acme.example"), "edge-1");
            if writer.withdraw(&element).is_err() {
                assert_eq!(writer.announce(&[]), Err(Full), "announcements precede withdrawals");
                break;
            }
            withdrawn.push(element);
        }
        assert_eq!(writer.count(), announced.len() + withdrawn.len());
        let bytes = writer.finish().unwrap().to_vec();
        assert!(bytes.len() <= room.min(FRAME));
        let mut want = body(&announced, &withdrawn);
        if withdrawn.is_empty() {
            want.pop();
        }
        assert_eq!(&bytes, &frame(FrameType::Update, &want));
        let read = update(&bytes);
        assert_eq!(read.announced().count(), announced.len());
        assert!(read.announced().all(|a| matches!(a, Announced::Route(_))));
        assert_eq!(read.withdrawn().count(), withdrawn.len());
        assert!(read.withdrawn().all(|w| matches!(w, Withdrawn::Key { .. })));
    }
}

/// An announcement of about `size` bytes, at least the key's.
fn sized(n: usize, size: usize) -> Vec<u8> {
    let key = format!("s-{n}.acme.example");
    entry(&key, "edge-1", &attr(kind::ATTESTATION + 1, crate::attr::OPTIONAL, &vec![7; size.min(4_040) - 20]))
}

#[test]
fn the_length_of_a_region_takes_one_byte_or_two() {
    // A region of exactly `len` bytes: the elements' own lengths are in it.
    let region = |len: usize| {
        let mut elements = Vec::new();
        let mut left = len;
        while left > 0 {
            let part = if left > 3_000 { 2_000 } else { left };
            let width = if part > 129 { 2 } else { 1 };
            elements.push(post(&vec![b'x'; part - width][..]));
            left -= part;
        }
        assert_eq!(elements.concat().len(), len);
        elements
    };
    for (first, second) in
        [(0, 0), (126, 1), (127, 127), (128, 127), (127, 200), (129 + 1, 129 + 1), (9_000, 5_000)]
    {
        let mut buf = vec![0xaa; FRAME];
        let mut writer = UpdateWriter::new(&mut buf).unwrap();
        region(first).iter().for_each(|e| writer.announce(e).unwrap());
        region(second).iter().for_each(|e| writer.withdraw(e).unwrap());
        let bytes = writer.finish().unwrap();
        let mut want = body(&region(first), &region(second));
        if second == 0 {
            want.pop();
        }
        assert_eq!(bytes, frame(FrameType::Update, &want), "{first} and {second}");
    }
    // Three bytes of length begin above what a legal body can hold; a reader of loose bytes still bounds them.
    let most = body(&region(Limits::FRAME_BODY), &[]);
    assert_eq!(most.len(), Limits::FRAME_BODY + 4);
    assert_eq!(Update::read(&most).unwrap().announced().count(), region(Limits::FRAME_BODY).len());
    let over = body(&region(Limits::FRAME_BODY + 1), &[]);
    assert_eq!(Update::read(&over).map(|_| ()), Err(FrameError::Value));
    assert_eq!(
        Update::read(&[0, 0x81, 0x80, 0x00]).map(|_| ()),
        Err(FrameError::Number),
        "not the shortest form"
    );
}

#[test]
fn a_frame_is_filled_to_its_limit() {
    let mut buf = vec![0xaa; FRAME + 100];
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    // Room for both lengths is kept, two bytes each.
    let mut left = Limits::FRAME_BODY - 4;
    while left > 0 {
        let part = left.min(4_000);
        let width = if part > 129 { 2 } else { 1 };
        writer.announce(&post(&vec![0; part - width][..])).unwrap();
        left -= part;
    }
    assert_eq!(writer.announce(&[0]), Err(Full));
    assert_eq!(writer.withdraw(&[0]), Err(Full));
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len(), FRAME - 2, "no empty region of withdrawals behind");
    assert_eq!(update(bytes).announced().count(), 5);
}

#[test]
fn a_writer_without_elements_or_room() {
    for room in 0..HEADER + 4 {
        assert_eq!(UpdateWriter::new(&mut vec![0; room]).map(|_| ()), Err(Full));
    }
    let mut buf = [0xaa; HEADER + 4];
    let writer = UpdateWriter::new(&mut buf).unwrap();
    assert_eq!(writer.finish(), Ok(&[2, 0, 0, 1, 0][..]));
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    assert_eq!(writer.announce(&[0]), Err(Full));
    assert_eq!(writer.withdraw(&[0]), Err(Full));
    assert_eq!(writer.count(), 0);
    assert_eq!(writer.finish(), Ok(&[2, 0, 0, 1, 0][..]));
    for room in 0..20 {
        assert_eq!(write_key(&mut vec![0; room], "a.acme.example", "edge-1"), Err(Full));
        assert_eq!(write_entry(&mut vec![0; room], "a.acme.example", "edge-1", &Attrs::default()), Err(Full));
    }
}

#[test]
fn the_longest_elements_fit_an_empty_frame() {
    let mut buf = vec![0; FRAME];
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    writer.announce(&post(&vec![0; Limits::ENTRY][..])).unwrap();
    let mut buf = vec![0; FRAME];
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    writer.withdraw(&post(&vec![0; Limits::ENTRY][..])).unwrap();
}

#[test]
fn announcements_precede_withdrawals() {
    let (announced, withdrawn) = (entry("a.acme.example", "edge-1", &[]), key("b.acme.example", "edge-1"));
    let mut buf = [0; 256];
    let mut writer = UpdateWriter::new(&mut buf).unwrap();
    writer.announce(&announced).unwrap();
    writer.withdraw(&withdrawn).unwrap();
    assert_eq!(writer.announce(&announced), Err(Full));
    writer.withdraw(&withdrawn).unwrap();
    assert_eq!(writer.count(), 3);
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes, frame(FrameType::Update, &body(&[announced], &[withdrawn.clone(), withdrawn])));
}

#[test]
fn a_malformed_route_costs_no_other() {
    let bad_cost = attr(kind::COST, 0, &[]);
    let mandatory = attr(999, 0, b"x");
    let good = attr(kind::COST, 0, &[9]);
    let bytes = body(
        &[
            entry("a.acme.example", "edge-1", &good),
            entry("b.acme.example", "edge-1", &bad_cost),
            entry("c.acme.example", "edge-1", &mandatory),
            entry("d.acme.example", "edge-1", &[1]),
            entry("e.acme.example", "edge-1", &good),
        ],
        &[key("f.acme.example", "edge-1")],
    );
    let read = Update::read(&bytes).unwrap();
    let announced: Vec<_> = read.announced().collect();
    let malformed = |service, why| Announced::Malformed { service, origin: "edge-1", why };
    let raw = &good[..];
    let attrs = Attrs { cost: 9, ..Attrs::default() };
    let route = |service| Announced::Route(crate::RouteEntry { service, origin: "edge-1", raw, attrs });
    assert_eq!(
        announced,
        [
            route("a.acme.example"),
            malformed("b.acme.example", AttrError::Value(kind::COST)),
            malformed("c.acme.example", AttrError::Unknown(999)),
            malformed("d.acme.example", AttrError::Framing),
            route("e.acme.example"),
        ]
    );
    assert_eq!(read.withdrawn().count(), 1);
}

#[test]
fn a_malformed_key_costs_no_other_route() {
    let bad: Vec<Vec<u8>> = [
        ("", "edge-1"),
        ("inventory", "edge-1"),
        ("a.acme.example", ""),
        ("a.acme.example", "edge.1"),
        ("A.acme.example", "edge-1"),
        ("a.acme.example.", "edge-1"),
        ("a.acme.example", "edge 1"),
    ]
    .iter()
    .map(|(service, origin)| entry(service, origin, &[]))
    .chain([
        post(&[][..] as &[u8]),
        post(&[200u8][..]),
        post(&[1u8, 0xff][..]),
        post(&[14u8, b'a'][..]),
        post(&post("a.acme.example")[..]),
    ])
    .collect();
    for element in bad {
        let good = key("b.acme.example", "edge-1");
        let bytes = body(&[element.clone(), good.clone()], &[element.clone(), good]);
        let read = Update::read(&bytes).unwrap();
        let announced: Vec<_> = read.announced().collect();
        assert_eq!(announced[0], Announced::NoKey, "{element:?}");
        assert!(matches!(announced[1], Announced::Route(r) if r.service == "b.acme.example"));
        let withdrawn: Vec<_> = read.withdrawn().collect();
        let next = Withdrawn::Key { service: "b.acme.example", origin: "edge-1" };
        assert_eq!(withdrawn, [Withdrawn::NoKey, next]);
    }
}

#[test]
fn regions_that_do_not_add_up_end_the_frame() {
    let read = |bytes: &[u8]| Update::read(bytes).map(|_| ());
    assert_eq!(read(&[]), Err(FrameError::Truncated));
    assert_eq!(read(&[0]), Ok(()));
    assert_eq!(read(&[0, 0]), Ok(()));
    assert_eq!(read(&[1]), Err(FrameError::Truncated), "a region beyond the body");
    assert_eq!(read(&[1, 1]), Err(FrameError::Truncated), "an element beyond its region");
    assert_eq!(read(&[1, 1, 0]), Err(FrameError::Truncated), "an element may not reach into the next region");
    assert_eq!(read(&[0, 2, 2, 0]), Err(FrameError::Truncated), "nor behind the last");
    assert_eq!(read(&[0x80, 0]), Err(FrameError::Number));
    assert_eq!(read(&[2, 0x80, 0]), Err(FrameError::Number));
    assert_eq!(read(&post(&u64::MAX)), Err(FrameError::Value));
    assert_eq!(read(&[2, 0, 0]), Ok(()), "empty elements are framed well, and are no keys");
    assert_eq!(Update::read(&[2, 0, 0]).unwrap().announced().collect::<Vec<_>>(), [Announced::NoKey; 2]);
}

#[test]
fn names_in_attributes_are_told_from_names_in_keys() {
    let path = attr(kind::NODE_PATH, 0, &names(&["edge-1", "hub"]));
    let bytes = body(&[entry("a.acme.example", "edge-9", &path)], &[]);
    let announced: Vec<_> = Update::read(&bytes).unwrap().announced().collect();
    let Announced::Route(route) = announced[0] else { panic!("{announced:?}") };
    assert!(route.attrs.node_path.contains("hub") && !route.attrs.node_path.contains("edge-9"));
    assert_eq!((route.attrs.node_path.first(), route.attrs.node_path.last()), (Some("edge-1"), Some("hub")));
}
