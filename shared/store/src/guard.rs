//! The store library panics on some damaged files. A build that unwinds makes an error of that; one that aborts asks here,
//! in its panic hook, what was being done.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What a thread is doing with the store library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The store's file.
    pub file: PathBuf,
    /// Whether starting the program again leads on: the file is moved aside after a few such starts.
    pub again: bool,
}

thread_local! {
    static BUSY: RefCell<Option<Busy>> = const { RefCell::new(None) };
}

/// What this thread is doing with the store library, if anything: for a panic hook.
#[must_use]
pub fn busy() -> Option<Busy> {
    BUSY.with(|busy| busy.try_borrow().ok()?.clone())
}

/// Runs `work`. `None`: it panicked.
pub(crate) fn guarded<T>(file: &Path, again: bool, work: impl FnOnce() -> T) -> Option<T> {
    let set = |to| BUSY.with(|busy| busy.replace(to));
    let before = set(Some(Busy { file: file.to_path_buf(), again }));
    let result = catch_unwind(AssertUnwindSafe(work)).ok();
    set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_a_hook_learns_what_was_done() {
        let file = Path::new("x.redb");
        assert_eq!(busy(), None);
        let inside = guarded(file, true, || busy().unwrap());
        assert_eq!(inside, Some(Busy { file: file.to_path_buf(), again: true }));
        assert_eq!(guarded(file, false, || -> u8 { panic!("as the library may") }), None);
        assert_eq!(busy(), None);
    }
}
