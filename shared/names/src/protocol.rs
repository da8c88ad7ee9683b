//! The protocols a service may speak.

use core::fmt;
use core::str::FromStr;

use crate::error::{NameError, Reason};

/// What a service speaks. The number of each is what the wire carries; numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Protocol {
    /// A byte stream.
    #[default]
    Tcp = 0,
    /// Datagrams.
    Udp = 1,
    /// HTTP/1.1 or HTTP/2 requests.
    Http = 2,
    /// GraphQL over HTTP. `http:gql` and `graphql-http` are read as the same.
    HttpGraphql = 3,
    /// gRPC over HTTP/2.
    HttpGrpc = 4,
}

impl Protocol {
    /// All of them, in the order of their numbers.
    pub const ALL: [Protocol; 5] =
        [Protocol::Tcp, Protocol::Udp, Protocol::Http, Protocol::HttpGraphql, Protocol::HttpGrpc];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The protocol with this number, if this version knows it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.code() == code)
    }

    /// The canonical name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Http => "http",
            Protocol::HttpGraphql => "http:graphql",
            Protocol::HttpGrpc => "http:grpc",
        }
    }

    /// Whether requests of HTTP travel in it.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::HttpGraphql | Protocol::HttpGrpc)
    }
}

impl FromStr for Protocol {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "http" => Ok(Protocol::Http),
            "http:graphql" | "http:gql" | "graphql-http" => Ok(Protocol::HttpGraphql),
            "http:grpc" => Ok(Protocol::HttpGrpc),
            _ => Err(NameError { what: "protocol", at: 0, reason: Reason::UnknownProtocol }),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Protocol;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a protocol: tcp, udp, http, http:graphql or http:grpc")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Protocol, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(Text)
    }
}
