//! Heap evidence that leakscope takes itself: what kinds there are, what each cost, and what became of each attempt.

use std::time::Duration;

use crate::{Bytes, CaptureId, IncidentId, Runtime, TargetId, Timestamp};

/// What evidence is taken of a process, and in which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaptureKind {
    /// Mappings by class, descriptors by kind, threads by name: of any process on this host.
    ProcessMap,
    /// pprof of the heap over HTTP.
    GoHeap,
    /// pprof of the heap, made of the runtime's own buckets in the process' memory.
    GoHeapMemory,
    /// pprof of the goroutines, aggregated by stack.
    Goroutines,
    /// Goroutines that nothing can wake any more, as the runtime itself proves.
    GoroutineLeaks,
    /// Every goroutine with its state and how long it has waited.
    GoroutineDump,
    /// V8's sampling heap profile: who allocated what is still alive.
    V8Sampling,
    /// V8's heap snapshot: the whole object graph.
    V8Snapshot,
    /// A JFR recording of old objects, with what holds them and where they were allocated.
    JvmOldObjects,
    /// Classes with count and bytes.
    JvmHistogram,
    /// HPROF: the whole object graph.
    JvmHeapDump,
    /// Stacks and classes that live, as the agent or the remotely executed script tells.
    PythonHeap,
    /// A sampled allocator's profile (jemalloc, tcmalloc) over HTTP.
    NativeHeap,
}

/// How much a capture may hurt its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Milliseconds, or bounded by what is live and small: on by default.
    Light,
    /// Stops the process for seconds or multiplies its memory: off until configured.
    Heavy,
}

impl CaptureKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::ProcessMap,
        Self::GoHeap,
        Self::GoHeapMemory,
        Self::Goroutines,
        Self::GoroutineLeaks,
        Self::GoroutineDump,
        Self::V8Sampling,
        Self::V8Snapshot,
        Self::JvmOldObjects,
        Self::JvmHistogram,
        Self::JvmHeapDump,
        Self::PythonHeap,
        Self::NativeHeap,
    ];

    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProcessMap => "process-map",
            Self::GoHeap => "go-heap",
            Self::GoHeapMemory => "go-heap-memory",
            Self::Goroutines => "goroutines",
            Self::GoroutineLeaks => "goroutine-leaks",
            Self::GoroutineDump => "goroutine-dump",
            Self::V8Sampling => "v8-sampling",
            Self::V8Snapshot => "v8-snapshot",
            Self::JvmOldObjects => "jvm-old-objects",
            Self::JvmHistogram => "jvm-histogram",
            Self::JvmHeapDump => "jvm-heap-dump",
            Self::PythonHeap => "python-heap",
            Self::NativeHeap => "native-heap",
        }
    }

    /// The kind of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How much it may hurt.
    pub const fn weight(self) -> Weight {
        match self {
            Self::V8Snapshot | Self::JvmHeapDump | Self::GoroutineDump => Weight::Heavy,
            Self::ProcessMap
            | Self::GoHeap
            | Self::GoHeapMemory
            | Self::Goroutines
            | Self::GoroutineLeaks
            | Self::V8Sampling
            | Self::JvmOldObjects
            | Self::JvmHistogram
            | Self::PythonHeap
            | Self::NativeHeap => Weight::Light,
        }
    }

    /// Whether the first capture of a process only starts to record, so that only later ones can be compared.
    pub const fn arms(self) -> bool {
        matches!(self, Self::V8Sampling | Self::JvmOldObjects | Self::PythonHeap)
    }

    /// Whether it holds what the program's memory holds, texts of people among it, and not only names, sizes and stacks.
    pub const fn holds_contents(self) -> bool {
        matches!(self, Self::V8Snapshot | Self::JvmHeapDump)
    }

    /// The runtime that has it; `None` for any process.
    pub const fn runtime(self) -> Option<Runtime> {
        match self {
            Self::ProcessMap => None,
            Self::GoHeap | Self::GoHeapMemory | Self::Goroutines | Self::GoroutineLeaks | Self::GoroutineDump => {
                Some(Runtime::Go)
            }
            Self::V8Sampling | Self::V8Snapshot => Some(Runtime::Node),
            Self::JvmOldObjects | Self::JvmHistogram | Self::JvmHeapDump => Some(Runtime::Jvm),
            Self::PythonHeap => Some(Runtime::Python),
            Self::NativeHeap => Some(Runtime::Native),
        }
    }

    /// What its file is called after the last dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::ProcessMap | Self::GoroutineDump | Self::JvmHistogram => "txt",
            Self::GoHeap | Self::GoHeapMemory | Self::Goroutines | Self::GoroutineLeaks | Self::NativeHeap => "pb.gz",
            Self::V8Sampling => "heapprofile",
            Self::V8Snapshot => "heapsnapshot",
            Self::JvmOldObjects => "jfr",
            Self::JvmHeapDump => "hprof",
            Self::PythonHeap => "json",
        }
    }
}

