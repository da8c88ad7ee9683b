//! The keys of `catalyst.json` that say how a service is run, and how it is checked.

use crate::form::Form;
use crate::key::{Key, Kind, Need};
use crate::limits::Limits;

use Need::{Default, Optional, Required};

/// The words of `restart`.
pub(crate) const RESTART: &[&str] = &["always", "on-failure", "never"];
/// The words of a check's `type`.
pub(crate) const CHECKS: &[&str] = &["tcp", "http", "exec"];

/// The words of `on_stale`.
pub(crate) const ON_STALE: &[&str] = &["fail_static", "fail_closed"];

/// Keys of `run`.
pub(crate) static RUN: &[Key] = &[
    Key::new(
        "command",
        Kind::List(&Kind::Text(Form::Argument), Limits::ARGUMENTS),
        Required,
        "The program and its arguments. It runs in the foreground; no shell reads it.",
        "write a list such as [\"python3\", \"-m\", \"http.server\", \"8000\"]",
    ),
    Key::new(
        "env",
        Kind::List(&Kind::Text(Form::Variable), Limits::VARIABLES),
        Default("[]"),
        "Environment variables, beside those of the node.",
        "write a list such as [\"PORT=8000\"]",
    ),
    Key::new(
        "directory",
        Kind::Text(Form::Path),
        Optional,
        "The folder in which it runs; without it, the folder of this file.",
        "give the path of a folder",
    ),
    Key::new(
        "restart",
        Kind::Choice(RESTART),
        Default("\"always\""),
        "When it is started again after it ended: always, on-failure (not after exit code 0) or never. Each time it waits longer, up to a minute.",
        "leave it out for \"always\"",
    ),
    Key::new(
        "stop_grace_ms",
        Kind::Integer(0, 60_000),
        Default("5000"),
        "How long it has to end after SIGTERM, in milliseconds, before SIGKILL.",
        "leave it out for 5 seconds",
    ),
];

/// Keys of `check`.
pub(crate) static CHECK: &[Key] = &[
    Key::new(
        "type",
        Kind::Choice(CHECKS),
        Required,
        "What is tried: a TCP connection to the target (tcp), a GET of the path there that answers 2xx or 3xx (http), or a program that ends with exit code 0 (exec).",
        "write \"type\": \"tcp\"",
    ),
    Key::new(
        "path",
        Kind::Text(Form::UrlPath),
        Optional,
        "What an http check asks for; without it \"/\".",
        "write \"path\": \"/healthz\"",
    ),
    Key::new(
        "command",
        Kind::List(&Kind::Text(Form::Argument), Limits::ARGUMENTS),
        Optional,
        "The program of an exec check, and its arguments. It gets the variables and the folder of run.",
        "write a list such as [\"test\", \"-e\", \"/run/ready\"]",
    ),
    Key::new(
        "interval_ms",
        Kind::Integer(100, 3_600_000),
        Default("5000"),
        "How long to wait between two checks, in milliseconds.",
        "leave it out for 5 seconds",
    ),
    Key::new(
        "timeout_ms",
        Kind::Integer(10, 60_000),
        Default("2000"),
        "How long a check may take, in milliseconds. When over: it failed.",
        "leave it out for 2 seconds",
    ),
    Key::new(
        "rise",
        Kind::Integer(1, 100),
        Default("2"),
        "So many successes one after another make an unhealthy service healthy. After a start the first one does.",
        "leave it out for 2",
    ),
    Key::new(
        "fall",
        Kind::Integer(1, 100),
        Default("3"),
        "So many failures one after another make a healthy service unhealthy.",
        "leave it out for 3",
    ),
];
