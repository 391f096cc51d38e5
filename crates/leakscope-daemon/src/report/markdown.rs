//! A report as Markdown, with every text escaped: no name becomes a link, an image or HTML.

use std::fmt::Write;

use leakscope_wire as wire;

use super::blocks::{Block, blocks, title};

/// What means something in Markdown or in the HTML that it may hold.
const SPECIAL: &[char] = &['\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '(', ')', '#', '!', '|', '&', '~'];

pub(crate) fn markdown(report: &wire::Report) -> String {
    let mut text = format!("# {}\n", escaped(&title(report)));
    for block in blocks(report) {
        text.push('\n');
        match block {
            Block::Heading(title) => line(&mut text, "## ", &escaped(&title)),
            Block::Heading2(title) => line(&mut text, "### ", &escaped(&title)),
            Block::Paragraph(words) => line(&mut text, "", &escaped(&words)),
            Block::List(items) => items.iter().for_each(|item| line(&mut text, "- ", &escaped(item))),
            Block::Table { header, rows } => {
                line(&mut text, "| ", &format!("{} |", header.join(" | ")));
                line(&mut text, "|", &" --- |".repeat(header.len()));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
                    line(&mut text, "| ", &format!("{} |", cells.join(" | ")));
                }
            }
            // Indented code ends with its indentation; a fence could be closed by what stands in it.
            Block::Code(lines) => lines.iter().for_each(|code| line(&mut text, "    ", code)),
        }
    }
    text
}

fn line(text: &mut String, mark: &str, words: &str) {
    let _ = writeln!(text, "{mark}{words}");
}

fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        if SPECIAL.contains(&c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
