//! What node and supervisor say to each other: frames on a socket pair, both ends of one build.
//!
//! A frame is its length without these bytes (u32, little endian), its type (u8), then its fields: numbers in little
//! endian, texts and lists with their length before them (u32).

use crate::error::ServicesError;
use crate::limits::Limits;

/// The number of a service: its place in the configuration.
pub type Id = u16;

/// A program to be started.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The service that it is of, for its environment.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `NAME=VALUE`, beside the variables of the supervisor. May be secret.
    pub env: Vec<String>,
    /// Where it runs; empty for the supervisor's own folder.
    pub directory: String,
}

// The variables may be secret.
impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// From the node.
#[derive(Clone, PartialEq, Eq)]
pub enum Order {
    /// This program may be started.
    Allow(Program),
    /// No other programs may be started, from now on and for good. Said before the node hears of anything from outside:
    /// whoever takes it over later gets no more than what the configuration names.
    Seal,
    /// Start a service.
    Start {
        /// Which.
        id: Id,
        /// Milliseconds from SIGTERM to SIGKILL, whenever it ends.
        grace_ms: u32,
        /// What.
        program: Program,
    },
    /// Stop a service.
    Stop {
        /// Which.
        id: Id,
    },
    /// Run a check.
    Check {
        /// Of which service.
        id: Id,
        /// Milliseconds until it is killed.
        timeout_ms: u32,
        /// What.
        program: Program,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with exit code {code}"),
            Exit::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "was ended by {name}"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
        }
    }
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The program ended by itself.
    Ended(Exit),
    /// It took too long and was killed.
    TooLong,
    /// It could not be started.
    Failed(String),
}

/// From the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A service runs.
    Started {
        /// Which.
        id: Id,
        /// Its process.
        pid: u32,
    },
    /// A service could not be started.
    Failed {
        /// Which.
        id: Id,
        /// Why.
        why: String,
    },
    /// The process of a service has ended; what it started is being ended.
    Exited {
        /// Which.
        id: Id,
        /// How.
        exit: Exit,
    },
    /// Nothing of a service is there any more; it can be started again.
    Gone {
        /// Which.
        id: Id,
        /// Processes that survived SIGKILL for too long to wait for them.
        left: u32,
    },
    /// The answer to [`Order::Check`].
    Checked {
        /// Of which service.
        id: Id,
        /// How it went.
        checked: Checked,
    },
    /// A line that a service wrote.
    Line {
        /// Which.
        id: Id,
        /// Without its end; at most [`Limits::LINE`] bytes of it.
        line: Vec<u8>,
    },
    /// Lines of a service that were left out.
    Dropped {
        /// Which.
        id: Id,
        /// How many since the last such report.
        lines: u32,
    },
}

/// Appends fields to a frame.
struct Out(Vec<u8>);

impl Out {
    fn new(kind: u8) -> Self {
        Out(vec![0, 0, 0, 0, kind])
    }

    fn u16(mut self, n: u16) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn u32(mut self, n: u32) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend(bytes);
        self
    }

    fn list(mut self, texts: &[String]) -> Self {
        self = self.u32(u32::try_from(texts.len()).unwrap_or(u32::MAX));
        texts.iter().fold(self, |out, text| out.bytes(text.as_bytes()))
    }

    fn program(self, program: &Program) -> Self {
        let out = self.bytes(program.name.as_bytes()).list(&program.command).list(&program.env);
        out.bytes(program.directory.as_bytes())
    }

    fn exit(self, exit: Exit) -> Self {
        let (kind, n) = match exit {
            Exit::Code(n) => (0, n),
            Exit::Signal(n) => (1, n),
        };
        self.u16(kind).u32(n.cast_unsigned())
    }

    fn done(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        if let Some(head) = self.0.get_mut(..4) {
            head.copy_from_slice(&length.to_le_bytes());
        }
        self.0
    }
}

