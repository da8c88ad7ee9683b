//! A core over either store, so that one network mixes both.

use catalyst_control::record::Recording;
use catalyst_control::{Core, Effect, Event, Now, SessionId, Settings, State};
use catalyst_route_table::{Fixed, Heap, Limits as TableLimits, Refusal, Store};

/// The fixed store of simulated edge nodes.
pub type Small = Fixed<512, 512, 16_384, 250>;

/// Which store a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The heap store, as in the cloud.
    Heap,
    /// The fixed store, as on the edge, for at most this many routes.
    Fixed(usize),
}

/// A core over one of the stores.
pub enum AnyCore {
    /// The cloud's.
    Heap(Box<Core<Heap>>),
    /// The edge's.
    Fixed(Box<Core<Box<Small>>>),
}

/// Something that looks at a state over any store.
pub trait Look {
    /// What it finds.
    type Found;

    /// Looks.
    fn look<S: Store>(self, core: &Core<S>) -> Self::Found;
}

macro_rules! each {
    ($any:expr, $core:ident => $work:expr) => {
        match $any {
            AnyCore::Heap($core) => $work,
            AnyCore::Fixed($core) => $work,
        }
    };
}

impl AnyCore {
    /// A fresh core.
    ///
    /// # Errors
    /// [`Refusal`] when the store has no room for the node's own name.
    pub fn new(settings: Settings, kind: StoreKind) -> Result<Self, Refusal> {
        Ok(match kind {
            StoreKind::Heap => AnyCore::Heap(Box::new(Core::new(settings, heap())?)),
            StoreKind::Fixed(routes) => {
                AnyCore::Fixed(Box::new(Core::new(settings, Box::new(Small::new(routes)))?))
            }
        })
    }

    /// A core that has lived through a recording.
    ///
    /// # Errors
    /// As [`AnyCore::new`].
    pub fn replay(recording: &Recording, kind: StoreKind) -> Result<Self, Refusal> {
        Ok(match kind {
            StoreKind::Heap => AnyCore::Heap(Box::new(recording.replay(heap())?)),
            StoreKind::Fixed(routes) => {
                AnyCore::Fixed(Box::new(recording.replay(Box::new(Small::new(routes)))?))
            }
        })
    }

    /// [`Core::handle`].
    pub fn handle(&mut self, event: &Event, now: Now) {
        each!(self, core => core.handle(event, now));
    }

    /// [`Core::poll_effect`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        each!(self, core => core.poll_effect())
    }

    /// [`Core::poll_transmit`].
    pub fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
        each!(self, core => core.poll_transmit())
    }

    /// [`Core::next_deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        each!(self, core => core.next_deadline())
    }

    /// [`Core::is_walking`].
    #[must_use]
    pub fn is_walking(&self) -> bool {
        each!(self, core => core.is_walking())
    }

    /// [`Core::is_judging`].
    #[must_use]
    pub fn is_judging(&self) -> bool {
        each!(self, core => core.is_judging())
    }

    /// [`Core::is_ageing`].
    #[must_use]
    pub fn is_ageing(&self) -> bool {
        each!(self, core => core.is_ageing())
    }

    /// [`Core::is_looking`].
    #[must_use]
    pub fn is_looking(&self) -> bool {
        each!(self, core => core.is_looking())
    }

    /// [`Core::digest`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        each!(self, core => core.digest())
    }

    /// Lets something look at the core, whatever its store.
    pub fn look<L: Look>(&self, look: L) -> L::Found {
        each!(self, core => look.look(core.as_ref()))
    }
}

fn heap() -> Heap {
    Heap::new(TableLimits { routes: 100_000, names: 100_000, ..TableLimits::CLOUD })
}

/// The established session with a peer, whether its END_OF_RIB came, and the hold time.
pub(crate) struct Established<'a>(pub(crate) &'a catalyst_names::NodeName);

impl Look for Established<'_> {
    type Found = Option<(SessionId, bool, u32)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let state: &State<S> = core.state();
        state.peer(self.0).and_then(|peer| Some((peer.session?, peer.synced, peer.agreed?.hold_ms)))
    }
}

/// What a node says of the digests of a neighbour, and how often they did not fit.
pub(crate) struct Compared<'a>(pub(crate) &'a catalyst_names::NodeName);

impl Look for Compared<'_> {
    type Found = Option<(&'static str, u32)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        core.state().peer(self.0).map(|peer| (peer.compared.as_str(), peer.compared.mismatches))
    }
}
