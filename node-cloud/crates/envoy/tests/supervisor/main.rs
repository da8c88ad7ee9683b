//! Envoy as a real process, kept by real keepers: started, killed, found again, stopped.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alone;
mod nodes;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = catalyst_envoy::entry() {
        return code;
    }
    if let Some(code) = world::node::entry() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in alone::ALL.iter().chain(nodes::ALL) {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            let begun = std::time::Instant::now();
            let good = std::panic::catch_unwind(test).is_ok();
            let seconds = begun.elapsed().as_secs_f64();
            println!("test {name} ... {} {seconds:.1} s", if good { "ok" } else { "FAILED" });
            failed += usize::from(!good);
        }
    }
    println!("test result: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
