//! Flame graphs: one picture in SVG, or that picture in a page of its own. The root is at the bottom.

use inferno::flamegraph::color::{BackgroundColor, BasicPalette, Palette};
use inferno::flamegraph::{Options, from_lines};
use leakscope_heap::profile::{CallTree, collapsed_name};

use crate::exit::Failure;
use crate::heap::words;

const TEMPLATE: &str = include_str!("flame.html");
/// Stands in the template where the picture goes.
const MARK: &str = "<!--SVG-->";
/// Frames smaller than one part in so many of the whole are drawn with their callers: they are narrower than half a pixel.
const PARTS: u64 = 4_000;
/// Pixels of a picture, which scales to where it is shown.
const WIDTH: usize = 1_200;
/// Characters of a name.
const NAME_MAX: usize = 160;

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) svg: String,
    /// Pixels.
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The joined stacks of one profile, or of two: then widths are the second's, red is what makes more by itself than in the
/// first, blue what makes less.
///
/// What is not above 0 is not drawn.
///
/// # Errors
/// When nothing is left to draw.
pub(crate) fn picture(tree: CallTree, title: &str, unit: &str) -> Result<Picture, Failure> {
    let mut lines = Vec::new();
    tree.without_small(PARTS).stacks(|names, values| {
        let values: Vec<i64> = values.iter().map(|value| (*value).max(0)).collect();
        if values.iter().any(|value| *value > 0) {
            let names: Vec<String> = names.iter().map(|name| frame_name(name)).collect();
            let values: Vec<String> = values.iter().map(i64::to_string).collect();
            lines.push(format!("{} {}", names.join(";"), values.join(" ")));
        }
    });
    lines.sort_unstable();
    let mut options = Options::default();
    options.title = words::clean(title);
    options.count_name = if unit.is_empty() { "count".to_owned() } else { words::clean(unit) };
    options.colors = Palette::Basic(BasicPalette::Mem);
    options.bgcolors = Some(BackgroundColor::Flat((255, 255, 255).into()));
    options.deterministic = true;
    options.image_width = Some(WIDTH);
    "monospace".clone_into(&mut options.font_type);
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(|_| Failure::usage(format!("no flame graph of {}: nothing in it is above 0", words::clean(title))))?;
    let svg = String::from_utf8_lossy(&svg).into_owned();
    let height = svg.split_once(" height=\"").and_then(|(_, rest)| rest.split('"').next()?.parse().ok()).unwrap_or(0);
    Ok(Picture { svg, width: WIDTH, height })
}

/// A page that holds the picture alone, and loads nothing.
pub(crate) fn page(picture: &Picture) -> String {
    // A page begins with its own declaration; that of the picture is for files of its own.
    let svg = picture.svg.find("<svg").map_or("", |start| &picture.svg[start..]);
    TEMPLATE.replacen(MARK, svg, 1)
}

/// A frame's name as a line may hold it: a number at its end would be read as a value.
fn frame_name(name: &str) -> String {
    let name = words::short(&collapsed_name(name), NAME_MAX);
    match name.trim_end().rsplit_once(' ') {
        Some((head, last)) if last.parse::<f64>().is_ok() => format!("{head}\u{a0}{last}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use leakscope_heap::profile::{call_tree, read};

    use super::*;

    fn of(stacks: &str) -> leakscope_heap::profile::Profile {
        read(stacks.as_bytes()).unwrap()
    }

    #[test]
    fn a_picture_has_each_frame_with_its_value_and_loads_nothing() {
        let profile = of("main;put 700\nmain;get <b> 12 300\n");
        let Picture { svg, width, height } = picture(call_tree(&[(&profile, 0)]), "heap & more", "bytes").unwrap();
        assert!(height > 60 && svg.contains("heap &amp; more"), "{svg}");
        for title in [
            "<title>main (1,000 bytes, 100.00%)",
            "<title>put (700 bytes, 70.00%)",
            "<title>get &lt;b&gt;\u{a0}12 (300",
        ] {
            assert!(svg.contains(title), "{title} in {svg}");
        }
        let page = page(&Picture { svg, width, height });
        assert!(!page.contains("<?xml") && page.contains("<svg") && !page.contains(" src=") && !page.contains("<link"));
    }

    #[test]
    fn two_profiles_are_drawn_with_what_each_frame_grew() {
        let (before, after) = (of("main;put 100\nmain;gone 50\n"), of("main;put 300\nmain;new 100\n"));
        let svg = picture(call_tree(&[(&before, 0), (&after, 0)]), "growth", "bytes").unwrap().svg;
        assert!(svg.contains("<title>put (300 bytes, 75.00%; +50.00%)") && svg.contains("<title>new (100"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(picture(call_tree(&[(&of("main 1\n"), 0)]), "x", "bytes").is_ok());
        assert!(picture(call_tree(&[]), "x", "bytes").is_err());
    }
}
