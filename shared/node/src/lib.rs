//! What both daemons do alike: the engine, the admin API, the command line's words.
