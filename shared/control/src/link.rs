//! One control connection as the core sees it: session, credit, frames waiting.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use catalyst_names::NodeName;
use catalyst_peering::Session;

/// Frames other than UPDATE that may wait: OPEN, one KEEPALIVE, one REFUSED.
const QUEUE: usize = 4;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: NodeName,
    pub(crate) dialled: bool,
    pub(crate) session: Session,
    pub(crate) incarnation: u64,
    pub(crate) credit: usize,
    queue: VecDeque<Vec<u8>>,
    /// What is refused of the peer's routes is not what it was told.
    pub(crate) refused_due: bool,
    /// How many it was told.
    pub(crate) refused_told: u32,
    /// INTEREST has to go out, from this pattern on.
    pub(crate) interest_due: Option<usize>,
    /// The patterns of a list of the peer that has not come to its end.
    pub(crate) interest: Vec<String>,
    /// A refresh is to be asked for.
    pub(crate) refresh_due: bool,
    /// The statement of the organisation has not been sent in its newest form.
    pub(crate) trust_due: bool,
    /// There was something to send and the credit did not suffice.
    pub(crate) stuck: bool,
    /// Stands in the list of links with something to send.
    pub(crate) listed: bool,
    /// When its timer is set.
    pub(crate) timer: Option<u64>,
}

impl Link {
    pub(crate) fn new(peer: NodeName, dialled: bool, session: Session) -> Self {
        Link {
            peer,
            dialled,
            session,
            incarnation: 0,
            credit: 0,
            queue: VecDeque::new(),
            refused_due: false,
            refused_told: 0,
            interest_due: None,
            interest: Vec::new(),
            refresh_due: false,
            trust_due: false,
            stuck: false,
            listed: false,
            timer: None,
        }
    }

    /// Queues a frame. When full: the frame is left out; a KEEPALIVE behind others would say nothing new.
    pub(crate) fn queue(&mut self, frame: &[u8]) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(frame.to_vec());
        }
    }

    pub(crate) fn queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next waiting frame, if it fits the credit.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        self.stuck = self.queue.front()?.len() > self.credit;
        if self.stuck {
            return None;
        }
        let frame = self.queue.pop_front()?;
        self.credit -= frame.len();
        Some(frame)
    }
}
