//! Events of old objects to the samples of a profile: where each was allocated, and what holds it.

use std::rc::Rc;

use leakscope_model::PathStep;
use rustc_hash::{FxHashMap, FxHashSet};

use super::record::{Record, Source};
use crate::error::HeapError;
use crate::hprof::names::readable;
use crate::profile::builder::Builder;
use crate::profile::model::{Label, LabelValue};

/// Fields by which a sample leads to what is read of it; what only other fields lead to is passed over.
pub(super) const FIELDS: &[&str] = &[
    "stackTrace",
    "frames",
    "method",
    "type",
    "name",
    "object",
    "referrer",
    "array",
    "field",
    "root",
    "system",
    "string",
    "description",
];
/// Bytes of values that are read and kept for one recording; samples after that have neither stack nor path. A queue of 256 objects
/// takes up to 10 MB.
pub(super) const BUDGET: usize = 256 << 20;
/// Frames of a stack; the JVM records 2,048 at most. More are cut off.
const FRAMES_MAX: usize = 2_048;
/// Objects that hold each other; the JVM records 200 and counts what is between. More are cut off at the root's end.
const HOLDERS_MAX: usize = 1_024;
/// In place of a field: objects between two that the JVM left out.
const LEFT_OUT: &str = "\u{2026}";

/// What is said at the end of all samples.
#[derive(Debug, Default)]
struct Counts {
    /// Samples whose size is not known.
    unsized_objects: usize,
    cut_stacks: usize,
    cut_paths: usize,
    /// Samples that came after the budget was spent.
    beyond_budget: usize,
}

/// Makes samples of events.
pub(super) struct Samples<'a> {
    source: &'a Source<'a>,
    builder: &'a mut Builder,
    /// Of a reference to an object in an array.
    reference_bytes: i64,
    /// Locations by the place of the stack, and whether it is cut off.
    stacks: FxHashMap<usize, (Rc<[u32]>, bool)>,
    /// Names of classes by the place of the class.
    names: FxHashMap<usize, Rc<str>>,
    /// Objects that are there: when each was allocated, the place of its class, its elements.
    seen: FxHashSet<(Option<i64>, Option<usize>, Option<i64>)>,
    counts: Counts,
}

impl<'a> Samples<'a> {
    pub(super) fn new(source: &'a Source<'a>, builder: &'a mut Builder, reference_bytes: i64) -> Self {
        Self {
            source,
            builder,
            reference_bytes,
            stacks: FxHashMap::default(),
            names: FxHashMap::default(),
            seen: FxHashSet::default(),
            counts: Counts::default(),
        }
    }

    /// Adds the object of an event, unless it is there already.
    pub(super) fn add(&mut self, event: Record<'a>) -> Result<(), HeapError> {
        let object = event.record("object")?;
        let class = object.map(|object| object.record("type")).transpose()?.flatten();
        let elements = event.number("arrayElements")?;
        let allocated = event.number("allocationTime")?;
        let identity = (allocated, class.map(Record::at), elements);
        if !self.seen.insert(identity) {
            return Ok(());
        }
        let class_name = class.map(|class| self.class_name(class)).transpose()?;
        let bytes = self.bytes(event, class_name.as_deref(), elements)?;
        let mut labels = Vec::new();
        // JDK 11 leaves the age out, which is the time from the allocation to the dump.
        let until_dump =
            event.number("startTime")?.zip(allocated).map(|(dumped, allocated)| dumped.wrapping_sub(allocated));
        if let Some(age) = event.number("objectAge")?.or(until_dump) {
            labels.push(self.number("age", self.source.chunk.header.clock.span(age), "nanoseconds"));
        }
        if let Some(class) = &class_name {
            labels.push(self.text("type", class));
        }
        if let Some(heap) = event.number("lastKnownHeapUsage")? {
            labels.push(self.number("heap", heap, "bytes"));
        }
        let root = event.record("root")?;
        if let Some(root) = root {
            let root = root_name(root)?;
            labels.push(self.text("gc_root", &root));
        }
        if self.source.is_spent() {
            self.counts.beyond_budget += 1;
            self.builder.sample(&[], &[1, bytes], &labels);
            return Ok(());
        }
        let stack = self.stack(event)?;
        let (path, entries) = match object {
            Some(object) => self.path(object)?,
            None => (Vec::new(), None),
        };
        labels.extend(entries.map(|entries| self.number("entries", entries, "count")));
        self.builder.sample(&stack, &[1, bytes], &labels);
        // An object that nothing is said to hold, not even a root, has no path.
        if path.len() > 1 || root.is_some() {
            self.builder.path(path);
        }
        Ok(())
    }

    /// Says what the samples do not.
    pub(super) fn finish(self) {
        let Counts { unsized_objects, cut_stacks, cut_paths, beyond_budget } = self.counts;
        let said = [
            (unsized_objects, "are of no known size and count as 0 bytes: this JVM records the size of arrays alone"),
            (cut_stacks, "have a stack that is cut off"),
            (cut_paths, "have a path that is cut off towards the root"),
            (beyond_budget, "have neither stack nor path here, since those before have too much of them"),
        ];
        for (count, what) in said {
            if count > 0 {
                self.builder.warn(format!("{count} of {} samples {what}", self.seen.len()));
            }
        }
    }

    /// The object's own bytes: as recorded, else those of an array's elements, else 0.
    fn bytes(&mut self, event: Record<'a>, class: Option<&str>, elements: Option<i64>) -> Result<i64, HeapError> {
        if let Some(bytes) = event.number("objectSize")? {
            return Ok(bytes.max(0));
        }
        let element = class.and_then(|class| class.strip_suffix("[]"));
        if let (Some(element), Some(elements @ 0..)) = (element, elements) {
            return Ok(elements.saturating_mul(self.element_bytes(element)));
        }
        self.counts.unsized_objects += 1;
        Ok(0)
    }

