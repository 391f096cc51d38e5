//! A report as one page for a browser: no script, nothing loaded from elsewhere, every text escaped.

use leakscope_wire as wire;

use super::blocks::{Block, blocks, title};

/// As the pages of `leakscope analyze` and the daemon's own look.
const STYLE: &str = include_str!("report.css");

pub(crate) fn html(report: &wire::Report) -> String {
    let title = escaped(&title(report));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for block in blocks(report) {
        match block {
            Block::Heading(words) => element(&mut page, "h2", &words),
            Block::Heading2(words) => element(&mut page, "h3", &words),
            Block::Paragraph(words) => element(&mut page, "p", &words),
            Block::List(items) => {
                page.push_str("<ul>\n");
                for item in &items {
                    element(&mut page, "li", item);
                }
                page.push_str("</ul>\n");
            }
            Block::Table { header, rows } => table(&mut page, header, &rows),
            Block::Code(lines) => element(&mut page, "pre", &lines.join("\n")),
        }
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn table(page: &mut String, header: &[&str], rows: &[Vec<String>]) {
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for title in header {
        element(page, "th", title);
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            element(page, "td", cell);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn element(page: &mut String, name: &str, words: &str) {
    page.extend(["<", name, ">", &escaped(words), "</", name, ">\n"]);
}

fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c => text.push(c),
        }
    }
    text
}
