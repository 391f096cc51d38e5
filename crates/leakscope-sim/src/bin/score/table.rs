//! Tables for the terminal and for docs/, from the same rows.

use std::fmt::Write as _;

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

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether nothing stands below the heads.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
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
