//! What of a long log a person needs to see: failed tests with their output, else errors, else the end.

/// The most lines shown; the log file has the rest.
const MOST: usize = 150;

/// The telling lines of a failed stage.
pub fn of(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    let failures =
        between(&lines, |line| line == "failures:", |line| line.starts_with("test result: FAILED"));
    if !failures.is_empty() {
        return failures.into_iter().take(MOST).collect();
    }
    // The compiler ends each of its messages with an empty line.
    let is_error = |line: &str| line.starts_with("error:") || line.starts_with("error[");
    let errors = between(&lines, is_error, str::is_empty);
    // A lone line such as `error: aborting` says nothing by itself: then the end of the log is better.
    if errors.len() > 5 {
        return errors.into_iter().take(MOST).collect();
    }
    lines.into_iter().skip(log.lines().count().saturating_sub(MOST)).collect()
}

/// All runs of lines from one that `starts` accepts up to, without it, one that `ends` accepts.
fn between<'a>(
    lines: &[&'a str],
    starts: impl Fn(&str) -> bool,
    ends: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in lines {
        inside = if inside { !ends(line) } else { starts(line) };
        if inside {
            found.push(*line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_shown_however_many_pass_after_them() {
        let passing = "test result: ok. 1 passed; 0 failed\n".repeat(2 * MOST);
        let log = format!(
            "running 1 test\nfailures:\n---- a stdout ----\nwhy\nfailures:\n    a\ntest result: FAILED. 0 passed\n{passing}"
        );
        assert_eq!(of(&log), ["failures:", "---- a stdout ----", "why", "failures:", "    a"]);
    }

    #[test]
    fn errors_are_shown_among_warnings() {
        let warnings = "warning: unused\n --> a.rs\n\n".repeat(2 * MOST);
        let log = format!(
            "error[E0308]: mismatched types\n --> b.rs:1:2\n  |\n1 | x\n  | ^\n  = note: so\n\n{warnings}error: could not compile\n"
        );
        let shown = of(&log);
        assert_eq!(shown[0], "error[E0308]: mismatched types");
        assert_eq!(shown.last(), Some(&"error: could not compile"));
        assert_eq!(shown.len(), 7);
    }

    #[test]
    fn else_the_end_is_shown() {
        let log: String = (0..1000).map(|line| format!("{line}\n")).collect();
        assert_eq!(of(&log).len(), MOST);
        assert_eq!(of(&log).last(), Some(&"999"));
        assert_eq!(of("one\n"), ["one"]);
    }
}
