//! One simulated connection: two ordered flows of frames with credit.

use std::collections::VecDeque;

use crate::watch::Watch;

/// Where one end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not up yet.
    Coming,
    /// Up.
    Up,
    /// The core has closed it; the transport still sends what is left and reads what comes.
    Closing,
    /// Over.
    Closed,
}

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A frame, and whether its bytes count against the credit.
    Frame(Vec<u8>, bool),
    /// The sender has closed.
    Fin,
}

/// One direction, named by the side that sends.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The last item arrives then; none overtakes another.
    pub(crate) last_at: u64,
    /// Waiting until a stall is over.
    pub(crate) held: VecDeque<Item>,
    /// Bytes that the sender may still send.
    pub(crate) credit: usize,
    /// Items on their way with another number have vanished.
    pub(crate) round: u32,
    /// The next UPDATE is lost where it comes in.
    pub(crate) swallow: bool,
    pub(crate) watch: Watch,
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) link: usize,
    /// The side that dialled.
    pub(crate) dialler: usize,
    pub(crate) ends: [End; 2],
    pub(crate) up_at: [u64; 2],
    /// When one side last called it an established session.
    pub(crate) established_at: Option<u64>,
    pub(crate) flows: [Flow; 2],
    /// Lost: nothing passes any more, whoever noticed.
    pub(crate) cut: bool,
}

impl Conn {
    pub(crate) fn new(link: usize, dialler: usize, up_at: [u64; 2]) -> Self {
        Conn {
            link,
            dialler,
            ends: [End::Coming; 2],
            up_at,
            established_at: None,
            flows: [Flow::default(), Flow::default()],
            cut: false,
        }
    }

    /// Whether this side has it, or is about to.
    pub(crate) fn open_at(&self, side: usize) -> bool {
        match self.ends[side] {
            End::Up | End::Closing => true,
            End::Coming => self.dialler == side,
            End::Closed => false,
        }
    }

    /// How many digests each side has said.
    pub(crate) fn digests(&self) -> [u64; 2] {
        [0, 1].map(|side| self.flows[side].watch.digests)
    }

    /// Whether this side still reads.
    pub(crate) fn reads(&self, side: usize) -> bool {
        matches!(self.ends[side], End::Up | End::Closing)
    }

    pub(crate) fn over(&self) -> bool {
        self.ends == [End::Closed; 2]
    }

    /// Whatever is on its way from this side vanishes.
    pub(crate) fn vanish(&mut self, side: usize) {
        self.flows[side].round += 1;
        self.flows[side].held.clear();
    }
}
