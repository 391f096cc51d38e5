//! How often the detector alarms where nothing leaks: thousands of simulated service-years. `cargo xtask score --null` runs this.
//!
//! Reading order: `args` what is asked for, `tally` what is counted, `page` how it is shown.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

mod args;
mod page;
mod tally;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leakscope_sim::null::{self, Process};

use crate::args::Args;
use crate::page::Cost;
use crate::tally::Tally;

/// Threads that run services.
const THREADS: usize = 2;

/// Samples over which the simulation alone is timed.
const SAMPLES_TIMED: usize = 2_000_000;

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let processes = null::of_years(args.years, args.seed);
    let wall = clock();
    let tally = judged(&processes, args);
    let cost = Cost { wall: clock().saturating_sub(wall), simulating: simulating(&processes) };
    let page = page::page(&tally, &cost, args);
    print!("{page}");
    if args.list {
        print!("{}", page::list(&tally));
    }
    if args.write { page::write(&page) } else { Ok(()) }
}

/// Every process through a detector of its own.
fn judged(processes: &[Process], args: &Args) -> Tally {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(process) = processes.get(number) else { return tally };
            tally.add(process, args);
            if number.is_multiple_of(10_000) && number > 0 {
                eprintln!("{number} of {} services", processes.len());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let done = threads.into_iter().map(|thread| thread.join().expect("a panic here is a bug of the simulation"));
        done.fold(Tally::default(), Tally::with)
    })
}

/// Processor time of one simulated sample, without a detector.
fn simulating(processes: &[Process]) -> Duration {
    let began = cpu();
    let samples = processes.iter().flat_map(Process::samples).take(SAMPLES_TIMED);
    let n = samples.map(std::hint::black_box).count();
    cpu().saturating_sub(began) / u32::try_from(n.max(1)).unwrap_or(u32::MAX)
}

/// CPU time of this thread so far, which a busy machine does not stretch; the clock's where the kernel does not tell.
fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(clock, Duration::from_nanos)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn clock() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}
