//! Law: golden bytes never change once they are recorded.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::golden::{self, Difference};
use crate::repo::Repo;

pub fn run(repo: &Repo) -> Result<Verdict> {
    let found = golden::found(repo)?;
    let faults = check(&golden::compare(&golden::recorded(repo)?, &found));
    Ok(Verdict { faults, notes: vec![format!("{} files", found.len())] })
}

fn check(difference: &Difference) -> Vec<Fault> {
    let restore = "released versions keep writing and reading these bytes: restore it, and give a new format a new file";
    let mut faults = Vec::new();
    for path in &difference.changed {
        faults.push(Fault::new(path, "it differs from its recorded digest", restore));
    }
    for path in &difference.vanished {
        faults.push(Fault::new(path, "it is recorded but gone", restore));
    }
    for path in &difference.new {
        faults.push(Fault::new(path, "it is not recorded", "cargo xtask golden --accept-new"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_fails() {
        let one = |path: &str| vec![path.to_owned()];
        let difference = Difference { new: one("n"), changed: one("c"), vanished: one("v") };
        let places: Vec<_> = check(&difference).into_iter().map(|fault| fault.place).collect();
        assert_eq!(places, ["c", "v", "n"]);
        assert_eq!(check(&Difference::default()), []);
    }
}
