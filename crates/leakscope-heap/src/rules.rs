//! The known shapes of leaks: from what accumulates where to its name, a sentence and what to do about it.

use crate::findings::Growth;
use crate::heap::{Heap, Node};
use crate::story::{self, Step};
use crate::suspects::Evidence;

/// What a rule looks at.
pub(crate) struct Scene<'s, 'a> {
    pub(crate) heap: &'s Heap<'a>,
    /// From below the root down to what accumulates.
    pub(crate) way: &'s [Step],
    pub(crate) element: Option<Node>,
    pub(crate) element_name: &'s str,
    /// `sessionStore.sessions`; empty where no name is known.
    pub(crate) owner: String,
    /// Whether what accumulates holds each other in a chain.
    pub(crate) chained: bool,
}

/// What a rule says.
pub(crate) struct Verdict {
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) advice: &'static str,
}

/// Whether something is the engine's own and no leak of the program's by itself: code, shapes, feedback.
pub(crate) fn is_engines_own(name: &str) -> bool {
    const VALUES: [&str; 6] =
        ["(string)", "(concatenated string)", "(sliced string)", "(number)", "(bigint)", "(symbol)"];
    name.starts_with('(') && name.ends_with(')') && !name.ends_with("()") && !VALUES.contains(&name)
        || (name.starts_with("system / ")
            && !name.starts_with("system / Context")
            && name != "system / JSArrayBufferData")
}

/// The first rule that fits.
pub(crate) fn judge(scene: &Scene<'_, '_>) -> Verdict {
    let element = shown(scene.element_name);
    let owner = if scene.owner.is_empty() { String::new() } else { format!(" `{}`", scene.owner) };
    let names: Vec<String> = scene.way.iter().map(|step| scene.heap.name(step.node)).collect();
    let edges: Vec<String> =
        scene.way.iter().filter_map(|step| step.holds.as_ref()).map(|edge| edge.name.to_string()).collect();
    let on_way = |wanted: &[&str]| {
        names.iter().any(|name| wanted.iter().any(|wanted| name == wanted || story::short_class(name) == *wanted))
    };
    let container = names.iter().rev().skip(1).find(|name| !story::is_inner(name)).cloned().unwrap_or_default();
    let say = |kind, title, advice| Verdict { kind, title, advice };
    if scene.element_name.starts_with("Detached ") {
        return say(
            "detached",
            format!("detached `{element}` nodes held by{owner}"),
            "drop the reference when the node is removed",
        );
    }
    if let Some(place) = edges.iter().position(|edge| edge == "_events") {
        let event = edges.get(place + 1).map(|event| format!(" of `{event}`")).unwrap_or_default();
        let emitter = scene.owner.split("._events").next().unwrap_or_default();
        let title = format!("listeners `{element}`{event} accumulate on `{emitter}`");
        return say("listener", title, "remove the listener when its subscriber ends (`off`, `once`, an AbortSignal)");
    }
    if on_way(&["Timeout", "TimersList", "Immediate"]) {
        let function =
            scene.element.and_then(|element| called_by(scene.heap, element)).unwrap_or_else(|| element.clone());
        return say(
            "timer",
            format!("timers of `{function}` are never cleared"),
            "keep the handle and clear it when its owner ends",
        );
    }
    if let Some(thread) = scene.element.filter(|_| scene.element_name.ends_with("Thread")) {
        let name = scene.heap.name(thread);
        let name = name.split_once(' ').map_or(element.as_str(), |(_, name)| name);
        return say(
            "thread",
            format!("threads like {name} never end"),
            "find what they wait for, and end it after a deadline",
        );
    }
    if names.iter().any(|name| name.contains("ThreadLocalMap") || name.starts_with("java.lang.ThreadLocal")) {
        return say(
            "thread-local",
            format!("`{element}` accumulates in a thread local{owner}"),
            "call `remove()` when the task ends: pooled threads keep it",
        );
    }
    if scene.element_name.contains("ClassLoader") {
        return say(
            "classloader",
            format!("class loaders `{element}` stay loaded{owner}"),
            "find who refers to a class of the old deployment",
        );
    }
    if scene.element.is_some_and(|element| waits(scene.heap, element)) {
        return say(
            "promise",
            format!("promises that never settle wait in{owner} {}", container_words(&container)).replace("  ", " "),
            "settle or reject after a deadline, and delete the entry",
        );
    }
    if scene.chained {
        return say(
            "chain",
            format!("a chain of `{element}` hangs on{owner}"),
            "cut the chain where it is no longer needed",
        );
    }
    if scene.element.is_none() {
        return say("object", format!("`{element}` grows{owner}"), "bound it");
    }
    if is_unclosed(scene.element_name) {
        return say(
            "unclosed",
            format!("`{element}` are opened and not closed, held by{owner}"),
            "close them where they are opened",
        );
    }
    let static_field =
        scene.way.iter().any(|step| step.holds.as_ref().is_some_and(|edge| edge.kind == crate::heap::EdgeKind::Static));
    let session = |text: &str| text.to_ascii_lowercase().contains("session");
    let kind = if session(&scene.owner) || session(scene.element_name) {
        "session-map"
    } else if is_buffer(scene.element_name) {
        "buffers"
    } else if scene.element_name.ends_with("()") {
        "closure"
    } else if static_field {
        "static-collection"
    } else {
        "collection"
    };
    let title = format!("`{element}` accumulates in{owner} {}", container_words(&container)).replace("  ", " ");
    say(kind, title.trim_end().to_owned(), "bound it, evict, or remove entries when their owner ends")
}