/// Takes fields from a frame.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.u32()?;
        self.take(usize::try_from(n).ok()?)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let n = self.u32()?;
        // Grows with what is there, not with what is claimed.
        (0..n).map(|_| self.text()).collect()
    }

    fn program(&mut self) -> Option<Program> {
        Some(Program {
            name: self.text()?,
            command: self.list()?,
            env: self.list()?,
            directory: self.text()?,
        })
    }

    fn exit(&mut self) -> Option<Exit> {
        let (kind, n) = (self.u16()?, self.u32()?.cast_signed());
        match kind {
            0 => Some(Exit::Code(n)),
            1 => Some(Exit::Signal(n)),
            _ => None,
        }
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// Something that a frame carries.
pub trait Message: Sized {
    /// Its frame.
    fn encode(&self) -> Vec<u8>;
    /// What the body of a frame says; `None` if it says nothing known.
    fn decode(body: &[u8]) -> Option<Self>;
}

impl Message for Order {
    fn encode(&self) -> Vec<u8> {
        match self {
            Order::Start { id, grace_ms, program } => Out::new(1).u16(*id).u32(*grace_ms).program(program),
            Order::Stop { id } => Out::new(2).u16(*id),
            Order::Allow(program) => Out::new(4).program(program),
            Order::Seal => Out::new(5),
            Order::Check { id, timeout_ms, program } => {
                Out::new(3).u16(*id).u32(*timeout_ms).program(program)
            }
        }
        .done()
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut body = In(body);
        let order = match body.u8()? {
            1 => Order::Start { id: body.u16()?, grace_ms: body.u32()?, program: body.program()? },
            2 => Order::Stop { id: body.u16()? },
            4 => Order::Allow(body.program()?),
            5 => Order::Seal,
            3 => Order::Check { id: body.u16()?, timeout_ms: body.u32()?, program: body.program()? },
            _ => return None,
        };
        body.end(order)
    }
}

impl Message for Report {
    fn encode(&self) -> Vec<u8> {
        match self {
            Report::Started { id, pid } => Out::new(1).u16(*id).u32(*pid),
            Report::Failed { id, why } => Out::new(2).u16(*id).bytes(why.as_bytes()),
            Report::Exited { id, exit } => Out::new(3).u16(*id).exit(*exit),
            Report::Gone { id, left } => Out::new(4).u16(*id).u32(*left),
            Report::Checked { id, checked } => match checked {
                Checked::Ended(exit) => Out::new(5).u16(*id).exit(*exit),
                Checked::TooLong => Out::new(6).u16(*id),
                Checked::Failed(why) => Out::new(7).u16(*id).bytes(why.as_bytes()),
            },
            Report::Line { id, line } => Out::new(8).u16(*id).bytes(line),
            Report::Dropped { id, lines } => Out::new(9).u16(*id).u32(*lines),
        }
        .done()
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut body = In(body);
        let (kind, id) = (body.u8()?, body.u16()?);
        let report = match kind {
            1 => Report::Started { id, pid: body.u32()? },
            2 => Report::Failed { id, why: body.text()? },
            3 => Report::Exited { id, exit: body.exit()? },
            4 => Report::Gone { id, left: body.u32()? },
            5 => Report::Checked { id, checked: Checked::Ended(body.exit()?) },
            6 => Report::Checked { id, checked: Checked::TooLong },
            7 => Report::Checked { id, checked: Checked::Failed(body.text()?) },
            8 => Report::Line { id, line: body.bytes()?.to_vec() },
            9 => Report::Dropped { id, lines: body.u32()? },
            _ => return None,
        };
        body.end(report)
    }
}

/// Bytes as they arrive, until they are frames.
#[derive(Debug, Default)]
pub struct Inbox(Vec<u8>);

impl Inbox {
    /// More bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// What arrived is no frame; nothing that follows can be one.
    pub fn message<M: Message>(&mut self) -> Result<Option<M>, ServicesError> {
        let Some((head, rest)) = self.0.split_at_checked(4) else { return Ok(None) };
        let length = head.try_into().map(u32::from_le_bytes).map_err(|_| ServicesError::Frame)?;
        let length = usize::try_from(length).map_err(|_| ServicesError::Frame)?;
        if length > Limits::FRAME {
            return Err(ServicesError::Frame);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = M::decode(body).ok_or(ServicesError::Frame)?;
        self.0.drain(..length + 4);
        if self.0.is_empty() {
            // A large order is rare: its room need not stay.
            self.0 = Vec::new();
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        Program {
            name: "web".into(),
            command: vec!["a b".into(), String::new()],
            env: vec!["X=1".into()],
            directory: "/srv".into(),
        }
    }

    #[test]
    fn every_message_comes_back_from_its_frame_in_any_pieces() {
        let orders = [
            Order::Start { id: 7, grace_ms: 5_000, program: program() },
            Order::Stop { id: 65_535 },
            Order::Allow(program()),
            Order::Seal,
            Order::Check { id: 0, timeout_ms: 9, program: program() },
        ];
        let bytes: Vec<u8> = orders.iter().flat_map(Message::encode).collect();
        for size in [1, 3, 1_000] {
            let (mut inbox, mut got) = (Inbox::default(), Vec::new());
            for piece in bytes.chunks(size) {
                inbox.extend(piece);
                while let Some(order) = inbox.message::<Order>().unwrap() {
                    got.push(order);
                }
            }
            assert!(got == orders, "in pieces of {size}");
        }
        let id = 3;
        for report in [
            Report::Started { id, pid: 77 },
            Report::Failed { id, why: "no".into() },
            Report::Exited { id, exit: Exit::Code(-1) },
            Report::Exited { id, exit: Exit::Signal(9) },
            Report::Gone { id, left: 2 },
            Report::Checked { id, checked: Checked::Ended(Exit::Code(0)) },
            Report::Checked { id, checked: Checked::TooLong },
            Report::Checked { id, checked: Checked::Failed("x".into()) },
            Report::Line { id, line: vec![0, 255] },
            Report::Dropped { id, lines: 5 },
        ] {
            let mut inbox = Inbox::default();
            inbox.extend(&report.encode());
            assert_eq!(inbox.message::<Report>().unwrap(), Some(report));
            assert_eq!(inbox.message::<Report>().unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_and_never_too_large() {
        let good = Order::Start { id: 7, grace_ms: 5_000, program: program() }.encode();
        for cut in 4..good.len() {
            let mut body = good[4..cut].to_vec();
            assert!(Order::decode(&body).is_none(), "cut at {cut}");
            body.extend([0; 64]);
            // Padding must not be taken for fields that are not there, beyond the end.
            let _ = Order::decode(&body);
        }
        let mut inbox = Inbox::default();
        inbox.extend(&u32::MAX.to_le_bytes());
        assert!(matches!(inbox.message::<Order>(), Err(ServicesError::Frame)));
    }

    #[test]
    fn damaged_orders_and_noise_are_read_as_something_or_refused() {
        let mut seed = 0x5eed_u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % n
        };
        let good = Order::Start { id: 7, grace_ms: 5_000, program: program() }.encode();
        let (mut read, mut refused) = (0, 0);
        for _ in 0..5_000 {
            let mut bytes = match below(4) {
                0 => (0..below(60)).map(|_| below(256) as u8).collect(),
                _ => good.clone(),
            };
            for _ in 0..1 + below(3) {
                let at = below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = below(256) as u8;
                }
            }
            let mut inbox = Inbox::default();
            inbox.extend(&bytes);
            match inbox.message::<Order>() {
                Ok(Some(order)) => {
                    read += 1;
                    // What was understood is written to be understood the same.
                    assert_eq!(Order::decode(&order.encode()[4..]).map(|o| o.encode()), Some(order.encode()));
                }
                Ok(None) => {}
                Err(_) => refused += 1,
            }
            let _ = Report::decode(&bytes);
        }
        assert!(read > 100 && refused > 100, "{read} {refused}");
    }
}
