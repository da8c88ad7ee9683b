//! The log: lines on standard error, for people and for the journal.

use catalyst_config::Config;
use catalyst_node::cli::level;

/// Starts it, at the level of the configuration.
pub fn start(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level(config.log))
        .with_writer(|| catalyst_node::Log)
        .with_ansi(false);
    log.with_target(false).init();
}
