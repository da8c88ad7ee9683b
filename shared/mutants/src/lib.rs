//! Wrong versions of the core, to prove that the simulator finds what is wrong.
//!
//! A mutant is one line in `mutants!` and one place in `control`, `route-table`, `policy` or `peering` that asks
//! `mutant!(ItsName)`. Without the feature `mutants` of those crates that is the word `false`: no branch, no byte and
//! not even this crate is in the product. With it, the choice is one of the running thread.
//!
//! `cargo xtask sim --mutants` runs every mutant over random networks until a check finds it.

use std::cell::Cell;

macro_rules! mutants {
    ($($name:ident, $kind:ident, $says:literal;)*) => {
        /// A wrong version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $(#[doc = $says] $name,)*
        }

        /// All of them.
        pub const ALL: &[Mutant] = &[$(Mutant::$name),*];

        impl Mutant {
            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$name => stringify!($name),)*
                }
            }

            /// What part of the core it spoils.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self {
                    $(Mutant::$name => Kind::$kind,)*
                }
            }

            /// What it does wrong.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self {
                    $(Mutant::$name => $says,)*
                }
            }
        }
    };
}

/// Parts of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Which path is best.
    Decision,
    /// What neighbours hear.
    Export,
    /// What has passed here already.
    LoopCheck,
    /// What is no longer announced.
    Withdraw,
    /// What outlives its session.
    Stale,
    /// What is told again.
    Refresh,
    /// What is too much.
    Limits,
    /// Who has heard what.
    Cursor,
}

impl Kind {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Decision => "decision",
            Kind::Export => "export",
            Kind::LoopCheck => "loop check",
            Kind::Withdraw => "withdraw",
            Kind::Stale => "stale",
            Kind::Refresh => "refresh",
            Kind::Limits => "limits",
            Kind::Cursor => "cursor",
        }
    }
}

mutants! {
    SampleCostUpside, Decision, "Higher cost is better.";
    SampleNoInnerLoopCheck, LoopCheck, "What has passed this node is taken in all the same.";
    SampleNoTombstone, Cursor, "A withdrawal is not remembered for those who have yet to hear it.";
}

thread_local! {
    static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Makes everything on this thread run with a mutant, or with none.
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.set(mutant);
}

/// Whether this mutant was chosen.
#[must_use]
pub fn is(mutant: Mutant) -> bool {
    CHOSEN.get() == Some(mutant)
}

/// The mutant of this name.
#[must_use]
pub fn find(name: &str) -> Option<Mutant> {
    ALL.iter().copied().find(|mutant| mutant.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_one_of_the_thread() {
        let first = ALL[0];
        choose(Some(first));
        assert!(is(first) && !is(ALL[1]));
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(!is(first)));
        });
        choose(None);
        assert!(!is(first));
        assert_eq!(find(first.name()), Some(first));
        assert_eq!(find("none of them"), None);
    }
}
