//! Frames, route entries and typed attributes of the peering protocol.
