//! Bytes by hand: what the tests feed to the readers. Everything here is encoded by `postcard`, not by this crate.

use std::string::String;
use std::vec::Vec;

use crate::{FrameType, HEADER, Path, Reader, Update};

/// Encodes anything as `postcard` does.
pub fn post<T: PostcardValue + ?Sized>(value: &T) -> Vec<u8> {
    value.post()
}

/// What `postcard` can encode; keeps serde's name out of the tests.
pub trait PostcardValue {
    fn post(&self) -> Vec<u8>;
}

macro_rules! values {
    ($($t:ty),*) => {$(
        impl PostcardValue for $t {
            fn post(&self) -> Vec<u8> {
                postcard::to_allocvec(self).unwrap()
            }
        }
    )*};
}

values!(u8, u16, u32, u64, str, [u8], [&str], [String], [u8; 16], [u8; 32]);

/// One attribute: type, flags, length, value.
pub fn attr(code: u16, flags: u8, value: &[u8]) -> Vec<u8> {
    [post(&code), vec![flags], post(value)].concat()
}

/// A counted list of texts, as an attribute's value.
pub fn names(list: &[&str]) -> Vec<u8> {
    post(list)
}

/// A path that was read, not built.
pub fn path(list: &[&str]) -> Path<'static> {
    let bytes: &'static [u8] = Vec::leak(names(list));
    Path::read(&mut Reader::new(bytes), list.len(), usize::MAX, |_| true).unwrap()
}

/// One element of the announcements.
pub fn entry(service: &str, origin: &str, attrs: &[u8]) -> Vec<u8> {
    post([post(service), post(origin), attrs.to_vec()].concat().as_slice())
}

/// One element of the withdrawals.
pub fn key(service: &str, origin: &str) -> Vec<u8> {
    entry(service, origin, &[])
}

/// The body of an UPDATE.
pub fn body(announced: &[Vec<u8>], withdrawn: &[Vec<u8>]) -> Vec<u8> {
    [post(announced.concat().as_slice()), post(withdrawn.concat().as_slice())].concat()
}

/// A frame of any type and flags.
pub fn frame_of(code: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[code, flags][..], &len, body].concat()
}

/// A frame of a known type.
pub fn frame(kind: FrameType, body: &[u8]) -> Vec<u8> {
    frame_of(kind as u8, 0, body)
}

/// Reads a whole frame that must be an UPDATE.
pub fn update(bytes: &[u8]) -> Update<'_> {
    let frame = crate::Frame::whole(bytes).unwrap();
    assert_eq!(frame.kind(), Ok(Some(FrameType::Update)));
    assert_eq!(frame.body.len() + HEADER, bytes.len());
    Update::read(frame.body).unwrap()
}

/// A name of exactly `len` bytes, with labels of at most 63.
pub fn long_org(len: usize) -> String {
    let mut name = String::new();
    while name.len() < len {
        name.push(if name.len() % 60 == 59 && name.len() + 1 < len { '.' } else { 'a' });
    }
    name
}
