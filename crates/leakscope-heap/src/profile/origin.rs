//! Whose code a frame is: the user's own, a library's, the runtime's or the allocator's, by the rules of each runtime.

mod tables;

use regex::Regex;

use super::model::{Function, Mapping, Profile};
use crate::format::Format;
use tables::{
    CPP_LIBRARIES, GO_ALLOCATOR, GO_STANDARD, JVM_LIBRARIES, JVM_RUNTIME, NATIVE_ALLOCATOR, NATIVE_RUNTIME,
    RUST_LIBRARIES, SYSTEM_FOLDERS, V8_META,
};

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The user's: what a suspect may be named by.
    Own,
    /// A package that the user took, or the standard library.
    Library,
    /// The language's own machinery.
    Runtime,
    /// What hands out memory.
    Allocator,
    /// Nothing is known but an address.
    Unknown,
}

/// What a program is written in and run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Go,
    /// Compiled to machine code without a runtime of its own: C, C++, Rust.
    Native,
    Node,
    Python,
    Jvm,
}

impl Runtime {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Native => "native code",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Jvm => "a JVM",
        }
    }

    /// What a profile is of; none where neither its format nor most of its functions say it.
    pub(crate) fn of(profile: &Profile) -> Option<Self> {
        match profile.format {
            Format::V8HeapProfile | Format::V8HeapSnapshot => return Some(Self::Node),
            Format::ClassHistogram | Format::Jfr | Format::Hprof => return Some(Self::Jvm),
            Format::Python | Format::PythonTypes | Format::MemrayStats => return Some(Self::Python),
            Format::Goroutines => return Some(Self::Go),
            // What the kernel says has no functions.
            Format::Process => return None,
            Format::Pprof | Format::PprofText | Format::Jemalloc | Format::Collapsed => {}
        }
        let all = [Self::Go, Self::Native, Self::Node, Self::Python, Self::Jvm];
        let mut votes = [0_usize; 5];
        for function in &profile.functions {
            let (name, file) = (profile.text(function.name), profile.text(function.file));
            if let Some(runtime) = by_file(file).or_else(|| by_name(name)) {
                votes[all.iter().position(|known| *known == runtime).unwrap_or(0)] += 1;
            }
        }
        let most = votes.iter().copied().max().filter(|most| *most > 0)?;
        votes.iter().position(|found| *found == most).map(|at| all[at])
    }
}

/// The runtime that files of this ending belong to.
fn by_file(file: &str) -> Option<Runtime> {
    if file.starts_with("node:") {
        return Some(Runtime::Node);
    }
    let (_, ending) = file.rsplit_once('.')?;
    match ending {
        "go" | "s" => Some(Runtime::Go),
        "rs" | "c" | "cc" | "cpp" | "cxx" | "h" | "hpp" | "zig" => Some(Runtime::Native),
        "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" => Some(Runtime::Node),
        "py" | "pyx" => Some(Runtime::Python),
        "java" | "kt" | "scala" | "groovy" | "clj" => Some(Runtime::Jvm),
        _ => None,
    }
}

fn by_name(name: &str) -> Option<Runtime> {
    if name.contains("::") {
        return Some(Runtime::Native);
    }
    if name.starts_with("java.") || name.starts_with("jdk.") || name.starts_with("java/") {
        return Some(Runtime::Jvm);
    }
    (name.starts_with("runtime.") || name.starts_with("main.")).then_some(Runtime::Go)
}

/// Tells origins of the frames of one profile.
pub(crate) struct Origins<'o> {
    runtime: Option<Runtime>,
    own: Option<&'o Regex>,
}

impl<'o> Origins<'o> {
    /// `own`: what the user calls his own, by function or file; then nothing else is.
    pub(crate) fn new(runtime: Option<Runtime>, own: Option<&'o Regex>) -> Self {
        Self { runtime, own }
    }

