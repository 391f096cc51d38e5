//! A report for a terminal: no colours, tables in columns as wide as their cells.

use std::fmt::Write;

use leakscope_wire as wire;

use super::blocks::{Block, blocks, title};

pub(crate) fn text(report: &wire::Report) -> String {
    let mut text = format!("{}\n", title(report));
    for block in blocks(report) {
        match block {
            Block::Heading(title) => line(&mut text, "\n", &title),
            Block::Heading2(title) => line(&mut text, "  ▲ ", &title),
            Block::Paragraph(words) => line(&mut text, "  ", &words),
            Block::List(items) => items.iter().for_each(|item| line(&mut text, "  - ", item)),
            Block::Table { header, rows } => table(&mut text, header, &rows),
            Block::Code(lines) => lines.iter().for_each(|code| line(&mut text, "      ", code)),
        }
    }
    text
}

fn line(text: &mut String, mark: &str, words: &str) {
    let _ = writeln!(text, "{mark}{words}");
}

fn table(text: &mut String, header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|title| title.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let titles: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut shown = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(shown, "{cell:<width$}  ");
        }
        line(text, "", shown.trim_end());
    }
}
