//! Judges events of a megabyte by schemas that are put together at random, and prints which pairs took longest.

#[path = "../../../shared/validation/src/schema/pairs.rs"]
#[expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "the tests' own, which are not edge code"
)]
mod pairs;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use eventstar_event::Document;
use eventstar_validation::Schema;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use pairs::Pair;

/// The registry's limit on a schema, in bytes.
const MAX_SCHEMA_BYTES: usize = 1_899_000;

/// The number of the slowest pairs that are printed.
const SHOWN: usize = 12;

#[derive(Parser)]
struct Options {
    /// The number of pairs.
    #[arg(long, default_value_t = 2000)]
    pairs: u64,
    /// The first pair.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

struct Taken {
    name: String,
    said: String,
    compile: Duration,
    validate: Duration,
}

fn main() -> Result<()> {
    let options = Options::parse();
    measure("each keyword with each value", Pair::each())?;
    let seeds = options.seed..options.seed + options.pairs;
    let random = seeds.map(|seed| {
        let (name, pair) = Pair::random(seed);
        (format!("{name}; seed {seed}"), pair)
    });
    measure("keywords within each other", random)
}

fn measure(title: &str, pairs: impl Iterator<Item = (String, Pair)>) -> Result<()> {
    let mut all = Vec::new();
    let mut refused = 0;
    for (name, Pair { schema, event }) in pairs {
        let text = schema.to_string();
        if text.len() > MAX_SCHEMA_BYTES {
            refused += 1;
            continue;
        }
        let started = cpu()?;
        let Ok(schema) = Schema::compile(&text) else {
            refused += 1;
            continue;
        };
        let compile = cpu()? - started;
        let mut document = Document::parse(event.to_string())?;
        let started = cpu()?;
        let verdict = schema
            .fill_defaults(&mut document)
            .and_then(|()| schema.validate(&event));
        let validate = cpu()? - started;
        let said = match &verdict {
            Ok(()) => "valid".to_owned(),
            Err(errors) => {
                let first = errors.first().map(|error| error.keyword.as_str());
                format!("{} errors, first {}", errors.len(), first.unwrap_or_default())
            }
        };
        all.push(Taken {
            name,
            said,
            compile,
            validate,
        });
    }
    println!("{title}: {} pairs; {refused} schemas refused", all.len());
    println!("slowest to judge and explain, in CPU time:");
    all.sort_by_key(|taken| std::cmp::Reverse(taken.validate));
    for taken in all.iter().take(SHOWN) {
        print(taken);
    }
    all.sort_by_key(|taken| std::cmp::Reverse(taken.compile));
    println!("slowest to compile:");
    for taken in all.iter().take(SHOWN / 3) {
        print(taken);
    }
    Ok(())
}

/// CPU time of this thread: others on the machine do not count.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn print(taken: &Taken) {
    println!(
        "{:>7.1} ms, compiled in {:>6.1} ms: {} ({})",
        1000.0 * taken.validate.as_secs_f64(),
        1000.0 * taken.compile.as_secs_f64(),
        taken.name,
        taken.said
    );
}