    /// Whose code a function is. `mapping`: the file that its address is in.
    pub(crate) fn of(&self, profile: &Profile, function: &Function, mapping: Option<&Mapping>) -> Origin {
        let (name, file) = (profile.text(function.name), profile.text(function.file));
        let mapped = mapping.map_or("", |mapping| profile.text(mapping.file));
        self.named(name, file, mapped)
    }

    pub(crate) fn named(&self, name: &str, file: &str, mapped: &str) -> Origin {
        let found = match by_file(file).or(self.runtime).or_else(|| by_name(name)) {
            Some(Runtime::Go) => go(name, file),
            Some(Runtime::Native) => native(name, file, mapped),
            Some(Runtime::Node) => node(name, file),
            Some(Runtime::Python) => python(name, file),
            Some(Runtime::Jvm) => jvm(name),
            None => anything(name, file, mapped),
        };
        match self.own {
            Some(own) if own.is_match(name) || !file.is_empty() && own.is_match(file) => Origin::Own,
            Some(_) if found == Origin::Own => Origin::Library,
            _ => found,
        }
    }
}

/// By the import path in the name, and by the folder of modules and of Go's own source, also as `-trimpath` writes it.
fn go(name: &str, file: &str) -> Origin {
    let package = go_package(name);
    let first = package.split('/').next().unwrap_or_default();
    let is_runtime = matches!(first, "runtime" | "type:" | "go:")
        || package == "internal/runtime"
        || package.starts_with("internal/runtime/")
        || name.starts_with("type:");
    if is_runtime && !file.contains("/pkg/mod/") {
        return if GO_ALLOCATOR.contains(&name) { Origin::Allocator } else { Origin::Runtime };
    }
    if name.is_empty() {
        return Origin::Unknown;
    }
    let is_module = file.contains("/pkg/mod/") || file.contains("/vendor/") || has_version(file);
    // Without a file a package of the standard library is known by its name, with one by its place as well.
    let in_root = file.is_empty()
        || file.starts_with(&format!("{package}/"))
        || file.contains(&format!("/src/{package}/"))
        || file.starts_with("_cgo");
    let is_standard = GO_STANDARD.contains(&first) && in_root;
    if is_module || is_standard { Origin::Library } else { Origin::Own }
}

/// The import path in the name of a function: `github.com/acme/shop/cart` of `github.com/acme/shop/cart.(*Cart).Add[...]`.
pub(crate) fn go_package(name: &str) -> &str {
    let end = name.find(['(', '[']).unwrap_or(name.len());
    let head = &name[..end];
    let last = head.rfind('/').map_or(0, |slash| slash + 1);
    head[last..].find('.').map_or(head.trim_end_matches('.'), |dot| &head[..last + dot])
}

