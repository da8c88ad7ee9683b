//! Fake clock, simulated network, fault injection and replay.
