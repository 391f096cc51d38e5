//! What a series means, whatever name its exporter gave it.

/// The canonical meaning of a series. Dialects (leakscope-ingest) map names and labels to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Resident set of the process or container, bytes.
    Rss,
    /// Anonymous part of the resident set, bytes: what a leak grows.
    AnonRss,
    /// Heap in use, garbage included, bytes.
    HeapUsed,
    /// Heap still live after the last full collection, bytes.
    HeapAfterGc,
    /// Heap obtained from the operating system, bytes.
    HeapCommitted,
    /// Buffers outside the managed heap that it owns, bytes.
    External,
    /// Memory limit of the process, container or managed heap, bytes.
    Limit,
    /// Live objects.
    Objects,
    /// Goroutines, asynchronous tasks or event-loop handles.
    Tasks,
    /// Operating-system threads.
    Threads,
    /// Open file descriptors.
    FileDescriptors,
    /// Requests served since the start; a counter.
    Requests,
    /// Collections since the start; a counter.
    GcCount,
    /// When the process started, seconds since the Unix epoch.
    StartTime,
    /// Processes killed for lack of memory; a counter.
    OomKills,
    /// Page cache charged to the container, bytes.
    PageCache,
}

/// The unit of a signal's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things that are there now.
    Count,
    /// Things counted since the start.
    Counter,
    /// Seconds since the Unix epoch.
    UnixSeconds,
}

impl Signal {
    /// How many signals there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every signal, in the order of the declaration.
    pub const ALL: [Self; 16] = [
        Self::Rss,
        Self::AnonRss,
        Self::HeapUsed,
        Self::HeapAfterGc,
        Self::HeapCommitted,
        Self::External,
        Self::Limit,
        Self::Objects,
        Self::Tasks,
        Self::Threads,
        Self::FileDescriptors,
        Self::Requests,
        Self::GcCount,
        Self::StartTime,
        Self::OomKills,
        Self::PageCache,
    ];

    /// Its place in [`Signal::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its published name: configuration keys, API and JSON use it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rss => "rss",
            Self::AnonRss => "anon_rss",
            Self::HeapUsed => "heap_used",
            Self::HeapAfterGc => "heap_after_gc",
            Self::HeapCommitted => "heap_committed",
            Self::External => "external",
            Self::Limit => "limit",
            Self::Objects => "objects",
            Self::Tasks => "tasks",
            Self::Threads => "threads",
            Self::FileDescriptors => "file_descriptors",
            Self::Requests => "requests",
            Self::GcCount => "gc_count",
            Self::StartTime => "start_time",
            Self::OomKills => "oom_kills",
            Self::PageCache => "page_cache",
        }
    }

    /// The signal of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }

    /// The unit of its values.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Rss
            | Self::AnonRss
            | Self::HeapUsed
            | Self::HeapAfterGc
            | Self::HeapCommitted
            | Self::External
            | Self::Limit
            | Self::PageCache => Unit::Bytes,
            Self::Objects | Self::Tasks | Self::Threads | Self::FileDescriptors => Unit::Count,
            Self::Requests | Self::GcCount | Self::OomKills => Unit::Counter,
            Self::StartTime => Unit::UnixSeconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_place_in_all_and_names_are_unique() {
        for (place, signal) in Signal::ALL.into_iter().enumerate() {
            assert_eq!(signal.index(), place);
            assert_eq!(Signal::from_name(signal.name()), Some(signal));
        }
    }
}
