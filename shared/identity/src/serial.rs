//! Serial numbers of certificates (RFC 5280, section 4.1.2.2: at most 20 bytes, and positive). That of a node begins with a
//! part of its key's fingerprint, so that a program that shows of a peer's certificate no more than the serial number,
//! such as Envoy, can tell by which key a node calls.

use rcgen::SerialNumber;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;

/// The first byte: positive, and never dropped as a leading zero.
const MARK: u8 = 0x4B;
/// Bytes of the fingerprint.
const OF_KEY: usize = 11;
/// The mark, what is of the key, and 64 random bits.
const LENGTH: usize = 20;

impl Fingerprint {
    /// What the serial numbers of certificates begin with that an organisation's root issues for the key whose public
    /// point has this fingerprint.
    #[must_use]
    pub fn serial_prefix(&self) -> [u8; OF_KEY + 1] {
        let mut prefix = [MARK; OF_KEY + 1];
        for (to, from) in prefix.iter_mut().skip(1).zip(self.0) {
            *to = from;
        }
        prefix
    }
}

/// For a certificate of the key with this public point.
pub(crate) fn of_key(point: &[u8]) -> Result<SerialNumber, IdentityError> {
    let mut bytes = filled::<LENGTH>()?;
    for (to, from) in bytes.iter_mut().zip(Fingerprint::of(point).serial_prefix()) {
        *to = from;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// 128 random bits.
pub(crate) fn random() -> Result<SerialNumber, IdentityError> {
    let mut bytes = filled::<16>()?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn filled<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0_u8; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IdentityError::Crypto {
        doing: "make a serial number",
        reason: "the system has no randomness".to_owned(),
    })?;
    Ok(bytes)
}
