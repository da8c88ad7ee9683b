//! `join`: the arguments, and what is said at the end.

use std::path::PathBuf;

use catalyst_identity::Date;
use clap::Args;

use super::{Common, Program};
use crate::error::NodeError;
use crate::join::{Join, Joined, join};
use crate::output;
use crate::shell::Shell;

/// The most that is read of a file with a token.
const TOKEN_FILE: u64 = 4_096;

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
        let read = |from: &mut dyn Read, what: &str| {
            let mut text = String::new();
            let done = from.take(TOKEN_FILE).read_to_string(&mut text);
            done.map_err(|e| NodeError::Failed(format!("{what}: {e}"))).map(|_| text)
        };
        match self.token.strip_prefix('@') {
            Some(path) => {
                let mut file =
                    std::fs::File::open(path).map_err(|e| NodeError::Failed(format!("{path}: {e}")))?;
                read(&mut file, path)
            }
            None if self.token == "-" => read(&mut std::io::stdin(), "the standard input"),
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
