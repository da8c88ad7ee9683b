//! Numbers, text and bytes: the same as `postcard` writes, and only the shortest form is read.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::kit::{names, post};
use super::model::{label, number, org};
use crate::cursor::varint_len;
use crate::{FrameError, Full, Path, Reader, Writer};

fn written(fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
    let mut buf = [0xaa; 4096];
    let mut out = Writer::new(&mut buf);
    fill(&mut out).unwrap();
    assert_eq!(out.len(), out.written().len());
    out.written().to_vec()
}

proptest! {
    #[test]
    fn numbers_are_what_postcard_writes(value in number(), tail in any::<[u8; 3]>()) {
        let bytes = written(|out| out.u64(value));
        assert_eq!(&bytes, &post(&value));
        assert_eq!(bytes.len(), varint_len(value));
        let more = [&bytes[..], &tail].concat();
        let mut reader = Reader::new(&more);
        assert_eq!(reader.u64(), Ok(value));
        assert_eq!(reader.rest(), &tail);
        assert_eq!(Reader::new(&bytes).u32(), u32::try_from(value).map_err(|_| FrameError::Number));
        assert_eq!(Reader::new(&bytes).u16(), u16::try_from(value).map_err(|_| FrameError::Number));
        if let Ok(narrow) = u32::try_from(value) {
            assert_eq!(&bytes, &post(&narrow));
        }
        if let Ok(narrow) = u16::try_from(value) {
            assert_eq!(&bytes, &post(&narrow));
        }
    }

    #[test]
    fn only_the_shortest_form_of_a_number_is_read(value in number(), pad in 1usize..12) {
        let mut bytes = post(&value);
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.extend(std::iter::repeat_n(0x80, pad - 1));
        bytes.push(0);
        assert_eq!(Reader::new(&bytes).u64(), Err(FrameError::Number));
    }

    #[test]
    fn what_is_read_is_what_postcard_reads(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(0x80), Just(0xff), Just(0), Just(1)], 0..14)) {
        let mut reader = Reader::new(&bytes);
        let theirs = postcard::take_from_bytes::<u64>(&bytes);
        match reader.u64() {
            Ok(value) => {
                let (their_value, rest) = theirs.unwrap();
                assert_eq!(value, their_value);
                assert_eq!(reader.rest(), rest);
            }
            // Theirs takes longer forms as well.
            Err(_) => if let Ok((value, rest)) = theirs {
                assert_ne!(post(&value).len(), bytes.len() - rest.len());
            }
        }
    }

    #[test]
    fn text_and_bytes_are_what_postcard_writes(text in ".{0,80}", raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = written(|out| { out.text(&text)?; out.bytes(&raw) });
        assert_eq!(&bytes, &[post(&*text), post(&*raw)].concat());
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.text(text.len()), Ok(&*text));
        assert_eq!(reader.bytes(raw.len()), Ok(&*raw));
        assert!(reader.is_empty());
        for end in 0..bytes.len() {
            let mut short = Reader::new(&bytes[..end]);
            let read = short.text(400).and_then(|_| short.bytes(400));
            assert_eq!(read, Err(FrameError::Truncated));
        }
    }

    #[test]
    fn lists_are_what_postcard_writes(list in proptest::collection::vec(org(), 0..8), front in label()) {
        let list: Vec<&str> = list.iter().map(|s| &**s).collect();
        let bytes = names(&list);
        let path = Path::read(&mut Reader::new(&bytes), 8, 200, |_| true).unwrap();
        assert_eq!(path.iter().collect::<Vec<_>>(), list.clone());
        assert_eq!(written(|out| path.write(out)), bytes);

        let longer: Vec<&str> = std::iter::once(&*front).chain(list.iter().copied()).collect();
        let path = path.prepend(&front);
        assert_eq!(written(|out| path.write(out)), names(&longer));
        assert_eq!(path.encoded_len(), names(&longer).len());
        assert_eq!(path.len(), longer.len());
        assert_eq!(path.first(), Some(&*front));
        assert_eq!(path.last(), longer.last().copied());
        assert!(longer.iter().all(|name| path.contains(name)));
        assert!(!path.contains("not.in.it.at-all"));
    }
}

