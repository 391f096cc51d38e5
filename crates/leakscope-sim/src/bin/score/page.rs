//! What is written into docs/: the whole page of figures, the short block in the page about detection, the picture.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::calibration;
use crate::report::Section;
use crate::run::Outcome;

/// Where the block begins and ends.
const MARKERS: (&str, &str) = ("<!-- score:begin -->", "<!-- score:end -->");

/// Writes docs/benchmarks/detection.md, docs/images/reliability.svg and the block in docs/detection.md.
pub(crate) fn write(outcomes: &[Outcome], sections: &[Section], machine: &str) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let all: Vec<&Outcome> = outcomes.iter().collect();
    save(&docs.join("benchmarks/detection.md"), &page(sections, machine))?;
    if let Some(svg) = calibration::svg(&all) {
        save(&docs.join("images/reliability.svg"), &svg)?;
    }
    let path = docs.join("detection.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    if let Some(text) = with_block(&text, &block(sections)) {
        return save(&path, &text);
    }
    eprintln!("`{}` has no `{}` with a `{}` behind it: no block was written", path.display(), MARKERS.0, MARKERS.1);
    Ok(())
}

fn save(path: &PathBuf, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn page(sections: &[Section], machine: &str) -> String {
    let mut out = format!(
        "# Detection: how often it errs\n\n\
         `cargo xtask score --write` wrote this page on {machine}. How the verdict is reached is in [detection.md](../detection.md).\n\n\
         Detectors see each series once, sample by sample, as they would have seen it live. Peers are written anew from their published \
         rules (`crates/leakscope-sim/src/peers`), run on the same series in the same run and see resident memory and the limit; an alarm of \
         theirs that is back within 30 minutes counts once. Series are split by service, recordings by family and runtime. Look at the \
         test half: thresholds are chosen on the development half. The public series of both halves were at hand when the first ones were.\n"
    );
    for section in sections {
        let _ = write!(out, "\n## {}\n", section.title);
        if !section.text.is_empty() {
            let _ = write!(out, "\n{}\n", section.text);
        }
        for table in &section.tables {
            let mut title = table.title.clone();
            if let Some(first) = title.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            let _ = write!(out, "\n**{title}**\n\n{}", table.markdown());
            if !table.note.is_empty() {
                let _ = write!(out, "\n{}\n", table.note);
            }
        }
        if section.title == "Score" {
            out.push_str("\n![Share of series that leak, by their highest score](../images/reliability.svg)\n");
        }
    }
    out
}

/// The first section's tables: what matters, in a few lines.
fn block(sections: &[Section]) -> String {
    let tables = sections.first().map_or(&[][..], |section| &section.tables);
    let tables: Vec<String> = tables.iter().map(crate::table::Table::markdown).collect();
    format!(
        "`cargo xtask score --write`; all tables are in [benchmarks/detection.md](benchmarks/detection.md).\n\n{}",
        tables.join("\n")
    )
}

/// The text with what stands between the markers replaced; nothing where they are not there.
fn with_block(text: &str, block: &str) -> Option<String> {
    let begin = text.find(MARKERS.0)? + MARKERS.0.len();
    let end = begin + text.get(begin..)?.find(MARKERS.1)?;
    Some(format!("{}\n{block}\n{}", text.get(..begin)?, text.get(end..)?))
}

/// One line: cores, processor and load.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    format!(
        "{cores} cores ({}), load average {}",
        model.map_or("unknown processor", |(_, model)| model),
        load.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{}\nold\n{}\nb\n", MARKERS.0, MARKERS.1);
        let expected = format!("a\n{}\nnew\n{}\nb\n", MARKERS.0, MARKERS.1);
        assert_eq!(with_block(&text, "new"), Some(expected));
        assert_eq!(with_block("a\nb\n", "new"), None);
    }
}
