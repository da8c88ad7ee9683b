//! The log: lines on standard error, for people and for the journal.

use catalyst_config::Config;
use catalyst_node::cli::level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that tell of every frame.
const QUIET: [&str; 5] = ["h2", "hyper", "hyper_util", "tonic", "tower"];

/// Starts it, at the level of the configuration.
pub fn start(config: &Config) {
    let most = LevelFilter::from_level(level(config.log));
    let targets = Targets::new().with_default(most);
    let targets = targets.with_targets(QUIET.map(|library| (library, LevelFilter::WARN.min(most))));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| catalyst_node::Log)
        .with_ansi(false)
        .with_target(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
