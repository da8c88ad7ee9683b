//! What the fields of a head say about the message's frame and the connection.

use httparse::Header;

use crate::error::BadMessage;

/// The length of a body as its head gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    None,
    Bytes(u64),
    Chunked,
}

/// Values of all fields of this name, in order.
pub(crate) fn all<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value)
}

/// Whether a list field has this element (RFC 9110 section 5.6.1).
pub(crate) fn lists(fields: &[Header<'_>], name: &str, wanted: &str) -> bool {
    all(fields, name)
        .flat_map(|value| value.split(|b| *b == b','))
        .any(|element| element.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

/// RFC 9112 section 6.3, strictly.
pub(crate) fn length(fields: &[Header<'_>]) -> Result<Length, BadMessage> {
    let mut codings = all(fields, "transfer-encoding");
    let mut lengths = all(fields, "content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Length::None),
        (Some(_), Some(_)) => Err(BadMessage::Length("both Content-Length and Transfer-Encoding")),
        (Some(coding), None) => {
            let single = codings.next().is_none() && coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if single { Ok(Length::Chunked) } else { Err(BadMessage::Coding) }
        }
        (None, Some(value)) => {
            if lengths.next().is_some() {
                return Err(BadMessage::Length("several Content-Length fields"));
            }
            number(value, 10).map(Length::Bytes).ok_or(BadMessage::Length("Content-Length is not a number"))
        }
    }
}

/// Digits and nothing else: no sign, no blank, no overflow.
pub(crate) fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}
