//! The three public traits: behaviour is added here, not in the core.
//!
//! Phase 1 plugins look at the event and the state and say what they want changed. Phase 2 plugins look at what
//! did change and say what neighbours hear and what the shell has to do. No plugin sees a half-made state, and
//! none can wait for anything.

use alloc::vec::Vec;

use catalyst_route_table::Store;

use crate::changes::Changes;
use crate::delta::Delta;
use crate::effect::Effect;
use crate::event::Event;
use crate::export::Marks;
use crate::state::State;

/// Turns events into routes.
pub trait RouteTablePlugin<S: Store> {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// What the event means for Adj-RIB-In and the peers.
    fn apply<'e>(&self, event: &'e Event, state: &State<S>) -> Delta<'e>;
}

/// Turns events into services, and changes into work for the data plane.
pub trait ServicePlugin<S: Store> {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// What the event means for the services of this node.
    fn apply<'e>(&self, event: &'e Event, state: &State<S>) -> Delta<'e>;

    /// What the changes mean for the data plane.
    fn react(&self, state: &State<S>, changes: &Changes, effects: &mut Vec<Effect>);
}

/// Decides what each export group hears.
pub trait PropagationPlugin<S: Store> {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// What the changes mean for the export groups.
    fn evaluate(&self, state: &State<S>, changes: &Changes, marks: &mut Marks<'_>);
}
