//! Why a flow was not carried. One number serves twice: the status byte that answers a stream header, and the
//! QUIC application error code of a stream reset (RFC 9000 section 20.2).

use core::fmt;

/// A reason. New ones may be added; a receiver keeps a number it does not know as [`Refusal::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// This node has no route for the service.
    NoSuchService,
    /// The service is there, the caller may not use it.
    NotPermitted,
    /// The service is known, but no endpoint of it can be used now.
    NoEndpoint,
    /// The service's own socket refused the connection.
    TargetRefused,
    /// The service's own socket did not answer in time.
    TargetTimeout,
    /// The flow has passed more nodes than its header allows: a loop, or too long a way.
    HopLimit,
    /// This node carries as many flows as it may.
    TooManyFlows,
    /// This node is going down.
    Closing,
    /// The stream header did not decode.
    BadHeader,
    /// The socket at the far end of the flow was reset, or the flow's owner dropped it.
    Aborted,
    /// Its reader took nothing for so long that it was in the way of other flows.
    StoodStill,
    /// A number that this version does not know.
    Other(u8),
}

impl Refusal {
    /// The status byte of a flow that is connected. Not a refusal, so it has no variant.
    pub const CONNECTED: u8 = 0;

    /// The number on the wire; never [`Refusal::CONNECTED`] but for `Other(0)`, which nothing here makes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Refusal::NoSuchService => 1,
            Refusal::NotPermitted => 2,
            Refusal::NoEndpoint => 3,
            Refusal::TargetRefused => 4,
            Refusal::TargetTimeout => 5,
            Refusal::HopLimit => 6,
            Refusal::TooManyFlows => 7,
            Refusal::Closing => 8,
            Refusal::BadHeader => 9,
            Refusal::Aborted => 10,
            Refusal::StoodStill => 11,
            Refusal::Other(code) => code,
        }
    }

    /// Reads a status byte: `None` means connected.
    #[must_use]
    pub const fn from_status(code: u8) -> Option<Refusal> {
        Some(match code {
            Self::CONNECTED => return None,
            1 => Refusal::NoSuchService,
            2 => Refusal::NotPermitted,
            3 => Refusal::NoEndpoint,
            4 => Refusal::TargetRefused,
            5 => Refusal::TargetTimeout,
            6 => Refusal::HopLimit,
            7 => Refusal::TooManyFlows,
            8 => Refusal::Closing,
            9 => Refusal::BadHeader,
            10 => Refusal::Aborted,
            11 => Refusal::StoodStill,
            code => Refusal::Other(code),
        })
    }

    /// Reads the error code of a reset. Zero and codes beyond a byte are no reasons of ours: [`Refusal::Aborted`].
    #[must_use]
    pub fn from_reset(code: u64) -> Refusal {
        u8::try_from(code).ok().and_then(Self::from_status).unwrap_or(Refusal::Aborted)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NoSuchService => "no route for this service",
            Refusal::NotPermitted => "the caller may not use this service",
            Refusal::NoEndpoint => "no endpoint of the service can be used now",
            Refusal::TargetRefused => "the service refused the connection",
            Refusal::TargetTimeout => "the service did not answer in time",
            Refusal::HopLimit => "the flow passed too many nodes",
            Refusal::TooManyFlows => "the node carries as many flows as it may",
            Refusal::Closing => "the node is going down",
            Refusal::BadHeader => "the stream header did not decode",
            Refusal::Aborted => "the other end was reset",
            Refusal::StoodStill => "its reader took nothing for too long and held up other flows",
            Refusal::Other(code) => return write!(f, "refused with code {code}, unknown to this version"),
        })
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn every_code_reads_back() {
        for code in 1..=u8::MAX {
            let refusal = Refusal::from_status(code).expect("a refusal");
            assert_eq!(refusal.code(), code);
            assert_eq!(Refusal::from_reset(u64::from(code)), refusal);
        }
        assert_eq!(Refusal::from_status(Refusal::CONNECTED), None);
        assert_eq!(Refusal::from_reset(0), Refusal::Aborted);
        assert_eq!(Refusal::from_reset(1 << 40), Refusal::Aborted);
    }
}
