//! `mutant!(Name)`: the word `false`, but for the tests of the simulator, which choose a wrong version at run time.

#[cfg(not(feature = "mutants"))]
#[allow(unused_macros)]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}

#[cfg(feature = "mutants")]
#[allow(unused_macros)]
macro_rules! mutant {
    ($name:ident) => {
        catalyst_mutants::is(catalyst_mutants::Mutant::$name)
    };
}
