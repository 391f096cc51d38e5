//! A report as blocks that every form renders: headings, sentences, lists, tables, code.

use std::time::Duration;

use leakscope_model::{Bytes, Span};
use leakscope_wire as wire;

use super::per_hour;

/// Steps of a path and frames of a stack that are shown.
const STEPS_MAX: usize = 30;
/// Suspects that are shown.
const SUSPECTS_MAX: usize = 5;

/// One part of a report. Texts are one line each, without controls.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Heading(String),
    Heading2(String),
    Paragraph(String),
    List(Vec<String>),
    Table { header: &'static [&'static str], rows: Vec<Vec<String>> },
    Code(Vec<String>),
}

/// The line over everything.
pub(super) fn title(report: &wire::Report) -> String {
    clean(&report.title)
}

/// The whole report without its title.
pub(super) fn blocks(report: &wire::Report) -> Vec<Block> {
    let mut blocks = Vec::new();
    let incident = &report.incident;
    blocks.push(paragraph(&format!(
        "Incident {} of {}, {}, score {:.2}. Written at {}.",
        incident.id, incident.service, incident.state, incident.score, report.written_at
    )));
    verdict(report, &mut blocks);
    suspects(report, &mut blocks);
    section(
        "What happened",
        table(
            &["AT", "WHAT", ""],
            report.moments.iter().map(|moment| vec![moment.at.clone(), moment.kind.clone(), moment.text.clone()]),
        ),
        &mut blocks,
    );
    peers(report, &mut blocks);
    captures(report, &mut blocks);
    let lacking =
        report.lacking.iter().map(|lacking| vec![lacking.kind.clone(), lacking.reason.clone(), lacking.remedy.clone()]);
    section(
        "Evidence that is not to be had today",
        table(&["KIND", "WHY NOT", "WHAT WOULD ENABLE IT"], lacking),
        &mut blocks,
    );
    let steps: Vec<String> = report.next_steps.iter().map(|step| clean(step)).collect();
    section("What would confirm it", (!steps.is_empty()).then_some(Block::List(steps)), &mut blocks);
    blocks
}

fn section(title: &str, body: Option<Block>, blocks: &mut Vec<Block>) {
    if let Some(body) = body {
        blocks.extend([Block::Heading(title.to_owned()), body]);
    }
}

fn verdict(report: &wire::Report, blocks: &mut Vec<Block>) {
    let Some(verdict) = &report.verdict else {
        blocks.push(paragraph("None of its replicas is watched any more."));
        return;
    };
    blocks.push(Block::Heading("Why we think so".to_owned()));
    let mut lines: Vec<String> = Vec::new();
    lines.extend(verdict.growth_bytes_per_hour.map(|growth| format!("it grows by {}", per_hour(growth))));
    lines.extend(
        verdict
            .growth_bytes_per_request
            .map(|growth| format!("{} stay behind for each request", Bytes(growth.mid.max(0.0) as u64))),
    );
    lines.extend(verdict.time_to_limit_s.map(|left| {
        let limit = report.limit_bytes.map(|limit| format!(" of {}", Bytes(limit))).unwrap_or_default();
        format!("its limit{limit} is met in {}, at the earliest in {}", span(left.mid), span(left.low))
    }));
    lines.extend(report.load.map(load));
    lines.extend(verdict.reasons.iter().map(|reason| clean(reason)));
    blocks.push(Block::List(lines));
}

fn load(load: wire::Load) -> String {
    match load.before_per_s {
        Some(before) => format!("load was {before:.1} requests/s before the growth and {:.1} since", load.since_per_s),
        None => format!("load is {:.1} requests/s; it was not watched before the growth", load.since_per_s),
    }
}

fn suspects(report: &wire::Report, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("What holds the memory".to_owned()));
    if report.incident.suspects.is_empty() {
        blocks.push(paragraph("No evidence names a site yet."));
    }
    for finding in report.incident.suspects.iter().take(SUSPECTS_MAX) {
        let suspect = &finding.suspect;
        blocks.push(Block::Heading2(clean(&suspect.title)));
        let place = suspect.location.as_ref().map(|place| format!(", {}:{}", clean(&place.file), place.line));
        let size = finding.growth_bytes.map_or_else(
            || format!("{} held", Bytes(suspect.bytes)),
            |growth| format!("{}{} grown", if growth < 0 { "-" } else { "+" }, Bytes(growth.unsigned_abs())),
        );
        let facts = format!(
            "{} {}{}: {size}, {:.0} % of all growth, confidence {:.0} %.",
            clean(&suspect.kind),
            clean(&suspect.name),
            place.unwrap_or_default(),
            suspect.share * 100.0,
            suspect.confidence * 100.0
        );
        blocks.extend([Block::Paragraph(facts), paragraph(&suspect.reason)]);
        let path = suspect.path.iter().map(|step| format!("{} → {}", clean(&step.edge), clean(&step.name)));
        let frame = |frame: &wire::Frame| match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("{}  {}:{line}", clean(&frame.function), clean(file)),
            (Some(file), None) => format!("{}  {}", clean(&frame.function), clean(file)),
            (None, _) => clean(&frame.function),
        };
        let code: Vec<String> = path.chain(suspect.stack.iter().map(frame)).take(STEPS_MAX).collect();
        blocks.extend((!code.is_empty()).then_some(Block::Code(code)));
    }
}

fn peers(report: &wire::Report, blocks: &mut Vec<Block>) {
    let rows = report.peers.iter().map(|peer| {
        let growth = peer.growth_bytes_per_hour.map_or_else(|| "-".to_owned(), per_hour);
        let version = peer.version.clone().unwrap_or_else(|| "-".to_owned());
        let leaks = if peer.leaks { "yes" } else { "no" };
        vec![
            peer.instance.clone(),
            version,
            leaks.to_owned(),
            peer.state.replace('_', " "),
            format!("{:.2}", peer.score),
            growth,
        ]
    });
    section("Replicas", table(&["INSTANCE", "VERSION", "IN THE INCIDENT", "STATE", "SCORE", "GROWTH"], rows), blocks);
}

fn captures(report: &wire::Report, blocks: &mut Vec<Block>) {
    let cost = |cost: &wire::CaptureCost| {
        let wire::CaptureCost { duration_s, pause_s, memory_bytes, size_bytes } = *cost;
        format!("{duration_s:.1} s, pause {pause_s:.3} s, memory {}, size {}", Bytes(memory_bytes), Bytes(size_bytes))
    };
    let rows = report.incident.captures.iter().map(|capture| {
        let measured = capture.cost.as_ref().map_or_else(|| "-".to_owned(), cost);
        let state = if capture.redacted { format!("{}, redacted", capture.state) } else { capture.state.clone() };
        vec![
            capture.id.to_string(),
            capture.kind.clone(),
            capture.instance.clone(),
            state,
            cost(&capture.predicted),
            measured,
            capture.note.clone(),
        ]
    });
    section("Captures", table(&["ID", "KIND", "INSTANCE", "STATE", "PREDICTED", "MEASURED", "NOTE"], rows), blocks);
}

/// None without rows.
fn table(header: &'static [&'static str], rows: impl Iterator<Item = Vec<String>>) -> Option<Block> {
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    (!rows.is_empty()).then_some(Block::Table { header, rows })
}

fn paragraph(text: &str) -> Block {
    Block::Paragraph(clean(text))
}

fn span(seconds: f64) -> String {
    Span(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)).to_string()
}

/// One line without what a terminal would obey: names come from captures, addresses from discovery.
fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '·',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' => '·',
        c => c,
    };
    text.chars().map(shown).collect()
}
