//! One line of Prometheus text 0.0.4 or OpenMetrics 1.0: where its name ends, and its labels, value and time stamp. Knows no metric.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, <https://prometheus.io/docs/specs/om/open_metrics_spec/>, UTF-8 names as in Prometheus 3.

use std::borrow::Cow;

use crate::error::Fault;

/// A sample as written.
#[derive(Debug, PartialEq)]
pub(crate) struct SampleLine<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) labels: Vec<Label<'a>>,
    pub(crate) value: f64,
    /// In the unit of the format (ms in 0.0.4, s in OpenMetrics); only its order is used.
    pub(crate) timestamp: Option<f64>,
}

/// A label with its escapes resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Cow<'a, str>,
}

/// Whether a byte can start an unquoted metric name.
pub(crate) const fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':'
}

/// Whether a byte ends a metric name.
pub(crate) const fn ends_name(byte: u8) -> bool {
    matches!(byte, b'{' | b' ' | b'\t')
}

/// Length of the unquoted name that `line` starts with.
pub(crate) fn name_len(line: &[u8]) -> usize {
    memchr::memchr3(b'{', b' ', b'\t', line).unwrap_or(line.len())
}

/// Reads a sample; `line` starts with its name or with `{` and has no line end.
pub(crate) fn parse_sample(line: &[u8]) -> Result<SampleLine<'_>, Fault> {
    let mut cursor = Cursor { line, at: 0 };
    let mut name = None;
    if cursor.peek() != Some(b'{') {
        name = Some(Cow::Borrowed(cursor.bare_name("a metric name", true)?));
        cursor.skip_blanks();
    }
    let labels = if cursor.peek() == Some(b'{') { cursor.labels(&mut name)? } else { Vec::new() };
    let Some(name) = name else {
        return Err(Fault::new(line, cursor.at, "a metric name within the braces"));
    };
    cursor.skip_blanks();
    let value = cursor.number("a value")?;
    cursor.skip_blanks();
    let timestamp = match cursor.peek() {
        None | Some(b'#') => None,
        Some(_) => Some(cursor.number("a time stamp")?),
    };
    cursor.skip_blanks();
    // An exemplar may follow; what it says is of no use here.
    if !matches!(cursor.peek(), None | Some(b'#')) {
        return Err(Fault::new(line, cursor.at, "the end of the line or an exemplar"));
    }
    Ok(SampleLine { name, labels, value, timestamp })
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, expected: &'static str) -> Fault {
        Fault::new(self.line, self.at, expected)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// A run of name bytes; colons are allowed in metric names only.
    fn bare_name(&mut self, expected: &'static str, colons: bool) -> Result<&'a str, Fault> {
        let rest = self.rest();
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
        let len = rest.iter().position(|&byte| !in_name(byte)).unwrap_or(rest.len());
        match rest.get(..len) {
            Some(name) if name.first().is_some_and(|&byte| !byte.is_ascii_digit()) => {
                self.at += len;
                // Name bytes are ASCII.
                std::str::from_utf8(name).map_err(|_| self.fault(expected))
            }
            _ => Err(self.fault(expected)),
        }
    }

    /// `{...}`. A quoted string without `=` is the metric's name.
    fn labels(&mut self, name: &mut Option<Cow<'a, str>>) -> Result<Vec<Label<'a>>, Fault> {
        self.at += 1;
        let mut labels = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(labels);
                }
                Some(b'"') => {
                    let quoted = self.quoted()?;
                    self.skip_blanks();
                    if self.peek() == Some(b'=') {
                        labels.push(self.value_of(quoted)?);
                    } else if name.is_none() {
                        *name = Some(quoted);
                    } else {
                        return Err(self.fault("`=` after a label's name"));
                    }
                }
                _ => {
                    let label = self.bare_name("a label's name or `}`", false)?;
                    self.skip_blanks();
                    labels.push(self.value_of(Cow::Borrowed(label))?);
                }
            }
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                _ => return Err(self.fault("`,` or `}` after a label")),
            }
        }
    }

    fn value_of(&mut self, name: Cow<'a, str>) -> Result<Label<'a>, Fault> {
        if self.peek() != Some(b'=') {
            return Err(self.fault("`=` after a label's name"));
        }
        self.at += 1;
        self.skip_blanks();
        if self.peek() != Some(b'"') {
            return Err(self.fault("a quoted label value"));
        }
        Ok(Label { name, value: self.quoted()? })
    }

    /// `"..."` with `\\`, `\"` and `\n`; another escaped character stands for itself with its backslash, as in Prometheus.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(step) = memchr::memchr2(b'"', b'\\', self.rest()) else {
                self.at = self.line.len();
                return Err(self.fault("a closing `\"`"));
            };
            self.at += step;
            if self.peek() == Some(b'"') {
                break;
            }
            escaped = true;
            self.at += 2;
        }
        let raw = self.line.get(start..self.at).unwrap_or_default();
        self.at += 1;
        let text = std::str::from_utf8(raw)
            .map_err(|error| Fault::new(self.line, start + error.valid_up_to(), "UTF-8 in a quoted string"))?;
        Ok(if escaped { Cow::Owned(unescaped(text)) } else { Cow::Borrowed(text) })
    }

    fn number(&mut self, expected: &'static str) -> Result<f64, Fault> {
        let rest = self.rest();
        let len = memchr::memchr2(b' ', b'\t', rest).unwrap_or(rest.len());
        let token = rest.get(..len).unwrap_or_default();
        let number = std::str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok());
        let number = number.ok_or_else(|| self.fault(expected))?;
        self.at += len;
        Ok(number)
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(quoted @ ('"' | '\\')) => out.push(quoted),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample<'a>(name: &'a str, labels: &[(&'a str, &'a str)], value: f64, timestamp: Option<f64>) -> SampleLine<'a> {
        let label = |&(name, value)| Label { name: Cow::Borrowed(name), value: Cow::Borrowed(value) };
        SampleLine { name: name.into(), labels: labels.iter().map(label).collect(), value, timestamp }
    }

    #[test]
    fn lines_of_both_formats_are_read() {
        for (line, want) in [
            ("up 1", sample("up", &[], 1.0, None)),
            ("up\t1  1395066363000", sample("up", &[], 1.0, Some(1_395_066_363_000.0))),
            ("a:b{} +Inf", sample("a:b", &[], f64::INFINITY, None)),
            (r#"a{b="c",} 1e3 -5"#, sample("a", &[("b", "c")], 1_000.0, Some(-5.0))),
            (r#"a { b = "c" , d="e" } 1"#, sample("a", &[("b", "c"), ("d", "e")], 1.0, None)),
            (r#"a{b="\\d\"\n\x{}, "} 1"#, sample("a", &[("b", "\\d\"\n\\x{}, ")], 1.0, None)),
            (r#"{"my.metric",a="b"} 1"#, sample("my.metric", &[("a", "b")], 1.0, None)),
            (r#"{"my.metric","a.b"="ü"} 1"#, sample("my.metric", &[("a.b", "ü")], 1.0, None)),
            (
                r#"h_bucket{le="1"} 3 1.5 # {trace_id="x y"} 0.5 1.4"#,
                sample("h_bucket", &[("le", "1")], 3.0, Some(1.5)),
            ),
            (r"c_total 3 # {} 1", sample("c_total", &[], 3.0, None)),
        ] {
            assert_eq!(parse_sample(line.as_bytes()), Ok(want), "{line}");
        }
        assert!(parse_sample(b"a NaN").unwrap().value.is_nan());
    }

    #[test]
    fn faults_name_their_place() {
        for (line, at, expected, found) in [
            (&b"up"[..], 2, "a value", "the end"),
            (b"up one", 3, "a value", "`one`"),
            (b"up 1 x", 5, "a time stamp", "`x`"),
            (b"up 1 2 3", 7, "the end of the line or an exemplar", "`3`"),
            (b"a{b=\"c} 1", 9, "a closing `\"`", "the end"),
            (b"a{b=\"c\\", 7, "a closing `\"`", "the end"),
            (b"a{b} 1", 3, "`=` after a label's name", "`} 1`"),
            (b"a{b=c} 1", 4, "a quoted label value", "`c} 1`"),
            (b"a{b=\"c\" d=\"e\"} 1", 8, "`,` or `}` after a label", "`d=\\\"e\\\"} 1`"),
            (b"a{1=\"c\"} 1", 2, "a label's name or `}`", "`1=\\\"c\\\"} 1`"),
            (b"a{b=\"\xff\"} 1", 5, "UTF-8 in a quoted string", "`\u{fffd}\\\"} 1`"),
            (b"{a=\"b\"} 1", 7, "a metric name within the braces", "` 1`"),
            (b"a-b 1", 1, "a value", "`-b 1`"),
        ] {
            assert_eq!(parse_sample(line), Err(Fault { at, expected, found: found.to_owned() }));
        }
    }
}
