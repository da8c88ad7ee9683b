//! What can be wrong with a frame.

use core::fmt;

/// The buffer has no room for what should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is full")
    }
}

impl core::error::Error for Full {}

/// A frame that cannot be understood. The session that sent it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The header announces a longer body than [`crate::Limits::FRAME_BODY`].
    TooLong(usize),
    /// A type that this version does not know, without the optional flag.
    UnknownType(u8),
    /// The body ends before its content does.
    Truncated,
    /// A number does not fit its field, or has needless bytes.
    Number,
    /// Text that is not UTF-8, or not a name where one must stand.
    Text,
    /// A field holds a value that the standard does not allow.
    Value,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong(n) => {
                write!(f, "a frame announces {n} bytes; at most {} are allowed", crate::Limits::FRAME_BODY)
            }
            FrameError::UnknownType(t) => write!(f, "a frame has the unknown type {t} and is not optional"),
            FrameError::Truncated => f.write_str("a frame ends before its content does"),
            FrameError::Number => f.write_str("a frame holds a number that does not fit its field"),
            FrameError::Text => f.write_str("a frame holds text that is not valid where it stands"),
            FrameError::Value => f.write_str("a frame holds a value that is not allowed there"),
        }
    }
}

impl core::error::Error for FrameError {}
