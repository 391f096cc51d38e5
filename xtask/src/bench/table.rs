//! Tables for the terminal and for docs/, from the same rows; and the machine they were measured on.

use std::fmt::Write as _;
use std::path::Path;

use crate::process::printed_by;

/// Rows of equal length, the first one the heads. Columns after the first are set right where they hold numbers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn with_heads(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Columns padded with blanks.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::new();
        for row in self.padded() {
            let _ = writeln!(out, "{}", row.join("  ").trim_end());
        }
        out
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        for (index, row) in self.padded().into_iter().enumerate() {
            let _ = writeln!(out, "| {} |", row.join(" | "));
            if index == 0 {
                let rules = (0..row.len()).map(|column| if self.is_numeric(column) { "--:" } else { "---" });
                let _ = writeln!(out, "|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
        out
    }

    fn padded(&self) -> Vec<Vec<String>> {
        let width = |column: usize| self.cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let n_columns = self.rows.first().map_or(0, Vec::len);
        let columns: Vec<(usize, bool)> =
            (0..n_columns).map(|column| (width(column), self.is_numeric(column))).collect();
        let pad = |(cell, (width, numeric)): (&String, &(usize, bool))| {
            if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        };
        self.rows.iter().map(|row| row.iter().zip(&columns).map(pad).collect()).collect()
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &String> {
        self.rows.iter().filter_map(move |row| row.get(column))
    }

    /// Whether every cell below the head begins with a digit or stands for nothing.
    fn is_numeric(&self, column: usize) -> bool {
        self.cells(column)
            .skip(1)
            .all(|cell| cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit()))
    }
}

/// One line: cores, processor, system and load.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = printed_by("uname", &["-sr"]).unwrap_or_default();
    format!("{cores} cores ({model}), {}, load average {}", kernel.trim(), load_average())
}

/// Load of the last minute, five and fifteen.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Writes a page of docs/benchmarks/ that says how it came to be.
pub(crate) fn write_page(root: &Path, name: &str, title: &str, text: &str) -> Result<(), String> {
    let folder = root.join("docs/benchmarks");
    let path = folder.join(name);
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, format!("# {title}\n\n{text}")))
        .map_err(|error| format!("`{}` not writable: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_set_right_and_words_left() {
        let mut table = Table::with_heads(&["contender", "µs"]);
        table.push(vec!["prometheus".to_owned(), "140".to_owned()]);
        table.push(vec!["a".to_owned(), "9".to_owned()]);
        assert_eq!(table.plain(), "contender    µs\nprometheus  140\na             9\n");
        let markdown = "| contender  |  µs |\n|---|--:|\n| prometheus | 140 |\n| a          |   9 |\n";
        assert_eq!(table.markdown(), markdown);
    }
}
