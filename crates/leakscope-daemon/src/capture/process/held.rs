//! Descriptors by kind and threads by name: counted, with digits folded, so that ten thousand of one sort are one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::proc;

/// Most descriptors and threads of a process that are looked at. Beyond: they count as `(others)`.
const LOOKED_AT_MAX: usize = 262_144;
/// Most kinds that are told apart. Beyond: files count by their folder.
const KINDS_MAX: usize = 512;

/// Lines `COUNT KIND`, ascending by kind; empty where they may not be read.
pub(super) fn descriptors(folder: &Path) -> String {
    let link = |entry: &Path| Some(descriptor_kind(&std::fs::read_link(entry).ok()?.to_string_lossy()));
    lines(count(&folder.join("fd"), link))
}

/// Likewise of threads.
pub(super) fn threads(folder: &Path) -> String {
    let name = |entry: &Path| {
        let name = proc::read(&entry.join("comm"), 64)?;
        Some(folded(&String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name))))
    };
    lines(count(&folder.join("task"), name))
}

/// What a descriptor is: `socket`, `pipe`, `anon_inode:[eventpoll]`, a path.
fn descriptor_kind(link: &str) -> String {
    match link.split_once(":[") {
        Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
        _ => folded(link),
    }
}

/// A name with each run of digits as `*`, and on one line.
fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '0'..='9' if folded.ends_with('*') => {}
            '0'..='9' => folded.push('*'),
            letter if letter.is_control() => folded.push('?'),
            letter => folded.push(letter),
        }
    }
    folded
}

fn count(folder: &Path, kind: impl Fn(&Path) -> Option<String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        seen += 1;
        // One that was closed in the meantime is none.
        let kind = if seen > LOOKED_AT_MAX { Some("(others)".to_owned()) } else { kind(&entry.path()) };
        if let Some(kind) = kind {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}

fn lines(counts: BTreeMap<String, u64>) -> String {
    let is_many = counts.len() > KINDS_MAX;
    let mut by_folder: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, n) in counts {
        let kind = match kind.rsplit_once('/') {
            Some((folder, _)) if is_many => format!("{folder}/*"),
            _ => kind,
        };
        *by_folder.entry(kind).or_default() += n;
    }
    let mut text = String::new();
    for (kind, n) in by_folder {
        let _ = writeln!(text, "{n} {kind}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_one_sort_have_one_kind() {
        let cases = [
            ("socket:[4711]", "socket"),
            ("pipe:[12]", "pipe"),
            ("anon_inode:[eventpoll]", "anon_inode:[eventpoll]"),
            ("/tmp/upload-20261121-7.part", "/tmp/upload-*-*.part"),
            ("/memfd:jit (deleted)", "/memfd:jit (deleted)"),
            ("/dev/null", "/dev/null"),
            ("/tmp/two\nlines", "/tmp/two?lines"),
        ];
        for (link, expected) in cases {
            assert_eq!(descriptor_kind(link), expected, "{link}");
        }
    }

    #[test]
    fn files_of_too_many_names_count_by_folder() {
        let counts = |n: u64| (0..n).map(|index| (format!("/tmp/{}", "x".repeat(index as usize)), 1)).collect();
        assert_eq!(lines(counts(2)), "1 /tmp/\n1 /tmp/x\n");
        assert_eq!(lines(counts(600)), "600 /tmp/*\n");
    }
}
