//! A wall clock that can be set while a program runs, for that program alone: by libfaketime (Debian package `faketime`).
//! The monotonic clock goes on as it is, as it does when somebody sets the clock of a machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{both, output};

/// Such a clock; at first the machine's.
#[derive(Debug)]
pub struct WallClock {
    file: PathBuf,
    library: String,
}

impl WallClock {
    /// `file` is where the program reads how far its clock is off; it must be allowed to.
    ///
    /// # Panics
    /// When libfaketime is not there, with what to install.
    #[must_use]
    pub fn new(file: &Path) -> WallClock {
        let found = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let found = found.unwrap_or_else(|e| panic!("faketime: {e}; install the package `faketime`"));
        assert!(found.status.success(), "faketime: {}", both(&found));
        let library = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        let clock = WallClock { file: file.to_owned(), library };
        clock.set("+0");
        clock
    }

    /// Sets it, by so much off the machine's: `+10y`, `-56y`, `+0`. Seen within a second.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// A command that runs what follows with this clock, for [`crate::Node::start_under`].
    #[must_use]
    pub fn wrapper(&self) -> Vec<String> {
        let file = self.file.display();
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", self.library),
            format!("FAKETIME_TIMESTAMP_FILE={file}"),
            "FAKETIME_CACHE_DURATION=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ]
    }

    /// The year that a program with this clock sees.
    ///
    /// # Panics
    /// When there is no `date`.
    #[must_use]
    pub fn year(&self) -> u32 {
        let wrapper = self.wrapper();
        let out = output(Command::new(&wrapper[0]).args(&wrapper[1..]).args(["date", "-u", "+%Y"]));
        both(&out).trim().parse().unwrap_or_else(|_| panic!("date said {}", both(&out)))
    }
}
