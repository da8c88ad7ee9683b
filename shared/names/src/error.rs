//! Why a name was refused, in words that a person can act on.

use core::fmt;

use crate::limits::Limits;

/// A name that could not be accepted. It does not keep the offending text: callers that may show it add it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError {
    /// What the name should have been: "organisation", "node", "service", ...
    pub what: &'static str,
    /// Byte offset of the first offending character in the text that was parsed. Of a text that is too long it is
    /// the limit, which may lie inside a character: do not slice by it.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing there at all.
    Empty,
    /// Longer than this many bytes.
    TooLong(usize),
    /// Not a lower-case ASCII letter, a digit or a hyphen.
    Character,
    /// A hyphen at the start or the end of a label.
    Hyphen,
    /// An empty label: two dots in a row, or a dot at either end.
    EmptyLabel,
    /// A service name without the organisation that owns it.
    NoOrganisation,
    /// None of the known protocols.
    UnknownProtocol,
    /// Not `spiffe://ORG/node/NAME` or `spiffe://ORG/svc/NAME`.
    NotSpiffe,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NameError { what, at, reason } = self;
        match reason {
            Reason::Empty => write!(f, "the {what} is empty"),
            Reason::TooLong(Limits::LABEL) => {
                write!(f, "a label of the {what} is longer than {} characters", Limits::LABEL)
            }
            Reason::TooLong(max) if *what == "organisation" => {
                write!(f, "the {what} is longer than {max} characters")
            }
            Reason::TooLong(max) => {
                write!(f, "the organisation of the {what} is longer than {max} characters")
            }
            Reason::Character => {
                write!(
                    f,
                    "the {what} may hold only a-z, 0-9 and '-' (and '.' between labels); look at character {}",
                    at + 1
                )
            }
            Reason::Hyphen => {
                write!(f, "a label of the {what} starts or ends with '-'; look at character {}", at + 1)
            }
            Reason::EmptyLabel => {
                write!(f, "the {what} has a '.' with nothing beside it; look at character {}", at + 1)
            }
            Reason::NoOrganisation => {
                write!(f, "the {what} needs its organisation, as in 'NAME.acme.example'")
            }
            Reason::UnknownProtocol => {
                write!(f, "the {what} must be one of tcp, udp, http, http:graphql, http:grpc")
            }
            Reason::NotSpiffe => write!(
                f,
                "the {what} must look like 'spiffe://acme.example/node/edge-1' or 'spiffe://acme.example/svc/inventory'"
            ),
        }
    }
}

impl core::error::Error for NameError {}
