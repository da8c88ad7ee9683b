//! Which version of the core runs: the right one, or a wrong one that a check must find.

#[cfg(feature = "mutants")]
pub use catalyst_mutants::{ALL, Mutant};

/// The right version, or with the feature `mutants` a wrong one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
}

impl Chosen {
    /// This mutant.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutant(mutant: Mutant) -> Self {
        Chosen { mutant: Some(mutant) }
    }

    /// The mutant of this name. Nothing where there is none, or where there are none at all.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        #[cfg(feature = "mutants")]
        return catalyst_mutants::find(name).map(Self::mutant);
        #[cfg(not(feature = "mutants"))]
        {
            let _ = name;
            None
        }
    }

    /// Makes every core on this thread run so.
    pub fn on_this_thread(self) {
        #[cfg(feature = "mutants")]
        catalyst_mutants::choose(self.mutant);
    }

    /// What follows `cargo xtask sim --seed N` to run so again.
    #[must_use]
    pub fn argument(self) -> String {
        #[cfg(feature = "mutants")]
        return self.mutant.map(|m| format!(" --mutant {}", m.name())).unwrap_or_default();
        #[cfg(not(feature = "mutants"))]
        String::new()
    }
}
