//! Which program is Envoy, and whether it will do. To be asked before the node enters its sandbox: inside it nothing can
//! be executed.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::EnvoyError;
use crate::limits::Limits;

/// The variable that names the program.
pub const VARIABLE: &str = "CATALYST_ENVOY";

/// Versions from this one on are used, up to the next major one: older ones do not know what the node configures.
const OLDEST: Version = Version { major: 1, minor: 40, patch: 0 };

/// An Envoy's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1 for years.
    pub major: u32,
    /// One every three months.
    pub minor: u32,
    /// Mended since.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// From what `envoy --version` prints, and `/server_info` says: `9e55.../1.40.0/Clean/RELEASE/BoringSSL`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split(['/', ' ', '\n']).find_map(|word| {
            // `1.41.0-dev` is one of 1.41.
            let mut numbers = word.split('-').next()?.splitn(3, '.').map(|n| n.parse::<u32>().ok());
            let version =
                Version { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
            Some(version)
        })
    }

    fn will_do(self) -> bool {
        self >= OLDEST && self.major == OLDEST.major
    }
}

/// A program that will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its absolute path.
    pub program: PathBuf,
    /// What it says of itself.
    pub version: Version,
    /// Who named it, for a person: `--envoy`, `PATH`.
    pub by: &'static str,
}

/// Finds Envoy: what `--envoy` names, else `CATALYST_ENVOY`, else the configuration (`envoy.path`), else `envoy` beside
/// this program, else in `PATH`. What is named is taken or refused; no other is tried in its place.
///
/// # Errors
/// There is none, or it will not do: what is wrong with it and how to get one.
pub fn find(flag: Option<&Path>, configured: Option<&Path>) -> Result<Found, EnvoyError> {
    // The same variable may hold the key `envoy` of a configuration, which is an object.
    let path = |value: &OsString| !value.is_empty() && !value.as_encoded_bytes().starts_with(b"{");
    let variable = std::env::var_os(VARIABLE).filter(path).map(PathBuf::from);
    let named = [("--envoy", flag), (VARIABLE, variable.as_deref()), ("envoy.path", configured)];
    if let Some((by, path)) = named.into_iter().find_map(|(by, path)| Some((by, path?))) {
        return check(path, by);
    }
    let own = std::env::current_exe().ok();
    match beside(own.as_deref(), std::env::var_os("PATH").as_deref()) {
        Some((by, path)) => check(&path, by),
        None => Err(EnvoyError::NotFound),
    }
}

/// The first program of the name in the folder of this one, and in the folders of `PATH`.
fn beside(own: Option<&Path>, folders: Option<&OsStr>) -> Option<(&'static str, PathBuf)> {
    let own = own.and_then(Path::parent).map(|folder| ("the folder of this program", folder.join("envoy")));
    let folders = folders.into_iter().flat_map(std::env::split_paths);
    // An entry that is empty or relative means the current folder: whoever can write there chooses the program.
    let folders = folders.filter(|folder| folder.is_absolute()).map(|folder| ("PATH", folder.join("envoy")));
    own.into_iter().chain(folders).find(|(_, path)| executable(path).is_ok())
}

fn executable(path: &Path) -> Result<(), String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err("it is not executable: `chmod +x` it if it is meant".to_owned());
    }
    Ok(())
}

fn check(path: &Path, by: &'static str) -> Result<Found, EnvoyError> {
    let unfit = |why: String| EnvoyError::Unfit { path: path.to_path_buf(), by, why };
    let program = std::path::absolute(path).map_err(|error| unfit(error.to_string()))?;
    executable(&program).map_err(unfit)?;
    let printed = version_of(&program, Limits::VERSION_PATIENCE).map_err(unfit)?;
    let Some(version) = Version::parse(&printed) else {
        let first: String = printed.trim().chars().filter(|c| !c.is_control()).take(60).collect();
        return Err(unfit(format!(
            "`--version` printed no version of Envoy ('{first}'): it is another program"
        )));
    };
    if !version.will_do() {
        return Err(unfit(format!("it is Envoy {version}, and {OLDEST} or a later 1.x is needed")));
    }
    Ok(Found { program, version, by })
}

/// What it prints when asked for its version, within bounds of time and size.
fn version_of(program: &Path, patience: Duration) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let printed = read_bounded(&mut child, patience);
    // One that has ended already is only seen off.
    let _ = child.kill();
    let _ = child.wait();
    printed
}

