//! What the SSE relay's own code costs: the handler with the object that owns a log, in one process and without HTTP.
//!
//! A thread is an isolate: it owns a log, appends events in batches, and reads the bodies of its connections, each of which
//! gets every event. Appending and the wire between the log's owner and the relay are counted in.

#![expect(
    clippy::disallowed_methods,
    reason = "the banned clocks trap on Workers; this program runs on the host"
)]

mod isolate;
mod platform;

use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use isolate::{Check, Delivered, World};

/// Isolates that run at the same time, each on a core.
const ISOLATES: usize = 2;

/// Events of one append.
const BATCHES: [u64; 3] = [1, 10, 100];

/// Rounds before the measurement, in which every event of every piece is looked for.
const CHECKED_ROUNDS: usize = 20;

/// Connections that are opened to see what an idle one takes.
const IDLE: usize = 10_000;

/// Delivered events a second that are wanted.
const GOAL: f64 = 200_000.0;

/// Bytes of an idle connection that are wanted.
const MEMORY_GOAL: u64 = 15_000;

#[derive(Debug, Parser)]
struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Clients of all isolates together.
    #[arg(long, default_value_t = 200)]
    clients: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    // First, while the process holds nothing else.
    let idle = memory_of_a_connection()?;
    println!(
        "{:<22}{:>14}{:>12}{:>14}{:>16}{:>12}   goal",
        "events an append", "delivered/s", "MB/s", "CPU ns/event", "reads/append", ""
    );
    for batch in BATCHES {
        let measured = measure(&options, batch)?;
        let delivered = measured.delivered.events as f64;
        let per_second = delivered / measured.elapsed.as_secs_f64();
        println!(
            "{batch:<22}{per_second:>14.0}{:>12.0}{:>14.0}{:>16.2}{:>12}   at least {GOAL} delivered/s",
            measured.delivered.bytes as f64 / 1e6 / measured.elapsed.as_secs_f64(),
            measured.cpu.as_nanos() as f64 / delivered,
            measured.reads as f64 / measured.appends as f64,
            verdict(per_second >= GOAL),
        );
    }
    println!(
        "\n{:<64}{idle:>14}{:>12}   at most {MEMORY_GOAL}",
        format!("bytes of an idle connection, of {IDLE}"),
        verdict(idle <= MEMORY_GOAL)
    );
    Ok(())
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// What all isolates did.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    delivered: Delivered,
    appends: u64,
    reads: u64,
    elapsed: Duration,
    cpu: Duration,
}

fn measure(options: &Options, batch: u64) -> Result<Measured> {
    let ready = Barrier::new(ISOLATES);
    let run = || isolate(options, batch, &ready);
    let isolates: Vec<Result<Measured>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..ISOLATES).map(|_| scope.spawn(run)).collect();
        let results = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("an isolate has a mistake")))
        });
        results.collect()
    });
    let mut all = Measured::default();
    for isolate in isolates {
        let isolate = isolate?;
        all.delivered.events += isolate.delivered.events;
        all.delivered.bytes += isolate.delivered.bytes;
        all.appends += isolate.appends;
        all.reads += isolate.reads;
        all.elapsed = all.elapsed.max(isolate.elapsed);
        all.cpu += isolate.cpu;
    }
    Ok(all)
}

fn isolate(options: &Options, batch: u64, ready: &Barrier) -> Result<Measured> {
    pollster::block_on(async {
        let mut world = World::new().await?;
        let mut clients = world.clients(options.clients / ISOLATES).await?;
        for _ in 0..CHECKED_ROUNDS {
            world.round(&mut clients, batch, Check::Events).await?;
        }
        ready.wait();
        let mut measured = Measured::default();
        let (start, cpu, reads) = (Instant::now(), cpu()?, world.reads());
        while start.elapsed() < Duration::from_secs(options.seconds) {
            let delivered = world.round(&mut clients, batch, Check::Pieces).await?;
            measured.delivered.events += delivered.events;
            measured.delivered.bytes += delivered.bytes;
            measured.appends += 1;
        }
        measured.elapsed = start.elapsed();
        measured.cpu = self::cpu()? - cpu;
        measured.reads = world.reads() - reads;
        Ok(measured)
    })
}

/// CPU time of this thread.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let duration = |time: TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

/// Bytes that an idle connection takes with all that belongs to it: the handler's state and the follower at the log's owner.
fn memory_of_a_connection() -> Result<u64> {
    pollster::block_on(async {
        let mut world = World::new().await?;
        let mut few = world.clients(100).await?;
        world.round(&mut few, 1, Check::Events).await?;
        let before = resident()?;
        let idle = world.clients(IDLE).await?;
        let after = resident()?;
        drop(idle);
        Ok((after - before) / IDLE as u64)
    })
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64> {
    let listed = Command::new("ps")
        .args(["-o", "rss=", "-p", &std::process::id().to_string()])
        .output()?;
    let kilobytes: u64 = String::from_utf8(listed.stdout)?
        .trim()
        .parse()
        .context("`ps` tells no memory")?;
    Ok(kilobytes * 1024)
}
