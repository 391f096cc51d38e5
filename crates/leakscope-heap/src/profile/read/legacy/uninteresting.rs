//! Frames that pprof drops from text profiles, since they say no more than that something was allocated or that a profiler looked.
//! Applied by [`crate::profile::prune`].
//!
//! Source: `addLegacyFrameInfo` of google/pprof.

/// Patterns of frames that stay although [`of_allocators`] fits.
pub(in crate::profile::read) const KEPT: &str = r"runtime\.panic|runtime\.reflectcall|runtime\.call[0-9]*";

const POSIX: &[&str] = &[
    "calloc",
    "cfree",
    "malloc",
    "free",
    "memalign",
    "do_memalign",
    "(__)?posix_memalign",
    "pvalloc",
    "valloc",
    "realloc",
];

/// With `tc_` before each.
const TCMALLOC: &[&str] = &[
    "calloc",
    "cfree",
    "malloc",
    "free",
    "memalign",
    "posix_memalign",
    "pvalloc",
    "valloc",
    "realloc",
    "new",
    "delete",
    "newarray",
    "deletearray",
    "new_nothrow",
    "newarray_nothrow",
];

/// With `malloc_zone_` before each, of macOS.
const ZONES: &[&str] = &["malloc", "calloc", "valloc", "realloc", "memalign", "free"];

const OTHERS: &[&str] = &[
    r"tcmalloc::.*",
    r"runtime\..*",
    r"BaseArena::.*",
    r"(::)?do_malloc_no_errno",
    r"(::)?do_malloc_pages",
    r"(::)?do_malloc",
    r"DoSampledAllocation",
    r"MallocedMemBlock::MallocedMemBlock",
    r"_M_allocate",
    r"__builtin_(vec_)?delete",
    r"__builtin_(vec_)?new",
    r"__gnu_cxx::new_allocator::allocate",
    r"__libc_malloc",
    r"__malloc_alloc_template::allocate",
    r"allocate",
    r"cpp_alloc",
    r"operator new(\[\])?",
    r"simple_alloc::allocate",
];

const PROFILER: &[&str] = &[
    "ProfileData::Add",
    "ProfileData::prof_handler",
    "CpuProfiler::prof_handler",
    "__pthread_sighandler",
    "__restore",
];

/// The pattern of allocators' frames, in heap profiles.
pub(in crate::profile::read) fn of_allocators() -> String {
    let prefixed =
        |prefix: &'static str, names: &'static [&str]| names.iter().map(move |name| format!("{prefix}{name}"));
    let all = prefixed("", POSIX).chain(prefixed("tc_", TCMALLOC)).chain(prefixed("malloc_zone_", ZONES));
    all.chain(prefixed("", OTHERS)).collect::<Vec<_>>().join("|")
}

/// The pattern of a profiler's own frames, in all other profiles.
pub(super) fn of_profiler() -> String {
    PROFILER.join("|")
}
