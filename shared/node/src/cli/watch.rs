//! `route watch`: changes of routes, until somebody has seen enough.

use std::time::{Duration, Instant};

use clap::Args;

use super::{Common, Program};
use crate::admin::Request;
use crate::client;
use crate::error::NodeError;
use crate::{in_words, plain, printed};

/// `route watch ...`
#[derive(Args, Clone, Debug)]
pub struct Watch {
    /// Only these services: names in which '*' stands for any characters; without a dot, labels in whatever organisation
    pattern: Option<String>,
    /// End after so many rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long, such as 10s, 5m or 2h
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    limit: Option<Duration>,
    /// Do not begin with the routes that are there
    #[arg(long)]
    changes_only: bool,
}

/// `500ms`, `10s`, `5m`, `2h`; a number alone is seconds.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let number: Option<u64> = number.parse().ok().filter(|_| ms > 0);
    let length = number.and_then(|n| n.checked_mul(ms)).filter(|ms| (1..=u64::from(u32::MAX)).contains(ms));
    length
        .map(Duration::from_millis)
        .ok_or_else(|| "write it as 500ms, 10s, 5m or 2h; 1193h at most".to_string())
}

impl Watch {
    /// Prints rows as they come.
    ///
    /// # Errors
    /// No node answers, it refuses, or it goes.
    pub(super) fn run(&self, program: &Program, common: &Common) -> Result<(), NodeError> {
        let request = Request::Watch { pattern: self.pattern.clone(), changes_only: self.changes_only };
        let until = self.limit.map(|limit| Instant::now() + limit);
        let mut left = self.count;
        client::watch(&common.socket(program)?, request, until, |row| {
            // Its end is an error, and told as one.
            let silent = row.what == "end" && !common.json;
            let text = if common.json {
                plain::json(&serde_json::to_string(&row).unwrap_or_default()).into_owned()
            } else {
                plain::line(&in_words::watched(&row))
            };
            let goes_on = silent || printed::goes_on(&text);
            left = left.map(|left| left.saturating_sub(1));
            goes_on && left != Some(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let ms = |text: &str| time(text).map(|t| t.as_millis()).ok();
        assert_eq!(
            (ms("10s"), ms("500ms"), ms("5m"), ms("2h")),
            (Some(10_000), Some(500), Some(300_000), Some(7_200_000))
        );
        assert_eq!(ms("7"), Some(7_000));
        for text in ["", "s", "0s", "-1s", "1.5s", "10x", "10 s", "99999999999h", "１s"] {
            assert_eq!(ms(text), None, "{text}");
        }
    }
}
