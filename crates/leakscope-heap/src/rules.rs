//! The known shapes of leaks: from what accumulates where to its name, a sentence and what to do about it.

use leakscope_model::Bytes;

use crate::findings::Growth;
use crate::heap::{EdgeKind, Heap, Node};
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

/// What a person reads of a scene.
struct Words<'w> {
    scene: &'w Scene<'w, 'w>,
    element: String,
    /// With a space before; empty where no name is known.
    owner: String,
    /// The container in brackets, with a space before.
    container: String,
    names: Vec<String>,
    edges: Vec<String>,
}

/// Rules in order of what they know; the first that fits is taken.
const RULES: [fn(&Words<'_>) -> Option<Verdict>; 10] =
    [detached, listener, timer, thread, thread_local, class_loader, promise, chain, growing, unclosed];

/// What the first rule that fits says.
pub(crate) fn judge(scene: &Scene<'_, '_>) -> Verdict {
    let names: Vec<String> = scene.way.iter().map(|step| scene.heap.name(step.node)).collect();
    let held = scene.way.iter().filter_map(|step| step.holds.as_ref());
    let container = names.iter().rev().skip(1).find(|name| !story::is_inner(name));
    let words = Words {
        scene,
        element: shown(scene.element_name),
        owner: if scene.owner.is_empty() { String::new() } else { format!(" `{}`", scene.owner) },
        container: container.map(|name| format!(" ({})", story::short_class(name))).unwrap_or_default(),
        edges: held.map(|edge| edge.name.to_string()).collect(),
        names,
    };
    RULES.iter().find_map(|rule| rule(&words)).unwrap_or_else(|| collection(&words))
}

fn say(kind: &'static str, title: String, advice: &'static str) -> Verdict {
    Verdict { kind, title, advice }
}

fn detached(words: &Words<'_>) -> Option<Verdict> {
    let Words { element, owner, scene, .. } = words;
    let of_document = scene.element_name.starts_with("Detached <") || scene.element_name.starts_with("Detached HTML");
    if !of_document {
        return None;
    }
    Some(say(
        "detached",
        format!("`{element}` nodes are held by{owner}"),
        "drop the reference when the node is removed",
    ))
}

fn listener(words: &Words<'_>) -> Option<Verdict> {
    let place = words.edges.iter().position(|edge| edge == "_events")?;
    let event = words.edges.get(place + 1).map(|event| format!(" of `{event}`")).unwrap_or_default();
    let emitter = words.scene.owner.split("._events").next().unwrap_or_default();
    let title = format!("listeners `{}`{event} accumulate on `{emitter}`", words.element);
    Some(say("listener", title, "remove the listener when its subscriber ends (`off`, `once`, an AbortSignal)"))
}

fn timer(words: &Words<'_>) -> Option<Verdict> {
    if !words.names.iter().any(|name| matches!(name.as_str(), "Timeout" | "TimersList" | "Immediate")) {
        return None;
    }
    let function = words.scene.element.and_then(|element| called_by(words.scene.heap, element));
    let function = function.unwrap_or_else(|| words.element.clone());
    Some(say(
        "timer",
        format!("timers of `{function}` are never cleared"),
        "keep the handle and clear it when its owner ends",
    ))
}

fn thread(words: &Words<'_>) -> Option<Verdict> {
    let thread = words.scene.element.filter(|_| words.scene.element_name.ends_with("Thread"))?;
    let name = words.scene.heap.name(thread);
    let name = name.split_once(' ').map_or(words.element.as_str(), |(_, name)| name);
    Some(say(
        "thread",
        format!("threads like {name} never end"),
        "find what they wait for, and end it after a deadline",
    ))
}

fn thread_local(words: &Words<'_>) -> Option<Verdict> {
    let local = |name: &String| name.contains("ThreadLocalMap") || name.starts_with("java.lang.ThreadLocal");
    if !words.names.iter().any(local) {
        return None;
    }
    let title = format!("`{}` accumulates in a thread local{}", words.element, words.owner);
    Some(say("thread-local", title, "call `remove()` when the task ends: pooled threads keep it"))
}

fn class_loader(words: &Words<'_>) -> Option<Verdict> {
    if !words.scene.element_name.contains("ClassLoader") {
        return None;
    }
    let title = format!("class loaders `{}` stay loaded{}", words.element, words.owner);
    Some(say("classloader", title, "find who refers to a class of the old deployment"))
}

fn promise(words: &Words<'_>) -> Option<Verdict> {
    words.scene.element.filter(|&element| waits(words.scene.heap, element))?;
    let title = format!("promises that never settle wait in{}{}", words.owner, words.container);
    Some(say("promise", title, "settle or reject after a deadline, and delete the entry"))
}

fn chain(words: &Words<'_>) -> Option<Verdict> {
    if !words.scene.chained {
        return None;
    }
    let title = format!("a chain of `{}` hangs on{}", words.element, words.owner);
    Some(say("chain", title, "cut the chain where it is no longer needed"))
}

fn growing(words: &Words<'_>) -> Option<Verdict> {
    if words.scene.element.is_some() {
        return None;
    }
    Some(say("object", format!("`{}` grows{}", words.element, words.owner), "bound it"))
}

fn unclosed(words: &Words<'_>) -> Option<Verdict> {
    if !is_unclosed(words.scene.element_name) {
        return None;
    }
    let title = format!("`{}` are opened and not closed, held by{}", words.element, words.owner);
    Some(say("unclosed", title, "close them where they are opened"))
}

fn collection(words: &Words<'_>) -> Verdict {
    let scene = words.scene;
    let is_static = |step: &Step| step.holds.as_ref().is_some_and(|edge| edge.kind == EdgeKind::Static);
    let session = |text: &str| text.to_ascii_lowercase().contains("session");
    let kind = if session(&scene.owner) || session(scene.element_name) {
        "session-map"
    } else if is_buffer(scene.element_name) {
        "buffers"
    } else if scene.element_name.ends_with("()") {
        "closure"
    } else if scene.way.iter().any(is_static) {
        "static-collection"
    } else {
        "collection"
    };
    let title = format!("`{}` accumulates in{}{}", words.element, words.owner, words.container);
    Verdict { kind, title, advice: "bound it, evict, or remove entries when their owner ends" }
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
            Bytes(bytes),
            Bytes(each)
        );
    };
    let sizes: Vec<String> = evidence.place.bytes.iter().map(|&bytes| Bytes(bytes).to_string()).collect();
    let steps = evidence.place.bytes.len() - 1;
    let every = match (growth.in_every_step, steps) {
        (true, 1) => "grew".to_owned(),
        (true, steps) => format!("grew in each of {steps} steps"),
        (false, _) => "grew, not in every step".to_owned(),
    };
    let counts = match (evidence.counts.first(), evidence.counts.last()) {
        (Some(first), Some(last)) if last > first => {
            format!(", from {first} to {last} objects of {} each", Bytes(growth.bytes.max(0) as u64 / (last - first)))
        }
        _ => String::new(),
    };
    format!("{every}: {}{counts}; {share} % of all growth{guess}; {advice}", sizes.join(", "))
}
