//! `export` and `import`: what passes between organisations.

use catalyst_policy::Neighbour;
use clap::Subcommand;
#[cfg(feature = "mesh")]
use std::{io::IsTerminal, path::PathBuf};

#[cfg(feature = "mesh")]
use super::{Common, Program};
#[cfg(feature = "mesh")]
use crate::admin::Answer;
use crate::admin::Request;
#[cfg(feature = "mesh")]
use crate::client::ask;
#[cfg(feature = "mesh")]
use crate::error::NodeError;
#[cfg(feature = "mesh")]
use crate::output;
#[cfg(feature = "mesh")]
use crate::rules::Lists;
use crate::rules::{Direction, RuleSpec};

/// `export ...`
#[derive(Subcommand, Clone, Debug)]
pub enum ExportCommand {
    /// Let another organisation learn a service; it is kept over restarts
    #[command(after_help = "Example:\n  catalyst export add inventory --to globex.example")]
    Add {
        /// A service of this organisation, '*' for all, or a pattern; a full name for a service of others
        service: String,
        /// The organisation of a peer, one node of it, or '*'
        #[arg(long)]
        to: Neighbour,
    },
    /// Keep a service in again; live connections to it are cut
    Rm {
        /// As it was added
        service: String,
        /// The organisation
        #[arg(long)]
        to: Neighbour,
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
        /// A service of that organisation, '*' for all that it offers, or a pattern; a full name for one of others
        service: String,
        /// The organisation of a peer, one node of it, or '*'
        #[arg(long)]
        from: Neighbour,
    },
    /// Accept a service no longer
    Rm {
        /// As it was added
        service: String,
        /// The organisation
        #[arg(long)]
        from: Neighbour,
    },
    /// List exports and imports
    Ls,
}

/// `policy ...`
#[cfg(feature = "mesh")]
#[derive(Subcommand, Clone, Debug)]
pub enum PolicyCommand {
    /// List all rules, in the order in which they are asked, and how often each has decided
    #[command(
        after_help = "Examples:\n  catalyst policy ls\n  catalyst policy ls --json | jq '.[] | {name, matches}'"
    )]
    Ls,
    /// Print the rules in force as a file that 'policy plan' and 'policy apply' take
    #[command(after_help = "Example:\n  catalyst policy show > rules.json")]
    Show,
    /// Show what other rules would expose, hide or move, from the routes that there are now; nothing is changed
    #[command(
        after_help = "The file holds \"exports\" and \"imports\", as catalyst.json has them and 'policy show' writes them.\n\n\
                            Example:\n  catalyst policy plan rules.json"
    )]
    Plan {
        /// The rules
        file: PathBuf,
    },
    /// Put other rules in the place of all, after showing what that changes; they are kept over restarts
    #[command(after_help = "Example:\n  catalyst policy apply rules.json")]
    Apply {
        /// The rules
        file: PathBuf,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[cfg(feature = "mesh")]
pub(super) fn policy(program: &Program, common: &Common, command: &PolicyCommand) -> Result<(), NodeError> {
    let socket = common.socket(program)?;
    let (file, apply) = match command {
        PolicyCommand::Ls => {
            let (answer, unwritten) = ask(&socket, Request::Rules)?;
            print(common, &answer);
            return unwritten.map_or(Ok(()), Err);
        }
        PolicyCommand::Show => {
            let (answer, _) = ask(&socket, Request::Rules)?;
            output::raw(&rules_file(answer)?);
            return Ok(());
        }
        PolicyCommand::Plan { file } => (file, None),
        PolicyCommand::Apply { file, yes } => (file, Some(*yes)),
    };
    let read = catalyst_config::policy_file::load(file)?;
    let rules = Lists { exports: read.exports, imports: read.imports };
    if common.json && apply == Some(false) {
        let why = "with --json nobody is asked: look at 'policy plan', then give --yes";
        return Err(NodeError::Usage(why.to_string()));
    }
    // The node names a place in the lists; which file holds them, it cannot know.
    let placed = |error| match error {
        NodeError::Refused(why) if why.starts_with('/') => {
            NodeError::Refused(format!("{}: {why}", file.display()))
        }
        other => other,
    };
    let (answer, _) = ask(&socket, Request::PolicyPlan { rules: rules.clone() }).map_err(placed)?;
    let Answer::Plan(plan) = &answer else {
        return Err(NodeError::Failed("the node answered something else than a plan".to_string()));
    };
    if apply.is_none() || !common.json {
        print(common, &answer);
    }
    let Some(yes) = apply else { return Ok(()) };
    if !yes && !agreed()? {
        return Err(NodeError::Failed("nothing was changed".to_string()));
    }
    let (answer, unwritten) = ask(&socket, Request::PolicyApply { rules, etag: plan.etag.clone() })?;
    if let (true, Answer::Rules(rows)) = (common.json, &answer) {
        let both = serde_json::json!({ "plan": plan, "rules": rows });
        output::document(&serde_json::to_string_pretty(&both).unwrap_or_default());
    } else {
        output::line("these rules hold now:");
        output::text(&answer, None);
    }
    unwritten.map_or(Ok(()), Err)
}

/// The rules in force, as a file.
#[cfg(feature = "mesh")]
fn rules_file(answer: Answer) -> Result<String, NodeError> {
    let Answer::Rules(rows) = answer else {
        return Err(NodeError::Failed("the node answered something else than its rules".to_string()));
    };
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(rule) = row.detail else {
            let why = "the node is of an earlier version, which does not tell its rules whole";
            return Err(NodeError::Failed(why.to_string()));
        };
        match row.rule.direction {
            Direction::Export => exports.push(*rule),
            Direction::Import => imports.push(*rule),
        }
    }
    Ok(catalyst_config::policy_file::write(&exports, &imports))
}

#[cfg(feature = "mesh")]
fn print(common: &Common, answer: &Answer) {
    if common.json { output::json(answer) } else { output::text(answer, None) }
}

/// Asks the person at the terminal.
#[cfg(feature = "mesh")]
fn agreed() -> Result<bool, NodeError> {
    if !std::io::stdin().is_terminal() {
        return Err(NodeError::Usage(
            "there is nobody to ask: look at 'policy plan', then give --yes".to_string(),
        ));
    }
    output::line("apply? [y/N]");
    let mut said = String::new();
    let read = std::io::stdin().read_line(&mut said);
    Ok(read.is_ok() && matches!(said.trim(), "y" | "Y" | "yes"))
}

pub(super) fn export(command: &ExportCommand) -> Request {
    let rule = |service: &str, to: &Neighbour| RuleSpec {
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
    let rule = |service: &str, from: &Neighbour| RuleSpec {
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
