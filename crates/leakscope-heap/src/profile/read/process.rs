//! `leakscope-process/1`: mappings, descriptors and threads of one process, as leakscope takes them from `/proc`.
//!
//! A sample a class of mappings with its resident and swapped bytes, a kind of descriptors and a name of threads with their number.
//! Sections of later versions are passed over. Source: Linux `Documentation/filesystems/proc.rst`.

use std::collections::BTreeMap;

use super::lines::{digits, invalid, numbered};
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;

/// The first line.
const FIRST_LINE: &[u8] = b"leakscope-process/1";
/// Where Go's heap begins on 64-bit machines, and how much of that region is taken for it.
const GO_HEAP: std::ops::Range<u64> = 0xc0_0000_0000..0xc8_0000_0000;
/// Below this, heaps of JVMs lie as long as pointers to them have 4 bytes.
const JVM_HEAP_END: u64 = 32 << 30;
/// Sizes of thread stacks that are seldom anything else: 8 MiB by default, 1 MiB in JVMs, with or without their guard.
const STACKS_KIB: [i64; 6] = [8_192, 8_188, 1_024, 1_020, 1_008, 1_012];

/// Whether these are first bytes of it.
pub(super) fn knows(bytes: &[u8]) -> bool {
    bytes.strip_prefix(FIRST_LINE).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"\n"))
}

/// Reads it.
///
/// # Errors
/// [`HeapError::Invalid`] with the line. One that is cut off is read as far as it goes, with a warning.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut reading = Reading::default();
    let mut builder = Builder::new(Format::Process, bytes.len());
    let mut section: &[u8] = b"";
    for (number, line) in numbered(bytes) {
        if let Some(name) = line.strip_prefix(b"# ") {
            section = name.split(|byte| *byte == b' ').next().unwrap_or_default();
            if section == b"cut" {
                builder.warn("the process has more mappings than are kept: the last ones are missing".to_owned());
            }
            continue;
        }
        match section {
            b"" => {
                if let Some(time) = line.strip_prefix(b"time ") {
                    let millis = digits(time).ok_or_else(|| invalid(number, "`time` in milliseconds", line))?;
                    builder.header().time_nanos = millis.saturating_mul(1_000_000);
                }
            }
            b"smaps" => reading.smaps_line(number, line)?,
            b"descriptors" => reading.count(number, line, "descriptors")?,
            b"threads" => reading.count(number, line, "threads")?,
            _ => {}
        }
    }
    if section != b"end" {
        builder.warn("the file is cut off: what comes behind is missing".to_owned());
    }
    reading.fill(&mut builder);
    Ok(builder.finish())
}

