//! What became more of a process as the kernel sees it: the evidence of last resort, which tells native memory from managed and from
//! mapped files, and never which line of the program it is.

use leakscope_model::{Bytes, Suspect};

use super::growth::Look;
use super::tell::{DOUBTFUL, Story, identity};
use crate::findings::{Finding, Growth};

/// Bytes and part of a class that its growth must be.
const BYTES_MIN: i64 = 1 << 20;
const PART_MIN: f64 = 0.05;
/// Descriptors or threads that there must be more.
const COUNT_MIN: i64 = 10;

/// Classes of mappings, kinds of descriptors and names of threads that became more in every step.
pub(crate) fn grown(story: &Story<'_>) -> Vec<Finding> {
    (0..story.stacks.n_rows()).filter_map(|row| of_row(story, row)).collect()
}

fn of_row(story: &Story<'_>, row: usize) -> Option<Finding> {
    let mut frames = story.stacks.frames_of(row).map(|frame| story.stacks.frames[frame as usize].name.as_str());
    let (name, section) = (frames.next()?, frames.next()?);
    let looks = story.stacks.looks(row);
    let (first, last) = (looks.first()?, looks.last()?);
    let value = |look: &Look| if section == "mappings" { look.bytes } else { look.count };
    let (before, now) = (value(first), value(last));
    let grown = now.saturating_sub(before);
    let min = if section == "mappings" { BYTES_MIN } else { COUNT_MIN };
    let in_every_step = looks.windows(2).all(|pair| value(&pair[1]) > value(&pair[0]));
    if !in_every_step || grown < min || (grown as f64) < PART_MIN * now as f64 {
        return None;
    }
    let (kind, title, what) = match section {
        "mappings" => ("mapping", format!("{} of the process grows", titled(name)), whose(name)),
        "descriptors" => {
            ("descriptor", format!("open descriptors `{name}` become more"), "what is opened is not closed")
        }
        "threads" => ("thread", format!("threads `{name}` become more"), "what is started does not end"),
        _ => return None,
    };
    let share = match kind {
        "mapping" => (grown as f64 / story.growth.max(grown as f64)).clamp(0.0, 1.0),
        _ => (grown as f64 / now.max(1) as f64).clamp(0.0, 1.0),
    };
    let sizes: Vec<String> = looks.iter().map(|look| shown(kind, value(look))).collect();
    let steps = looks.len() - 1;
    let is_sure = if steps > 1 { 1.0 } else { 0.6 };
    let (bytes, count) = if kind == "mapping" { (grown, 0) } else { (0, grown) };
    let growth = Growth {
        bytes,
        count,
        in_every_step,
        error_bytes: None,
        bytes_per_hour: story.hours.filter(|_| kind == "mapping").map(|hours| bytes as f64 / hours),
        bytes_per_request: story.requests.filter(|_| kind == "mapping").map(|requests| bytes as f64 / requests),
    };
    let suspect = Suspect {
        title,
        kind: kind.to_owned(),
        name: name.to_owned(),
        bytes: bytes.unsigned_abs(),
        count: count.unsigned_abs(),
        share,
        path: Vec::new(),
        stack: Vec::new(),
        location: None,
        confidence: DOUBTFUL * is_sure * (0.5 + 0.5 * share),
        reason: format!(
            "{}; {what}; this is the evidence of last resort, of the kernel: it names no line, a heap profile does",
            sizes.join(", ")
        ),
    };
    Some(Finding { identity: identity(kind, [name].into_iter()), suspect, growth: Some(growth) })
}

fn shown(kind: &str, value: i64) -> String {
    if kind == "mapping" { Bytes(value.max(0).unsigned_abs()).to_string() } else { value.to_string() }
}

fn titled(name: &str) -> String {
    if name.starts_with(['[', '/']) { format!("`{name}`") } else { name.to_owned() }
}

/// Whether growth of a class is managed, native, or of files.
fn whose(class: &str) -> &'static str {
    match class {
        "Go's heap" | "the JVM's heap" => "it is managed memory",
        "[heap]" => "it is native memory, of `malloc`",
        "stacks of threads" => "it is the stacks of threads",
        "anonymous memory" => "it is the heap of a runtime, or native memory in large blocks and arenas",
        class if class.starts_with("shared memory") => "it is memory that processes share",
        class if class.starts_with("[anon") => "it is anonymous memory that the program gave this name",
        class if class.starts_with('/') => "it is a mapped file: the kernel can drop what of it was not written",
        _ => "it is memory of the kernel for this process",
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::{Context, diff, read};

    /// `[heap]` and `/srv/data` in KiB, and sockets.
    fn capture(heap: u64, file: u64, sockets: u64) -> crate::profile::Profile {
        let text = format!(
            "leakscope-process/1\ntime 1\n# smaps\n1000-2000 rw-p 0 0:0 0 [heap]\nRss: {heap} kB\n\
             3000-4000 r--p 0 0:0 7 /srv/data\nRss: {file} kB\n# descriptors\n{sockets} socket\n# threads\n1 shop\n# end\n"
        );
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn growth_is_told_by_class_as_evidence_of_last_resort() {
        let captures = [(10_000, 8_000, 5), (20_000, 8_100, 25), (30_000, 8_050, 45)];
        let captures = captures.map(|(heap, file, sockets)| capture(heap, file, sockets));
        let all: Vec<_> = captures.iter().collect();
        let found = diff(&all, &Context::default()).unwrap().findings;
        let told: Vec<_> = found.iter().map(|finding| (&*finding.suspect.kind, &*finding.suspect.title)).collect();
        assert_eq!(
            told,
            [("mapping", "`[heap]` of the process grows"), ("descriptor", "open descriptors `socket` become more")]
        );
        assert!(found.iter().all(|finding| finding.suspect.confidence < 0.5));
        assert_eq!((found[0].suspect.bytes, found[1].suspect.count), (20_480_000, 40));
        let reason = &found[0].suspect.reason;
        assert!(reason.contains("it is native memory, of `malloc`; this is the evidence of last resort"), "{reason}");
    }

    #[test]
    fn what_does_not_grow_in_every_step_is_not_told() {
        let captures = [(10_000, 8_000, 5), (30_000, 8_000, 50), (30_000, 8_000, 50)];
        let captures = captures.map(|(heap, file, sockets)| capture(heap, file, sockets));
        let all: Vec<_> = captures.iter().collect();
        assert!(diff(&all, &Context::default()).unwrap().findings.is_empty());
    }
}
