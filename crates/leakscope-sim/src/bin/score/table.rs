//! Tables for the terminal, for docs/ and for machines, from the same rows.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A table with its title and, below it, what a reader must know of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) note: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { title: title.to_owned(), note: String::new(), rows: vec![heads] }
    }

    pub(crate) fn noted(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether nothing stands below the heads.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The table without columns in which nothing stands but the head.
    pub(crate) fn without_empty_columns(self) -> Self {
        let n_columns = self.rows.first().map_or(0, Vec::len);
        let filled =
            |column: &usize| self.rows.iter().skip(1).any(|row| row.get(*column).is_some_and(|cell| !cell.is_empty()));
        let kept: Vec<usize> = (0..n_columns).filter(filled).collect();
        let rows =
            self.rows.iter().map(|row| kept.iter().filter_map(|column| row.get(*column).cloned()).collect()).collect();
        Self { rows, ..self }
    }

    pub(crate) fn plain(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for row in self.padded() {
            let _ = writeln!(out, "  {}", row.join("  ").trim_end());
        }
        if !self.note.is_empty() {
            let _ = writeln!(out, "  {}", self.note);
        }
        out
    }

    /// The rows alone.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let _ = writeln!(out, "| {} |", row.join(" | "));
            if number == 0 {
                let rules = (0..row.len()).map(|column| if self.is_numeric(column) { "--:" } else { "---" });
                let _ = writeln!(out, "|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
        out
    }

    pub(crate) fn json(&self) -> Value {
        let (heads, rows) = self.rows.split_first().map_or((&[][..], &[][..]), |(heads, rows)| (&heads[..], rows));
        json!({ "title": self.title, "note": self.note, "heads": heads, "rows": rows })
    }

    fn padded(&self) -> Vec<Vec<String>> {
        let n_columns = self.rows.first().map_or(0, Vec::len);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let columns: Vec<(usize, bool)> =
            (0..n_columns).map(|column| (width(column), self.is_numeric(column))).collect();
        let pad = |(cell, (width, numeric)): (&String, &(usize, bool))| {
            if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        };
        self.rows.iter().map(|row| row.iter().zip(&columns).map(pad).collect()).collect()
    }

    /// Whether every cell below the head begins with a digit or stands for nothing; the first column holds names.
    fn is_numeric(&self, column: usize) -> bool {
        let is_number =
            |cell: &String| cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit());
        column > 0 && self.rows.iter().skip(1).filter_map(|row| row.get(column)).all(is_number)
    }
}

/// A number with so many decimals, `-` for none.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "-".to_owned() }
}

/// A part of a whole in percent, `-` of none.
pub(crate) fn percent(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * f64::from(part) / f64::from(whole)) }
}

/// `3 of 54`, `-` of none.
pub(crate) fn part(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{part} of {whole}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("found", &["detector", "leaks"]);
        table.push(vec!["leakscope".into(), "54".into()]);
        table.push(vec!["LBR".into(), "-".into()]);
        table.noted("of 54")
    }

    #[test]
    fn names_are_set_left_and_numbers_right() {
        assert_eq!(table().plain(), "found\n  detector   leaks\n  leakscope     54\n  LBR            -\n  of 54\n");
        assert_eq!(table().markdown(), "| detector | leaks |\n|---|--:|\n| leakscope | 54 |\n| LBR | - |\n");
        assert_eq!(table().json()["rows"][0][1], "54");
    }

    #[test]
    fn a_column_with_nothing_in_it_goes() {
        let mut table = Table::new("", &["a", "b"]);
        table.push(vec![String::new(), "1".into()]);
        assert_eq!(table.without_empty_columns().json()["heads"], json!(["b"]));
    }

    #[test]
    fn what_is_not_there_is_a_dash() {
        assert_eq!((number(f64::NAN, 1), percent(0, 0), part(0, 0)), ("-".into(), "-".into(), "-".into()));
        assert_eq!((number(0.25, 1), percent(1, 3), part(1, 3)), ("0.2".into(), "33 %".into(), "1 of 3".into()));
    }
}