#[derive(Default)]
struct Reading {
    /// Class and section, with bytes and number.
    rows: BTreeMap<(&'static str, String), (i64, i64)>,
    /// The mapping that the lines are about.
    mapping: Option<Mapping>,
    mappings: Vec<Mapping>,
}

/// One mapping.
#[derive(Default)]
struct Mapping {
    start: u64,
    path: String,
    size_kib: i64,
    /// Resident and swapped.
    held_kib: i64,
}

impl Reading {
    fn smaps_line(&mut self, number: usize, line: &[u8]) -> Result<(), HeapError> {
        if let Some(mapping) = mapping(line) {
            self.mappings.extend(self.mapping.replace(mapping));
            return Ok(());
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return if line.is_empty() { Ok(()) } else { Err(invalid(number, "a mapping or `NAME: SIZE kB`", line)) };
        };
        let Some(mapping) = &mut self.mapping else { return Err(invalid(number, "a mapping", line)) };
        let value = || {
            let value =
                line[colon + 1..].trim_ascii().strip_suffix(b" kB").and_then(|value| digits(value.trim_ascii()));
            value.ok_or_else(|| invalid(number, "a size in kB", line))
        };
        match &line[..colon] {
            b"Size" => mapping.size_kib = value()?,
            b"Rss" | b"Swap" => mapping.held_kib = mapping.held_kib.saturating_add(value()?),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, number: usize, line: &[u8], section: &'static str) -> Result<(), HeapError> {
        if line.is_empty() {
            return Ok(());
        }
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let count = digits(&line[..space]).ok_or_else(|| invalid(number, "`COUNT NAME`", line))?;
        let name = String::from_utf8_lossy(line.get(space + 1..).unwrap_or_default()).into_owned();
        let row = self.rows.entry((section, name)).or_default();
        row.1 = row.1.saturating_add(count);
        Ok(())
    }

    fn fill(mut self, builder: &mut Builder) {
        builder.sample_type("count", "count");
        builder.sample_type("memory", "bytes");
        self.mappings.extend(self.mapping.take());
        let is_jvm = self.mappings.iter().any(|mapping| mapping.path.ends_with("/libjvm.so"));
        for mapping in &self.mappings {
            let row = self.rows.entry(("mappings", class_of(mapping, is_jvm))).or_default();
            row.0 = row.0.saturating_add(mapping.held_kib.saturating_mul(1_024));
        }
        for ((section, name), (bytes, count)) in &self.rows {
            let stack = [builder.frame(name, "", 0, 0), builder.frame(section, "", 0, 0)];
            builder.sample(&stack, &[*count, *bytes], &[]);
        }
    }
}

/// A line `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let line = std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Into::into);
    let (start, rest) = line.split_once('-')?;
    let (end, rest) = rest.split_once(' ')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    u64::from_str_radix(end, 16).ok()?;
    let mut path = rest;
    for _ in 0..4 {
        path = path.trim_start().split_once(' ').map_or("", |(_, rest)| rest);
    }
    Some(Mapping { start, path: path.trim().to_owned(), ..Mapping::default() })
}

/// What a mapping is a part of, alike in every process.
fn class_of(mapping: &Mapping, is_jvm: bool) -> String {
    let path = mapping.path.as_str();
    let is_shared = ["/dev/shm/", "/SYSV", "/memfd:", "/dev/zero", "[anon_shmem:"];
    if is_shared.iter().any(|start| path.starts_with(start)) {
        return format!("shared memory {}", folded(path));
    }
    if !path.is_empty() {
        return if path.starts_with("[stack") { "[stack]".to_owned() } else { folded(path) };
    }
    match mapping.start {
        start if GO_HEAP.contains(&start) && !is_jvm => "Go's heap".to_owned(),
        start if start < JVM_HEAP_END && is_jvm => "the JVM's heap".to_owned(),
        _ if STACKS_KIB.contains(&mapping.size_kib) => "stacks of threads".to_owned(),
        _ => "anonymous memory".to_owned(),
    }
}

/// A path with each run of digits as `*`, so that it is alike in every process.
fn folded(path: &str) -> String {
    let mut folded = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '0'..='9' if folded.ends_with('*') => {}
            '0'..='9' => folded.push('*'),
            letter => folded.push(letter),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::model::Profile;

    fn rows(profile: &Profile) -> Vec<(String, String, Vec<i64>)> {
        let name = |sample: usize, at: usize| {
            let line = profile.lines(profile.stack(sample)[at])[0];
            profile.text(profile.functions()[line.function.unwrap() as usize].name).to_owned()
        };
        (0..profile.n_samples()).map(|at| (name(at, 1), name(at, 0), profile.values(at).to_vec())).collect()
    }

    #[test]
    fn mappings_of_one_class_are_one_row_and_descriptors_and_threads_are_counted() {
        let text = "leakscope-process/1\ntime 1700000000000\n# status\nName:\tshop\n# smaps\n\
            00400000-00600000 r-xp 00000000 fe:01 47   /srv/my shop 2\nSize: 2048 kB\nRss: 8 kB\nVmFlags: rd ex\n\
            01000000-01100000 rw-p 00000000 00:00 0    [heap]\nSize: 1024 kB\nRss: 100 kB\nSwap: 4 kB\n\
            c000000000-c000400000 rw-p 00000000 00:00 0 \nSize: 4096 kB\nRss: 16 kB\n\
            7f0000000000-7f0000800000 rw-p 00000000 00:00 0 \nSize: 8192 kB\nRss: 12 kB\n\
            7f1000000000-7f1000300000 rw-p 00000000 00:00 0 \nSize: 3072 kB\nRss: 20 kB\n\
            7f2000000000-7f2000300000 rw-p 00000000 00:00 0 \nSize: 3072 kB\nRss: 30 kB\n\
            7f3000000000-7f3000300000 rw-s 00000000 00:05 9 /memfd:ring7 (deleted)\nSize: 3072 kB\nRss: 1 kB\n\
            # descriptors\n3 socket\n1 /tmp/a b\n# threads\n4 worker-*\n# end\n";
        let profile = read(text.as_bytes()).unwrap();
        let row = |section: &str, name: &str, count, kib: i64| {
            (section.to_owned(), name.to_owned(), vec![count, kib * 1_024])
        };
        let expected = [
            row("descriptors", "/tmp/a b", 1, 0),
            row("descriptors", "socket", 3, 0),
            row("mappings", "/srv/my shop *", 0, 8),
            row("mappings", "Go's heap", 0, 16),
            row("mappings", "[heap]", 0, 104),
            row("mappings", "anonymous memory", 0, 50),
            row("mappings", "shared memory /memfd:ring* (deleted)", 0, 1),
            row("mappings", "stacks of threads", 0, 12),
            row("threads", "worker-*", 4, 0),
        ];
        assert_eq!(rows(&profile), expected);
        assert_eq!(profile.header().time_nanos, 1_700_000_000_000_000_000);
        assert!(profile.warnings().is_empty());
    }

    #[test]
    fn what_is_cut_off_is_read_so_far_and_what_does_not_fit_is_said_with_its_line() {
        let cut = read(b"leakscope-process/1\n# smaps\n01-02 rw-p 0 0:0 0 [heap]\nRss: 4 kB\n").unwrap();
        assert_eq!(cut.warnings(), ["the file is cut off: what comes behind is missing"]);
        let cases = [
            ("# smaps\nRss: 4 kB", "line 3: expected a mapping, found `Rss: 4 kB`"),
            ("# smaps\n01-02 rw-p 0 0:0 0\nRss: many", "line 4: expected a size in kB, found `Rss: many`"),
            ("# threads\nx", "line 3: expected `COUNT NAME`, found `x`"),
            ("time soon", "line 2: expected `time` in milliseconds, found `time soon`"),
        ];
        for (text, expected) in cases {
            let error = read(format!("leakscope-process/1\n{text}\n").as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        assert!(!knows(b"leakscope-process/12") && knows(b"leakscope-process/1\n"));
    }
}