/// What a capture costs its target, predicted or measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// From the first byte asked for to the last written.
    pub duration: Duration,
    /// The longest that the service did not answer.
    pub pause: Duration,
    /// Resident memory on top of what it had, at the peak.
    pub memory: Bytes,
    /// Size of the evidence.
    pub size: Bytes,
}

/// When in the life of a leak evidence is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// After warm-up, of a healthy process.
    Baseline,
    /// At the first suspicion.
    Early,
    /// Between suspicion and limit.
    Middle,
    /// Before the limit.
    Late,
    /// Because a person asked.
    Asked,
}

impl Phase {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Early => "early",
            Self::Middle => "middle",
            Self::Late => "late",
            Self::Asked => "asked",
        }
    }

    /// The phase of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Baseline, Self::Early, Self::Middle, Self::Late, Self::Asked]
            .into_iter()
            .find(|phase| phase.name() == name)
    }
}

/// What became of an attempt to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaptureState {
    /// Not taken: the policy says no, `note` says why.
    Refused,
    /// Under way.
    Running,
    /// Kept in the store.
    Stored,
    /// It began and did not end well; `note` says why.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its file is gone, by age or size; what it said stays.
    Expired,
}

impl CaptureState {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Running => "running",
            Self::Stored => "stored",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Refused, Self::Running, Self::Stored, Self::Failed, Self::Cancelled, Self::Expired]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// One attempt to take heap evidence, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Its number.
    pub id: CaptureId,
    /// Where it is taken.
    pub target: TargetId,
    /// The service that the target is a replica of.
    pub service: String,
    /// The target's address, for people.
    pub instance: String,
    /// What is taken.
    pub kind: CaptureKind,
    /// When in the life of a leak.
    pub phase: Phase,
    /// The incident it is evidence of; baselines and captures by hand may have none.
    pub incident: Option<IncidentId>,
    /// What became of it.
    pub state: CaptureState,
    /// When it began, or was refused.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the captured process started; captures of one process can be compared.
    pub process_started_at: Option<Timestamp>,
    /// What it was expected to cost.
    pub predicted: Cost,
    /// What it did cost, once it has ended.
    pub cost: Option<Cost>,
    /// SHA-256 of its content as kept, in hexadecimal; names the file.
    pub digest: Option<String>,
    /// Whether contents were removed before it was kept.
    pub redacted: bool,
    /// Why it was taken, refused or failed, as a sentence.
    pub note: String,
}

/// One kind of evidence that a target gives today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// What.
    pub kind: CaptureKind,
    /// By which way, for people: "`/debug/pprof/heap` over HTTP".
    pub way: String,
    /// What it will cost as far as the target itself tells; fields it does not know are zero and the policy's model fills them.
    pub hint: Cost,
}

/// One kind of evidence that a target does not give today, and the one change that would enable it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// What.
    pub kind: CaptureKind,
    /// Why not.
    pub reason: String,
    /// The one change that would enable it.
    pub remedy: String,
}

/// Room for a capture: what may be used and what is used, where known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The target's memory limit.
    pub limit: Option<Bytes>,
    /// What counts against the limit now.
    pub used: Option<Bytes>,
    /// Memory that the host can still give.
    pub host_available: Option<Bytes>,
    /// Free bytes where captures are kept.
    pub disk_free: Option<Bytes>,
}

/// What can be captured of a target, and at what risk, as seen right now.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Of which target.
    pub target: TargetId,
    /// When the process started, where known.
    pub process_started_at: Option<Timestamp>,
    /// Its process on this host, where it is one.
    pub pid: Option<u32>,
    /// What it gives, cheapest first within a weight.
    pub means: Vec<Means>,
    /// What it does not give.
    pub lacking: Vec<Lacking>,
    /// Room for it.
    pub room: Room,
    /// Resident memory.
    pub resident: Option<Bytes>,
    /// Live heap, as far as the target tells.
    pub heap: Option<Bytes>,
    /// Goroutines, threads or tasks, as far as the target tells.
    pub tasks: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_name_one_kind_each() {
        for kind in CaptureKind::ALL {
            assert_eq!(CaptureKind::from_name(kind.name()), Some(kind));
        }
    }
}
