//! `export` and `import`: what passes between organisations.

use catalyst_names::OrgId;
use clap::Subcommand;

use crate::admin::Request;
use crate::rules::{Direction, RuleSpec};

/// `export ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ExportCommand {
    /// Let another organisation learn a service; it is kept over restarts
    #[command(after_help = "Example:\n  catalyst export add inventory --to globex.example")]
    Add {
        /// The label of a service of this organisation, or '*' for all
        service: String,
        /// The organisation of a peer
        #[arg(long)]
        to: OrgId,
    },
    /// Keep a service in again; live connections to it are cut
    Rm {
        /// As it was added
        service: String,
        /// The organisation
        #[arg(long)]
        to: OrgId,
    },
    /// List exports and imports
    Ls,
    /// List which services other organisations see, which of theirs are seen here, and why not
    Why,
}

/// `import ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ImportCommand {
    /// Accept a service of another organisation; it is kept over restarts
    #[command(after_help = "Example:\n  catalyst import add orders --from globex.example")]
    Add {
        /// The label of a service of that organisation, or '*' for all that it offers
        service: String,
        /// The organisation of a peer
        #[arg(long)]
        from: OrgId,
    },
    /// Accept a service no longer
    Rm {
        /// As it was added
        service: String,
        /// The organisation
        #[arg(long)]
        from: OrgId,
    },
    /// List exports and imports
    Ls,
}

pub(super) fn export(command: &ExportCommand) -> Request {
    let rule = |service: &str, to: &OrgId| RuleSpec {
        direction: Direction::Export,
        org: to.clone(),
        service: service.to_string(),
    };
    match command {
        ExportCommand::Add { service, to } => Request::RuleAdd { rule: rule(service, to) },
        ExportCommand::Rm { service, to } => Request::RuleRemove { rule: rule(service, to) },
        ExportCommand::Ls => Request::Rules,
        ExportCommand::Why => Request::Visibility,
    }
}

pub(super) fn import(command: &ImportCommand) -> Request {
    let rule = |service: &str, from: &OrgId| RuleSpec {
        direction: Direction::Import,
        org: from.clone(),
        service: service.to_string(),
    };
    match command {
        ImportCommand::Add { service, from } => Request::RuleAdd { rule: rule(service, from) },
        ImportCommand::Rm { service, from } => Request::RuleRemove { rule: rule(service, from) },
        ImportCommand::Ls => Request::Rules,
    }
}
