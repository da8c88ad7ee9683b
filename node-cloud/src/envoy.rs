//! `catalyst envoy`.

use catalyst_envoy::print_bootstrap;
use catalyst_node::NodeError;
use catalyst_node::cli::Common;
use catalyst_node::say;
use clap::Subcommand;

use crate::PROGRAM;

#[derive(Subcommand)]
pub enum EnvoyCommand {
    /// Print the bootstrap for an Envoy that you run yourself (envoy.mode external)
    #[command(
        after_help = "Example:\n  catalyst envoy bootstrap > envoy.json\n  envoy -c envoy.json --reject-unknown-dynamic-fields \\\n    \
                            --drain-time-s 0 --drain-strategy immediate"
    )]
    Bootstrap,
}

pub fn execute(command: &EnvoyCommand, common: &Common) -> Result<(), NodeError> {
    match command {
        EnvoyCommand::Bootstrap => {
            let config = common.load(&PROGRAM)?;
            say!("{}", print_bootstrap(&catalyst_mesh::bootstrap(&config)).trim_end());
            Ok(())
        }
    }
}
