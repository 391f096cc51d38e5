//! Reports as one page for a browser: a template with what all pages share and the data inside, nothing loaded from elsewhere.

use serde::Serialize;

const STYLE: &str = include_str!("page/shared.css");
const HEAD: &str = include_str!("page/shared.html");
const SCRIPT: &str = include_str!("page/shared.js");
/// Stand in a template where the style, the head of the page, the script and the data go.
const STYLE_MARK: &str = "/*SHARED STYLE*/";
const HEAD_MARK: &str = "<!--SHARED HEAD-->\n";
const SCRIPT_MARK: &str = "/*SHARED SCRIPT*/";
const DATA_MARK: &str = "\"DATA\"";

/// A page: `template` with the data inside.
pub(crate) fn render(template: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    // The data goes in last: it may hold the words of a mark.
    let page = template.replacen(STYLE_MARK, STYLE, 1).replacen(HEAD_MARK, HEAD, 1);
    page.replacen(SCRIPT_MARK, SCRIPT, 1).replacen(DATA_MARK, &inert(&data), 1)
}

/// JSON that ends no script element and begins none: names and strings come from captures that anyone may have written.
fn inert(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_load_nothing_and_have_one_place_for_each_part() {
        for template in [crate::heap::TEMPLATE, crate::profile::TEMPLATE] {
            let parts = [STYLE_MARK, HEAD_MARK, SCRIPT_MARK, DATA_MARK];
            assert_eq!(parts.map(|mark| template.matches(mark).count()), [1, 1, 1, 1]);
            for part in [template, STYLE, HEAD, SCRIPT] {
                for foreign in ["http://", "https://", "@import", "<link", " src=", "fetch(", "innerHTML", "eval("] {
                    assert!(!part.contains(foreign), "{foreign}");
                }
            }
        }
    }

    #[test]
    fn no_name_ends_the_script_that_holds_it() {
        let hostile = "</script><script>alert(1)</script><!-- \u{2028} &amp;";
        let data = inert(&serde_json::to_string(hostile).unwrap());
        assert!(!data.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<String>(&data).unwrap(), hostile);
    }
}
