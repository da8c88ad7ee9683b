//! Rows of figures, each with the bar it is held against, as a table or as JSON.

use serde_json::{Value, json};

/// What a figure may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// At most this, in the row's unit.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// At most so many times what the other program beside it needs.
    TimesAtMost(f64),
    /// At least so many times what the other program does.
    TimesAtLeast(f64),
    /// Nobody asked; it is told to explain others.
    None,
}

impl Bar {
    fn holds(self, value: f64, ratio: Option<f64>) -> bool {
        match self {
            Bar::AtMost(max) => value <= max,
            Bar::Below(max) => value < max,
            Bar::TimesAtMost(max) => ratio.is_some_and(|ratio| ratio <= max),
            Bar::TimesAtLeast(min) => ratio.is_some_and(|ratio| ratio >= min),
            Bar::None => true,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Bar::AtMost(max) => format!("<= {} {unit}", number(max)),
            Bar::Below(max) => format!("< {} {unit}", number(max)),
            Bar::TimesAtMost(max) => format!("<= {} x", number(max)),
            Bar::TimesAtLeast(min) => format!(">= {} x", number(min)),
            Bar::None => String::new(),
        }
    }
}

#[derive(Debug)]
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    beside: Option<(&'static str, f64)>,
    bar: Bar,
}

impl Row {
    /// Ours to the other program's.
    fn ratio(&self) -> Option<f64> {
        self.beside.map(|(_, other)| self.value / other)
    }

    fn holds(&self) -> bool {
        self.bar.holds(self.value, self.ratio())
    }
}

/// All figures of a run, in the order in which they were measured.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

/// Four significant digits are more than a run repeats.
fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e12 {
        return format!("{value:.0}");
    }
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

impl Report {
    /// Adds a figure.
    pub fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str, bar: Bar) {
        let what = what.into();
        eprintln!("  {what}: {} {unit}", number(value));
        self.rows.push(Row { what, value, unit, beside: None, bar });
    }

    /// Adds a figure beside that of another program, which was measured in turns with it.
    pub fn beside(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        (name, other): (&'static str, f64),
        bar: Bar,
    ) {
        let what = what.into();
        eprintln!("  {what}: {} {unit}, {name} {} {unit}", number(value), number(other));
        self.rows.push(Row { what, value, unit, beside: Some((name, other)), bar });
    }

    /// Whether every figure holds its bar.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// For people, and for `docs/benchmarks.md`.
    pub fn table(&self) -> String {
        let compares = self.rows.iter().any(|row| row.beside.is_some());
        let mut lines = vec![vec!["what".to_owned(), "measured".to_owned()]];
        if compares {
            lines[0].extend(["beside".to_owned(), "ratio".to_owned()]);
        }
        lines[0].extend(["bar".to_owned(), String::new()]);
        lines.extend(self.rows.iter().map(|row| {
            let verdict = match (row.bar, row.holds()) {
                (Bar::None, _) => "",
                (_, true) => "pass",
                (_, false) => "MISS",
            };
            let mut line = vec![row.what.clone(), format!("{} {}", number(row.value), row.unit)];
            if compares {
                let beside =
                    row.beside.map(|(name, other)| format!("{name}: {} {}", number(other), row.unit));
                line.push(beside.unwrap_or_default());
                line.push(row.ratio().map(|ratio| format!("{ratio:.2} x")).unwrap_or_default());
            }
            line.extend([row.bar.text(row.unit), verdict.to_owned()]);
            line
        }));
        let mut width = vec![0; lines.iter().map(Vec::len).max().unwrap_or_default()];
        for line in &lines {
            for (width, cell) in width.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(width.iter().copied()) {
                text.push_str(&format!("| {cell:width$} "));
            }
            text.push_str("|\n");
            if index == 0 {
                width.iter().for_each(|width| text.push_str(&format!("|{}", "-".repeat(width + 2))));
                text.push_str("|\n");
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let bar = match row.bar {
                Bar::AtMost(max) => json!({ "at_most": max }),
                Bar::Below(max) => json!({ "below": max }),
                Bar::TimesAtMost(max) => json!({ "times_at_most": max }),
                Bar::TimesAtLeast(min) => json!({ "times_at_least": min }),
                Bar::None => Value::Null,
            };
            let beside = row.beside.map(|(name, other)| json!({ "name": name, "measured": other }));
            json!({
                "what": row.what, "measured": row.value, "unit": row.unit, "beside": beside,
                "ratio": row.ratio(), "bar": bar, "pass": row.holds(),
            })
        };
        json!({ "rows": self.rows.iter().map(row).collect::<Vec<_>>(), "pass": self.passed() })
    }
}

/// The value below which `share` of the sorted samples lie.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(last)).copied().unwrap_or(f64::NAN)
}

/// Sorts samples for [`quantile`].
pub fn sorted(mut samples: Vec<f64>) -> Vec<f64> {
    samples.sort_by(f64::total_cmp);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_shows() {
        let mut report = Report::default();
        report.add("good", 1.0, "ms", Bar::AtMost(1.0));
        assert!(report.passed());
        report.add("bad", 1.0, "ms", Bar::Below(1.0));
        assert!(!report.passed());
        let table = report.table();
        assert!(table.contains("| bad  | 1 ms     | < 1 ms  | MISS |"), "{table}");
        assert_eq!(report.json()["rows"][0]["pass"], true);
        assert_eq!(report.json()["pass"], false);
    }

    #[test]
    fn a_ratio_is_held_against_its_bar() {
        let mut report = Report::default();
        report.beside("cpu", 1.0, "s", ("HAProxy", 2.0), Bar::TimesAtMost(0.5));
        report.beside("rate", 2.0, "/s", ("rathole", 2.0), Bar::TimesAtLeast(1.0));
        assert!(report.passed());
        report.beside("cpu", 1.0, "s", ("nginx", 1.5), Bar::TimesAtMost(0.6));
        assert!(!report.passed());
        assert!(
            report.table().contains("| nginx: 1.50 s | 0.67 x | <= 0.600 x | MISS |"),
            "{}",
            report.table()
        );
    }

    #[test]
    fn quantiles_are_samples() {
        let samples = sorted((1..=1000).rev().map(f64::from).collect());
        assert_eq!(quantile(&samples, 0.5), 500.0);
        assert_eq!(quantile(&samples, 0.99), 990.0);
        assert_eq!(quantile(&samples, 1.0), 1000.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
