//! `join`: the arguments, and what is said at the end.

use std::path::PathBuf;

use catalyst_config::{Limits, files};
use catalyst_identity::Date;
use clap::Args;

use super::{Common, Program};
use crate::error::NodeError;
use crate::join::{Join, Joined, join};
use crate::output;
use crate::shell::Shell;

/// `join TOKEN`
#[derive(Args, Clone, Debug)]
pub struct JoinArguments {
    /// The token of 'catalyst node invite'; '-' reads it from the standard input, '@FILE' from a file: other users of this
    /// machine can see the arguments of commands
    pub token: String,
}

impl JoinArguments {
    /// Joins, and says what was written.
    ///
    /// # Errors
    /// As [`join`].
    pub async fn run<Sh: Shell>(
        &self,
        shell: &Sh,
        program: &Program,
        common: &Common,
        prefer_chacha: bool,
    ) -> Result<(), NodeError> {
        let token = zeroize::Zeroizing::new(self.text()?);
        let config = common.config.clone().unwrap_or_else(|| PathBuf::from("catalyst.json"));
        let joined = join(shell, Join { token: &token, config: &config, prefer_chacha }).await?;
        say(&joined, program, &config, common.json);
        Ok(())
    }

    fn text(&self) -> Result<String, NodeError> {
        use std::io::Read;
        let failed = |what: &str, e: &std::io::Error| NodeError::Failed(format!("{what}: {e}"));
        match self.token.strip_prefix('@') {
            Some(path) => files::read_text(path, Limits::TOKEN_FILE).map_err(|e| failed(path, &e)),
            None if self.token == "-" => {
                let mut text = String::new();
                let done = std::io::stdin().take(Limits::TOKEN_FILE as u64).read_to_string(&mut text);
                done.map_err(|e| failed("the standard input", &e)).map(|_| text)
            }
            None => Ok(self.token.clone()),
        }
    }
}

fn say(joined: &Joined, program: &Program, config: &std::path::Path, json: bool) {
    if json {
        output::document(&serde_json::to_string(joined).unwrap_or_default());
        return;
    }
    output::line(&format!(
        "this is {} now; {} issued its certificate, good until {} and renewed before",
        joined.node,
        joined.authority,
        Date(joined.certificate_until)
    ));
    joined.files.iter().for_each(|file| output::line(&format!("  wrote {}", file.display())));
    let verb = match program.build {
        catalyst_config::Build::Edge => "run",
        catalyst_config::Build::Cloud => "up",
    };
    if joined.config_kept {
        output::line(&format!(
            "{} is as it was: it needs \"authority\": {{ \"address\": ... }} for renewals, and {} in 'peers'",
            config.display(),
            joined.authority
        ));
    }
    output::line(&format!("next: {} {verb} -c {}", program.name, config.display()));
}
