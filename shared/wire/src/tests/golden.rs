//! Golden files: bytes that were once on a wire and must mean the same for ever.
//!
//! `UPDATE_GOLDEN=1 cargo test -p catalyst-wire` writes files that are missing. It never changes one.

use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::sync::Once;
use std::vec::Vec;

use super::vectors::{Content, Element, all};
use crate::small::write_end_of_rib;
use crate::update::{write_entry, write_key, write_overtaken};
use crate::{
    Announced, Frame, FrameType, HEADER, Interest, Keepalive, Limits, Notify, Open, Overtaken, Refresh,
    Refused, Revocations, Trust, Update, UpdateWriter, Withdrawn,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// Whether missing files are written.
pub fn may_write() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok_and(|v| v == "1")
}

/// Hex of a golden file; lines that begin with `#` are comments.
fn parse(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a golden file holds hex")).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0, "a golden file holds whole bytes");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn print(what: &str, bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        hex.join(" ") + "\n"
    });
    format!("# {what}\n{}", lines.collect::<String>())
}

fn read_file(file: &str) -> Vec<u8> {
    write_missing();
    let path = folder().join(format!("{file}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!("{}: {e}; UPDATE_GOLDEN=1 writes golden files that are missing", path.display())
    });
    parse(&text)
}

/// The bytes of all golden files, by name.
pub fn frames() -> Vec<(&'static str, Vec<u8>)> {
    all().iter().map(|v| (v.file, read_file(v.file))).collect()
}

/// The frame as this version writes it.
pub fn write(content: &Content) -> Vec<u8> {
    let mut buf = vec![0xaa; HEADER + Limits::FRAME_BODY];
    match content {
        Content::Open(open) => open.write(&mut buf).unwrap().to_vec(),
        Content::Keepalive(keepalive) => keepalive.write(&mut buf).unwrap().to_vec(),
        Content::Refused(refused) => refused.write(&mut buf).unwrap().to_vec(),
        Content::Notify(notify) => notify.write(&mut buf).unwrap().to_vec(),
        Content::Trust(signature, org, epoch, entries) => {
            let mut statement = vec![0; Limits::STATEMENT];
            let n = Revocations::write(org, *epoch, entries.iter().copied(), &mut statement).unwrap();
            let trust = Trust { kind: Trust::REVOCATIONS, statement: &statement[..n], signature };
            trust.write(&mut buf).unwrap().to_vec()
        }
        Content::Refresh(refresh) => refresh.write(&mut buf).unwrap().to_vec(),
        Content::Interest(list) => {
            let (frame, fit) = Interest::write(list.map(|l| l.iter().copied()), &mut buf).unwrap();
            assert_eq!(fit, list.map_or(0, <[_]>::len));
            frame.to_vec()
        }
        Content::Bare(FrameType::EndOfRib) => write_end_of_rib(&mut buf).unwrap().to_vec(),
        Content::Bare(kind) => crate::open::write_frame(&mut buf, *kind, |_| Ok(())).unwrap().to_vec(),
        Content::Update(announced, withdrawn) => write_update(&mut buf, announced, withdrawn, &[]),
        Content::News(announced, withdrawn, news) => write_update(&mut buf, announced, withdrawn, news),
        Content::Skipped(_) => Vec::new(),
    }
}