fn read_bounded(child: &mut Child, patience: Duration) -> Result<String, String> {
    let until = Instant::now() + patience;
    let Some(mut output) = child.stdout.take() else { return Ok(String::new()) };
    let mut printed = Vec::new();
    let mut some = [0; 512];
    while printed.len() < Limits::VERSION_TEXT {
        let left = until.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], wait);
        match ready {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(ready) if ready > 0 => {}
            _ => {
                return Err(format!("`--version` did not answer within {}", whole(patience)));
            }
        }
        match output.read(&mut some).map_err(|error| error.to_string())? {
            0 => break,
            got => printed.extend_from_slice(some.get(..got).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn whole(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Mutex;

    /// One at a time: a file that is open for writing while another thread forks cannot be executed.
    static WRITING: Mutex<()> = Mutex::new(());

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("envoy");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    fn why(text: &str) -> String {
        let _alone = WRITING.lock().unwrap_or_else(|broken| broken.into_inner());
        let (_folder, path) = script(text);
        find(Some(&path), None).unwrap_err().to_string()
    }

    #[test]
    fn versions_are_read() {
        let printed =
            "\nenvoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(Version::parse(printed), Some(OLDEST));
        assert_eq!(Version::parse("a/1.41.2-dev/Clean").unwrap().to_string(), "1.41.2");
        assert_eq!(Version::parse("curl 8"), None);
        assert!(!Version { major: 2, minor: 0, patch: 0 }.will_do());
        assert!(!Version { major: 1, minor: 39, patch: 9 }.will_do());
    }

    #[test]
    fn what_is_named_is_taken() {
        let _alone = WRITING.lock().unwrap_or_else(|broken| broken.into_inner());
        let (_folder, path) = script("echo 'x  version: abc/1.41.3/Clean/RELEASE/BoringSSL'");
        let found = find(Some(&path), Some(Path::new("/nowhere"))).unwrap();
        assert_eq!((found.program, found.by), (path, "--envoy"));
        assert_eq!(found.version.to_string(), "1.41.3");
    }

    #[test]
    fn what_will_not_do_is_refused_with_the_reason() {
        assert!(why("echo x/1.39.1/Clean").contains("Envoy 1.39.1, and 1.40.0 or a later 1.x is needed"));
        assert!(why("echo x/2.0.0/Clean").contains("Envoy 2.0.0"));
        assert!(why("echo hello").contains("'hello'"));
        assert!(why("exit 1").contains("no version"));
        // Endless output ends at the bound.
        assert!(why("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done").contains("no version"));
        let missing = find(Some(Path::new("/nowhere/envoy")), None).unwrap_err().to_string();
        assert!(missing.contains("--envoy") && missing.contains("/nowhere/envoy"), "{missing}");
        assert!(find(Some(Path::new("/etc")), None).unwrap_err().to_string().contains("no file"));
        let plain = tempfile::NamedTempFile::new().unwrap();
        assert!(find(Some(plain.path()), None).unwrap_err().to_string().contains("chmod"));
    }

    #[test]
    fn what_never_answers_is_given_up() {
        let _alone = WRITING.lock().unwrap_or_else(|broken| broken.into_inner());
        let (_folder, path) = script("exec sleep 60");
        let start = Instant::now();
        assert!(version_of(&path, Duration::from_secs(1)).unwrap_err().contains("did not answer within 1 s"));
        assert!((Duration::from_secs(1)..Duration::from_secs(30)).contains(&start.elapsed()));
    }

    #[test]
    fn the_folder_of_the_program_comes_before_path_and_relative_folders_do_not_count() {
        let _alone = WRITING.lock().unwrap_or_else(|broken| broken.into_inner());
        let (near, near_path) = script("true");
        let (far, far_path) = script("true");
        let own = near.path().join("catalyst");
        let folders = std::env::join_paths([Path::new(""), Path::new("."), far.path()]).unwrap();
        assert_eq!(beside(Some(&own), Some(&folders)).unwrap().1, near_path);
        assert_eq!(beside(Some(Path::new("/nowhere/x")), Some(&folders)), Some(("PATH", far_path)));
        assert_eq!(beside(None, Some(OsStr::new(""))), None);
    }
}
