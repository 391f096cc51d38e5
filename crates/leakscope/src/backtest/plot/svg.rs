//! The few shapes of SVG that a plot is made of, as text. Coordinates are pixels, to a tenth.

use std::fmt::Write;

/// A place on the picture.
pub(super) type Xy = (f64, f64);

/// Which side of its place a text lies on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture on its way. Classes are those of the style sheet.
#[derive(Debug, Default)]
pub(super) struct Svg(pub(super) String);

impl Svg {
    /// Adds markup as it is.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    pub(super) fn rect(&mut self, class: &str, (left, top): Xy, width: f64, height: f64) {
        let _ = writeln!(
            self.0,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            Px(left),
            Px(top),
            Px(width),
            Px(height)
        );
    }

    pub(super) fn line(&mut self, class: &str, (x0, y0): Xy, (x1, y1): Xy) {
        let _ = writeln!(self.0, r#"<path class="{class}" d="M{} {}L{} {}"/>"#, Px(x0), Px(y0), Px(x1), Px(y1));
    }

    pub(super) fn path(&mut self, class: &str, path: &Path) {
        if !path.0.is_empty() {
            let _ = writeln!(self.0, r#"<path class="{class}" d="{}"/>"#, path.0);
        }
    }

    pub(super) fn text(&mut self, class: &str, (x, y): Xy, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.0,
            r#"<text class="{class}" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
            Px(x),
            Px(y),
            escaped(text)
        );
    }
}

/// The outline of a path.
#[derive(Debug, Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn move_to(&mut self, (x, y): Xy) {
        let _ = write!(self.0, "M{} {}", Px(x), Px(y));
    }

    pub(super) fn line_to(&mut self, (x, y): Xy) {
        let _ = write!(self.0, "L{} {}", Px(x), Px(y));
    }

    pub(super) fn close(&mut self) {
        self.0.push('Z');
    }

    /// A closed outline around these corners.
    pub(super) fn around(corners: &[Xy]) -> Self {
        let mut path = Self::default();
        for (place, corner) in corners.iter().enumerate() {
            if place == 0 { path.move_to(*corner) } else { path.line_to(*corner) }
        }
        path.close();
        path
    }
}

/// Text as XML can hold it: characters that it cannot are replaced.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\x1f' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate to a tenth, without needless digits. Far outside of the picture it is cut: nobody sees it.
struct Px(f64);

impl std::fmt::Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0.clamp(-1e4, 1e4) * 10.0).round() as i64;
        let (sign, tenths) = (if tenths < 0 { "-" } else { "" }, tenths.abs());
        match tenths % 10 {
            0 => write!(f, "{sign}{}", tenths / 10),
            tenth => write!(f, "{sign}{}.{tenth}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_text() {
        let mut svg = Svg::default();
        svg.text("t", (0.25, -0.04), Anchor::Start, "</text><script>\u{1}\"&");
        let expected = "<text class=\"t\" x=\"0.3\" y=\"0\" text-anchor=\"start\">\
                        &lt;/text&gt;&lt;script&gt;\u{fffd}&quot;&amp;</text>\n";
        assert_eq!(svg.0, expected);
    }

    #[test]
    fn no_coordinate_is_without_bounds_or_a_number() {
        let shown: Vec<String> = [1e300, -1e300, f64::NAN, 2.06, 20.0].map(|px| Px(px).to_string()).into();
        assert_eq!(shown, ["10000", "-10000", "0", "2.1", "20"]);
    }
}
