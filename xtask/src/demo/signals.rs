//! Ctrl-C and its relatives: told to stop, the demo ends in order instead of at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether somebody wants the demo to end.
#[derive(Clone, Default)]
pub struct Signals(Arc<AtomicBool>);

impl Signals {
    /// From now on Ctrl-C, SIGTERM and the end of the terminal are remembered here, and end nothing by themselves.
    pub fn catch() -> Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, signals.0.clone()).context("cannot wait for signals")?;
        }
        Ok(signals)
    }

    /// One of them came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
