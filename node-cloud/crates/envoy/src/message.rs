//! What node and keeper say to each other: a line of JSON each, on the keeper's Unix socket.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::spec::Run;

/// Changed with every change of a message: keeper and node may be of different builds.
pub(crate) const PROTOCOL: u32 = 1;

/// To the keeper in office. The first is always [`Order::Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Who speaks, and which Envoy it wants.
    Hello { protocol: u32, who: Who, run: Box<Run> },
    /// End Envoy, and then yourself.
    Stop,
}

/// Who speaks to the keeper in office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Who {
    /// The node: wants to know how Envoy is.
    Node,
    /// Another keeper: takes the office over if its node wants another Envoy.
    Keeper,
}

/// To who speaks with the keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The answer to [`Order::Hello`]: whether the Envoy that it keeps is the one that is wanted.
    Hello { same: bool },
    /// How Envoy is now.
    Now(Now),
    /// A line that Envoy wrote.
    Line(String),
    /// So many lines were left out.
    Dropped(u64),
    /// Envoy has ended, as ordered; whether it had to be killed.
    Stopped { killed: bool },
}

/// How Envoy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Now {
    /// A process.
    Up { pid: u32, since: SystemTime, restarts: u64 },
    /// It ended, and is started again after a while.
    Down { why: String, since: SystemTime, wait: Duration },
}

/// A message as a line.
pub(crate) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // Strings, numbers and times: this cannot fail, but for times before 1970.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Collects bytes into messages.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Vec<u8>);

/// The other side speaks another language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

impl Inbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message, if it is whole.
    pub(crate) fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, Garbage> {
        let Some(end) = self.0.iter().position(|byte| *byte == b'\n') else {
            return if self.0.len() > Limits::MESSAGE { Err(Garbage) } else { Ok(None) };
        };
        let line: Vec<u8> = self.0.drain(..=end).collect();
        if line.len() > Limits::MESSAGE {
            return Err(Garbage);
        }
        serde_json::from_slice(&line).map(Some).map_err(|_| Garbage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let sent = [
            Report::Hello { same: true },
            Report::Now(Now::Down {
                why: "a\nb".into(),
                since: SystemTime::now(),
                wait: Duration::from_millis(7),
            }),
            Report::Line("x".into()),
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(encode).collect();
        let mut inbox = Inbox::default();
        let mut got: Vec<Report> = Vec::new();
        for piece in bytes.chunks(5) {
            inbox.push(piece);
            while let Some(report) = inbox.next().unwrap() {
                got.push(report);
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn garbage_and_endless_lines_are_refused() {
        let mut inbox = Inbox::default();
        inbox.push(b"{\"Nonsense\":1}\n");
        assert_eq!(inbox.next::<Order>(), Err(Garbage));
        let mut inbox = Inbox::default();
        inbox.push(&vec![b'x'; Limits::MESSAGE + 1]);
        assert_eq!(inbox.next::<Order>(), Err(Garbage));
    }
}
