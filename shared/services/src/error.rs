//! What can go wrong here, in words for a person.

use std::io;

/// Why local services cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The supervisor did not start.
    #[error(
        "cannot start the process that runs local services ({0}); is /proc there, and may this user start processes?"
    )]
    Launch(#[source] io::Error),
    /// A frame between node and supervisor is not one.
    #[error(
        "the process that runs local services sent what is no report: both must be of one build; start the node again"
    )]
    Frame,
    /// An order is too large.
    #[error(
        "arguments and variables have {0} bytes in all, more than a start can carry; put what is long into a file"
    )]
    TooLarge(usize),
}