/// Whether a path has a module's version in it: `example.com/log@v1.2.3/log.go`.
fn has_version(file: &str) -> bool {
    file.split("@v").skip(1).any(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// C, C++ and Rust: by the crate or namespace in front, and by the folder of sources and binaries.
fn native(name: &str, file: &str, mapped: &str) -> Origin {
    if name.is_empty() {
        return if is_system(mapped) { Origin::Library } else { Origin::Unknown };
    }
    let sources = ["jemalloc", "mimalloc", "tcmalloc", "gperftools"];
    if is_allocator(name) || sources.iter().any(|allocator| file.contains(allocator)) {
        return Origin::Allocator;
    }
    if NATIVE_RUNTIME.contains(&name) {
        return Origin::Runtime;
    }
    let first = first_segment(name);
    if matches!(first, "std" | "core" | "alloc" | "proc_macro" | "test") {
        return Origin::Runtime;
    }
    let folders = ["/rustc/", "/rustlib/src/", "/registry/src/", "/git/checkouts/", "/usr/include/", "/vendor/"];
    let is_library = folders.iter().any(|folder| file.contains(folder))
        || file.starts_with("library/std/")
        || file.starts_with("library/core/")
        || file.starts_with("library/alloc/")
        || RUST_LIBRARIES.iter().any(|library| crate_fits(first, library))
        || CPP_LIBRARIES.contains(&first);
    if is_library || file.is_empty() && is_system(mapped) { Origin::Library } else { Origin::Own }
}

/// Whether a crate is of a family: `tokio_util` is of `tokio`.
fn crate_fits(name: &str, library: &str) -> bool {
    name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn is_system(mapped: &str) -> bool {
    let file = mapped.rsplit('/').next().unwrap_or_default();
    SYSTEM_FOLDERS.iter().any(|folder| mapped.starts_with(folder)) && (file.contains(".so") || file.starts_with("ld-"))
        || mapped.starts_with("[v")
}

fn is_allocator(name: &str) -> bool {
    let plain = name.split(['(', '<']).next().unwrap_or(name).trim_end_matches(' ');
    NATIVE_ALLOCATOR.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => name.trim_start_matches('<').starts_with(start),
        None => plain == *known || name == *known,
    })
}

/// The crate or namespace that a function is of: `shop` of `<shop::Cart as core::fmt::Debug>::fmt`, `axum` of `<F as axum::Handler>::call`.
fn first_segment(name: &str) -> &str {
    let inner = name.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    let inner = ["mut ", "const ", "dyn ", "impl "].iter().fold(inner, |name, word| name.trim_start_matches(word));
    let end = inner.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(inner.len());
    let rest = &inner[end..];
    if !rest.starts_with("::")
        && name.starts_with('<')
        && let Some(at) = rest.find(" as ")
    {
        // A type parameter or a primitive type says nothing: the trait does.
        return first_segment(&rest[at + " as ".len()..]);
    }
    if rest.starts_with("::") { &inner[..end] } else { "" }
}

/// Node.js: by the address of the script.
fn node(name: &str, file: &str) -> Origin {
    if V8_META.contains(&name) || file.starts_with("node:") || file.starts_with("internal/") || file.is_empty() {
        return Origin::Runtime;
    }
    let is_library = file.contains("node_modules/")
        || file.contains("/.yarn/")
        || file.starts_with("wasm:")
        || file.starts_with("native ");
    if is_library { Origin::Library } else { Origin::Own }
}

/// Python: by the folder of the file.
fn python(name: &str, file: &str) -> Origin {
    if file.is_empty() || file == "<unknown>" {
        return if name.is_empty() || name == "<unknown>" { Origin::Unknown } else { Origin::Own };
    }
    if file.starts_with("<frozen") || file == "<built-in>" {
        return Origin::Runtime;
    }
    let file = file.replace('\\', "/");
    let is_standard =
        file.split("/lib/python").skip(1).any(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
            || file.to_ascii_lowercase().contains("/lib/") && file.contains("Python3") && !file.contains("/Scripts/");
    let is_library = file == "<string>"
        // leakscope's own agent, which lies beside the program and hands its requests on.
        || file.ends_with("leakscope_heap.py")
        || file.contains("site-packages")
        || file.contains("dist-packages")
        || is_standard
        || matches!(file.rsplit_once('.'), Some((_, "so" | "c")));
    if is_library { Origin::Library } else { Origin::Own }
}

/// A JVM: by the package of the class.
fn jvm(name: &str) -> Origin {
    let name = name.trim_start_matches("class ");
    if name.is_empty() {
        return Origin::Unknown;
    }
    let starts = |package: &str| name.strip_prefix(package).is_some_and(|rest| rest.starts_with(['.', '/']));
    let element = name.trim_end_matches("[]");
    let is_primitive = ["boolean", "char", "float", "double", "byte", "short", "int", "long"].contains(&element)
        || name.starts_with('[') && name.len() == 2
        || name.starts_with('<');
    if is_primitive || JVM_RUNTIME.iter().any(|package| starts(package)) {
        return Origin::Runtime;
    }
    if JVM_LIBRARIES.iter().any(|package| starts(package)) { Origin::Library } else { Origin::Own }
}

/// Nothing is known of the runtime.
fn anything(name: &str, file: &str, mapped: &str) -> Origin {
    if name.is_empty() && file.is_empty() {
        return if is_system(mapped) { Origin::Library } else { Origin::Unknown };
    }
    native(name, file, mapped)
}

#[cfg(test)]
mod tests {
    use super::Origin::{Allocator, Library, Own, Unknown};
    use super::*;

    fn check(runtime: Runtime, cases: &[(&str, &str, Origin)]) {
        for (name, file, expected) in cases {
            let found = Origins::new(Some(runtime), None).named(name, file, "");
            assert_eq!(found, *expected, "{name} in `{file}`");
        }
    }

    #[test]
    fn go_code_is_known_by_its_import_path_and_its_folder() {
        check(
            Runtime::Go,
            &[
                ("main.(*dice).text", "/home/ada/shop/work.go", Own),
                ("main.main", "", Own),
                ("github.com/acme/shop/cart.(*Cart).Add", "/home/ada/shop/cart/cart.go", Own),
                ("github.com/acme/shop/cart.(*Cart).Add", "github.com/acme/shop/cart/cart.go", Own),
                ("github.com/acme/shop/cart.Add", "/go/pkg/mod/github.com/acme/shop@v1.2.3/cart/cart.go", Library),
                ("github.com/acme/shop/cart.Add", "github.com/acme/shop@v1.2.3/cart/cart.go", Library),
                ("github.com/acme/log.Write", "/home/ada/shop/vendor/github.com/acme/log/log.go", Library),
                ("encoding/json.Marshal", "/usr/local/go/src/encoding/json/encode.go", Library),
                ("encoding/json.Marshal", "encoding/json/encode.go", Library),
                ("encoding/json.Marshal", "", Library),
                ("net/http.(*conn).serve", "/home/ada/sdk/go1.26/src/net/http/server.go", Library),
                ("vendor/golang.org/x/net/http2/hpack.NewDecoder", "", Library),
                ("slices.Grow[go.shape.[]github.com/acme/shop.Cart,go.shape.int]", "", Library),
                ("log/cart.Keep", "/home/ada/log/cart/keep.go", Own),
                ("shop/internal/cart.Keep", "/home/ada/shop/internal/cart/keep.go", Own),
                ("runtime.gopark", "/usr/local/go/src/runtime/proc.go", Origin::Runtime),
                ("runtime.mallocgc", "/usr/local/go/src/runtime/malloc.go", Allocator),
                ("runtime.goexit", "", Origin::Runtime),
                ("runtime/pprof.writeHeap", "runtime/pprof/pprof.go", Origin::Runtime),
                ("internal/runtime/maps.(*Map).grow", "internal/runtime/maps/map.go", Origin::Runtime),
                ("type:.eq.main.key", "<autogenerated>", Origin::Runtime),
                ("", "", Unknown),
            ],
        );
    }

    #[test]
    fn native_code_is_known_by_its_crate_or_namespace_and_its_folder() {
        check(
            Runtime::Native,
            &[
                ("example_service::leaks::remember_recommendation", "services/rust/src/leaks.rs", Own),
                ("<example_service::work::Cart as core::fmt::Debug>::fmt", "src/work.rs", Own),
                ("<F as axum::handler::Handler<(M,T1),S>>::call", "", Library),
                ("<&mut T as example_service::Keep>::keep", "src/keep.rs", Own),
                ("alloc::vec::Vec<T,A>::push", "/rustc/0f3a/library/alloc/src/vec/mod.rs", Origin::Runtime),
                ("<alloc::vec::Vec<shop::Cart> as core::clone::Clone>::clone", "", Origin::Runtime),
                ("core::ops::function::FnOnce::call_once{{vtable.shim}}", "", Origin::Runtime),
                ("hashbrown::raw::RawTable<T,A>::reserve_rehash", "", Library),
                ("tokio_util::codec::framed_impl::poll_next", "", Library),
                ("matchit::router::insert", "/home/ada/.cargo/registry/src/index-1/matchit-0.8/src/router.rs", Library),
                ("tokenizer::parse", "src/tokenizer.rs", Own),
                ("__rust_alloc", "", Allocator),
                ("<tikv_jemallocator::Jemalloc as core::alloc::global::GlobalAlloc>::alloc", "", Allocator),
                ("_rjem_je_prof_tctx_create", "", Allocator),
                ("malloc", "", Allocator),
                ("operator new(unsigned long)", "", Allocator),
                ("std::vector<int>::push_back(int&&)", "", Origin::Runtime),
                ("boost::asio::detail::scheduler::run", "", Library),
                ("__libc_start_main", "", Origin::Runtime),
                ("keep_thumbnail", "thumbnail.c", Own),
                ("parse_order(char const*)", "", Own),
                ("", "", Unknown),
            ],
        );
        let system =
            Origins::new(Some(Runtime::Native), None).named("g_slice_alloc", "", "/usr/lib/x86_64/libglib-2.0.so.0");
        assert_eq!(system, Library, "a library of the system");
    }

    #[test]
    fn scripts_are_known_by_their_folder() {
        check(
            Runtime::Node,
            &[
                ("rememberRecommendation", "file:///srv/shop/server.js", Own),
                ("(anonymous)", "/srv/shop/server.js", Own),
                ("(anonymous)", "", Origin::Runtime),
                ("(root)", "", Origin::Runtime),
                ("emit", "node:events", Origin::Runtime),
                ("load", "internal/modules/cjs/loader.js", Origin::Runtime),
                ("next", "/srv/shop/node_modules/express/lib/router/index.js", Library),
                ("next", "webpack-internal:///./node_modules/express/index.js", Library),
            ],
        );
        check(
            Runtime::Python,
            &[
                ("append_audit_trail", "/srv/shop/app.py", Own),
                ("append_audit_trail", "", Own),
                ("loads", "/usr/lib/python3.11/json/__init__.py", Library),
                ("with_endpoint", "/srv/shop/leakscope_heap.py", Library),
                ("dispatch", "/srv/shop/venv/lib/python3.11/site-packages/flask/app.py", Library),
                ("dispatch", "/usr/lib/python3/dist-packages/flask/app.py", Library),
                ("_call", "<frozen importlib._bootstrap>", Origin::Runtime),
                ("__init__", "<string>", Library),
                ("<unknown>", "<unknown>", Unknown),
                ("keep", "/srv/lib/shop/keep.py", Own),
            ],
        );
    }

    #[test]
    fn classes_are_known_by_their_package() {
        check(
            Runtime::Jvm,
            &[
                ("Service$AuditTrail$AuditEntry", "", Own),
                ("com.acme.Cart.add", "", Own),
                ("com.acme.App$$Lambda/0x0000000800c03000", "", Own),
                ("java.util.HashMap$Node", "", Origin::Runtime),
                ("jdk.internal.misc.Unsafe.allocateMemory", "", Origin::Runtime),
                ("com.sun.proxy.$Proxy7", "", Origin::Runtime),
                ("byte[]", "", Origin::Runtime),
                ("java.lang.Object[]", "", Origin::Runtime),
                ("javax.crypto.Cipher", "", Origin::Runtime),
                ("kotlin.collections.ArrayDeque", "", Library),
                ("org.springframework.web.servlet.DispatcherServlet.doDispatch", "", Library),
                ("io.netty.buffer.PoolArena", "", Library),
                ("javafood.Menu", "", Own),
                ("", "", Unknown),
            ],
        );
    }

    #[test]
    fn what_the_user_calls_his_own_is_his_and_nothing_else() {
        let own = Regex::new("^github.com/acme/|/plugins/").unwrap();
        let origins = Origins::new(Some(Runtime::Go), Some(&own));
        let cases = [
            ("github.com/acme/log.Write", "/go/pkg/mod/github.com/acme/log@v1.0.0/log.go", Own),
            ("example.com/shop.Serve", "/srv/plugins/shop.go", Own),
            ("main.main", "/srv/shop/main.go", Library),
            ("runtime.gopark", "", Origin::Runtime),
        ];
        for (name, file, expected) in cases {
            assert_eq!(origins.named(name, file, ""), expected, "{name}");
        }
    }
}