fn container_words(container: &str) -> String {
    if container.is_empty() { String::new() } else { format!("({})", story::short_class(container)) }
}

/// A type as it stands in a title.
fn shown(name: &str) -> String {
    if name.starts_with('{') { name.to_owned() } else { story::short_class(name).to_owned() }
}

/// The function that a timer calls.
fn called_by(heap: &Heap<'_>, timer: Node) -> Option<String> {
    let edges = heap.edges(timer);
    let callback = edges.iter().find(|edge| matches!(edge.name.to_string().as_str(), "_onTimeout" | "_onImmediate"))?;
    Some(heap.name(callback.to))
}

/// Whether an object is a promise or a function that settles one.
fn waits(heap: &Heap<'_>, node: Node) -> bool {
    let is_promise = |node: Node| heap.class(node).name == "Promise";
    if is_promise(node) {
        return true;
    }
    // The functions that settle a promise have no name and hold it in their context.
    let name = heap.name(node);
    name == "(anonymous)()"
        && heap.edges(node).iter().any(|edge| {
            edge.name.to_string() == "context" && heap.edges(edge.to).iter().any(|edge| is_promise(edge.to))
        })
}

fn is_unclosed(name: &str) -> bool {
    const CLOSEABLE: [&str; 14] = [
        "FileInputStream",
        "FileOutputStream",
        "FileChannelImpl",
        "RandomAccessFile",
        "Socket",
        "SocketChannelImpl",
        "ZipFile",
        "Inflater",
        "Deflater",
        "ReadStream",
        "WriteStream",
        "FileHandle",
        "TCP",
        "Cleaner",
    ];
    CLOSEABLE.contains(&story::short_class(name))
}

fn is_buffer(name: &str) -> bool {
    const BUFFERS: [&str; 8] = [
        "byte[]",
        "char[]",
        "Buffer",
        "Uint8Array",
        "ArrayBuffer",
        "DirectByteBuffer",
        "HeapByteBuffer",
        "system / JSArrayBufferData",
    ];
    BUFFERS.contains(&story::short_class(name)) || BUFFERS.contains(&name)
}

/// The evidence as a sentence. `by_name`: the function whose place was taken because its name fits.
pub(crate) fn reason(evidence: &Evidence<'_>, growth: Option<Growth>, by_name: Option<&str>, advice: &str) -> String {
    let guess = by_name
        .map(|name| format!("; no place is recorded, `{name}` beside it has the name that fits"))
        .unwrap_or_default();
    let share = (evidence.share.clamp(0.0, 1.0) * 100.0).round();
    let (Some(growth), true) = (growth, evidence.place.bytes.len() > 1) else {
        let (bytes, count) =
            (evidence.place.bytes.first().copied().unwrap_or(0), evidence.counts.first().copied().unwrap_or(0));
        let each = bytes / count.max(1);
        return format!(
            "{count} of them hold {} ({} each), {share} % of the heap; one capture cannot show growth{guess}; if it grows: {advice}",
            human(bytes),
            human(each)
        );
    };
    let sizes: Vec<String> = evidence.place.bytes.iter().map(|&bytes| human(bytes)).collect();
    let steps = evidence.place.bytes.len() - 1;
    let every = match (growth.in_every_step, steps) {
        (true, 1) => "grew".to_owned(),
        (true, steps) => format!("grew in each of {steps} steps"),
        (false, _) => "grew, not in every step".to_owned(),
    };
    let counts = match (evidence.counts.first(), evidence.counts.last()) {
        (Some(first), Some(last)) if last > first => {
            format!(", from {first} to {last} objects of {} each", human(growth.bytes.max(0) as u64 / (last - first)))
        }
        _ => String::new(),
    };
    format!("{every}: {}{counts}; {share} % of all growth{guess}; {advice}", sizes.join(", "))
}

/// Bytes for people.
fn human(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}
