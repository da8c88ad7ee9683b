//! What goes to standard output, and whether it got there.

use std::io::{self, Write};
use std::sync::OnceLock;

/// Why the first words that were lost were lost.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes to standard output, here and now. A reader that went away, as 'head' does, is no error; of anything else
/// [`lost`] tells.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
}

/// A line of many; false when nobody reads them any more, or they cannot be written: then [`lost`] tells of it.
pub fn goes_on(line: &str) -> bool {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = LOST.set(error.to_string());
            }
            false
        }
    }
}

/// A line that a program can do without: where it cannot be written, nobody is told, and nothing else changes.
pub fn aside(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The same for standard error.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Why not all words arrived, if they did not.
pub fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// The same for what writes by itself; it cannot fail towards memory.
pub fn print_of(write: impl FnOnce(&mut Vec<u8>)) {
    let mut text = Vec::new();
    write(&mut text);
    print(&String::from_utf8_lossy(&text));
}

/// `println!` by [`print()`].
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        $crate::printed::print(&format!("{}\n", format_args!($($words)*)))
    };
}
