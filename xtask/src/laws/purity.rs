//! Law: the pure crates name no clock, thread, file, socket, randomness or hash map outside tests.
//!
//! Hash maps are refused because their order differs from run to run, and a replay must end in the same state.

use anyhow::Result;

use super::fault::{Fault, Verdict};
use super::pure_crates::PURE;
use crate::repo::{Repo, SourceFile};
use crate::rust_source::{code_without_tests, find_words, is_test_path, line_of};

const TIME: &str = "take the time as an argument";
const ORDER: &str = "use a BTreeMap or a sorted vector";
const OUTSIDE: &str = "make it an effect that the shell carries out";

/// What must not be named, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("std::time", TIME),
    ("Instant", TIME),
    ("SystemTime", TIME),
    ("std::thread", OUTSIDE),
    ("std::net", "use core::net"),
    ("std::fs", OUTSIDE),
    ("std::io", OUTSIDE),
    ("std::env", OUTSIDE),
    ("std::process", OUTSIDE),
    ("std::sync", "own the value; the core is one thread's"),
    ("extern crate std", "stay within core and alloc"),
    ("thread_local", "own the value"),
    ("rand", "take random numbers as arguments"),
    ("getrandom", "take random numbers as arguments"),
    ("HashMap", ORDER),
    ("HashSet", ORDER),
    ("RandomState", ORDER),
    ("hashbrown", ORDER),
];

pub fn run(repo: &Repo) -> Result<Verdict> {
    let pure = |path: &str| {
        PURE.iter().any(|name| path.starts_with(&format!("shared/{name}/")))
            && path.ends_with(".rs")
            && !is_test_path(path)
    };
    Ok(repo.sources(pure)?.iter().flat_map(check).collect::<Vec<_>>().into())
}

fn check(file: &SourceFile) -> Vec<Fault> {
    let code = code_without_tests(&file.text);
    let mut faults = Vec::new();
    for (word, instead) in REFUSED {
        for at in find_words(&code, word) {
            // `a.rand` or `Now::Instant` may be a field or a variant of our own; a path's last part is not
            // told apart, so the rule is simply: find another word.
            faults.push(Fault::new(
                format!("{}:{}", file.path, line_of(&code, at)),
                format!("`{word}` in a pure crate"),
                *instead,
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<Fault> {
        check(&SourceFile { path: "shared/control/src/state.rs".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_clock_fails_with_its_line() {
        let found = faults("use core::time::Duration;\n\nfn now() { let t = std::time::Instant::now(); }\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].place, "shared/control/src/state.rs:3");
        assert_eq!(found[0].mend, TIME);
    }

    #[test]
    fn every_refused_word_is_found() {
        for (word, _) in REFUSED {
            assert!(!faults(&format!("fn f() {{ {word}; }}")).is_empty(), "{word}");
        }
    }

    #[test]
    fn words_in_comments_texts_and_tests_pass() {
        let text = "//! No HashMap, no Instant.\nconst A: &str = \"std::fs\";\n\
                    #[cfg(test)]\nmod tests { use std::collections::HashMap; }\nuse alloc::collections::BTreeMap;";
        assert_eq!(faults(text), []);
    }
}
