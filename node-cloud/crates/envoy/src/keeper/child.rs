//! Envoy as a child process.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout};

use crate::limits::Limits;
use crate::line::Lines;
use crate::process::Process;
use crate::spec::Run;
use crate::starter::START;

/// Variables of the node that Envoy gets; others may hold what is not its business.
const KEPT: [&str; 2] = ["PATH", "TZ"];

/// A running Envoy.
pub(super) struct Envoy {
    child: Child,
    pub(super) pid: u32,
    pub(super) since: SystemTime,
    start: Instant,
    lines: Receiver<String>,
}

/// What comes of it.
pub(super) enum Event {
    /// It wrote a line.
    Line(String),
    /// It ended.
    Ended(io::Result<ExitStatus>),
}

impl Envoy {
    /// Starts it, and keeps in a file which process it is.
    pub(super) fn start(run: &Run) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("catalyst").arg(START).arg(std::process::id().to_string());
        command.arg(&run.program).args(&run.arguments);
        command.env_clear().envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        if let Some(process) = Process::with(pid) {
            // Where it cannot be kept, an Envoy whose keeper was killed is found by nobody should it not die with it.
            let _ = process.keep(&run.place.pid());
        }
        let (sender, lines) = channel(Limits::OUTBOX);
        if let Some(output) = child.stdout.take() {
            tokio::spawn(read(output, sender.clone()));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(read(output, sender));
        }
        Ok(Envoy { child, pid, since: SystemTime::now(), start: Instant::now(), lines })
    }

    /// How long it has run.
    pub(super) fn stood(&self) -> Duration {
        self.start.elapsed()
    }

    /// The next thing that comes of it. Nothing is lost when this future is dropped.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            biased;
            Some(line) = self.lines.recv() => Event::Line(line),
            ended = self.child.wait() => Event::Ended(ended),
        }
    }

    /// What it had written when it ended: the reason is in the last lines.
    pub(super) async fn rest(mut self, take: &mut dyn FnMut(String)) {
        // A child of its own may hold the pipe open.
        let _ = timeout(Limits::REST, async {
            while let Some(line) = self.lines.recv().await {
                take(line);
            }
        })
        .await;
    }

    /// Ends it: asks, then kills. What it still writes goes to `take`. Returns whether it had to be killed.
    pub(super) async fn end(mut self, take: &mut dyn FnMut(String)) -> bool {
        for (signal, patience) in
            [(Signal::SIGTERM, Limits::TERM_PATIENCE), (Signal::SIGKILL, Limits::KILL_PATIENCE)]
        {
            // It is a child that was not waited for: its id is its own still.
            let _ = i32::try_from(self.pid).map(|pid| kill(Pid::from_raw(pid), signal));
            let ended = async {
                while let Event::Line(line) = self.event().await {
                    take(line);
                }
            };
            if timeout(patience, ended).await.is_ok() {
                self.rest(take).await;
                return signal == Signal::SIGKILL;
            }
        }
        true
    }
}

/// Reads what it writes, always: an Envoy that waits for its log to be read serves nobody.
async fn read(mut output: impl AsyncRead + Unpin, sender: Sender<String>) {
    let mut lines = Lines::default();
    let mut some = [0; 4_096];
    loop {
        let mut whole = Vec::new();
        let got = output.read(&mut some).await.unwrap_or(0);
        match some.get(..got).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => lines.read(bytes, &mut |line| whole.push(line)),
            None => lines.end(&mut |line| whole.push(line)),
        }
        for line in whole {
            // The office takes lines as fast as they come, and leaves out what is too much.
            if sender.send(line).await.is_err() {
                return;
            }
        }
        if got == 0 {
            return;
        }
    }
}
