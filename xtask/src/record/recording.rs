//! The nouns of the corpus: what one recording is, what is true of it, and in which half it lies. No process, no clock.

use super::shape::{Hold, Load, MIB};

/// An example service with the options of its runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Node,
    /// Node.js whose young generation grows as V8 has it.
    NodeGrowing,
    Python,
    Go,
    /// A JVM that has all of its heap from the start, with G1 and periodic collections.
    JavaSized,
    /// A JVM with the serial collector, whose heap begins small and grows.
    JavaSerial,
    /// A JVM as it comes: G1 without a word about its heap but the greatest size.
    JavaDefault,
    Rust,
}

impl Flavour {
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::Node | Self::NodeGrowing => "node",
            Self::Python => "python",
            Self::Go => "go",
            Self::JavaSized | Self::JavaSerial | Self::JavaDefault => "java",
            Self::Rust => "rust",
        }
    }

    /// Resident bytes of the idle service, measured; limits are set from them.
    pub(crate) fn level_bytes(self) -> f64 {
        let mebibytes = match self {
            Self::Node => 62.0,
            Self::NodeGrowing => 90.0,
            Self::Python => 42.0,
            Self::Go => 22.0,
            Self::JavaSized => 48.0,
            Self::JavaSerial => 75.0,
            Self::JavaDefault => 100.0,
            Self::Rust => 12.0,
        };
        mebibytes * MIB
    }

    /// Resident bytes for each byte that is held on the heap: garbage lies beside what lives.
    pub(crate) fn cost(self) -> f64 {
        match self {
            Self::Go => 1.8,
            Self::JavaSerial | Self::JavaDefault => 1.3,
            Self::JavaSized | Self::Python => 1.05,
            Self::Node | Self::NodeGrowing => 1.06,
            Self::Rust => 1.02,
        }
    }

    pub(crate) fn is_java(self) -> bool {
        self.runtime() == "java"
    }
}

/// How long a leak takes from its onset to the limit, in minutes and hours of the reader's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateClass {
    Minutes20,
    Hours2,
    Hours6,
    Hours24,
}

impl RateClass {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minutes20 => "20m",
            Self::Hours2 => "2h",
            Self::Hours6 => "6h",
            Self::Hours24 => "24h",
        }
    }

    /// Real seconds to the limit: a second counts as a minute.
    pub(crate) fn seconds(self) -> f64 {
        match self {
            // 20 to 40 minutes: below it nothing has a floor yet.
            Self::Minutes20 => 32.0,
            Self::Hours2 => 120.0,
            Self::Hours6 => 360.0,
            Self::Hours24 => 1_440.0,
        }
    }
}

/// Which requests leak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Leaky {
    Every,
    /// One in so many, at random.
    OneIn(u32),
    /// Those of one endpoint, which is asked for in spells: so many seconds of every period.
    InSpells {
        length_s: f64,
        period_s: f64,
    },
}

impl Leaky {
    /// Mean share of the requests.
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Every => 1.0,
            Self::OneIn(n) => 1.0 / f64::from(n),
            Self::InSpells { length_s, period_s } => length_s / period_s,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Leak {
    /// The service's `--leak`.
    pub(crate) flag: &'static str,
    /// `managed`, `native`, `tasks` or `descriptors`.
    pub(crate) kind: &'static str,
    pub(crate) class: RateClass,
    /// Bytes between level and limit.
    pub(crate) headroom_bytes: f64,
    pub(crate) leaky: Leaky,
    /// Real seconds until the first request leaks.
    pub(crate) onset_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Truth {
    Leaks(Leak),
    /// What it looks like without being a leak.
    Healthy(&'static str),
}

/// The declared limit of a healthy process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// So many times the most it should need.
    Times(f64),
    None,
}

/// One process, or several one after the other, from its first second to its last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    /// The file's stem.
    pub(crate) name: String,
    pub(crate) family: &'static str,
    pub(crate) flavour: Flavour,
    pub(crate) truth: Truth,
    pub(crate) load: Load,
    pub(crate) holds: Vec<Hold>,
    /// What is held lies outside the managed heap.
    pub(crate) native: bool,
    /// When the process is ended and started anew, in real seconds; after the time so much more is held.
    pub(crate) restarts: Vec<(f64, f64)>,
    pub(crate) length_s: f64,
    pub(crate) limit: Limit,
    /// The page shows what the live heap is, where the runtime knows it.
    pub(crate) shows_live_heap: bool,
    pub(crate) half: Half,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Development,
    Test,
}

impl Half {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
        }
    }
}

impl Recording {
    pub(crate) fn file(&self) -> String {
        format!("{}.csv.gz", self.name)
    }

    pub(crate) fn leak(&self) -> Option<&Leak> {
        match &self.truth {
            Truth::Leaks(leak) => Some(leak),
            Truth::Healthy(_) => None,
        }
    }

    /// The most that it holds besides a leak.
    fn held_bytes(&self) -> f64 {
        let more = self.restarts.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        more + self.holds.iter().map(|hold| hold.bytes_max(&self.load, self.length_s)).sum::<f64>()
    }

    fn resident_cost(&self) -> f64 {
        if self.native { 1.0 } else { self.flavour.cost() }
    }

    /// Resident bytes that it should need without a leak.
    pub(crate) fn bytes_needed(&self) -> f64 {
        self.flavour.level_bytes() + self.resident_cost() * self.held_bytes()
    }

    /// The declared limit in bytes, whole MiB.
    pub(crate) fn limit_bytes(&self) -> Option<f64> {
        let level = self.bytes_needed();
        let bytes = match (&self.truth, self.limit) {
            (Truth::Leaks(leak), _) => level + leak.headroom_bytes,
            (Truth::Healthy(_), Limit::Times(times)) => times * level,
            (Truth::Healthy(_), Limit::None) => return None,
        };
        Some((bytes / MIB).round() * MIB)
    }

    /// The declared limit beside what was really used: a healthy process that would have been ended for want of memory
    /// is none, so its limit lies a fifth above its peak at least. The greatest heap of a JVM is not moved: it is real.
    pub(crate) fn limit_bytes_above(&self, peak_bytes: f64) -> Option<f64> {
        let limit = self.limit_bytes()?;
        let is_fixed = self.leak().is_some() || self.flavour == Flavour::JavaSized;
        let spared = (1.2 * peak_bytes / MIB).round() * MIB;
        Some(if is_fixed { limit } else { limit.max(spared) })
    }

    /// The service's `--rate`: what each leaking request keeps, so that the limit is met in the time of its class.
    pub(crate) fn rate_bytes(&self) -> u32 {
        let Some(leak) = self.leak() else { return 0 };
        let on_heap = !matches!(leak.kind, "native");
        let cost = if on_heap && !matches!(leak.flag, "native-buffer") { self.flavour.cost() } else { 1.0 };
        let seconds = leak.class.seconds();
        let n_requests = self.load.expected(leak.onset_s, leak.onset_s + seconds) * leak.leaky.share();
        (leak.headroom_bytes / cost / n_requests).round() as u32
    }
}
