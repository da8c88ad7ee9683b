//! The core: events in, effects out.