    fn element_bytes(&self, element: &str) -> i64 {
        match element {
            "byte" | "boolean" => 1,
            "char" | "short" => 2,
            "int" | "float" => 4,
            "long" | "double" => 8,
            _ => self.reference_bytes,
        }
    }

    fn number(&mut self, key: &str, value: i64, unit: &str) -> Label {
        let unit = self.builder.text(unit);
        Label { key: self.builder.text(key), value: LabelValue::Number { value, unit } }
    }

    fn text(&mut self, key: &str, text: &str) -> Label {
        let text = self.builder.text(text);
        Label { key: self.builder.text(key), value: LabelValue::Text(text) }
    }

    /// The name of a class as its source has it, without the hash that ends the name of a hidden one.
    fn class_name(&mut self, class: Record<'a>) -> Result<Rc<str>, HeapError> {
        if let Some(known) = self.names.get(&class.at()) {
            return Ok(known.clone());
        }
        let raw = class.text("name")?.unwrap_or_default();
        let name = match raw.rsplit_once('/') {
            Some((name, _)) if name.contains("+0x") => readable(name),
            _ => readable(&raw),
        };
        self.source.spend(name.len());
        let name: Rc<str> = name.into();
        self.names.insert(class.at(), name.clone());
        Ok(name)
    }

    /// Where the object was allocated, the innermost call first; empty where that was not recorded.
    fn stack(&mut self, event: Record<'a>) -> Result<Rc<[u32]>, HeapError> {
        let Some(trace) = event.record("stackTrace")? else { return Ok(Rc::default()) };
        let (stack, is_cut) = if let Some(known) = self.stacks.get(&trace.at()) {
            known.clone()
        } else {
            let (frames, has_more) = trace.records("frames", FRAMES_MAX)?;
            let is_cut = has_more || trace.number("truncated")?.unwrap_or_default() != 0;
            let stack = frames.into_iter().map(|frame| self.frame(frame)).collect::<Result<Rc<[u32]>, _>>()?;
            self.stacks.insert(trace.at(), (stack.clone(), is_cut));
            (stack, is_cut)
        };
        self.counts.cut_stacks += usize::from(is_cut);
        self.source.spend(size_of_val(&*stack));
        Ok(stack)
    }

    fn frame(&mut self, frame: Record<'a>) -> Result<u32, HeapError> {
        let mut name = String::new();
        if let Some(method) = frame.record("method")? {
            if let Some(class) = method.record("type")? {
                name.push_str(&self.class_name(class)?);
                name.push('.');
            }
            name.push_str(&method.text("name")?.unwrap_or_default());
        }
        self.source.spend(name.len());
        let line = frame.number("lineNumber")?.unwrap_or_default();
        // A recording names no files; native methods have lines below 1.
        Ok(self.builder.frame(&name, "", line.max(0), 0))
    }

    /// What holds the object, from a root down to itself, and the entries of the biggest collection among that.
    fn path(&mut self, object: Record<'a>) -> Result<(Vec<PathStep>, Option<i64>), HeapError> {
        let mut entries = None;
        let mut path = vec![self.step(object, String::new(), &mut entries)?];
        let mut seen = FxHashSet::from_iter([object.at()]);
        let mut at = object;
        while let Some(reference) = at.record("referrer")? {
            let Some(holder) = reference.record("object")? else { break };
            if path.len() > HOLDERS_MAX || self.source.is_spent() || !seen.insert(holder.at()) {
                self.counts.cut_paths += 1;
                break;
            }
            let edge = edge(reference)?;
            path.push(self.step(holder, edge, &mut entries)?);
            at = holder;
        }
        path.reverse();
        Ok((path, entries))
    }

    fn step(&mut self, object: Record<'a>, edge: String, entries: &mut Option<i64>) -> Result<PathStep, HeapError> {
        let class = object.record("type")?.map(|class| self.class_name(class)).transpose()?;
        let description = object.text("description")?.unwrap_or_default();
        let name = match (class.as_deref(), description.strip_prefix("Class Name: ")) {
            // What a static field belongs to.
            (Some("java.lang.Class"), Some(class)) => readable(class),
            (class, _) => class.unwrap_or_default().to_owned(),
        };
        let size = description.strip_prefix("Size: ").and_then(|size| size.parse().ok());
        *entries = (*entries).max(size);
        self.source.spend(size_of::<PathStep>() + name.len() + edge.len());
        Ok(PathStep { edge, name, id: object.number("address")?.unwrap_or_default() as u64 })
    }
}

/// The field or the index by which an object is held.
fn edge(reference: Record<'_>) -> Result<String, HeapError> {
    if let Some(array) = reference.record("array")? {
        return Ok(format!("[{}]", array.number("index")?.unwrap_or_default()));
    }
    let field = reference.record("field")?.map(|field| field.text("name")).transpose()?;
    Ok(field.flatten().unwrap_or_else(|| LEFT_OUT.to_owned()))
}

/// `Threads: Stack Variable (Thread Name: main)`
fn root_name(root: Record<'_>) -> Result<String, HeapError> {
    let system = root.text("system")?.unwrap_or_default();
    let kind = root.text("type")?.unwrap_or_default();
    Ok(match root.text("description")? {
        Some(description) => format!("{system}: {kind} ({description})"),
        None => format!("{system}: {kind}"),
    })
}
