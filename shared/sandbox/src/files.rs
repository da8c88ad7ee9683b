//! Files and TCP ports, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};

use crate::{Layer, State, Wanted};

const NAME: &str = "files and ports";
/// The version whose rights are asked for: files, and TCP ports. Of an older kernel's rights, those that it has.
const WANTED: ABI = ABI::V4;

pub(crate) fn enter(wanted: &Wanted) -> Layer {
    let (state, why) = match restrict(wanted) {
        Ok(RulesetStatus::FullyEnforced) => (
            State::Enforced,
            "only its own files can be used, and only its own TCP ports listened on".to_string(),
        ),
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
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::BindTcp)?
        .create()?;
    for path in &wanted.read {
        rules = beneath(rules, path, false)?;
    }
    for path in &wanted.write {
        rules = beneath(rules, path, true)?;
    }
    for port in &wanted.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

fn beneath(rules: RulesetCreated, path: &Path, write: bool) -> Result<RulesetCreated, RulesetError> {
    // What is not there cannot be used either.
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    let mut access = AccessFs::from_read(WANTED);
    if write {
        access = AccessFs::from_all(WANTED);
    }
    // Nothing is ever executed from where data is.
    access.remove(AccessFs::Execute);
    if !path.is_dir() {
        access &= AccessFs::from_file(WANTED);
    }
    rules.add_rule(PathBeneath::new(file, access))
}
