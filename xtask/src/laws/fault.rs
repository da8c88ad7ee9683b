//! What a law finds.

use std::fmt;

/// One breach of a law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The crate, file, or file and line.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl Fault {
    /// `place` is a crate, a file, or `file:line`.
    pub fn new(place: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: {}\n    mend: {}", self.place, self.what, self.mend)
    }
}

/// What a law has to say: faults make it fail, notes do not.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Each breach.
    pub faults: Vec<Fault>,
    /// Figures and early warnings.
    pub notes: Vec<String>,
}

impl From<Vec<Fault>> for Verdict {
    fn from(faults: Vec<Fault>) -> Self {
        Self { faults, notes: Vec::new() }
    }
}
