//! `heap_v2/` of jemalloc, as `prof.dump` writes it: what is in use and was allocated by stack, in all threads and in each.
//!
//! ```text
//! heap_v2/524288
//!   t*: 28106: 56637512 [0: 0]
//!   t0: 28106: 56637512 [0: 0] main
//! @ 0x7f0c7fdf1ad2 0x55d4d5a3c0e4
//!   t*: 13: 6688 [0: 0]
//!   t0: 13: 6688 [0: 0]
//!
//! MAPPED_LIBRARIES:
//! ```
//!
//! Source: `prof_dump_*` of jemalloc 5.3 (`src/prof_data.c`), `ReadThreadedHeapProfile` and `AdjustSamples` of `jeprof`. Values are
//! scaled as there, by the size of each stack's mean object; `opt.prof_unbias` of jemalloc 5.3 prepares its counts for that.

use super::addresses::{self, Addresses};
use super::counts::Counts;
use super::legacy::uninteresting;
use super::lines::{digits, invalid, numbered};
use super::maps::is_heading;
use super::unsample::unsampled;
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::model::Profile;

const HEADING: &[u8] = b"heap_v2/";
/// Functions of jemalloc itself, which are on top of every stack: its entries under any prefix, and those that take the stack.
const OWN_FRAMES: &str =
    r"(_rjem_)?je_.*|_rjem_.*|imalloc.*|do_rallocx|irallocx_prof.*|prof_alloc_prep|prof_tctx_create|prof_backtrace.*";

pub(super) fn knows(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADING)
}

/// Reads a dump. Columns are what was ever allocated, where `prof_accum` counted it, and what is in use. The counts of single
/// threads are left out: they are parts of those of all.
///
/// # Errors
/// [`HeapError::Invalid`] with the number of the line. What is cut off at the end is passed over, with a warning.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut dump = Dump {
        addresses: Addresses::new(Format::Jemalloc, bytes.len()),
        period: 0,
        part: Part::Heading,
        accumulates: false,
    };
    for (number, line) in numbered(bytes) {
        match dump.line(number, line) {
            // Only the last line has no end.
            Err(_) if number > 1 && line.as_ptr_range().end == bytes.as_ptr_range().end => break,
            outcome => outcome?,
        }
    }
    Ok(dump.finish())
}

/// Where in a dump a line is.
#[derive(Debug)]
enum Part {
    Heading,
    /// The counts of all stacks, in all threads and in each.
    Totals,
    /// A stack whose counts are to come.
    Stack(Vec<u64>),
    /// Counts of single threads.
    Threads,
    Maps,
}

#[derive(Debug)]
struct Dump {
    addresses: Addresses,
    period: i64,
    part: Part,
    /// Whether what was ever allocated is counted.
    accumulates: bool,
}

impl Dump {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), HeapError> {
        let trimmed = line.trim_ascii();
        if matches!(self.part, Part::Maps) {
            self.addresses.maps.line(line);
            return Ok(());
        }
        if trimmed.is_empty() {
            return Ok(());
        }
        if matches!(self.part, Part::Heading) {
            let period = trimmed.strip_prefix(HEADING).and_then(digits).filter(|period| *period > 0);
            self.period = period.ok_or_else(|| invalid(number, "`heap_v2/` and a number of bytes from 1", line))?;
            self.part = Part::Totals;
            return Ok(());
        }
        if is_heading(trimmed) {
            self.part = Part::Maps;
            return Ok(());
        }
        if let Some(stack) = trimmed.strip_prefix(b"@") {
            let returns = addresses::of_line(stack).ok_or_else(|| invalid(number, "`@` and addresses", line))?;
            if matches!(self.part, Part::Totals) {
                self.add_columns();
            }
            self.part = Part::Stack(returns);
            return Ok(());
        }
        let expected = || {
            invalid(number, "`tTHREAD: OBJECTS: BYTES [OBJECTS: BYTES]`, `@ ADDRESSES` or `MAPPED_LIBRARIES:`", line)
        };
        let (is_of_all, counts) = counted(trimmed).ok_or_else(expected)?;
        if is_of_all {
            self.count(counts);
        }
        Ok(())
    }

    fn count(&mut self, counts: Counts) {
        let Counts { objects, bytes, allocated_objects, allocated_bytes } = counts;
        match std::mem::replace(&mut self.part, Part::Threads) {
            Part::Stack(returns) => {
                let (objects, bytes) = unsampled(objects, bytes, self.period);
                let (allocated_objects, allocated_bytes) = unsampled(allocated_objects, allocated_bytes, self.period);
                let values = [allocated_objects, allocated_bytes, objects, bytes];
                let n_columns = if self.accumulates { 4 } else { 2 };
                self.addresses.sample(&returns, &values[4 - n_columns..], &[]);
            }
            Part::Totals => {
                self.accumulates = allocated_objects != 0 || allocated_bytes != 0;
                self.part = Part::Totals;
            }
            part @ (Part::Heading | Part::Threads | Part::Maps) => self.part = part,
        }
    }

    fn add_columns(&mut self) {
        let builder = &mut self.addresses.builder;
        if self.accumulates {
            builder.sample_type("alloc_objects", "count");
            builder.sample_type("alloc_space", "bytes");
        }
        builder.sample_type("inuse_objects", "count");
        builder.sample_type("inuse_space", "bytes");
    }

    fn finish(mut self) -> Profile {
        if matches!(self.part, Part::Heading | Part::Totals) {
            self.add_columns();
        }
        let builder = &mut self.addresses.builder;
        let period_type = builder.value_type("space", "bytes");
        let drop_frames = builder.text(&format!("{}|{OWN_FRAMES}", uninteresting::of_allocators()));
        let keep_frames = builder.text(uninteresting::KEPT);
        let header = builder.header();
        (header.period_type, header.period) = (period_type, self.period);
        (header.drop_frames, header.keep_frames) = (drop_frames, keep_frames);
        if self.period > 1 {
            builder.sampled();
        }
        if !matches!(self.part, Part::Maps) {
            let warning = "the dump ends before `MAPPED_LIBRARIES:`: it is cut off, and its addresses cannot be named";
            builder.warn(warning.to_owned());
        }
        self.addresses.finish()
    }
}

