//! Bounds on HTML before it is parsed: the parser's time grows with the square of the nesting and of one tag's attributes, so 1 MB could hold it for a minute.
//!
//! Tokens are cut as in the HTML standard, §13.2.5. Mistakes here cost time and never safety: the count of all tags bounds what is left, about a second.

use crate::error::IngestError;

/// Tags of a page, opening and closing. More: the scrape fails.
const TAGS_MAX: usize = 10_000;
/// Elements within each other; browsers stop there too. More: the scrape fails.
const DEPTH_MAX: usize = 512;
/// Attributes of one tag. More: the scrape fails.
const ATTRIBUTES_MAX: usize = 128;
/// Open elements searched for the one that a closing tag closes.
const CLOSED_DEPTH: usize = 16;

/// Elements without content, and those that the next of their kind closes: they do not nest by themselves.
const FLAT: &[&[u8]] = &[
    b"area",
    b"base",
    b"br",
    b"col",
    b"embed",
    b"hr",
    b"img",
    b"input",
    b"link",
    b"meta",
    b"param",
    b"source",
    b"track",
    b"wbr",
    b"p",
    b"li",
    b"dt",
    b"dd",
    b"tr",
    b"td",
    b"th",
    b"tbody",
    b"thead",
    b"tfoot",
    b"option",
    b"optgroup",
    b"colgroup",
    b"rt",
    b"rp",
];

/// Checks a page against the bounds.
pub(crate) fn check(page: &[u8]) -> Result<(), IngestError> {
    let mut open: Vec<&[u8]> = Vec::new();
    let mut tags = 0;
    let mut at = 0;
    while let Some(step) = memchr::memchr(b'<', page.get(at..).unwrap_or_default()) {
        at += step + 1;
        let rest = page.get(at..).unwrap_or_default();
        if let Some(comment) = rest.strip_prefix(b"!--") {
            at += 3 + memchr::memmem::find(comment, b"-->").unwrap_or(comment.len());
            continue;
        }
        let closing = rest.first() == Some(&b'/');
        let name = name_of(rest.get(usize::from(closing)..).unwrap_or_default());
        if name.is_empty() {
            continue;
        }
        tags += 1;
        if tags > TAGS_MAX {
            return Err(IngestError::Markup { what: "tags", limit: TAGS_MAX });
        }
        at += usize::from(closing) + name.len();
        if closing {
            close(&mut open, name);
            continue;
        }
        let tag = attributes(page.get(at..).unwrap_or_default())?;
        at += tag.len;
        let foreign = is_foreign(name) || open.iter().any(|name| is_foreign(name));
        if is_raw(name) && !foreign {
            at += raw_len(page.get(at..).unwrap_or_default(), name);
        } else if !(is_flat(name) || foreign && tag.self_closing) {
            open.push(name);
        }
        if open.len() > DEPTH_MAX {
            return Err(IngestError::Markup { what: "elements within each other", limit: DEPTH_MAX });
        }
    }
    Ok(())
}

fn name_of(bytes: &[u8]) -> &[u8] {
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return b"";
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    bytes.get(..bytes.iter().position(ends).unwrap_or(bytes.len())).unwrap_or_default()
}

fn close(open: &mut Vec<&[u8]>, name: &[u8]) {
    let searched = open.len().saturating_sub(CLOSED_DEPTH);
    let found = open.iter().skip(searched).rposition(|other| other.eq_ignore_ascii_case(name));
    if let Some(place) = found {
        open.truncate(searched + place);
    }
}

fn is_flat(name: &[u8]) -> bool {
    FLAT.iter().any(|flat| flat.eq_ignore_ascii_case(name))
}

/// Elements whose content follows XML's rules.
fn is_foreign(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"svg") || name.eq_ignore_ascii_case(b"math")
}

/// Elements whose content is text, whatever it looks like: `if (a<b)`.
fn is_raw(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"script") || name.eq_ignore_ascii_case(b"style")
}

/// Bytes up to the closing tag of a raw element.
fn raw_len(bytes: &[u8], name: &[u8]) -> usize {
    let closes = |at: &usize| {
        let tail = bytes.get(at + 2..).unwrap_or_default();
        tail.get(..name.len()).is_some_and(|tail| tail.eq_ignore_ascii_case(name))
    };
    memchr::memmem::find_iter(bytes, b"</").find(closes).unwrap_or(bytes.len())
}

struct Tag {
    /// Bytes behind the name, `>` included.
    len: usize,
    self_closing: bool,
}

/// Skips the attributes of a tag.
fn attributes(bytes: &[u8]) -> Result<Tag, IngestError> {
    let mut at = 0;
    let mut count = 0;
    let skip = |at: &mut usize, skipped: fn(u8) -> bool| {
        while bytes.get(*at).is_some_and(|&byte| skipped(byte)) {
            *at += 1;
        }
    };
    loop {
        skip(&mut at, |byte| byte.is_ascii_whitespace() || byte == b'/');
        match bytes.get(at) {
            None => return Ok(Tag { len: at, self_closing: false }),
            Some(b'>') => {
                let self_closing = at > 0 && bytes.get(at - 1) == Some(&b'/');
                return Ok(Tag { len: at + 1, self_closing });
            }
            Some(_) => count += 1,
        }
        if count > ATTRIBUTES_MAX {
            return Err(IngestError::Markup { what: "attributes of one tag", limit: ATTRIBUTES_MAX });
        }
        // The first byte belongs to the name even if it is `=`.
        at += 1;
        skip(&mut at, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'>' | b'='));
        skip(&mut at, |byte| byte.is_ascii_whitespace());
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at += 1;
        skip(&mut at, |byte| byte.is_ascii_whitespace());
        match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) => {
                let value = bytes.get(at + 1..).unwrap_or_default();
                at += 1 + memchr::memchr(quote, value).map_or(value.len(), |end| end + 1);
            }
            _ => skip(&mut at, |byte| !byte.is_ascii_whitespace() && byte != b'>'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_would_hold_the_parser_are_refused() {
        let attributes = " a=b".repeat(600);
        for (page, what) in [
            ("<p>".repeat(10_001), "tags"),
            ("<div>".repeat(513), "elements within each other"),
            ("<div/>".repeat(513), "elements within each other"),
            ("<div></x>".repeat(513), "elements within each other"),
            (format!("<p{attributes}>"), "attributes of one tag"),
            (format!("<p x=\">\"{attributes}"), "attributes of one tag"),
            (format!("<svg><style>{}", "<div>".repeat(513)), "elements within each other"),
        ] {
            let found = check(page.as_bytes());
            assert!(
                matches!(found, Err(IngestError::Markup { what: found, .. }) if found == what),
                "{what}: {found:?}"
            );
        }
    }

    #[test]
    fn long_plain_pages_pass() {
        for page in [
            "<li>a<br>".repeat(4_000),
            "<tr><td>1</td>".repeat(3_000),
            "<div><b>1</b></div>".repeat(2_000),
            format!("<script>{}</script><p>1", "if (a<b) x<div;".repeat(5_000)),
            format!("<svg>{}</svg>", "<path d='M0 0'/>".repeat(5_000)),
            format!("<!-- {} -->", "<div>".repeat(20_000)),
            format!("<img src=\"data:{}\">", "a b=".repeat(100_000)),
            "1 < 2 ".repeat(20_000),
        ] {
            assert_eq!(check(page.as_bytes()), Ok(()), "{}", page.get(..40).unwrap());
        }
    }
}
