//! What a JVM says of its heap, and what evidence of a heap that large costs.

use std::time::Duration;

use leakscope_model::{Bytes, Cost};

/// How long a JVM stands still for a GiB of heap in use, on two cores: seconds. The policy learns the host's own.
const LIVE_HISTOGRAM_SECS: f64 = 0.6;
const HISTOGRAM_SECS: f64 = 0.4;
const PATHS_SECS: f64 = 0.8;
const DUMP_SECS: f64 = 3.0;
/// Bytes of a dump for each of heap: references have 8 bytes there and 4 in the heap.
const DUMP_RATIO: f64 = 1.21;
/// How fast a dump is copied: bytes in a second.
const COPIED_PER_SEC: f64 = 300e6;
/// A recording of 256 objects with what holds them, and the chunk around it.
const RECORDING: Bytes = Bytes(512 << 10);
/// A histogram of some hundred to thousand classes.
const HISTOGRAM: Bytes = Bytes(128 << 10);

/// Greatest heap whose histogram counts what is alive only, for which the JVM collects all of it first. A greater heap would stand
/// still for too long; all objects are counted there, garbage too. The greatest heap never changes, so that the histograms of a
/// process can be compared.
const LIVE_HEAP_MAX: Bytes = Bytes(512 << 20);
/// Most heap in use at which the JVM looks for what holds its old objects. In a greater one it would stand still for seconds, and the
/// recording has where they were allocated only.
const PATHS_HEAP_MAX: Bytes = Bytes(2 << 30);

/// What a JVM says of its heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heap {
    /// In use, garbage included.
    pub(super) used: Option<Bytes>,
    /// The most it may have.
    pub(super) max: Option<Bytes>,
}

impl Heap {
    /// Of the answers to `GC.heap_info` and `VM.flags`.
    pub(super) fn of(heap_info: &str, flags: &str) -> Self {
        Self { used: used(heap_info), max: max_heap(flags) }
    }

    /// Whether its histogram is of what is alive only.
    pub(super) fn counts_live(self) -> bool {
        self.max.is_some_and(|max| max <= LIVE_HEAP_MAX)
    }

    /// Whether the JVM looks for what holds its old objects.
    pub(super) fn finds_paths(self) -> bool {
        self.used.is_some_and(|used| used <= PATHS_HEAP_MAX)
    }

    /// What a histogram costs; all zero where the heap is not known.
    pub(super) fn histogram(self) -> Cost {
        self.cost(if self.counts_live() { LIVE_HISTOGRAM_SECS } else { HISTOGRAM_SECS }, |_| HISTOGRAM)
    }

    /// What a recording of old objects costs.
    pub(super) fn old_objects(self) -> Cost {
        self.cost(if self.finds_paths() { PATHS_SECS } else { 0.0 }, |_| RECORDING)
    }

    /// What a dump costs. `in_memory`: it is written to a file system in memory first.
    pub(super) fn dump(self, in_memory: bool) -> Cost {
        let mut cost = self.cost(DUMP_SECS, dump_size);
        cost.duration += Duration::from_secs_f64(cost.size.0 as f64 / COPIED_PER_SEC);
        if in_memory {
            cost.memory = cost.size;
        }
        cost
    }

    fn cost(self, secs_per_gib: f64, size: impl Fn(Bytes) -> Bytes) -> Cost {
        let Some(used) = self.used else { return Cost::default() };
        let pause = Duration::from_secs_f64(used.0 as f64 / f64::from(1 << 30) * secs_per_gib);
        Cost { duration: pause, pause, memory: Bytes(0), size: size(used) }
    }
}

/// Size of a dump of a heap.
pub(super) fn dump_size(used: Bytes) -> Bytes {
    Bytes((used.0 as f64 * DUMP_RATIO) as u64)
}

/// The sum of what generations, or the one heap, have in use: `used 3126K`, Shenandoah's `4608K used`. Metaspace is no heap.
fn used(heap_info: &str) -> Option<Bytes> {
    let lines = heap_info
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("Metaspace") && !line.starts_with("class space"));
    lines.filter_map(used_of).reduce(|sum, used| Bytes(sum.0.saturating_add(used.0)))
}