/// `t*: 13: 6688 [0: 0] name of the thread`: whether it is of all threads, and its counts.
fn counted(line: &[u8]) -> Option<(bool, Counts)> {
    let rest = line.strip_prefix(b"t")?;
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let (thread, rest) = (&rest[..colon], &rest[colon + 1..]);
    let is_of_all = thread == b"*";
    let (counts, _name) = Counts::of(rest)?;
    (is_of_all || digits(thread).is_some()).then_some((is_of_all, counts))
}

#[cfg(test)]
mod tests {
    use super::{knows, read};
    use crate::profile::read::testing::outcome;

    fn read_text(text: &str) -> String {
        assert!(knows(text.as_bytes()), "{text}");
        outcome(read(text.as_bytes()))
    }

    const MAPS: &str = "\nMAPPED_LIBRARIES:\n10-20 r-xp 0 08:01 1 /srv/app\n";

    #[test]
    fn stacks_have_what_all_threads_use_scaled_to_what_it_stands_for() {
        let dump = format!(
            "heap_v2/4096\n  t*: 3: 3072 [0: 0]\n  t0: 1: 1024 [0: 0] main\n  t7: 2: 2048 [0: 0] two: words\n\
             @ 0x11 0x21\n  t*: 1: 1024 [0: 0]\n  t0: 1: 1024 [0: 0]\n@ 0x31\n  t*: 2: 65536 [0: 0]\n{MAPS}"
        );
        assert_eq!(read_text(&dump), "inuse_objects/count inuse_space/bytes\n4 4629 | \n2 65557 | ");
        let profile = read(dump.as_bytes()).unwrap();
        let files = profile.mappings().iter().map(|mapping| profile.text(mapping.file)).collect::<Vec<_>>();
        assert_eq!((profile.is_sampled, profile.header().period, files), (true, 4_096, vec!["/srv/app", ""]));
    }

    #[test]
    fn frames_of_the_allocator_are_to_be_dropped() {
        let profile = read(format!("heap_v2/1\n@ 0x11\n  t*: 1: 8 [0: 0]\n{MAPS}").as_bytes()).unwrap();
        let dropped = regex::Regex::new(&format!("^({})$", profile.text(profile.header().drop_frames))).unwrap();
        for (name, is_dropped) in [
            ("prof_backtrace_impl", true),
            ("_rjem_je_malloc_default", true),
            ("_rjem_realloc", true),
            ("je_malloc", true),
            ("malloc", true),
            ("prof_report", false),
            ("Cache::put", false),
        ] {
            assert_eq!(dropped.is_match(name), is_dropped, "{name}");
        }
    }

    #[test]
    fn what_was_allocated_is_there_when_it_was_counted() {
        let dump = format!("heap_v2/1\n  t*: 1: 8 [3: 24]\n@ 0x11\n  t*: 1: 8 [3: 24]\n{MAPS}");
        let columns = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes";
        assert_eq!(read_text(&dump), format!("{columns}\n3 24 1 8 | "));
    }

    #[test]
    fn a_dump_that_is_cut_off_is_read_as_far_as_it_goes() {
        let whole = format!("heap_v2/1\n  t*: 1: 8 [0: 0]\n@ 0x11 0x21\n  t*: 1: 8 [0: 0]\n{MAPS}");
        let columns = "inuse_objects/count inuse_space/bytes";
        let warning =
            "warning: the dump ends before `MAPPED_LIBRARIES:`: it is cut off, and its addresses cannot be named";
        let cases = [
            (whole.len(), format!("{columns}\n1 8 | ")),
            (whole.find("MAPPED").unwrap(), format!("{columns}\n1 8 | \n{warning}")),
            (whole.rfind("[0").unwrap(), format!("{columns}\n{warning}")),
            (whole.find("0x21").unwrap() + 1, format!("{columns}\n{warning}")),
            ("heap_v2/1\n".len(), format!("{columns}\n{warning}")),
        ];
        for (end, expected) in cases {
            assert_eq!(read_text(&whole[..end]), expected, "{end}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let cases = [
            ("heap_v2/", "line 1: expected `heap_v2/` and a number of bytes from 1, found `heap_v2/`"),
            ("heap_v2/0\n", "line 1: expected `heap_v2/` and a number of bytes from 1, found `heap_v2/0`"),
            ("heap_v2/1\n@ 11\n\n", "line 2: expected `@` and addresses, found `@ 11`"),
            (
                "heap_v2/1\n  t*: 1: 8\n\n",
                "line 2: expected `tTHREAD: OBJECTS: BYTES [OBJECTS: BYTES]`, `@ ADDRESSES` or `MAPPED_LIBRARIES:`, found `  t*: 1: 8`",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read_text(text), expected);
        }
    }
}
