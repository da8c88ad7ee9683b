//! How many tests ran: read from what `cargo test` prints.

use std::ops::AddAssign;

/// Tests that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Reads `test result: ok. 12 passed; 1 failed; 0 ignored; ...`; nothing for any other line.
pub fn of_line(line: &str) -> Option<Count> {
    let (_, figures) = line.trim().strip_prefix("test result:")?.split_once(". ")?;
    let figure = |word: &str| {
        figures.split(';').find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
    };
    Some(Count { passed: figure("passed")?, failed: figure("failed")? })
}

/// The name in `test some::name ... FAILED`.
pub fn failed_test(line: &str) -> Option<&str> {
    line.trim().strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_result() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.0s";
        assert_eq!(of_line(line), Some(Count { passed: 12, failed: 3 }));
        assert_eq!(of_line("test result: nonsense"), None);
        assert_eq!(of_line("running 12 tests"), None);
    }

    #[test]
    fn reads_the_name_of_a_failed_test() {
        assert_eq!(failed_test("test a::b - c (line 3) ... FAILED"), Some("a::b - c (line 3)"));
        assert_eq!(failed_test("test a::b ... ok"), None);
    }
}
