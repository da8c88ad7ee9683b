//! `check`: everything that can be known before a start. The configuration, the files that it names, and the most
//! memory that the node will take.

use std::path::Path;

use catalyst_config::{Build, Config};
use serde_json::json;

use super::{Common, Program, machine};
use crate::boot::Prepared;
use crate::confine;
use crate::error::NodeError;
use crate::memory::{Bound, bounds};
use crate::output;

fn parts(program: &Program, config: &Config) -> Vec<Bound> {
    let edge = program.build == Build::Edge;
    bounds(config, edge, (program.table)(config.limits.routes as usize))
}

/// A size that people can read.
fn size(bytes: usize) -> String {
    let mut unit = 20;
    while unit < 40 && bytes >> unit >= 1024 {
        unit += 10;
    }
    let tenths = bytes.saturating_mul(10) >> unit;
    let name = match unit {
        20 => "MiB",
        30 => "GiB",
        _ => "TiB",
    };
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// The memory of this machine, in bytes (proc_meminfo(5)).
fn memory_here() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?.checked_mul(1024)
}

/// The line about the sum: what makes most of it, and what would fit this machine.
fn sum(program: &Program, config: &Config, parts: &[Bound], machine: Option<usize>) -> String {
    let whole: usize = parts.iter().map(|b| b.bytes).sum();
    let most = parts.iter().filter(|b| b.of.contains("limits.")).max_by_key(|b| b.bytes);
    let hint = most
        .map_or_else(String::new, |b| format!("; most of it: {}, lower {} for less", b.what, keys(&b.of)));
    let more = match machine {
        Some(has) if has < whole => {
            let fits = peers_that_fit(program, config, has)
                .map_or_else(String::new, |peers| format!("; with limits.peers={peers} it fits"));
            format!(
                "\nThis machine has {}, which neighbours that send to services that do not read could fill{fits}",
                size(has)
            )
        }
        _ => String::new(),
    };
    format!("sum: {}{hint}{more}", size(whole))
}

/// How many peers, halved as often as it takes, nine tenths of the machine's memory are enough for.
fn peers_that_fit(program: &Program, config: &Config, has: usize) -> Option<u32> {
    let mut less = config.clone();
    loop {
        less.limits.peers /= 2;
        if less.limits.peers == 0 || config.peers.len() > less.limits.peers as usize {
            return None;
        }
        if parts(program, &less).iter().map(|b| b.bytes).sum::<usize>() < has / 10 * 9 {
            return Some(less.limits.peers);
        }
    }
}

/// What is allowed, and hardly meant.
fn warnings(config: &Config) -> Vec<String> {
    let all = machine::lacks(config);
    #[cfg(feature = "mesh")]
    let all = {
        use catalyst_config::policy::unreachable;
        use catalyst_policy::Direction;
        let mut all = all;
        all.extend(unreachable(Direction::Export, &config.exports));
        all.extend(unreachable(Direction::Import, &config.imports));
        all
    };
    all
}

/// `config check`: the file and those that it names.
pub(super) fn files(program: &Program, common: &Common) -> Result<(), NodeError> {
    let config = looked_at(program, common)?;
    let warnings = warnings(&config);
    if common.json {
        output::document(&json!({ "ok": true, "warnings": warnings }).to_string());
    } else {
        say(&config, &warnings);
    }
    Ok(())
}

