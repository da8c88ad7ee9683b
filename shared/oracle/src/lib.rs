//! An independent solver for the routes a network must end with.
