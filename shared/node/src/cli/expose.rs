//! `expose ...`: local ports for services.

use catalyst_names::{Protocol, ServiceName};
use clap::Subcommand;

use crate::admin::Request;
use crate::error::NodeError;
use crate::exposes::ExposeSpec;

/// `expose ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ExposeCommand {
    /// Open a local port for a service; it is kept over restarts
    #[command(after_help = "Examples:\n  catalyst expose add orders.globex.example --listen 9001\n  \
                            catalyst expose add dns.acme.example --protocol udp --listen 127.0.0.1:9053")]
    Add {
        /// The full name of the service
        service: String,
        /// IP:PORT, or a port on 127.0.0.1 [default: the first free port of 'expose_ports']
        #[arg(short, long)]
        listen: Option<String>,
        /// What clients speak there: tcp, which HTTP is too, or udp
        #[arg(short, long, default_value = "tcp")]
        protocol: String,
    },
    /// Close the local ports of a service, for good; TCP connections that are open go on
    Rm {
        /// The full name of the service
        service: String,
        /// This one alone: IP:PORT, or a port on 127.0.0.1
        #[arg(short, long)]
        listen: Option<String>,
    },
    /// List the local ports
    Ls,
}

/// What the node is asked.
pub(super) fn request(command: &ExposeCommand) -> Result<Request, NodeError> {
    let name = |text: &str| {
        ServiceName::parse(text)
            .map_err(|e| NodeError::Usage(format!("'{text}' is no full name of a service: {e}")))
    };
    Ok(match command {
        ExposeCommand::Ls => Request::Exposed,
        ExposeCommand::Rm { service, listen } => {
            Request::ExposeRemove { service: name(service)?, listen: address(listen.as_ref()) }
        }
        ExposeCommand::Add { service, listen, protocol } => Request::ExposeAdd {
            expose: ExposeSpec {
                service: name(service)?,
                listen: address(listen.as_ref()),
                port: protocol
                    .parse::<Protocol>()
                    .map_err(|e| NodeError::Usage(format!("'{protocol}': {e}")))?,
            },
        },
    })
}

/// A port alone is one of this machine.
fn address(text: Option<&String>) -> Option<String> {
    text.map(|text| match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.clone(),
    })
}
