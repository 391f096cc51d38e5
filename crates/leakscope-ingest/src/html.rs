//! HTML status pages: a selector and an optional pattern for each signal.

use scraper::Html;

use crate::error::IngestError;
use crate::markup;
use crate::page::{Page, Problem};
use crate::quantity::{self, Quantity};
use crate::reader::unreadable;
use crate::spec::{HtmlMapping, PageSpec};

/// Characters of an element's text that are read.
const TEXT_CHARS: usize = 4 << 10;

pub(crate) fn read(spec: &PageSpec, bytes: &[u8]) -> Result<Page, IngestError> {
    if spec.html.is_empty() {
        return Err(unreadable("metrics or JSON, or selectors for an HTML page", bytes));
    }
    markup::check(bytes)?;
    let document = Html::parse_document(&String::from_utf8_lossy(bytes));
    let mut page = Page::default();
    for mapping in &spec.html {
        match amount(mapping, &document) {
            Ok(value) => page.put(mapping.signal, value, &mapping.css),
            Err(reason) => page.problems.note(|| Problem::NotFound { signal: mapping.signal, reason }),
        }
    }
    Ok(page)
}

fn amount(mapping: &HtmlMapping, document: &Html) -> Result<f64, String> {
    let css = &mapping.css;
    let element = document.select(&mapping.selector).next().ok_or_else(|| format!("`{css}` matches no element"))?;
    let text: String = element.text().flat_map(str::chars).take(TEXT_CHARS).collect();
    let quantity = match &mapping.pattern {
        None => quantity::find(&text),
        Some(pattern) => {
            let captures = pattern.captures(&text);
            let captures = captures.ok_or_else(|| format!("the pattern does not match the text of `{css}`"))?;
            let part = captures.get(1).or(captures.get(0)).map_or("", |found| found.as_str());
            quantity::find(part)
        }
    };
    let Quantity { value, in_bytes } = quantity.ok_or_else(|| format!("the text of `{css}` has no number"))?;
    Ok(if in_bytes { value } else { value * mapping.factor })
}
