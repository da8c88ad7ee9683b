//! Which of its words on a route a node spoke: so that news overtakes what is still under way, or passed on by others.
//!
//! Each node of an organisation numbers what it says of a key, as in RFC 8966 section 2.5, and a route carries the number
//! of each node of its node_path. A path with an older word of a node than another path has, or than news tells, leads
//! through what that node has since given up: it is not worth a try. No route needs numbers: where they are absent, only
//! the order of best path decides. Numbers of one node and one run are compared; others say nothing about each other.

use crate::cursor::{Reader, Writer, varint_len};
use crate::error::{FrameError, Full};
use crate::limits::Limits;

/// A number of one run of one node. It grows with each change of what the node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seqno {
    /// The run: another after each start of the node.
    pub run: u32,
    /// The count within the run.
    pub count: u32,
}

impl Seqno {
    /// Whether this is an older word than `other` of the same run.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        self.run == other.run && self.count < other.count
    }

    pub(crate) fn read(value: &mut Reader<'_>) -> Result<Self, FrameError> {
        let run = <[u8; 4]>::try_from(value.take(4)?).map_err(|_| FrameError::Truncated)?;
        Ok(Seqno { run: u32::from_be_bytes(run), count: value.u32()? })
    }

    fn encoded_len(self) -> usize {
        4 + varint_len(u64::from(self.count))
    }

    pub(crate) fn write(self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.raw(&self.run.to_be_bytes())?;
        out.u64(u64::from(self.count))
    }
}

/// The numbers of the nodes of a node_path, nearest first. It may end before the path does, where a node of an older
/// version passed the route on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seqnos<'a> {
    head: Option<Seqno>,
    raw: &'a [u8],
    count: usize,
}

impl<'a> Seqnos<'a> {
    /// No numbers.
    pub const EMPTY: Seqnos<'static> = Seqnos { head: None, raw: &[], count: 0 };

    /// The same list with one more in front; replaces one put there before.
    #[must_use]
    pub fn prepend(self, seqno: Seqno) -> Self {
        Seqnos { head: Some(seqno), ..self }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count + usize::from(self.head.is_some())
    }

    /// The numbers, front to back.
    pub fn iter(&self) -> impl Iterator<Item = Seqno> + use<'a> {
        let mut reader = Reader::new(self.raw);
        self.head.into_iter().chain(core::iter::from_fn(move || Seqno::read(&mut reader).ok()))
    }

    pub(crate) fn read(value: &mut Reader<'a>) -> Result<Self, FrameError> {
        let count = usize::try_from(value.u64()?).map_err(|_| FrameError::Number)?;
        if count > Limits::NODE_PATH {
            return Err(FrameError::Value);
        }
        let start = value.rest();
        for _ in 0..count {
            Seqno::read(value)?;
        }
        let raw = start.get(..start.len() - value.rest().len()).ok_or(FrameError::Truncated)?;
        Ok(Seqnos { head: None, raw, count })
    }

    pub(crate) fn encoded_len(&self) -> usize {
        let head = self.head.map_or(0, Seqno::encoded_len);
        varint_len(self.len() as u64) + head + self.raw.len()
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        if self.len() > Limits::NODE_PATH {
            return Err(Full);
        }
        out.u64(self.len() as u64)?;
        self.head.map_or(Ok(()), |head| head.write(out))?;
        out.raw(self.raw)
    }
}

impl PartialEq for Seqnos<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Seqnos<'_> {}
