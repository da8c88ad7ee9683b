//! Durable state behind one small trait.
