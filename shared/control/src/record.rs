//! Recording and replay: every event with its moment, and the settings it began with.
//!
//! A recording holds no secret: no keys, no border secret. It states the version of its shape.

use alloc::vec::Vec;

use catalyst_route_table::{Limits, Refusal, Store};

use crate::config::Settings;
use crate::core::Core;
use crate::event::Event;
use crate::now::Now;

/// The version of a recording's shape. A reader refuses others.
pub const SCHEMA: u32 = 2;

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    #[serde(deserialize_with = "schema")]
    pub schema: u32,
    /// The settings of the node, without its secrets.
    pub settings: Settings,
    /// How much its route table holds; recordings of before do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
}

/// How much a route table holds: what it refuses is part of what is replayed. See `catalyst_route_table::Limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Table {
    /// Routes.
    pub routes: usize,
    /// Distinct names.
    pub names: usize,
    /// Bytes of attributes of one route.
    pub attrs: usize,
}

impl From<Limits> for Table {
    fn from(of: Limits) -> Self {
        Table { routes: of.routes, names: of.names, attrs: of.attrs }
    }
}

impl From<Table> for Limits {
    fn from(of: Table) -> Self {
        Limits { routes: of.routes, names: of.names, attrs: of.attrs }
    }
}

/// Takes no other version than ours.
fn schema<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    match serde::Deserialize::deserialize(d)? {
        SCHEMA => Ok(SCHEMA),
        other => Err(serde::de::Error::custom(format_args!(
            "the recording has schema {other}, this version reads {SCHEMA}; replay it with the version that wrote it"
        ))),
    }
}

/// Every other line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Record {
    /// When.
    pub now: Now,
    /// What.
    pub event: Event,
}

/// A whole recording.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// The others.
    pub records: Vec<Record>,
}

impl Recording {
    /// An empty recording of a node with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let settings = Settings { border_secret: [0; 32], ..settings.clone() };
        Recording { header: Header { schema: SCHEMA, settings, table: None }, records: Vec::new() }
    }

    /// Runs a fresh core through it, draining what comes out as a shell would.
    ///
    /// # Errors
    /// [`Refusal`] when the store has no room for the node's name.
    pub fn replay<S: Store>(&self, store: S) -> Result<Core<S>, Refusal> {
        let mut core = Core::new(self.header.settings.clone(), store)?;
        for record in &self.records {
            core.handle(&record.event, record.now);
            while core.poll_effect().is_some() {}
            while core.poll_transmit().is_some() {}
        }
        Ok(core)
    }
}

/// Bytes as hexadecimal text, so that a recording can be read by people.
pub(crate) mod hex {
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        s.serialize_str(&text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        let bad = || D::Error::custom("expected an even number of hexadecimal digits");
        let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        if text.len() % 2 != 0 {
            return Err(bad());
        }
        let pairs = text.as_bytes().chunks_exact(2);
        pairs
            .map(|pair| match pair {
                [high, low] => Ok(digit(high).ok_or_else(bad)? << 4 | digit(low).ok_or_else(bad)?),
                _ => Err(bad()),
            })
            .collect()
    }
}
