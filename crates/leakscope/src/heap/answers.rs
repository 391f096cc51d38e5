//! Answers to single questions, for people.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_wire::{
    Collection, DuplicateString, HeapAnswers, HeapClassDetail, HeapNode, HeapObject, HeapRetainer, PathStep,
};

use super::text::{WIDTH, heading};
use super::words;
use crate::output::table;

/// Characters of an object's name in a table, and of the edge to it.
const NAME_MAX: usize = 46;
const EDGE_MAX: usize = 24;
/// Distances from here on are of objects that only the runtime itself reaches.
const SYSTEM_DISTANCE: u32 = 100_000_000;

/// What was asked, in the order of the options.
pub(crate) fn answers_text(answers: &HeapAnswers, format: &str) -> String {
    let HeapAnswers { class, node, retainers, paths, duplicate_strings, collections } = answers;
    let mut text = String::new();
    text.extend(class.as_ref().map(|class| about_class(class, format)));
    text.extend(node.as_ref().map(|node| about_node(node, format)));
    text.extend(retainers.as_ref().map(|retainers| about_retainers(retainers, format)));
    text.extend(paths.as_ref().map(|paths| about_paths(paths, format)));
    text.extend(duplicate_strings.as_ref().map(|strings| about_strings(strings)));
    text.extend(collections.as_ref().map(|collections| about_collections(collections, format)));
    text.trim_start_matches('\n').to_owned()
}

fn about_class(class: &HeapClassDetail, format: &str) -> String {
    let mut text = String::new();
    for class in &class.types {
        text.push_str(&heading(&words::short(&class.name, WIDTH)));
        let retained =
            class.retained_bytes.map(|bytes| format!(", retained {}", words::bytes(bytes))).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}, own {}{retained}",
            words::counted(class.count, "object"),
            words::bytes(class.self_bytes)
        );
        if let Some(location) = &class.location {
            let _ = writeln!(text, "declared at {}", words::place(location, WIDTH));
        }
    }
    text.push_str(&heading("The biggest of them"));
    text.push_str(&objects(&class.biggest, format));
    text
}

fn objects(objects: &[HeapObject], format: &str) -> String {
    let mut rows = table::new(&["OBJECT", "ID", "OWN", "RETAINED"], 2);
    for object in objects {
        rows.add_row([
            words::short(&object.name, NAME_MAX),
            words::id(format, object.id),
            words::bytes(object.self_bytes),
            words::bytes(object.retained_bytes),
        ]);
    }
    table::render(&rows)
}

fn about_node(node: &HeapNode, format: &str) -> String {
    let HeapNode { object, class, distance, location, text: contents, dominators, n_edges, edges } = node;
    let mut text = heading(&format!("{} {}", words::short(&object.name, 70), words::id(format, object.id)));
    let _ = writeln!(text, "type {}", words::short(class, WIDTH - 5));
    let _ = writeln!(text, "own {}, retained {}", words::bytes(object.self_bytes), words::bytes(object.retained_bytes));
    match distance {
        // V8's own objects are counted from a base of their own, as Chrome DevTools does.
        Some(SYSTEM_DISTANCE..) => text.push_str("reached by the runtime alone\n"),
        Some(distance) => drop(writeln!(text, "{} from a root", words::counted(u64::from(*distance), "reference"))),
        None => text.push_str("no strong reference leads to it\n"),
    }
    if let Some(location) = location {
        let _ = writeln!(text, "declared at {}", words::place(location, WIDTH - 12));
    }
    if let Some(contents) = contents {
        let _ = writeln!(text, "text \"{}\"", words::clean(contents));
    }
    text.push_str(&heading("Held alone by"));
    for (index, holder) in dominators.iter().enumerate() {
        let space = "  ".repeat(index.min(20));
        let name = words::short(&holder.name, WIDTH - 30 - space.len());
        let _ =
            writeln!(text, "{space}{name} {} {}", words::id(format, holder.id), words::bytes(holder.retained_bytes));
    }
    text.push_str(&heading(&format!("{} to", words::counted(*n_edges, "reference"))));
    let mut rows = table::new(&["EDGE", "KIND", "OBJECT", "ID", "RETAINED"], 4);
    for edge in edges {
        rows.add_row([
            words::short(&edge.edge, EDGE_MAX),
            edge.kind.clone(),
            words::short(&edge.to.name, NAME_MAX - 10),
            words::id(format, edge.to.id),
            words::bytes(edge.to.retained_bytes),
        ]);
    }
    text.push_str(&table::render(&rows));
    text.push_str(&more(*n_edges, edges.len()));
    text
}

fn more(n_all: u64, n_shown: usize) -> String {
    let n_more = n_all.saturating_sub(n_shown as u64);
    if n_more == 0 { String::new() } else { format!("… {} more\n", words::number(n_more)) }
}

fn about_retainers(retainers: &[HeapRetainer], format: &str) -> String {
    if retainers.is_empty() {
        return format!("{}nobody\n", heading("Referred to by"));
    }
    let mut rows = table::new(&["OBJECT", "ID", "BY", "KIND", "RETAINED"], 4);
    for retainer in retainers {
        rows.add_row([
            words::short(&retainer.from.name, NAME_MAX - 10),
            words::id(format, retainer.from.id),
            words::short(&retainer.edge, EDGE_MAX),
            retainer.kind.clone(),
            words::bytes(retainer.from.retained_bytes),
        ]);
    }
    heading("Referred to by") + &table::render(&rows)
}

fn about_paths(paths: &[Vec<PathStep>], format: &str) -> String {
    if paths.is_empty() {
        return format!("{}no strong references lead to it\n", heading("Reached by"));
    }
    let mut text = String::new();
    for (index, path) in paths.iter().enumerate() {
        text.push_str(&heading(&format!("Way {}", index + 1)));
        for line in words::chain(format, path, 0, WIDTH) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn about_strings(strings: &[DuplicateString]) -> String {
    if strings.is_empty() {
        return format!("{}no text is in two strings\n", heading("Texts that several strings have"));
    }
    let mut rows = table::new(&["TEXT", "COUNT", "BYTES"], 1);
    for DuplicateString { text, count, bytes } in strings {
        rows.add_row([
            Cell::new(words::short(text, 70)),
            Cell::new(words::number(*count)),
            Cell::new(words::bytes(*bytes)),
        ]);
    }
    heading("Texts that several strings have") + &table::render(&rows)
}

fn about_collections(collections: &[Collection], format: &str) -> String {
    if collections.is_empty() {
        return format!("{}none were found\n", heading("Collections with the most entries"));
    }
    let mut rows = table::new(&["KIND", "OBJECT", "ID", "ENTRIES", "FILLED", "RETAINED"], 3);
    for Collection { object, kind, size, capacity } in collections {
        rows.add_row([
            words::short(kind, 30),
            words::short(&object.name, 30),
            words::id(format, object.id),
            words::number(*size),
            capacity.map_or(table::NONE.to_owned(), |capacity| words::share(*size, capacity)),
            words::bytes(object.retained_bytes),
        ]);
    }
    heading("Collections with the most entries") + &table::render(&rows)
}