/// `check`: that, and the sum of the memory. `more` adds what only one of the programs knows.
pub(super) fn all(program: &Program, common: &Common) -> Result<(), NodeError> {
    let config = looked_at(program, common)?;
    let parts = parts(program, &config);
    let sum: usize = parts.iter().map(|b| b.bytes).sum();
    // Inside the sandbox nobody reads them.
    let machine = memory_here();
    let warnings = warnings(&config);
    let sandbox = confine::tried(&config);
    if common.json {
        let memory: Vec<_> =
            parts.iter().map(|b| json!({ "what": b.what, "of": b.of, "bytes": b.bytes })).collect();
        output::document(
            &json!({
                "ok": true, "warnings": warnings, "memory": memory, "memory_bytes": sum, "sandbox": sandbox
            })
            .to_string(),
        );
        return Ok(());
    }
    say(&config, &warnings);
    output::line("");
    output::line("It takes at most this much memory, all limits filled at once:");
    let rows: Vec<Vec<String>> =
        parts.iter().map(|b| vec![b.what.to_string(), size(b.bytes), b.of.clone()]).collect();
    output::table(&["WHAT", "AT MOST", "DECIDED BY"], &rows, "");
    output::raw(&self::sum(program, &config, &parts, machine));
    output::line("");
    output::line("The sandbox, entered by this command as the node would enter it:");
    for layer in sandbox {
        let why = if layer.why.is_empty() { String::new() } else { format!(" ({})", layer.why) };
        output::line(&format!("  {}: {}{why}", layer.layer, layer.state));
    }
    Ok(())
}

/// The names of the keys in a text such as `limits.peers 4, limits.window 5`.
fn keys(of: &str) -> String {
    let keys: Vec<&str> = of.split([' ', ',']).filter(|word| word.starts_with("limits.")).collect();
    keys.join(" or ")
}

fn looked_at(program: &Program, common: &Common) -> Result<Config, NodeError> {
    let config = common.load(program)?;
    Prepared::check(&config)?;
    Ok(config)
}

/// That all is good, and what is not here.
fn say(config: &Config, warnings: &[String]) {
    output::line(&good(config));
    warnings.iter().for_each(|why| output::line(&format!("warning: {why}")));
    if !warnings.is_empty() {
        output::line(
            "The node starts all the same; what cannot run here is unhealthy, and announced to nobody.",
        );
    }
}

fn good(config: &Config) -> String {
    format!(
        "{}: good. {}.{} with {} peer(s), {} service(s), {} local port(s)",
        config.file.as_deref().unwrap_or(Path::new("catalyst.json")).display(),
        config.node,
        config.org,
        config.peers.len(),
        config.services.len(),
        config.expose.len() + usize::from(config.http.is_some())
    )
}

#[cfg(test)]
mod tests {
    use catalyst_config::{Compiled, from_text};

    use super::*;

    const CLOUD: Program = Program {
        name: "catalyst",
        build: Build::Cloud,
        compiled: Compiled::CLOUD,
        table: |routes| routes * 2048,
    };

    #[test]
    fn sizes_have_the_unit_that_people_read() {
        for (bytes, text) in [
            (0, "0.0 MiB"),
            (1_572_864, "1.5 MiB"),
            (1023 << 20, "1023.0 MiB"),
            (5 << 29, "2.5 GiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_sum_beyond_the_machine_says_what_would_fit() {
        let text = r#"{ "version": 1, "org": "acme.example", "node": "cloud-1", "peers": [], "listen": "[::]:7443" }"#;
        let config =
            from_text(Some((text, Path::new("c.json"))), &[], &[], Build::Cloud, &Compiled::CLOUD).unwrap();
        let parts = |config: &Config| parts(&CLOUD, config);
        let whole = sum(&CLOUD, &config, &parts(&config), Some(1 << 50));
        assert!(
            whole.starts_with("sum: ") && whole.contains(" GiB; most of it: ") && !whole.contains("machine"),
            "{whole}"
        );
        let has = 16 << 30;
        let said = sum(&CLOUD, &config, &parts(&config), Some(has));
        let fits: u32 =
            said.rsplit_once("limits.peers=").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        let mut less = config.clone();
        less.limits.peers = fits;
        assert!(parts(&less).iter().map(|b| b.bytes).sum::<usize>() < has, "{said}");
        assert!(said.contains("This machine has 16.0 GiB"), "{said}");
        // Nothing is promised that the configuration's own peers do not allow.
        let none = sum(&CLOUD, &config, &parts(&config), Some(1 << 20));
        assert!(!none.contains("it fits"), "{none}");
    }
}