fn used_of(line: &str) -> Option<Bytes> {
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == "used")?;
    // `18% used [0x..` of a space within a generation has no size on either side.
    let after = words.get(at + 1).and_then(|word| bytes_of(word));
    after.or_else(|| bytes_of(words.get(at.checked_sub(1)?)?))
}

/// `3126K`, `24M`, `1G`, `77B`.
fn bytes_of(word: &str) -> Option<Bytes> {
    let unit = word.len().checked_sub(1)?;
    let (number, unit) = (word.get(..unit)?, word.get(unit..)?);
    let shift = match unit {
        "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift).map(Bytes)
}

fn max_heap(flags: &str) -> Option<Bytes> {
    flags.split_ascii_whitespace().find_map(|flag| flag.strip_prefix("-XX:MaxHeapSize=")?.parse().ok()).map(Bytes)
}

/// Bytes that native memory tracking says are committed, where it is on: `Total: reserved=1,2KB, committed=3KB` with 17 and 25.
pub(super) fn native_committed(native_memory: &str) -> Option<Bytes> {
    let line = native_memory.lines().find(|line| line.trim_start().starts_with("Total:"))?;
    let (_, committed) = line.split_once("committed=")?;
    let digits: String = committed.chars().take_while(char::is_ascii_digit).collect();
    let kib = committed.get(digits.len()..)?.starts_with("KB");
    digits.parse::<u64>().ok().filter(|_| kib)?.checked_mul(1 << 10).map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collector_says_what_is_in_use() {
        for (heap_info, kib) in [
            (
                " garbage-first heap   total 524288K, used 3126K [0x00000000e0000000, 0x0000000100000000)\n  region size 1024K, 2 young (2048K), 0 survivors (0K)\n Metaspace       used 2005K, committed 2176K, reserved 1114112K\n  class space    used 275K, committed 384K, reserved 1048576K\n",
                Some(3126),
            ),
            (
                "garbage-first heap   total reserved 262144K, committed 262144K, used 4669K [0x00, 0x01)\n region size 1024K",
                Some(4669),
            ),
            ("ZHeap            used 14M, capacity 256M, max capacity 256M\n Cache           242M (1)", Some(14 << 10)),
            (
                "DefNew     total 78656K, used 12607K [0x00, 0x01, 0x02)\n eden space 69952K,  18% used [0x00, 0x01, 0x02)\nTenured    total 174784K, used 7K [0x0, 0x1, 0x2)",
                Some(12_614),
            ),
            (
                "PSYoungGen      total 76288K, used 11797K [0x0, 0x1, 0x2)\nParOldGen       total 175104K, used 0K [0x0",
                Some(11_797),
            ),
            (
                "Shenandoah Heap\n 256M max, 256M soft max, 256M committed, 4608K used\n 1024 x 256 K regions",
                Some(4608),
            ),
            ("used\nused used\nused K, 99999999999999999999K used\n18446744073709551615T used", None),
            ("", None),
        ] {
            assert_eq!(used(heap_info), kib.map(|kib| Bytes(kib << 10)), "{heap_info}");
        }
    }

    #[test]
    fn flags_tell_the_greatest_heap_and_tracking_what_is_committed() {
        assert_eq!(max_heap("-XX:InitialHeapSize=1 -XX:MaxHeapSize=536870912 -XX:+UseG1GC"), Some(Bytes(512 << 20)));
        assert_eq!(max_heap("-XX:MaxHeapSize=much"), None);
        let tracked = "\nNative Memory Tracking:\n\n(Omitting categories weighting less than 1KB)\n\nTotal: reserved=1785043KB, committed=139287KB\n       malloc: 11991KB #38043\n";
        assert_eq!(native_committed(tracked), Some(Bytes(139_287 << 10)));
        for unknown in
            ["Native memory tracking is not enabled", "Total: reserved=1KB, committed=", "Total: committed=7GB"]
        {
            assert_eq!(native_committed(unknown), None);
        }
    }
}