fn write_update(
    buf: &mut [u8],
    announced: &[Element],
    withdrawn: &[(&str, &str)],
    news: &[Overtaken<'_>],
) -> Vec<u8> {
    let mut element = [0; Limits::ENTRY + 2];
    let mut writer = UpdateWriter::new(buf).unwrap();
    for route in announced {
        if let Element::Route(service, origin, attrs) = route {
            writer.announce(write_entry(&mut element, service, origin, attrs).unwrap()).unwrap();
        }
    }
    for (service, origin) in withdrawn {
        writer.withdraw(write_key(&mut element, service, origin).unwrap()).unwrap();
    }
    for overtaken in news {
        writer.overtake(write_overtaken(&mut element, overtaken).unwrap()).unwrap();
    }
    writer.finish().unwrap().to_vec()
}

/// Asserts that the frame says what it should.
fn check(file: &str, bytes: &[u8], content: &Content) {
    let frame = Frame::whole(bytes).unwrap();
    let kind = frame.kind();
    let body = frame.body;
    match content {
        Content::Skipped(code) => assert_eq!((kind, frame.code), (Ok(None), *code), "{file}"),
        Content::Bare(want) => assert_eq!(kind, Ok(Some(*want)), "{file}"),
        Content::Refresh(refresh) => {
            assert_eq!((kind, Refresh::read(body)), (Ok(Some(FrameType::Refresh)), Ok(*refresh)), "{file}");
        }
        Content::Interest(list) => {
            let read = Interest::read(body).unwrap();
            assert_eq!(
                (kind, read.more, read.all),
                (Ok(Some(FrameType::Interest)), false, list.is_none()),
                "{file}"
            );
            assert!(read.patterns().eq(list.unwrap_or_default().iter().copied()), "{file}");
        }
        Content::Open(open) => {
            assert_eq!((kind, Open::read(body)), (Ok(Some(FrameType::Open)), Ok(*open)), "{file}");
        }
        Content::Keepalive(keepalive) => {
            assert_eq!(
                (kind, Keepalive::read(body)),
                (Ok(Some(FrameType::Keepalive)), Ok(*keepalive)),
                "{file}"
            );
        }
        Content::Refused(refused) => {
            assert_eq!((kind, Refused::read(body)), (Ok(Some(FrameType::Refused)), Ok(*refused)), "{file}");
        }
        Content::Notify(notify) => {
            assert_eq!((kind, Notify::read(body)), (Ok(Some(FrameType::Notify)), Ok(*notify)), "{file}");
        }
        Content::Trust(signature, org, epoch, entries) => {
            let trust = Trust::read(body).unwrap();
            assert_eq!((kind, trust.kind), (Ok(Some(FrameType::Trust)), Trust::REVOCATIONS), "{file}");
            assert_eq!(trust.signature, *signature, "{file}");
            let read = Revocations::read(trust.statement).unwrap();
            assert_eq!((read.org, read.epoch), (*org, *epoch), "{file}");
            assert!(read.entries().eq(entries.iter().copied()), "{file}");
        }
        Content::Update(announced, withdrawn) => {
            assert_eq!(kind, Ok(Some(FrameType::Update)), "{file}");
            check_update(file, body, announced, withdrawn, &[]);
        }
        Content::News(announced, withdrawn, news) => {
            assert_eq!(kind, Ok(Some(FrameType::Update)), "{file}");
            check_update(file, body, announced, withdrawn, news);
        }
    }
}

fn check_update(
    file: &str,
    body: &[u8],
    announced: &[Element],
    withdrawn: &[(&str, &str)],
    news: &[Overtaken<'_>],
) {
    let update = Update::read(body).unwrap();
    let got: Vec<_> = update.announced().collect();
    assert_eq!(got.len(), announced.len(), "{file}");
    for (got, want) in got.iter().zip(announced) {
        check_element(file, got, want);
    }
    let keys = withdrawn.iter().map(|(service, origin)| Withdrawn::Key { service, origin });
    assert!(update.withdrawn().eq(keys), "{file}");
    assert!(update.overtaken().eq(news.iter().copied()), "{file}");
}

fn check_element(file: &str, got: &Announced<'_>, want: &Element) {
    match (got, want) {
        (Announced::Route(got), Element::Route(service, origin, attrs)) => {
            assert_eq!((got.service, got.origin, got.attrs), (*service, *origin, *attrs), "{file}");
        }
        (Announced::Malformed { service, origin, why }, Element::Malformed(s, o, w)) => {
            assert_eq!((service, origin, why), (s, o, w), "{file}");
        }
        (Announced::NoKey, Element::NoKey) => {}
        _ => panic!("{file}: {got:?}"),
    }
}

/// With `UPDATE_GOLDEN=1`: writes the files that are not there, once for all tests.
fn write_missing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for vector in all().iter().filter(|_| may_write()) {
            let path = folder().join(format!("{}.hex", vector.file));
            if !path.exists() {
                let bytes = vector.foreign.clone().unwrap_or_else(|| write(&vector.content));
                std::fs::create_dir_all(folder()).unwrap();
                std::fs::write(&path, print(vector.what, &bytes)).unwrap();
            }
        }
    });
}

#[test]
fn golden_files_mean_what_they_meant() {
    for vector in all() {
        let bytes = read_file(vector.file);
        check(vector.file, &bytes, &vector.content);
        match vector.content {
            Content::Skipped(_) => {}
            _ => assert_eq!(
                write(&vector.content),
                vector.again.map_or(bytes, read_file),
                "{}: what it means is written as {}",
                vector.file,
                vector.again.unwrap_or("itself")
            ),
        }
    }
}

#[test]
fn every_golden_file_is_read_and_says_what_it_is() {
    write_missing();
    let known: Vec<String> = all().iter().map(|v| format!("{}.hex", v.file)).collect();
    let mut found = 0;
    for item in std::fs::read_dir(folder()).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        assert!(known.contains(&name), "no test reads golden/v1/{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "golden/v1/{name} does not say what it is");
        found += 1;
    }
    assert_eq!(found, known.len(), "two golden files share a name");
}

#[test]
fn a_changed_byte_of_a_golden_file_is_noticed() {
    for vector in all() {
        // Where bytes may change without a change of meaning: tails, and the flags of known attributes.
        if vector.foreign.is_some() || matches!(vector.content, Content::Update(..) | Content::News(..)) {
            continue;
        }
        let bytes = read_file(vector.file);
        for at in (0..bytes.len()).filter(|at| *at != 1) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let check = || check(vector.file, &changed, &vector.content);
            let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
            assert!(noticed, "{} byte {at}", vector.file);
        }
    }
}

#[test]
fn every_frame_and_every_attribute_has_golden_bytes() {
    let (mut frames, mut attrs) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for vector in all() {
        let bytes = read_file(vector.file);
        let Ok(Some((frame, _))) = Frame::split(&bytes) else { continue };
        let Ok(Some(kind)) = frame.kind() else { continue };
        frames.insert(kind as u8);
        let update = (kind == FrameType::Update).then(|| Update::read(frame.body).ok()).flatten();
        for element in update.iter().flat_map(Update::announced) {
            let Announced::Route(entry) = element else { continue };
            let mut list = crate::Reader::new(entry.raw);
            while !list.is_empty() {
                attrs.insert(list.u64().unwrap());
                list.u8().unwrap();
                list.bytes(Limits::ENTRY).unwrap();
            }
        }
    }
    for kind in FrameType::ALL {
        assert!(frames.contains(&(kind as u8)), "no golden bytes of {}", kind.as_str());
    }
    for kind in 1..=u64::from(crate::attr::kind::ATTESTATION) {
        assert!(attrs.contains(&kind), "no golden bytes of attribute {kind}");
    }
}