#[test]
fn numbers_at_their_edges() {
    let max = post(&u64::MAX);
    assert_eq!(max.len(), 10);
    assert_eq!(Reader::new(&max).u64(), Ok(u64::MAX));
    for last in [2u8, 3, 0x7f, 0x80, 0xff] {
        let mut beyond = max.clone();
        beyond[9] = last;
        assert_eq!(Reader::new(&beyond).u64(), Err(FrameError::Number), "{last}");
    }
    assert_eq!(Reader::new(&[]).u64(), Err(FrameError::Truncated));
    assert_eq!(Reader::new(&[0x80]).u64(), Err(FrameError::Truncated));
    assert_eq!(Reader::new(&[0x80, 0]).u64(), Err(FrameError::Number));
    assert_eq!(Reader::new(&[0]).u64(), Ok(0));
    for width in 1..=10 {
        let first = if width == 1 { 0 } else { 1u64 << (7 * (width - 1)) };
        assert_eq!(varint_len(first), width);
        assert_eq!(varint_len(first.wrapping_sub(1)), if width == 1 { 10 } else { width - 1 });
    }
}

#[test]
fn a_length_beyond_everything_is_refused() {
    let huge = post(&u64::MAX);
    assert_eq!(Reader::new(&huge).bytes(16), Err(FrameError::Value));
    assert!(Reader::new(&huge).bytes(usize::MAX).is_err());
    assert_eq!(Reader::new(&[3, 1, 2]).bytes(3), Err(FrameError::Truncated));
    assert_eq!(Reader::new(&[3, 1, 2, 3]).bytes(2), Err(FrameError::Value));
    assert_eq!(Reader::new(&[2, 0xc3, 0x28]).text(9), Err(FrameError::Text));
    assert_eq!(Reader::new(&[1, 2]).take(usize::MAX), Err(FrameError::Truncated));
}

#[test]
fn a_writer_stops_at_the_end_of_its_buffer() {
    let mut buf = [0u8; 3];
    let mut out = Writer::new(&mut buf);
    assert!(out.is_empty());
    assert_eq!(out.raw(&[1, 2, 3, 4]), Err(Full));
    assert_eq!(out.raw(&[1, 2]), Ok(()));
    assert_eq!(out.u8(3), Ok(()));
    assert_eq!(out.u8(4), Err(Full));
    assert_eq!(out.raw(&[]), Ok(()));
    assert_eq!(out.written(), [1, 2, 3]);
    assert_eq!(Writer::new(&mut [0; 1]).u64(128), Err(Full));
    assert_eq!(Writer::new(&mut [0; 3]).bytes(&[0; 3]), Err(Full));
    assert_eq!(Writer::new(&mut []).u64(0), Err(Full));
}

#[test]
fn a_path_has_one_place_in_front() {
    let bytes = names(&["b", "c"]);
    let read = Path::read(&mut Reader::new(&bytes), 2, 9, |_| true).unwrap();
    let listed = |path: Path<'_>| path.iter().map(String::from).collect::<Vec<_>>();
    assert_eq!(listed(read.prepend("a")), ["a", "b", "c"]);
    assert_eq!(listed(read.prepend("x").prepend("a")), ["a", "b", "c"], "the second replaces the first");
    assert_eq!(listed(Path::one("a")), ["a"]);
    assert_eq!(listed(Path::EMPTY.prepend("a")), ["a"]);
    assert_eq!(listed(read), ["b", "c"], "the list itself is not changed");
    assert!(Path::EMPTY.is_empty() && Path::default() == Path::EMPTY);
    assert_eq!(Path::EMPTY.first(), None);
    assert_eq!(Path::EMPTY.last(), None);
    assert_eq!(format!("{:?}", read.prepend("a")), r#"["a", "b", "c"]"#);
}

#[test]
fn paths_are_equal_however_they_were_made() {
    let one = names(&["a"]);
    let read = Path::read(&mut Reader::new(&one), 1, 9, |_| true).unwrap();
    assert_eq!(read, Path::one("a"));
    assert_eq!(written(|out| read.write(out)), written(|out| Path::one("a").write(out)));
    assert_ne!(read, Path::one("b"));
    assert_ne!(read, Path::EMPTY);
    assert_ne!(read, read.prepend("a"));
}

#[test]
fn a_list_that_is_not_sound_is_refused() {
    let read = |bytes: &[u8]| Path::read(&mut Reader::new(bytes), 4, 9, |n| n != "bad").map(|p| p.len());
    assert_eq!(read(&names(&["a", "b", "c", "d"])), Ok(4));
    assert_eq!(read(&names(&["a", "b", "c", "d", "e"])), Err(FrameError::Value));
    assert_eq!(read(&names(&["a", "bad"])), Err(FrameError::Text));
    assert_eq!(read(&names(&["a", "a23456789"])), Ok(2));
    assert_eq!(read(&names(&["a", "a234567890"])), Err(FrameError::Value));
    assert_eq!(read(&[2, 1, b'a']), Err(FrameError::Truncated));
    assert_eq!(read(&[]), Err(FrameError::Truncated));
    assert_eq!(read(&post(&u64::MAX)), Err(FrameError::Value));
}
