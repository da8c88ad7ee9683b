//! Runs one command: its output goes to a log, a line shows that it lives, and it may not hang.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::count::{self, Count};

/// Where there is no terminal, a line comes this often, so that a log shows progress.
const QUIET_INTERVAL: Duration = Duration::from_secs(30);
/// How often the state is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long output may follow a command that has ended: a child of it may still hold the pipe.
const DRAIN: Duration = Duration::from_secs(2);

/// What came of a command.
#[derive(Debug, Default)]
pub struct Outcome {
    /// It ended by itself with success.
    pub ok: bool,
    /// Why not, when it is not plain from its output.
    pub why: Option<String>,
    /// Tests that it reported.
    pub count: Count,
    /// Names of tests that failed.
    pub failed_tests: Vec<String>,
}

/// Shows what runs now, on the terminal or in a log.
pub struct Progress {
    label: String,
    start: Instant,
    last_line: Instant,
    terminal: bool,
}

impl Progress {
    /// Starts the clock of a stage.
    pub fn start(label: &str) -> Self {
        let now = Instant::now();
        Self {
            label: label.to_owned(),
            start: now,
            last_line: now,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn show(&mut self, detail: &str) {
        let seconds = self.elapsed().as_secs();
        if self.terminal {
            let detail: String = detail.chars().filter(|letter| !letter.is_control()).take(60).collect();
            eprint!("\r\x1b[2K{:<8}{seconds:4} s  {detail}", self.label);
        } else if self.last_line.elapsed() >= QUIET_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("{:<8}{seconds:4} s  {detail}", self.label);
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

/// Runs `command` to its end, or kills it and all it started after `limit`. Its output is added to `log`
/// and, when `verbose`, printed as it comes.
pub fn run(
    mut command: Command,
    log: &Path,
    limit: Duration,
    verbose: bool,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {}", describe(&command))?;
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    // The command still holds our end of the pipe.
    drop(command);

    let lines = read_lines(reader);
    let deadline = Instant::now() + limit;
    let mut outcome = Outcome::default();
    let mut last = String::new();
    let status = loop {
        let received = lines.recv_timeout(TICK);
        if let Ok(line) = &received {
            take_line(line, &mut file, verbose, &mut outcome)?;
            last.clone_from(line);
        }
        progress.show(&last);
        if received.is_err()
            && let Some(status) = child.try_wait()?
        {
            break Some(status);
        }
        if Instant::now() >= deadline {
            kill_tree(child.id());
            child.kill().ok();
            child.wait()?;
            break None;
        }
    };
    let drained = Instant::now() + DRAIN;
    while let Ok(line) = lines.recv_timeout(drained.saturating_duration_since(Instant::now())) {
        take_line(&line, &mut file, verbose, &mut outcome)?;
    }
    progress.clear();
    (outcome.ok, outcome.why) = judge(status, limit);
    Ok(outcome)
}

/// The command as one would type it, with the variables it sets and without those it removes.
fn describe(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
    let mut words: Vec<String> =
        variables.map(|(key, value)| format!("{}={:?}", key.to_string_lossy(), value)).collect();
    let program = Path::new(command.get_program());
    words.push(program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned());
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

fn judge(status: Option<ExitStatus>, limit: Duration) -> (bool, Option<String>) {
    match status {
        Some(status) if status.success() => (true, None),
        Some(status) => (false, status.code().is_none().then(|| format!("{status}"))),
        None => (false, Some(format!("still running after {} s: killed", limit.as_secs()))),
    }
}

fn take_line(line: &str, file: &mut File, verbose: bool, outcome: &mut Outcome) -> Result<()> {
    writeln!(file, "{line}").context("cannot write the log")?;
    if verbose {
        println!("{line}");
    }
    if let Some(count) = count::of_line(line) {
        outcome.count += count;
    }
    outcome.failed_tests.extend(count::failed_test(line).map(str::to_owned));
    Ok(())
}

fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    receiver
}

/// Kills what a process started, and what that started: cargo leaves its tests running when it dies.
fn kill_tree(id: u32) {
    for child in children(id) {
        kill_tree(child);
        // The built-in of the shell: slim systems have no program of that name.
        Command::new("sh").args(["-c", "kill -9 \"$0\"", &child.to_string()]).status().ok();
    }
}

/// Each thread lists the processes that it started.
fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (Outcome, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let outcome = run(command, &log, limit, false, &mut Progress::start("test")).unwrap();
        (outcome, std::fs::read_to_string(log).unwrap())
    }

    #[test]
    fn output_is_logged_and_tests_are_counted() {
        let script =
            "echo 'test a ... FAILED'; echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored' >&2; exit 1";
        let (outcome, log) = shell(script, Duration::from_secs(60));
        assert!(!outcome.ok && outcome.why.is_none());
        assert_eq!(outcome.count, Count { passed: 2, failed: 1 });
        assert_eq!(outcome.failed_tests, ["a"]);
        assert!(log.contains("test a ... FAILED"));
    }

    #[test]
    fn a_command_is_described_as_one_would_type_it() {
        let mut command = Command::new("/some/where/cargo");
        command.args(["test", "-p", "a"]).env("KEY", "value").env_remove("CARGO_MANIFEST_DIR");
        assert_eq!(describe(&command), "KEY=\"value\" cargo test -p a");
    }

    #[test]
    fn success_is_success_and_input_is_closed() {
        let (outcome, log) = shell("cat; echo done", Duration::from_secs(60));
        assert!(outcome.ok);
        assert!(log.ends_with("done\n"));
    }

    #[test]
    fn what_hangs_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sh -c 'echo $$ > {}; exec sleep 1000' & wait", pid_file.display());
        let (outcome, _) = shell(&script, Duration::from_secs(1));
        assert!(!outcome.ok);
        assert!(outcome.why.unwrap().contains("still running after 1 s"));
        let pid = std::fs::read_to_string(pid_file).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        assert!(status.is_empty() || status.contains("zombie"), "{status}");
    }
}
