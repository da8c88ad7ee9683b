//! `wrk`: requests as fast as they come, and how many of them failed.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// A run of `wrk` to be started.
pub struct Wrk(Command);

/// What it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were answered, whatever the answer.
    pub requests: u64,
    /// Answers other than 2xx and 3xx, connections that could not be made or broke, and answers that did not come.
    pub errors: u64,
}

impl Wrk {
    /// One thread, with so many connections, for so many seconds.
    pub fn new(at: SocketAddr, host: &str, connections: u64, seconds: u64) -> Wrk {
        let mut command = Command::new("wrk");
        command
            .args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{seconds}s")])
            .args(["--timeout", "10s", "-H", &format!("Host: {host}"), &format!("http://{at}/")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Wrk(command)
    }

    /// Starts it; it ends by itself.
    pub fn start(mut self) -> Result<Child> {
        self.0.spawn().context("cannot start wrk: install it (apt-get install wrk)")
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome> {
        ended(self.start()?)
    }
}

/// Waits for its end and reads what it counted.
pub fn ended(child: Child) -> Result<Outcome> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    parse(&text)
}

fn parse(text: &str) -> Result<Outcome> {
    let requests = text.lines().find(|line| line.contains(" requests in "));
    let requests = requests.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let requests = requests.with_context(|| format!("wrk told no number of requests: {text}"))?;
    let mut errors = 0;
    for line in text.lines() {
        let line = line.trim();
        if let Some(sockets) = line.strip_prefix("Socket errors: ") {
            let numbers = sockets.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            errors += numbers.filter_map(|word| word.parse::<u64>().ok()).sum::<u64>();
        } else if let Some(answers) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            errors += answers.trim().parse::<u64>()?;
        }
    }
    Ok(Outcome { requests, errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_wrk_prints() {
        let good = "  1 threads and 16 connections\n  59321 requests in 3.00s, 7.75MB read\nRequests/sec:  19769.17\n";
        assert_eq!(parse(good).unwrap(), Outcome { requests: 59321, errors: 0 });
        let bad = "  100 requests in 3.00s, 7.75MB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n  \
                   Non-2xx or 3xx responses: 5\n";
        assert_eq!(parse(bad).unwrap(), Outcome { requests: 100, errors: 15 });
        assert!(parse("nothing").is_err());
    }
}
