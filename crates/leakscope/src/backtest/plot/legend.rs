//! What the lines and fields of a picture mean, in rows below it.

use super::style;
use super::svg::{Anchor, Svg};

/// How a thing is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Swatch {
    /// A line with these classes.
    Line,
    /// An upright line.
    Upright,
    /// A field.
    Field,
}

/// The things that a picture shows, in the order of their first mention.
#[derive(Debug, Default)]
pub(super) struct Legend(Vec<(Swatch, String, String)>);

const SWATCH: f64 = 20.0;
const ROW: f64 = 19.0;

impl Legend {
    pub(super) fn add(&mut self, swatch: Swatch, class: impl Into<String>, text: impl Into<String>) {
        self.0.push((swatch, class.into(), text.into()));
    }

    /// Draws rows from `left` to `right`, the first on the line `y`.
    pub(super) fn draw(&self, svg: &mut Svg, left: f64, right: f64, y: f64) {
        let (mut x, mut y) = (left, y);
        for (swatch, class, text) in &self.0 {
            let width = SWATCH + 6.0 + style::width_of(text, 12.0);
            if x > left && x + width > right {
                (x, y) = (left, y + ROW);
            }
            let middle = y - 4.0;
            match swatch {
                Swatch::Line => svg.line(class, (x, middle), (x + SWATCH, middle)),
                Swatch::Upright => svg.line(class, (x + SWATCH / 2.0, middle - 6.0), (x + SWATCH / 2.0, middle + 6.0)),
                Swatch::Field => svg.rect(class, (x, middle - 5.0), SWATCH, 10.0),
            }
            svg.text("", (x + SWATCH + 6.0, y), Anchor::Start, text);
            x += width + 16.0;
        }
    }
}
