//! A list of names inside an entry: `org_path`, `node_path`, tags.

use core::fmt;

use crate::cursor::{Reader, Writer, varint_len};
use crate::error::{FrameError, Full};

/// A borrowed list of texts, with room for one more in front: what a node adds when it passes a route on.
///
/// There is one such place: a list that was read has it free, [`Path::one`] uses it, and a second
/// [`Path::prepend`] replaces the first. To put two names in front, write the list and read it again.
#[derive(Clone, Copy, Default)]
pub struct Path<'a> {
    head: Option<&'a str>,
    raw: &'a [u8],
    count: usize,
}

impl<'a> Path<'a> {
    /// The empty list.
    pub const EMPTY: Path<'static> = Path { head: None, raw: &[], count: 0 };

    /// A list of one.
    #[must_use]
    pub fn one(name: &'a str) -> Self {
        Path { head: Some(name), raw: &[], count: 0 }
    }

    /// The same list with `name` in front; replaces a name put there before.
    #[must_use]
    pub fn prepend(self, name: &'a str) -> Self {
        Path { head: Some(name), ..self }
    }

    /// Reads a counted list, checking each element; the count may not be above `max`.
    ///
    /// # Errors
    /// [`FrameError`] of the first bad element.
    pub fn read(
        reader: &mut Reader<'a>,
        max: usize,
        max_len: usize,
        check: impl Fn(&str) -> bool,
    ) -> Result<Self, FrameError> {
        let count = usize::try_from(reader.u64()?).map_err(|_| FrameError::Number)?;
        if count > max {
            return Err(FrameError::Value);
        }
        let start = reader.rest();
        for _ in 0..count {
            if !check(reader.text(max_len)?) {
                return Err(FrameError::Text);
            }
        }
        let used = start.len() - reader.rest().len();
        let raw = start.get(..used).ok_or(FrameError::Truncated)?;
        Ok(Path { head: None, raw, count })
    }

    /// Writes the counted list.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u64(self.len() as u64)?;
        if let Some(head) = self.head {
            out.text(head)?;
        }
        out.raw(self.raw)
    }

    /// How many bytes [`Path::write`] takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let head = self.head.map_or(0, |h| varint_len(h.len() as u64) + h.len());
        varint_len(self.len() as u64) + head + self.raw.len()
    }

    /// How many names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count + usize::from(self.head.is_some())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names, front to back.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.raw);
        // Elements were checked when the list was read.
        let rest = core::iter::from_fn(move || reader.text(usize::MAX).ok());
        self.head.into_iter().chain(rest)
    }

    /// Whether `name` is in the list.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|n| n == name)
    }

    /// The front name.
    #[must_use]
    pub fn first(&self) -> Option<&'a str> {
        self.iter().next()
    }

    /// The back name.
    #[must_use]
    pub fn last(&self) -> Option<&'a str> {
        self.iter().last()
    }
}

impl PartialEq for Path<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Path<'_> {}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
