//! Completions for the shells of boards. The code of each shell takes room in the binary.

use catalyst_node::printed::print_of;
use clap::{CommandFactory, ValueEnum};
use clap_complete::{generate, shells};

use crate::{Arguments, PROGRAM};

/// A shell.
#[derive(Clone, Copy, ValueEnum)]
pub enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// Prints what the shell is to read.
pub fn print(shell: Shell) {
    let command = &mut Arguments::command();
    print_of(|out| match shell {
        Shell::Bash => generate(shells::Bash, command, PROGRAM.name, out),
        Shell::Fish => generate(shells::Fish, command, PROGRAM.name, out),
        Shell::Zsh => generate(shells::Zsh, command, PROGRAM.name, out),
    });
}
