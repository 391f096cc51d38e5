//! Measures the store on the series of a fleet: bytes per sample on disk, samples per CPU second through the real path
//! (append, flush, checkpoint, close) and the time to read a day of one series.
//!
//! `cargo run --release -p leakscope-store --example store_bench -- [--targets 1000] [--points 10000] [--seed 1] [--folder F] [--openmetrics F]`
//! prints one line of JSON. The series are seeded: 15 s with jitter; a resident set that walks in pages, a heap that
//! saws, what is live after a collection, committed memory that steps, buffers outside of the heap.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use leakscope_model::{Readings, Signal, TargetId, Timestamp};
use leakscope_store::Store;

const SIGNALS: [Signal; 5] =
    [Signal::Rss, Signal::HeapUsed, Signal::HeapAfterGc, Signal::HeapCommitted, Signal::External];
const INTERVAL_MS: i64 = 15_000;
/// How often the daemon flushes.
const FLUSH_MS: i64 = 5_000;
/// How often the daemon makes a checkpoint.
const CHECKPOINT_MS: i64 = 600_000;
/// When the series begin: 2026-01-01.
const START_MS: i64 = 1_767_225_600_000;
const N_READS: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let fleet = Fleet::grow(&arguments);
    if let Some(path) = &arguments.openmetrics {
        return write_openmetrics(path, &fleet);
    }
    let scratch = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| scratch.path().to_owned());
    let store = Store::open(&folder)?;

    let cpu_before = cpu_seconds()?;
    let start = now();
    let end = write(&store, &fleet, &arguments)?;
    let (wall_open, cpu_open) = (start.elapsed(), cpu_seconds()? - cpu_before);
    let newest = read_days(&store, &arguments, |_| end)?;
    let (start, cpu_before) = (now(), cpu_seconds()?);
    store.close(end)?;
    let (wall, cpu) = (wall_open + start.elapsed(), cpu_open + cpu_seconds()? - cpu_before);

    let n_samples = (arguments.n_targets * arguments.n_points * SIGNALS.len()) as f64;
    let bytes = store.stats().file_size.0;
    let span_ms = end.as_millis() - START_MS;
    let any = read_days(&store, &arguments, |random| end.minus(millis(random.below(span_ms as u64))))?;
    verify(&store, &fleet, &arguments)?;
    write_line(&format!(
        "{{\"samples\":{n_samples},\"bytes\":{bytes},\"bytes_per_sample\":{:.3},\"cpu_s\":{cpu:.2},\"wall_s\":{:.2},\
         \"samples_per_cpu_second\":{:.0},\"read_any_day_ms\":{},\"read_newest_day_ms\":{},\"peak_rss_bytes\":{}}}",
        bytes as f64 / n_samples,
        wall.as_secs_f64(),
        n_samples / cpu,
        percentiles(any),
        percentiles(newest),
        rss_growth_max(fleet.bytes()),
    ));
    Ok(())
}

/// The same series as text for other stores: one family per signal, its series one after the other.
fn write_openmetrics(path: &Path, fleet: &Fleet) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(File::create(path)?);
    for (signal, name) in ["rss", "heap_used", "heap_after_gc", "heap_committed", "external"].into_iter().enumerate() {
        writeln!(out, "# TYPE bench_{name}_bytes gauge")?;
        for (number, target) in fleet.targets.iter().enumerate() {
            for (at, value) in target.at.iter().zip(&target.values[signal]) {
                let seconds = at.as_millis() as f64 / 1_000.0;
                writeln!(out, "bench_{name}_bytes{{job=\"bench\",instance=\"{number}\"}} {value} {seconds:.3}")?;
            }
        }
    }
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}

/// Everything as the daemon would do it, in the order of time.
fn write(store: &Store, fleet: &Fleet, arguments: &Arguments) -> Result<Timestamp, Box<dyn Error>> {
    let mut flush_at = START_MS + FLUSH_MS;
    let mut checkpoint_at = START_MS + CHECKPOINT_MS;
    let mut last = Timestamp::EPOCH;
    for point in 0..arguments.n_points {
        for (number, target) in fleet.targets.iter().enumerate() {
            let at = target.at[point];
            while at.as_millis() >= flush_at {
                store.flush(Timestamp::from_millis(flush_at))?;
                flush_at += FLUSH_MS;
            }
            if at.as_millis() >= checkpoint_at {
                store.checkpoint(Timestamp::from_millis(checkpoint_at))?;
                checkpoint_at += CHECKPOINT_MS;
            }
            let mut readings = Readings::default();
            for (signal, values) in SIGNALS.into_iter().zip(&target.values) {
                readings.set(signal, values[point]);
            }
            store.append(id_of(number), at, &readings);
            last = last.max(at);
        }
    }
    Ok(last)
}

