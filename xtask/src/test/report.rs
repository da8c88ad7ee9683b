//! What came of the stages: the table at the end, and the line that counts.

use std::time::Duration;

use super::count::Count;

/// How a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All of it held.
    Ok,
    /// Something did not.
    Failed,
    /// Not run, with the reason.
    LeftOut(String),
    /// It cannot be run on this machine, with the reason. That is no failure, but it is said.
    NotHere(String),
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// The stage.
    pub name: String,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub time: Duration,
    /// Tests that it ran.
    pub count: Count,
}

/// The table, and as the last line `N passed, N failed` over all tests. A stage that failed without a failed
/// test, such as one that does not compile, counts as one: a red run never says `0 failed`.
pub fn render(rows: &[Row]) -> String {
    let mut text = format!("\n{:<10}{:<10}{:>9}  tests\n", "stage", "result", "time");
    let mut total = Count::default();
    for row in rows {
        let (result, detail) = match &row.ended {
            Ended::Ok => ("ok", tests(row.count)),
            Ended::Failed => ("FAILED", tests(row.count)),
            Ended::LeftOut(why) => ("left out", why.clone()),
            Ended::NotHere(why) => ("NOT RUN", why.clone()),
        };
        let line = format!("{:<10}{result:<10}{:>7.1} s  {detail}", row.name, row.time.as_secs_f64());
        text.push_str(line.trim_end());
        text.push('\n');
        total += row.count;
        if row.ended == Ended::Failed && row.count.failed == 0 {
            total.failed += 1;
        }
    }
    let time: f64 = rows.iter().map(|row| row.time.as_secs_f64()).sum();
    text.push_str(&format!(
        "{:<20}{time:>7.1} s\n\n{} passed, {} failed\n",
        "all", total.passed, total.failed
    ));
    text
}

/// Whether the run is good: nothing failed, and nothing that was wanted is missing.
pub fn good(rows: &[Row]) -> bool {
    rows.iter().all(|row| matches!(row.ended, Ended::Ok | Ended::NotHere(_)))
}

fn tests(count: Count) -> String {
    match (count.passed, count.failed) {
        (0, 0) => String::new(),
        (passed, 0) => format!("{passed} passed"),
        (passed, failed) => format!("{passed} passed, {failed} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, ended: Ended, passed: usize, failed: usize) -> Row {
        Row {
            name: name.to_owned(),
            ended,
            time: Duration::from_millis(1500),
            count: Count { passed, failed },
        }
    }

    #[test]
    fn the_last_line_sums_the_tests() {
        let rows =
            [row("fmt", Ended::Ok, 0, 0), row("unit", Ended::Ok, 40, 0), row("e2e", Ended::Failed, 2, 1)];
        assert_eq!(render(&rows).lines().last(), Some("42 passed, 1 failed"));
        assert!(!good(&rows));
    }

    #[test]
    fn a_failed_stage_without_a_failed_test_is_counted() {
        let rows = [row("clippy", Ended::Failed, 0, 0), row("unit", Ended::Ok, 5, 0)];
        assert_eq!(render(&rows).lines().last(), Some("5 passed, 1 failed"));
    }

    #[test]
    fn every_stage_is_in_the_table_with_its_time() {
        let rows =
            [row("unit", Ended::Ok, 5, 0), row("e2e", Ended::LeftOut("build failed".to_owned()), 0, 0)];
        let text = render(&rows);
        assert!(text.contains("unit      ok            1.5 s  5 passed"), "{text}");
        assert!(text.contains("e2e       left out      1.5 s  build failed"), "{text}");
        assert!(!good(&rows));
        assert!(good(&rows[..1]));
    }
}
