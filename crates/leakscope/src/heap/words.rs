//! How sizes, counts, shares, names and places of a heap read. Names come from captures that anyone may have written.

use leakscope_model::Bytes;
use leakscope_wire::{Location, PathStep};

pub(crate) fn bytes(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// With its sign: `+1.20 MiB`.
pub(crate) fn growth(bytes: i64) -> String {
    format!("{}{}", sign(bytes), Bytes(bytes.unsigned_abs()))
}

/// With its sign: `+1,200`.
pub(crate) fn growth_count(count: i64) -> String {
    format!("{}{}", sign(count), number(count.unsigned_abs()))
}

fn sign(value: i64) -> char {
    if value < 0 { '-' } else { '+' }
}

/// In groups of three digits: `1,234,567`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 object`, `2 objects`.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(value), if value == 1 { "" } else { "s" })
}

/// A share of 0 to 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 9.95 || percent == 0.0 => format!("{percent:.0} %"),
        percent if percent >= 0.05 => format!("{percent:.1} %"),
        percent if percent > 0.0 => "<0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// As [`percent`], of a whole.
pub(crate) fn share(part: u64, whole: u64) -> String {
    percent(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// Without what a terminal would obey: controls, and marks that turn the direction of text.
pub(crate) fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => '⏎',
        c if c.is_control() => '·',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' => '·',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// At most `max` characters, cut in the middle.
pub(crate) fn short(text: &str, max: usize) -> String {
    let text = clean(text);
    let n = text.chars().count();
    if n <= max {
        return text;
    }
    let n_head = max.saturating_sub(1).div_ceil(2);
    let n_tail = max.saturating_sub(1) - n_head;
    let head: String = text.chars().take(n_head).collect();
    let tail: String = text.chars().skip(n - n_tail).collect();
    format!("{head}…{tail}")
}

/// Its last `max` characters: of a place, file name and line say the most.
pub(crate) fn tail(text: &str, max: usize) -> String {
    let text = clean(text);
    let n = text.chars().count();
    if n <= max {
        return text;
    }
    let kept: String = text.chars().skip(n - max.saturating_sub(1)).collect();
    format!("…{kept}")
}

/// `server.js:12:5`, cut in front.
pub(crate) fn place(location: &Location, max: usize) -> String {
    let Location { file, line, column } = location;
    let column = column.map(|column| format!(":{column}")).unwrap_or_default();
    tail(&format!("{file}:{line}{column}"), max)
}

/// How a capture of `format` writes the identity of an object.
pub(super) fn id(format: &str, id: u64) -> String {
    if format == leakscope_heap::Format::Hprof.name() { format!("{id:#x}") } else { format!("@{id}") }
}

/// One line a step, each further in than the one that holds it; of long ways the middle is left out.
pub(super) fn chain(format: &str, path: &[PathStep], indent: usize, width: usize) -> Vec<String> {
    /// Steps that are shown from each end of a long way.
    const ENDS: usize = 6;
    let mut lines = Vec::new();
    let mut held_by = "";
    for (index, step) in path.iter().enumerate() {
        let is_left_out = path.len() > 2 * ENDS && (ENDS..path.len() - ENDS).contains(&index);
        if !is_left_out {
            let arm = if index == 0 { String::new() } else { format!("└ {} → ", short(held_by, 32)) };
            let space = " ".repeat(indent + 2 * lines.len().saturating_sub(1));
            let identity = id(format, step.id);
            let used = space.len() + arm.chars().count() + identity.len() + 1;
            lines.push(format!("{space}{arm}{} {identity}", short(&step.name, width.saturating_sub(used).max(16))));
        } else if index == ENDS {
            let space = " ".repeat(indent + 2 * lines.len().saturating_sub(1));
            lines.push(format!("{space}… {} more", path.len() - 2 * ENDS));
        }
        held_by = &step.edge;
    }
    if !path.is_empty() && !held_by.is_empty() {
        let space = " ".repeat(indent + 2 * lines.len().saturating_sub(1));
        lines.push(format!("{space}└ {}", short(held_by, 48)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_shares_and_names_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.000_1, 0.012, 0.5, 1.0].map(percent), ["0 %", "<0.1 %", "1.2 %", "50 %", "100 %"]);
        assert_eq!((growth(-2_048), growth_count(1_500)), ("-2.00 KiB".to_owned(), "+1,500".to_owned()));
        assert_eq!(short("com.example.very.long.Name", 11), "com.e….Name");
        assert_eq!(short("a\x1b[31m\nb\u{202e}c", 20), "a·[31m⏎b·c");
        let location = Location { file: "/srv/app/lib/sessions.js".into(), line: 12, column: Some(5) };
        assert_eq!(place(&location, 20), "…ib/sessions.js:12:5");
    }

    #[test]
    fn a_long_way_is_shown_from_both_ends() {
        let step = |n: u64| PathStep { edge: format!("e{n}"), name: format!("N{n}"), id: n };
        let path: Vec<PathStep> = (0..14).map(step).collect();
        let lines = chain("v8-heapsnapshot", &path, 2, 80);
        assert_eq!(lines[..3], ["  N0 @0", "  └ e0 → N1 @1", "    └ e1 → N2 @2"]);
        assert!(lines.iter().any(|line| line.trim() == "… 2 more"));
        assert_eq!(lines[7].trim(), "└ e7 → N8 @8");
        assert_eq!(lines.last().unwrap().trim(), "└ e13");
        assert_eq!(lines.len(), 14);
    }
}
