//! What the thread does: each change is tried alone, oldest first; none goes before an older one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use catalyst_store::Store;

use super::{Owed, State, Unwritten};
use crate::limits::Limits;
use crate::space;
use crate::write::{Failed, Write};

/// The store, and what is owed to it.
pub(super) struct Desk {
    store: Arc<dyn Store>,
    folder: PathBuf,
    /// Oldest first.
    queue: VecDeque<Write>,
    since: Instant,
    /// When the oldest is tried again.
    due: Instant,
    told: Owed,
}

impl Desk {
    pub(super) fn new(
        store: Arc<dyn Store>,
        folder: &Path,
        told: Owed,
        owing: Option<(Write, String)>,
    ) -> Self {
        let now = Instant::now();
        let mut desk =
            Desk { store, folder: folder.to_owned(), queue: VecDeque::new(), since: now, due: now, told };
        if let Some((write, why)) = owing {
            desk.keep(write);
            desk.tell(Some(&why));
        }
        desk
    }

    /// When [`Desk::again`] is due, if anything is owed.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.due)
    }

    /// A new change: it comes after all that is owed.
    pub(super) fn take(&mut self, write: Write) -> Result<(), Unwritten> {
        let failed = match self.settle() {
            // What is only files has no place in the order.
            Some(why) if !write.is_of_files() => Failed::Store(why),
            _ => match write.run(&*self.store) {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            },
        };
        let why = failed.why().to_owned();
        // What can be lost without harm is made anew soon: it must not hold up the rest.
        if matches!(failed, Failed::Limit(_)) || (write.is_of_files() && write.is_spare()) {
            return Err(Unwritten::Lost(why));
        }
        self.keep(write);
        self.tell(Some(&why));
        Err(Unwritten::Owed(why))
    }

    /// Tries what is owed again.
    pub(super) fn again(&mut self) {
        self.settle();
    }

    /// Tries a last time. Answers what is lost and was worth something, by name.
    pub(super) fn end(&mut self) -> Vec<String> {
        self.again();
        self.queue.iter().filter(|write| !write.is_spare()).flat_map(Write::names).collect()
    }

    fn keep(&mut self, write: Write) {
        if self.queue.is_empty() {
            self.since = Instant::now();
        }
        self.queue.retain(|older| !older.is_replaced_by(&write));
        self.queue.push_back(write);
        if self.queue.len() > Limits::OWED
            && let (Some(oldest), Some(next)) = (self.queue.pop_front(), self.queue.pop_front())
        {
            self.queue.push_front(oldest.then(next));
        }
    }

    /// Writes what is owed, as far as the disk takes it. Answers why a newer change has to wait, if it has to.
    fn settle(&mut self) -> Option<String> {
        let (mut files, mut store) = (None, None);
        let mut at = 0;
        while let Some(write) = self.queue.get(at) {
            match write.run(&*self.store).or_else(|failed| self.without_limits(write, failed)) {
                Ok(()) => drop(self.queue.remove(at)),
                // Another one may fare better.
                Err(failed) if write.is_of_files() => {
                    files.get_or_insert_with(|| failed.why().to_owned());
                    at += 1;
                }
                Err(failed) => {
                    store = Some(failed.why().to_owned());
                    break;
                }
            }
        }
        self.tell(store.as_deref().or(files.as_deref()));
        store
    }

    /// One that breaks a limit of the store would do so for ever: it is given up; of one that is made of several, only what
    /// does not fit.
    fn without_limits(&self, write: &Write, failed: Failed) -> Result<(), Failed> {
        let Failed::Limit(why) = failed else { return Err(failed) };
        let lost = if write.is_merged() {
            write.run_apart(&*self.store)?
        } else {
            write.names().map(|name| format!("{name}: {why}")).collect()
        };
        tracing::error!(
            lost = lost.join("; "),
            "a change that is in force cannot be kept: it is lost at the next start"
        );
        Ok(())
    }

    /// Takes down how a try went, and tells the log when that is news.
    fn tell(&mut self, why: Option<&str>) {
        let before = self.told.row().map_or(0, |row| row.changes);
        let changes = self.queue.len();
        self.due = Instant::now() + Limits::OWED_RETRY;
        match (before, changes) {
            (0, 1..) => tracing::error!(
                error = why.unwrap_or_default(),
                "a change is in force, but the disk does not take it; it is tried again until it does"
            ),
            (1.., 0) => tracing::info!("all changes are on the disk again"),
            _ => {}
        }
        self.told.set((changes > 0).then(|| State {
            changes,
            since: self.since,
            why: why.unwrap_or_default().to_owned(),
            folder: self.folder.clone(),
            free: space::free(&self.folder),
        }));
    }
}
