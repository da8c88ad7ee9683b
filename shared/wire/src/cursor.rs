//! Reading and writing of the primitive values: numbers, text, bytes.

use crate::error::{FrameError, Full};

/// Reads values from the front of a slice. A failed read leaves the rest undefined: stop there.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], FrameError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, FrameError> {
        let (first, rest) = self.rest.split_first().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A varint of at most 64 bits, in its shortest form: digests compare bytes, so there must be only one.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] or [`FrameError::Number`].
    pub fn u64(&mut self) -> Result<u64, FrameError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(FrameError::Number);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(FrameError::Number) } else { Ok(value) };
            }
            shift += 7;
            if shift > 63 {
                return Err(FrameError::Number);
            }
        }
    }

    /// A varint that fits 32 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u32(&mut self) -> Result<u32, FrameError> {
        u32::try_from(self.u64()?).map_err(|_| FrameError::Number)
    }

    /// A varint that fits 16 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u16(&mut self) -> Result<u16, FrameError> {
        u16::try_from(self.u64()?).map_err(|_| FrameError::Number)
    }

    /// A length and that many bytes; at most `max`.
    ///
    /// # Errors
    /// [`FrameError::Value`] beyond `max`, else as [`Reader::take`].
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], FrameError> {
        let n = usize::try_from(self.u64()?).map_err(|_| FrameError::Number)?;
        if n > max {
            return Err(FrameError::Value);
        }
        self.take(n)
    }

    /// A length and that much UTF-8; at most `max` bytes.
    ///
    /// # Errors
    /// As [`Reader::bytes`], and [`FrameError::Text`].
    pub fn text(&mut self, max: usize) -> Result<&'a str, FrameError> {
        core::str::from_utf8(self.bytes(max)?).map_err(|_| FrameError::Text)
    }
}

/// Writes values into a slice from the front. After an error the content is undefined.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `buf`.
    pub fn new(buf: &'a mut [u8]) -> Self {
        Writer { buf, at: 0 }
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.at).unwrap_or(&[])
    }

    /// Raw bytes.
    ///
    /// # Errors
    /// [`Full`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at.checked_add(bytes.len()).ok_or(Full)?;
        self.buf.get_mut(self.at..end).ok_or(Full)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Full`].
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        *self.buf.get_mut(self.at).ok_or(Full)? = value;
        self.at += 1;
        Ok(())
    }

    /// A varint.
    ///
    /// # Errors
    /// [`Full`].
    pub fn u64(&mut self, mut value: u64) -> Result<(), Full> {
        loop {
            let [low, ..] = (value & 0x7f).to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.u8(low);
            }
            self.u8(low | 0x80)?;
        }
    }

    /// A length and the bytes.
    ///
    /// # Errors
    /// [`Full`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.u64(bytes.len() as u64)?;
        self.raw(bytes)
    }

    /// A length and the text.
    ///
    /// # Errors
    /// [`Full`].
    pub fn text(&mut self, text: &str) -> Result<(), Full> {
        self.bytes(text.as_bytes())
    }
}

/// How many bytes a varint takes: 1 to 10.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
