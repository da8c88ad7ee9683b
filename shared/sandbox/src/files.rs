//! Files and TCP ports, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};

use crate::{Layer, State, Wanted};

const NAME: &str = "files and ports";
/// The version whose rights are asked for: files, and TCP ports. Of an older kernel's rights, those that it has.
const WANTED: ABI = ABI::V4;

pub(crate) fn enter(wanted: &Wanted) -> Layer {
    let (state, why) = match restrict(wanted) {
        Ok(RulesetStatus::FullyEnforced) => {
            let ports = match wanted.listen {
                Some(_) => "only its own TCP ports listened on",
                None => "any TCP port listened on, as one is to be chosen by the system",
            };
            (State::Enforced, format!("only its own files can be used, and {ports}"))
        }
        Ok(RulesetStatus::PartiallyEnforced) => {
            (State::Partly, "this kernel's Landlock is older: what it knows is enforced".to_string())
        }
        Ok(RulesetStatus::NotEnforced) => (State::Off, "this kernel has no Landlock".to_string()),
        Err(error) => (State::Off, error.to_string()),
    };
    Layer { name: NAME, state, why }
}

fn restrict(wanted: &Wanted) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?;
    if wanted.listen.is_some() {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = rules.create()?;
    // Nothing is ever executed from where data is.
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let sockets = AccessFs::MakeSock | AccessFs::RemoveFile;
    // No devices, pipes and symbolic links, and nothing moves between folders.
    let write = read
        | sockets
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveDir;
    for (paths, access) in [(&wanted.read, read), (&wanted.write, write), (&wanted.sockets, sockets)] {
        for path in paths {
            rules = beneath(rules, path, access)?;
        }
    }
    for port in wanted.listen.iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

fn beneath(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    // What is not there cannot be used either.
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(WANTED) };
    rules.add_rule(PathBeneath::new(file, access))
}
