//! Tables for people: columns and how states, rates and spans read in them.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use leakscope_model::{BytesPerHour, BytesPerRequest};
use leakscope_wire::Interval;

/// Shown where there is no value.
pub(crate) const NONE: &str = "-";

/// An empty table with this header; columns after `n_words` hold numbers and stand right.
pub(crate) fn new(header: &[&str], n_words: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).enforce_styling();
    table.set_header(header.iter().map(|title| Cell::new(title).fg(Color::DarkGrey)));
    for (index, column) in table.column_iter_mut().enumerate() {
        let gap = if index + 1 < header.len() { 2 } else { 0 };
        column.set_padding((0, gap));
        if index >= n_words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The table's text, without spaces at the ends of lines.
pub(crate) fn render(table: &Table) -> String {
    /// Ends a header's colour.
    const PLAIN: &str = "\x1b[39m";
    let mut text = String::new();
    for line in table.trim_fmt().lines() {
        // The last title is padded within its colour.
        match line.strip_suffix(PLAIN) {
            Some(title) => text.extend([title.trim_end(), PLAIN]),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// A state's published name as icon and word.
pub(crate) fn state_words(state: &str) -> String {
    let icon = match state {
        "leaking" => '▲',
        "suspect" => '?',
        "recovered" => '▼',
        "steady" => '✓',
        _ => '·',
    };
    format!("{icon} {}", state.replace('_', " "))
}

/// As [`state_words`], coloured.
pub(crate) fn state(state: &str) -> Cell {
    let color = match state {
        "leaking" => Color::Red,
        "suspect" => Color::Yellow,
        "recovered" => Color::Cyan,
        "steady" => Color::Green,
        _ => Color::DarkGrey,
    };
    Cell::new(state_words(state)).fg(color)
}

/// An incident's state, coloured.
pub(crate) fn incident_state(state: &str) -> Cell {
    let (icon, color) = match state {
        "open" | "gathered" | "explained" => ('▲', Color::Red),
        "acknowledged" => ('▲', Color::Yellow),
        "recovered" => ('▼', Color::Cyan),
        _ => ('✓', Color::DarkGrey),
    };
    Cell::new(format!("{icon} {state}")).fg(color)
}

/// Where states stand in a list, worst first.
pub(crate) fn state_rank(state: &str) -> usize {
    let worst_first = ["leaking", "suspect", "recovered", "steady"];
    worst_first.iter().position(|known| *known == state).unwrap_or(worst_first.len())
}

pub(crate) fn per_hour(growth: Option<Interval>) -> String {
    growth.map_or_else(|| NONE.to_owned(), |growth| BytesPerHour(growth.mid).to_string())
}

pub(crate) fn per_request(growth: Option<Interval>) -> String {
    growth.map_or_else(|| NONE.to_owned(), |growth| BytesPerRequest(growth.mid).to_string())
}

pub(crate) fn time_to_limit(seconds: Option<Interval>) -> String {
    seconds.map_or_else(|| NONE.to_owned(), |seconds| span(seconds.mid))
}

/// Seconds in their two largest units: `2d 4h`, `35m 10s`.
pub(crate) fn span(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).map_or(0, |span| span.as_secs());
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_in_their_two_largest_units() {
        for (seconds, shown) in
            [(0.4, "0s"), (59.0, "59s"), (61.0, "1m 1s"), (7_260.0, "2h 1m"), (190_000.0, "2d 4h"), (-1.0, "0s")]
        {
            assert_eq!(span(seconds), shown);
        }
    }
}
