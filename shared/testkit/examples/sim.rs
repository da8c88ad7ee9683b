//! The command line of the simulator, as `cargo xtask sim` calls it.

use std::io::{BufWriter, Write, stderr, stdout};
use std::process::ExitCode;

#[cfg(feature = "mutants")]
use catalyst_testkit::found_before;
use catalyst_testkit::{
    Campaign, Chosen, Outcome, Plan, SHAPES, Shape, failed_once, generate_as, one, run_observed,
};

/// What was asked for.
#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    first: Option<u64>,
    seed: Option<u64>,
    shape: Option<Shape>,
    mutant: Chosen,
    mutants: bool,
    quiet: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--mutants" => options.mutants = true,
            "--quiet" => options.quiet = true,
            _ => {
                let value = args.next().ok_or(format!("`{flag}` needs a value"))?;
                let number = || value.parse().map_err(|_| format!("`{value}` is no number"));
                match flag.as_str() {
                    "--seeds" => options.seeds = Some(number()?),
                    "--first-seed" => options.first = Some(number()?),
                    "--seed" => options.seed = Some(number()?),
                    "--shape" => {
                        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name()).collect();
                        let known =
                            || format!("there is no shape `{value}`: it is one of {}", names.join(", "));
                        options.shape = Some(Shape::find(&value).ok_or_else(known)?);
                    }
                    "--mutant" => {
                        let unknown = || format!("there is no mutant `{value}`");
                        options.mutant = Chosen::find(&value).ok_or_else(unknown)?;
                    }
                    _ => return Err(format!("there is no flag `{flag}`")),
                }
            }
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("sim: {why}; see `cargo xtask sim --help`");
            return ExitCode::from(2);
        }
    };
    // A panic of a run is a failure with a seed; its text comes with it.
    std::panic::set_hook(Box::new(|_| {}));
    let good = match options.seed {
        _ if options.mutants => mutants(&options),
        Some(seed) => watch(seed, &options),
        None => campaign(&options),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed and tells everything that happens.
fn watch(seed: u64, options: &Options) -> bool {
    let plan = generate_as(seed, options.shape);
    if options.quiet {
        return report(one(seed, options.shape, options.mutant).map(|stats| println!("passed: {stats:?}")));
    }
    describe(&plan);
    let mut out = BufWriter::new(stdout());
    let observer = move |at: u64, text: &str| {
        // A closed pipe is no reason to stop.
        let _ = writeln!(out, "{at:>8} {text}");
        let _ = out.flush();
    };
    options.mutant.on_this_thread();
    let _ = std::panic::take_hook();
    report(run_observed(&plan, Some(Box::new(observer))).map(|stats| println!("passed: {stats:?}")))
}

fn report(ran: Result<(), catalyst_testkit::Failure>) -> bool {
    if let Err(failure) = &ran {
        println!("FAILED: {failure}");
    }
    ran.is_ok()
}

fn describe(plan: &Plan) {
    println!("{}", plan.shape);
    for (place, node) in plan.nodes.iter().enumerate() {
        let services: Vec<&str> = node.services.iter().map(|s| s.label.as_str()).collect();
        println!("node {place}: {} with {services:?}, {:?}", node.name, node.store);
    }
    for (place, link) in plan.links.iter().enumerate() {
        let [a, b] = link.ends.map(|n| plan.nodes[n].name.to_string());
        println!(
            "link {place}: {a} and {b}, dials {:?}, delay {:?}, window {}",
            link.dials, link.delay, link.window
        );
    }
}

/// Seeds that failed once, then seeds in a row.
fn campaign(options: &Options) -> bool {
    let mut bad = 0;
    for (seed, shape) in failed_once() {
        bad += usize::from(!report(one(seed, shape, options.mutant).map(drop)));
    }
    let first = options.first.unwrap_or(1);
    let mut campaign = Campaign::new(first, options.seeds.unwrap_or(10_000));
    (campaign.shape, campaign.mutant) = (options.shape, options.mutant);
    println!("seeds {first} to {}, {} at a time", first + campaign.seeds - 1, campaign.threads);
    let outcome = campaign.run(|ended| {
        if !options.quiet {
            let _ = write!(stderr(), "\r{ended} of {} runs", campaign.seeds);
        }
    });
    if !options.quiet {
        let _ = write!(stderr(), "\r                              \r");
    }
    for failure in &outcome.failures {
        println!("FAILED: {failure}");
    }
    println!("{}", figures(&outcome));
    bad == 0 && outcome.failures.is_empty()
}

fn figures(outcome: &Outcome) -> String {
    let (seconds, stats) = (outcome.time.as_secs_f64().max(0.001), outcome.stats);
    let each = |count: u64| (count as f64 / seconds) as u64;
    format!(
        "{} runs, {} failed, in {seconds:.1} s: {} runs/s, {} events/s; {} frames, {} sessions, {} tables of {} routes \
         compared; the slowest took {} ms (seed {}); {} circles of {} ms at most; {}.{:02} updates a link and change at most",
        outcome.runs,
        outcome.failures.len(),
        each(outcome.runs),
        each(stats.steps),
        stats.frames,
        stats.connections,
        stats.checks,
        stats.routes,
        outcome.slowest.0.as_millis(),
        outcome.slowest.1,
        stats.circles,
        stats.longest_circle,
        stats.most_updates / 100,
        stats.most_updates % 100
    )
}

#[cfg(not(feature = "mutants"))]
fn mutants(_: &Options) -> bool {
    println!("this build has no mutants; `cargo xtask sim --mutants` makes one that has");
    false
}

/// Runs every mutant, or the one that was named, until a check finds it.
#[cfg(feature = "mutants")]
fn mutants(options: &Options) -> bool {
    let (first, seeds) = (options.first.unwrap_or(1), options.seeds.unwrap_or(3_000));
    println!("{:<32} {:<11} {:>9} {:>7}  what found it", "mutant", "kind", "seed", "runs");
    let (mut ran, mut survivors) = (0, 0);
    let named = |mutant: &catalyst_testkit::Mutant| options.mutant == Chosen::mutant(*mutant);
    let all = options.mutant == Chosen::default();
    for mutant in catalyst_testkit::MUTANTS.iter().filter(|mutant| all || named(mutant)) {
        let chosen = Chosen::mutant(*mutant);
        // Not all of them over again where only one network in many hundreds tells.
        let before =
            found_before(mutant.name()).filter(|_| options.first.is_none() && options.shape.is_none());
        let (found, runs) = match before.and_then(|seed| one(seed, None, chosen).err()) {
            Some(failure) => (Some(failure), 1),
            None => {
                let mut campaign = Campaign::new(first, seeds);
                (campaign.shape, campaign.enough, campaign.mutant) = (options.shape, 1, chosen);
                let outcome = campaign.run(|_| {});
                (outcome.failures.into_iter().next(), outcome.runs)
            }
        };
        ran += 1;
        survivors += usize::from(found.is_none());
        let (seed, what) = match found {
            Some(failure) => (failure.seed.to_string(), failure.what.chars().take(100).collect()),
            None => ("-".to_owned(), format!("NOTHING: {}", mutant.says())),
        };
        println!("{:<32} {:<11} {seed:>9} {runs:>7}  {what}", mutant.name(), mutant.kind().name());
    }
    println!("{ran} mutants, {survivors} survived");
    survivors == 0
}
