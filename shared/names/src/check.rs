//! The grammar itself, over borrowed text: what the wire decoder uses, without a copy.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{NameError, Reason};
use crate::limits::Limits;

/// Checks one DNS label.
///
/// # Errors
/// Says where the text leaves the grammar; `what` names the thing in the message.
pub fn label(text: &str, what: &'static str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError { what, at: 0, reason: Reason::Empty });
    }
    if text.len() > Limits::LABEL {
        return Err(NameError { what, at: Limits::LABEL, reason: Reason::TooLong(Limits::LABEL) });
    }
    label_at(text.as_bytes(), 0, what)
}

/// Checks a dotted name of one or more labels, at most [`Limits::ORG`] bytes.
///
/// # Errors
/// As [`label`].
pub fn org(text: &str, what: &'static str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError { what, at: 0, reason: Reason::Empty });
    }
    if text.len() > Limits::ORG {
        return Err(NameError { what, at: Limits::ORG, reason: Reason::TooLong(Limits::ORG) });
    }
    let mut start = 0;
    for part in text.split('.') {
        if part.is_empty() {
            return Err(NameError { what, at: start, reason: Reason::EmptyLabel });
        }
        if part.len() > Limits::LABEL {
            return Err(NameError {
                what,
                at: start + Limits::LABEL,
                reason: Reason::TooLong(Limits::LABEL),
            });
        }
        label_at(part.as_bytes(), start, what)?;
        start += part.len() + 1;
    }
    Ok(())
}

/// Checks `label.org` and returns the length of the label.
///
/// # Errors
/// As [`label`]; a name without a dot has no organisation.
pub fn service(text: &str, what: &'static str) -> Result<usize, NameError> {
    let Some(dot) = text.find('.') else {
        label(text, what)?;
        return Err(NameError { what, at: text.len(), reason: Reason::NoOrganisation });
    };
    let (first, rest) = (text.get(..dot).unwrap_or(""), text.get(dot + 1..).unwrap_or(""));
    if first.is_empty() || rest.is_empty() {
        // Not `Empty`: there is a name, and a dot at one of its ends.
        let at = if first.is_empty() { 0 } else { dot + 1 };
        return Err(NameError { what, at, reason: Reason::EmptyLabel });
    }
    label(first, what)?;
    org(rest, what).map_err(|e| NameError { at: e.at + dot + 1, ..e })?;
    Ok(dot)
}

fn label_at(bytes: &[u8], start: usize, what: &'static str) -> Result<(), NameError> {
    for (i, b) in bytes.iter().enumerate() {
        if !(b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-') {
            return Err(NameError { what, at: start + i, reason: Reason::Character });
        }
    }
    if bytes.first() == Some(&b'-') {
        return Err(NameError { what, at: start, reason: Reason::Hyphen });
    }
    if bytes.last() == Some(&b'-') {
        return Err(NameError { what, at: start + bytes.len() - 1, reason: Reason::Hyphen });
    }
    Ok(())
}

/// Whether the text is `host:port` for something that can be dialled: a DNS name (RFC 1123 section 2.1, with underscores) or
/// an address, an IPv6 one in brackets (RFC 3986 section 3.2.2); the port is not 0.
#[must_use]
pub fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    if !digits || !port.parse::<u16>().is_ok_and(|port| port != 0) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        plain
            && (1..=Limits::LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    host.len() <= Limits::HOST
        && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
        && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}
