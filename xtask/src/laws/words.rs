//! Law: the repository names no path of one machine, and leaves no test switched off and nothing to do.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::repo::{Repo, SourceFile};
use crate::rust_source::{code_only, find_words, line_of};

/// Not in any tracked file. In two halves, so that this file passes its own law.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/tmp/bash", "_jobs"), concat!("/ro", "ot/")];

/// Not in the code of any .rs file.
const UNFINISHED: &[(&str, &str)] = &[
    ("#[ignore", "mend the test or remove it: a test that never runs proves nothing"),
    ("todo!", "write it, or leave the feature out"),
    ("unimplemented!", "write it, or leave the feature out"),
];

pub fn run(repo: &Repo) -> Result<Verdict> {
    Ok(repo.sources(|_| true)?.iter().flat_map(check).collect::<Vec<_>>().into())
}

fn check(file: &SourceFile) -> Vec<Fault> {
    let mut faults = Vec::new();
    for pattern in MACHINE_PATHS {
        for (at, _) in file.text.match_indices(pattern) {
            faults.push(Fault::new(
                format!("{}:{}", file.path, line_of(&file.text, at)),
                format!("`{pattern}` is a path of one machine"),
                "write a path that is true everywhere",
            ));
        }
    }
    if file.path.ends_with(".rs") {
        let code = code_only(&file.text);
        for (word, mend) in UNFINISHED {
            for at in find_words(&code, word) {
                faults.push(Fault::new(
                    format!("{}:{}", file.path, line_of(&code, at)),
                    format!("`{}` is refused", word.trim_start_matches("#[")),
                    *mend,
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<Fault> {
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn machine_paths_fail_anywhere() {
        for pattern in MACHINE_PATHS {
            let found = faults("docs/a.md", &format!("one\ntwo {pattern}x\n"));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].place, "docs/a.md:2");
        }
    }

    #[test]
    fn unfinished_code_fails() {
        for code in
            ["#[ignore]", "#[ignore = \"slow\"]", "fn f() { todo!() }", "fn f() { unimplemented!(\"x\") }"]
        {
            assert_eq!(faults("a.rs", code).len(), 1, "{code}");
        }
    }

    #[test]
    fn words_about_them_pass() {
        assert_eq!(faults("a.rs", "// todo!\nconst A: &str = \"unimplemented!\";"), []);
        assert_eq!(faults("a.md", "never write todo!()"), []);
    }
}
