//! The peering session as a small state machine.
