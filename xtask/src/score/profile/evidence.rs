//! The kinds of profiles that the services give, and what each can know.

/// A runtime of services/.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::score) enum Runtime {
    Node,
    Python,
    Go,
    Java,
    Rust,
}

impl Runtime {
    pub(in crate::score) const ALL: [Self; 5] = [Self::Node, Self::Python, Self::Go, Self::Java, Self::Rust];

    pub(in crate::score) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
        }
    }

    /// The file of the service's source that holds its leaks, from the root of the repository.
    pub(in crate::score) fn source(self) -> &'static str {
        match self {
            Self::Node => "services/node/server.js",
            Self::Python => "services/python/app.py",
            Self::Go => "services/go/leaks.go",
            Self::Java => "services/java/Service.java",
            Self::Rust => "services/rust/src/leaks.rs",
        }
    }

    /// What a profile of this service is taken of.
    pub(in crate::score) fn evidence(self) -> &'static [Evidence] {
        match self {
            Self::Node => &[Evidence::V8Sampling],
            Self::Python => &[Evidence::Tracemalloc, Evidence::Memray],
            Self::Go => &[Evidence::GoHeap, Evidence::Goroutines, Evidence::GoroutineDump],
            Self::Java => &[Evidence::ClassHistogram, Evidence::Jfr],
            Self::Rust => &[Evidence::JemallocPprof, Evidence::JemallocText],
        }
    }
}

/// One kind of profile, as one way to take it gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::score) enum Evidence {
    V8Sampling,
    Tracemalloc,
    Memray,
    GoHeap,
    Goroutines,
    GoroutineDump,
    ClassHistogram,
    Jfr,
    JemallocPprof,
    JemallocText,
}

impl Evidence {
    /// As the page names it.
    pub(in crate::score) fn name(self) -> &'static str {
        match self {
            Self::V8Sampling => "V8 sampling",
            Self::Tracemalloc => "tracemalloc",
            Self::Memray => "memray",
            Self::GoHeap => "heap pprof",
            Self::Goroutines => "goroutine pprof",
            Self::GoroutineDump => "goroutine dump",
            Self::ClassHistogram => "class histogram",
            Self::Jfr => "JFR old objects",
            Self::JemallocPprof => "jemalloc pprof",
            Self::JemallocText => "jemalloc heap_v2",
        }
    }

    /// How its captures' names end, behind the number.
    pub(in crate::score) fn ending(self) -> &'static str {
        match self {
            Self::V8Sampling => "heapprofile",
            Self::Tracemalloc => "tracemalloc.json",
            Self::Memray => "memray.json",
            Self::GoHeap => "heap.pb.gz",
            Self::Goroutines => "goroutine.pb.gz",
            Self::GoroutineDump => "goroutine.txt",
            Self::ClassHistogram => "histogram.txt",
            Self::Jfr => "jfr",
            Self::JemallocPprof => "jemalloc.pb.gz",
            Self::JemallocText => "jemalloc.heap",
        }
    }

    /// Whether the format says where in the source.
    pub(in crate::score) fn has_lines(self) -> bool {
        self != Self::ClassHistogram
    }
}
