//! The demo's folder: keys, configurations, logs, and the list of its processes, by which a guard or the next demo
//! ends what a killed demo left behind.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::process::{Identity, Process};

/// In the folder: one line a process, `PID START NAME`; the first is the demo itself.
const PROCESSES: &str = "processes";
/// In the folder, when it is to stay.
const KEEP: &str = "keep";
/// Room that the longest path of a socket needs below the folder; the system allows 107 bytes in all.
const SOCKET_ROOM: usize = 40;
const SOCKET_PATH: usize = 107;
/// Folders of one name. When full: the demo does not start, and names the folder.
const MOST_KEPT: u32 = 100;
/// How long what a dead demo left may take to stop. When over: killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3);

/// A folder that only its owner may enter, for as long as the demo lives.
pub struct Folder {
    path: PathBuf,
    keep: bool,
    guard: Option<Child>,
}

impl Folder {
    /// Ends and removes what demos that are no more left behind, then makes a new folder. It is below `target`, or
    /// in the system's folder for temporary files when a socket's path would be too long there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(target: &Path, keep: bool) -> Result<Self> {
        let pid = std::process::id();
        let temporary = std::env::temp_dir();
        let mut path = shown(&target.join(format!("demo-{pid}")));
        if path.as_os_str().len() + SOCKET_ROOM > SOCKET_PATH {
            path = temporary.join(format!("catalyst-demo-{pid}"));
        }
        sweep(target, "demo-");
        sweep(&temporary, "catalyst-demo-");
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        // A folder that was kept may have this name, for process ids come again.
        let wanted = path.clone();
        let mut number = 1;
        while let Err(error) = DirBuilder::new().mode(0o700).create(&path) {
            if error.kind() != std::io::ErrorKind::AlreadyExists || number == MOST_KEPT {
                return Err(error).with_context(|| format!("cannot make the folder {}", path.display()));
            }
            number += 1;
            path.set_file_name(format!(
                "{}-{number}",
                wanted.file_name().unwrap_or_default().to_string_lossy()
            ));
        }
        let mut folder = Self { path, keep, guard: None };
        if keep {
            fs::write(folder.path.join(KEEP), "")?;
        }
        let own = Identity::of(pid).context("cannot read /proc; the demo needs Linux")?;
        folder.note(own, "demo")?;
        folder.guard = Some(guard(&folder.path)?);
        Ok(folder)
    }

    /// Where it is, from the current directory if it is below that.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub fn keep(&self) -> bool {
        self.keep
    }

    /// Takes a process into the list.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn add(&self, process: &Process) -> Result<()> {
        match process.identity() {
            Some(identity) => self.note(identity, &process.name),
            None => Ok(()),
        }
    }

    fn note(&self, identity: Identity, name: &str) -> Result<()> {
        let path = self.path.join(PROCESSES);
        let mut file = File::options().create(true).append(true).open(&path)?;
        writeln!(file, "{} {} {name}", identity.pid, identity.start)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Every process that the demo started.
    pub fn processes(&self) -> Vec<(Identity, String)> {
        list(&self.path).into_iter().skip(1).collect()
    }

    /// Removes the folder, unless it is to stay, and ends the guard.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(&mut self) -> Result<()> {
        if !self.keep && self.path.exists() {
            fs::remove_dir_all(&self.path)
                .with_context(|| format!("cannot remove {}", self.path.display()))?;
        }
        if let Some(mut guard) = self.guard.take() {
            // The end of its input is its sign.
            drop(guard.stdin.take());
            guard.wait()?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to tell; the guard and the next demo try again.
        let _ = self.remove();
    }
}

/// From the current directory, as a user would type it; other paths stay as they are.
pub fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_path_buf(), Path::to_path_buf)
}

/// Starts a process that outlives this one, whatever ends it, and then cleans up.
fn guard(path: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(["demo", "--guard"]).arg(path).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("cannot start the guard")
}

/// What the guard does: waits until the demo is no more, in whatever way, and cleans up after it.
///
/// # Errors
/// When the folder cannot be removed.
pub fn guard_main(path: &Path) -> Result<()> {
    let mut rest = Vec::new();
    // Any end of the input means the same.
    let _ = std::io::stdin().read_to_end(&mut rest);
    clean(path)
}

/// Cleans up after every demo below `parent` that is no more.
fn sweep(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) && ours(&entry.path()) {
            let owner = list(&entry.path()).first().map(|(owner, _)| *owner);
            if owner.is_some_and(|owner| !owner.alive()) {
                // What cannot be removed harms nobody; the next demo tries again.
                let _ = clean(&entry.path());
            }
        }
    }
}

/// A list that somebody else wrote must not choose which processes of ours end.
fn ours(path: &Path) -> bool {
    let (Ok(folder), Ok(own)) = (fs::symlink_metadata(path), fs::metadata("/proc/self")) else {
        return false;
    };
    folder.is_dir() && folder.uid() == own.uid()
}

/// Stops what still runs of a demo, last started first, and removes its folder.
fn clean(path: &Path) -> Result<()> {
    let mut processes: Vec<Identity> = list(path).into_iter().skip(1).map(|(identity, _)| identity).collect();
    processes.reverse();
    processes.iter().for_each(|process| process.signal("TERM"));
    let start = Instant::now();
    while start.elapsed() < LEFT_BEHIND && processes.iter().any(|process| process.alive()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    processes.iter().for_each(|process| process.signal("KILL"));
    if path.exists() && !path.join(KEEP).exists() {
        fs::remove_dir_all(path)?;
    }
    if processes.iter().any(|process| process.alive()) {
        bail!("a process of {} does not end", path.display());
    }
    Ok(())
}

fn list(path: &Path) -> Vec<(Identity, String)> {
    let text = fs::read_to_string(path.join(PROCESSES)).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let pid = words.next()?.parse().ok()?;
            let start = words.next()?.parse().ok()?;
            Some((Identity { pid, start }, words.next()?.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        let mut command = Command::new("sleep");
        command.arg("600");
        Process::start("sleeper", command, &folder.join("log")).unwrap()
    }

    #[test]
    fn what_a_killed_demo_left_is_ended_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo-1");
        fs::create_dir(&path).unwrap();
        let sleeper = sleeper(&path);
        let identity = sleeper.identity().unwrap();
        let gone = Identity { pid: std::process::id(), start: 0 };
        let lines =
            format!("{} {} demo\n{} {} sleeper\n", gone.pid, gone.start, identity.pid, identity.start);
        fs::write(path.join(PROCESSES), lines).unwrap();
        sweep(parent.path(), "demo-");
        assert!(!identity.alive() && !path.exists());
    }

    #[test]
    fn a_demo_that_lives_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo-1");
        fs::create_dir(&path).unwrap();
        let mut sleeper = sleeper(&path);
        let (owner, identity) = (Identity::of(std::process::id()).unwrap(), sleeper.identity().unwrap());
        let lines =
            format!("{} {} demo\n{} {} sleeper\n", owner.pid, owner.start, identity.pid, identity.start);
        fs::write(path.join(PROCESSES), lines).unwrap();
        sweep(parent.path(), "demo-");
        assert!(identity.alive() && path.exists());
        sleeper.kill();
    }

    #[test]
    fn a_folder_that_is_to_stay_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo-1");
        fs::create_dir(&path).unwrap();
        fs::write(path.join(KEEP), "").unwrap();
        clean(&path).unwrap();
        assert!(path.exists());
    }
}
