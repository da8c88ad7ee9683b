//! What must fit together in how a service is run and checked.

use catalyst_names::Protocol;

use crate::config::Service;
use crate::error::Wrong;
use crate::limits::Limits;
use crate::local::{CheckKind, Variables};
use crate::print;
use crate::tree::Tree;

/// Hands `add` everything that is wrong, with its pointer below the service.
pub(crate) fn check(service: &Service, tree: Option<&Tree>, add: &mut dyn FnMut(&str, Wrong)) {
    if let Some(run) = &service.run {
        program(&run.command, &run.env, "/run", add);
    }
    let Some(check) = &service.check else { return };
    let given = |name: &str| tree?.get("check")?.get(name);
    let (kind, path, command) = match &check.kind {
        CheckKind::Tcp => ("tcp", false, false),
        CheckKind::Http { .. } => ("http", true, false),
        CheckKind::Exec { .. } => ("exec", false, true),
    };
    for (name, fits, of) in [("path", path, "http"), ("command", command, "exec")] {
        if let Some(value) = given(name).filter(|_| !fits) {
            let expected = format!("no \"{name}\" in a check of type \"{kind}\"");
            let help = format!("remove it, or write \"type\": \"{of}\"");
            add(&format!("/check/{name}"), Wrong::new(expected, print::found(&value.value), help));
        }
    }
    if let CheckKind::Exec { command, env, .. } = &check.kind {
        program(command, env, "/check", add);
    }
    if service.protocol == Protocol::Udp && !command {
        let help =
            "nothing of a UDP service answers to TCP: write \"type\": \"exec\" with a program that asks it";
        add("/check/type", Wrong::new("\"exec\", as the service speaks udp", format!("\"{kind}\""), help));
    }
}

fn program(command: &[String], env: &Variables, at: &str, add: &mut dyn FnMut(&str, Wrong)) {
    if command.first().is_none_or(|program| program.is_empty()) {
        let help = "write a list such as [\"python3\", \"-m\", \"http.server\", \"8000\"]";
        add(&format!("{at}/command"), Wrong::new("a program and its arguments", "none", help));
    }
    let bytes: usize = command.iter().chain(&env.0).map(|text| text.len() + 1).sum();
    if bytes > Limits::PROGRAM {
        let expected = format!("at most {} bytes of arguments and variables", Limits::PROGRAM);
        let help = "put what is long into a file, and give the program its path";
        add(at, Wrong::new(expected, format!("{bytes} bytes"), help));
    }
}
