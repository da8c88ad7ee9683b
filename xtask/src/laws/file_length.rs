//! Law: no .rs file over 800 lines, no main.rs over 150. About 400 is where a file should be split.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::repo::{Repo, SourceFile};

const MOST: usize = 800;
const MOST_IN_MAIN: usize = 150;
const AIM: usize = 400;

pub fn run(repo: &Repo) -> Result<Verdict> {
    Ok(check(&repo.sources(|path| path.ends_with(".rs"))?))
}

fn check(files: &[SourceFile]) -> Verdict {
    let mut verdict = Verdict::default();
    for file in files {
        let lines = file.text.lines().count();
        let main = file.path == "main.rs" || file.path.ends_with("/main.rs");
        let most = if main { MOST_IN_MAIN } else { MOST };
        if lines > most {
            verdict.faults.push(Fault::new(
                &file.path,
                format!("{lines} lines, {most} at most"),
                if main { "main.rs only wires: move the work out" } else { "split it by subject" },
            ));
        } else if lines > AIM {
            verdict.notes.push(format!("{} has {lines} lines; aim for {AIM}", file.path));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(path: &str, lines: usize) -> Verdict {
        check(&[SourceFile { path: path.to_owned(), text: "x\n".repeat(lines) }])
    }

    #[test]
    fn the_limits_themselves_pass() {
        assert!(verdict("a/src/lib.rs", MOST).faults.is_empty());
        assert!(verdict("a/src/main.rs", MOST_IN_MAIN).faults.is_empty());
        assert!(verdict("a/src/domain.rs", MOST_IN_MAIN + 1).faults.is_empty());
    }

    #[test]
    fn one_line_more_fails() {
        let verdict_of_a_file = verdict("a/src/lib.rs", MOST + 1);
        assert_eq!(verdict_of_a_file.faults[0].place, "a/src/lib.rs");
        assert!(verdict_of_a_file.faults[0].what.contains("801 lines"));
        assert_eq!(verdict("a/src/main.rs", MOST_IN_MAIN + 1).faults.len(), 1);
    }

    #[test]
    fn a_long_file_is_noted() {
        assert_eq!(verdict("a/src/lib.rs", AIM).notes.len(), 0);
        assert_eq!(verdict("a/src/lib.rs", AIM + 1).notes.len(), 1);
    }
}
