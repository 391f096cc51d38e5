//! What a capture is, by its first bytes, not compressed; names do not count.

use crate::error::HeapError;
use crate::profile::READERS;
use crate::{hprof, v8};

/// What a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `.heapsnapshot` of V8: Node.js, Chrome, Deno and those that write alike.
    V8HeapSnapshot,
    /// `.hprof` of a JVM.
    Hprof,
    /// pprof's `profile.proto`, also as the payload of an OTLP profile.
    Pprof,
    /// The text that pprof's format took over from: `heap profile:`, `goroutine profile:` and the like, of gperftools and Go.
    PprofText,
    /// `heap_v2/` of jemalloc.
    Jemalloc,
    /// Go's `goroutine?debug=2`: every goroutine with its stack.
    Goroutines,
    /// `.heapprofile` of V8's sampling profiler.
    V8HeapProfile,
    /// `GC.class_histogram` of a JVM.
    ClassHistogram,
    /// A recording of the JDK Flight Recorder.
    Jfr,
    /// Blocks of Python by the line that allocated them: `leakscope-python` of our agent, from tracemalloc or memray.
    Python,
    /// Objects of Python by type, of our agent.
    PythonTypes,
    /// `memray stats --json`.
    MemrayStats,
    /// Mappings, descriptors and threads of a process, as leakscope takes them from `/proc`.
    Process,
    /// A line a stack, with a number: `main;serve;put 12`.
    Collapsed,
}

/// All formats, in the order of the list that people see.
const ALL: [Format; 14] = [
    Format::V8HeapSnapshot,
    Format::Hprof,
    Format::Pprof,
    Format::PprofText,
    Format::Jemalloc,
    Format::Goroutines,
    Format::V8HeapProfile,
    Format::ClassHistogram,
    Format::Jfr,
    Format::Python,
    Format::PythonTypes,
    Format::MemrayStats,
    Format::Process,
    Format::Collapsed,
];

/// First bytes that an error shows.
const SHOWN_BYTES: usize = 24;

impl Format {
    /// As it is written in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::V8HeapSnapshot => "v8-heapsnapshot",
            Self::Hprof => "hprof",
            Self::Pprof => "pprof",
            Self::PprofText => "pprof-text",
            Self::Jemalloc => "jemalloc-heap",
            Self::Goroutines => "goroutines",
            Self::V8HeapProfile => "v8-heapprofile",
            Self::ClassHistogram => "class-histogram",
            Self::Jfr => "jfr",
            Self::Python => "python-heap",
            Self::PythonTypes => "python-types",
            Self::MemrayStats => "memray-stats",
            Self::Process => "process",
            Self::Collapsed => "collapsed",
        }
    }

    /// Whether captures are object graphs; else they are profiles.
    pub fn is_graph(self) -> bool {
        matches!(self, Self::V8HeapSnapshot | Self::Hprof)
    }

    /// Whether a profile of it has types in place of stacks, as object graphs do when they compare with a histogram.
    pub fn is_by_type(self) -> bool {
        self.is_graph() || matches!(self, Self::ClassHistogram | Self::PythonTypes)
    }

    /// The format of a capture by its first bytes, not compressed.
    ///
    /// # Errors
    /// [`HeapError::UnknownFormat`].
    pub fn of(bytes: &[u8]) -> Result<Self, HeapError> {
        if hprof::is_hprof(bytes) {
            return Ok(Self::Hprof);
        }
        // A heap snapshot is any object of JSON, so that its own reader says what is wrong with it; profiles in JSON come before it.
        if let Some(reader) = READERS.iter().find(|reader| (reader.knows)(bytes)) {
            return Ok(reader.format);
        }
        if v8::is_snapshot(bytes) {
            return Ok(Self::V8HeapSnapshot);
        }
        let found = bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii().to_string();
        Err(HeapError::UnknownFormat {
            found: if found.is_empty() { "nothing".to_owned() } else { format!("`{found}`") },
        })
    }

    pub(crate) fn is_no_graph(self) -> HeapError {
        HeapError::OtherShape { expected: "an object graph (v8-heapsnapshot, hprof)", found: self.name() }
    }
}

/// The names of all formats, for people.
pub(crate) fn known() -> String {
    ALL.map(Format::name).join(", ")
}
