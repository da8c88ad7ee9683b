//! Seconds since 1970 as X.509 dates and as text for people.

use std::fmt;

use time::OffsetDateTime;

/// A point in time in seconds since 1970 UTC, printed as `2026-11-20 23:15 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u64);

impl Date {
    /// The date as the certificate writer takes it, if it lies before the year 10000.
    pub(crate) fn to_time(self) -> Option<OffsetDateTime> {
        i64::try_from(self.0).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_time() {
            Some(t) => write!(
                f,
                "{:04}-{:02}-{:02} {:02}:{:02} UTC",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute()
            ),
            None => write!(f, "{} s after 1970", self.0),
        }
    }
}