/// Median and 99th percentile in milliseconds, as JSON.
fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let percentile = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
    format!("{{\"p50\":{:.3},\"p99\":{:.3}}}", percentile(50), percentile(99))
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long it took to read the day up to `end_of` of one series, many times over.
fn read_days(
    store: &Store,
    arguments: &Arguments,
    end_of: impl Fn(&mut Random) -> Timestamp,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut random = Random(arguments.seed);
    let day = Duration::from_hours(24);
    let mut times = Vec::with_capacity(N_READS);
    for _ in 0..N_READS {
        let number = random.below(arguments.n_targets as u64) as usize;
        let signal = SIGNALS[random.below(SIGNALS.len() as u64) as usize];
        let end = end_of(&mut random);
        let start = now();
        let columns = store.range(id_of(number), &[signal], end.minus(day), end)?;
        times.push(start.elapsed());
        std::hint::black_box(columns);
    }
    Ok(times)
}

/// What was measured must also be right.
fn verify(store: &Store, fleet: &Fleet, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    for (number, target) in fleet.targets.iter().enumerate().step_by(arguments.n_targets.div_ceil(20)) {
        let columns = store.range(id_of(number), &SIGNALS, Timestamp::EPOCH, Timestamp::from_millis(i64::MAX))?;
        let same = columns.at == target.at
            && SIGNALS.iter().zip(&target.values).all(|(signal, values)| columns.column(*signal) == values);
        if !same {
            return Err(format!("target {number} does not come back as it was written").into());
        }
    }
    Ok(())
}

fn id_of(number: usize) -> TargetId {
    TargetId::of("bench", &number.to_string(), "")
}

/// The series of one target.
struct Series {
    at: Vec<Timestamp>,
    values: [Vec<f64>; 5],
}

struct Fleet {
    targets: Vec<Series>,
}

impl Fleet {
    fn grow(arguments: &Arguments) -> Self {
        let mut random = Random(arguments.seed);
        let targets = (0..arguments.n_targets)
            .map(|number| {
                let offset = number as i64 * INTERVAL_MS / arguments.n_targets as i64;
                grow_series(Random(random.next()), START_MS + offset, arguments.n_points)
            })
            .collect();
        Self { targets }
    }

    fn bytes(&self) -> u64 {
        self.targets.iter().map(|target| (target.at.len() * 8 * 6) as u64).sum()
    }
}

/// One service with a collected heap: it allocates at a rate that wanders, collects when the heap is full, keeps a live
/// set that wanders, and has a resident set that follows with pages coming and going.
fn grow_series(mut random: Random, start_ms: i64, n_points: usize) -> Series {
    const MIB: f64 = 1_048_576.0;
    let mut series = Series { at: Vec::with_capacity(n_points), values: Default::default() };
    let mut live = random.between(30.0, 400.0) * MIB;
    let rate = random.between(0.2, 8.0) * MIB;
    let mut committed = (live * 2.0 / MIB).ceil() * MIB;
    let (mut used, mut after_gc) = (live, live);
    let mut pages = ((committed + random.between(20.0, 80.0) * MIB) / 4_096.0).round();
    let mut external = random.between(1.0, 30.0) * MIB;
    for point in 0..n_points as i64 {
        used += rate * 15.0 * random.between(0.8, 1.2);
        if used > committed * 0.9 {
            live = (live + random.normal() * 0.01 * live).clamp(20.0 * MIB, 900.0 * MIB);
            after_gc = live;
            used = live + random.between(0.0, 0.2) * (committed - live).max(0.0);
            if live > committed * 0.6 {
                committed += 16.0 * MIB;
            }
        }
        pages = (pages + (random.normal() * 12.0).round()).max(1_000.0);
        if random.below(4) == 0 {
            external = (external + random.normal() * 16_384.0).max(0.0);
        }
        let eights = |bytes: f64| (bytes / 8.0).round() * 8.0;
        let now = [pages * 4_096.0, eights(used), eights(after_gc), committed, external.round()];
        for (values, value) in series.values.iter_mut().zip(now) {
            values.push(value);
        }
        let late = random.below(20) as i64;
        series.at.push(Timestamp::from_millis(start_ms + point * INTERVAL_MS + late));
    }
    series
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Nearly normal: the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.between(0.0, 1.0)).sum::<f64>() - 6.0
    }
}

struct Arguments {
    n_targets: usize,
    n_points: usize,
    seed: u64,
    folder: Option<PathBuf>,
    openmetrics: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self { n_targets: 1_000, n_points: 10_000, seed: 1, folder: None, openmetrics: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("expected a value after `{word}`"))?;
            match word.as_str() {
                "--targets" => arguments.n_targets = value.parse()?,
                "--points" => arguments.n_points = value.parse()?,
                "--seed" => arguments.seed = value.parse()?,
                "--folder" => arguments.folder = Some(value.into()),
                "--openmetrics" => arguments.openmetrics = Some(value.into()),
                _ => {
                    return Err(format!(
                        "`{word}` is not known (known: --targets --points --seed --folder --openmetrics)"
                    )
                    .into());
                }
            }
        }
        Ok(arguments)
    }
}

/// User and system time of this process. Clock ticks are hundredths of a second on Linux.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("expected `)` in /proc/self/stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 =
        fields.get(11).ok_or("no utime")?.parse::<f64>()? + fields.get(12).ok_or("no stime")?.parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// Peak resident set less the `known` bytes of the generated series; 0 where the system does not say.
fn rss_growth_max(known: u64) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(0, |kib| (kib * 1_024).saturating_sub(known))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "its result")]
fn write_line(line: &str) {
    println!("{line}");
}
