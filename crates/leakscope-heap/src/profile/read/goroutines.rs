//! Go's traceback text: `goroutine?debug=2`, and what a crash or SIGQUIT writes. A sample is all goroutines with one stack, one state
//! and one time of waiting.
//!
//! ```text
//! goroutine 18 [chan receive, 4 minutes, locked to thread]:
//! main.(*shop).reserve(0xc000012345, {0x1, 0x2})
//!         /src/main.go:16 +0x1d
//! created by main.main in goroutine 1
//!         /src/main.go:36 +0x3d
//! ```
//!
//! Source: go/src/runtime/traceback.go (1.26), `goroutineheader`, `traceback2`, `printcreatedby1`, `printOneCgoTraceback`. What stands
//! between goroutines (messages of a panic, registers, lines of a log) is passed over, and so are the stacks of ancestors that
//! `GODEBUG=tracebackancestors` adds.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::legacy::go::labels as quoted_labels;
use super::lines::{digits, first, invalid, numbered};
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::{Label, LabelValue, Profile, Text};

/// Bytes at the beginning in which the first goroutine must come: what a panic says stands before it.
const START_BYTES: usize = 64 << 10;
/// Bytes at which `net/http/pprof` cuts the text off.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// Stands for the frames that Go leaves out of deep stacks, however many they are, so that recursions of any depth are alike.
const ELIDED: &str = "...frames elided...";
/// Stands for a stack that Go could not walk.
const NO_STACK: &str = "(stack unavailable)";

/// Whether a goroutine's first line is near the beginning of what is text.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    let is_text = first(start).is_some_and(|line| !line.trim_ascii_start().starts_with(b"{")) && !start.contains(&0);
    is_text && numbered(start).any(|(_, line)| State::of(line).is_some())
}

/// Reads a dump of goroutines.
///
/// # Errors
/// [`HeapError::Invalid`] where there is no goroutine in it. A last goroutine that is cut off is read as far as it goes, with a warning.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut dump = Dump::new(bytes.len());
    let mut part = Part::Between;
    for (_, line) in numbered(bytes) {
        part = dump.line(part, line);
    }
    let last = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let place_is_cut = last.starts_with(b"\t") && file_and_line(last).1 == 0;
    if place_is_cut || matches!(part, Part::Called | Part::CreatedBy) {
        dump.builder.warn("the dump ends within a goroutine, which is read as far as it goes".to_owned());
    }
    dump.close();
    if dump.samples.is_empty() {
        let line = first(bytes).unwrap_or_default();
        return Err(invalid(1, "a dump of goroutines, `goroutine 1 [running]:`", line));
    }
    if bytes.len() >= TEXT_BYTES_MAX {
        dump.builder.warn(format!(
            "the dump has {} bytes, and Go cuts it off at {TEXT_BYTES_MAX}: goroutines may be missing",
            bytes.len()
        ));
    }
    Ok(dump.finish())
}

/// What the last line was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Of no goroutine.
    Between,
    /// A goroutine's first line, or a whole frame.
    Frames,
    /// A frame's function: its place follows.
    Called,
    /// The function that made the goroutine: its place follows.
    CreatedBy,
    /// In stacks of ancestors.
    Ancestors,
}

/// Goroutines that are alike: their stack, leaf first, and their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Alike {
    stack: Vec<u32>,
    labels: Vec<Label>,
}

struct Dump<'a> {
    builder: Builder,
    /// Where each lot of equal goroutines stands in `samples`.
    known: FxHashMap<Alike, usize>,
    samples: Vec<(Alike, i64)>,
    /// The goroutine that is being read.
    open: Option<Alike>,
    /// The function whose place comes next.
    function: Cow<'a, str>,
    /// Locations by function and place as they are written: frames repeat, and this is all that a known one costs.
    locations: FxHashMap<(Cow<'a, str>, &'a [u8]), u32>,
}

impl<'a> Dump<'a> {
    fn new(file_bytes: usize) -> Self {
        let mut builder = Builder::new(Format::Goroutines, file_bytes);
        builder.sample_type("goroutine", "count");
        Self {
            builder,
            known: FxHashMap::default(),
            samples: Vec::new(),
            open: None,
            function: Cow::Borrowed(""),
            locations: FxHashMap::default(),
        }
    }

    fn line(&mut self, part: Part, line: &'a [u8]) -> Part {
        if let Some(place) = line.strip_prefix(b"\t") {
            return self.place(part, place);
        }
        // A function that no place follows is none: `exit status 2` behind the last goroutine of a crash.
        self.function = Cow::Borrowed("");
        if line.starts_with(b"goroutine ")
            && let Some(state) = State::of(line)
        {
            self.close();
            self.open = Some(Alike { stack: Vec::new(), labels: state.labels(&mut self.builder) });
            return Part::Frames;
        }
        match part {
            Part::Between | Part::Ancestors if !line.is_empty() => part,
            _ if line.is_empty() => {
                self.close();
                Part::Between
            }
            _ => self.call(line),
        }
    }

    /// A line that names a function, within a goroutine.
    fn call(&mut self, line: &'a [u8]) -> Part {
        if line.starts_with(b"[originating from goroutine ") {
            return Part::Ancestors;
        }
        if line.starts_with(b"...") && line.ends_with(b" frames elided...") {
            self.function = Cow::Borrowed(ELIDED);
            self.frame(b"");
            return Part::Frames;
        }
        if let Some(creator) = line.strip_prefix(b"created by ") {
            let name = creator.iter().rposition(|byte| *byte == b' ').map_or(creator, |end| {
                let before = &creator[..end];
                before.strip_suffix(b" in goroutine").unwrap_or(creator)
            });
            self.function = String::from_utf8_lossy(name);
            let value = LabelValue::Text(self.builder.text(&self.function));
            let key = self.builder.text("created by");
            if let Some(open) = &mut self.open {
                open.labels.push(Label { key, value });
            }
            return Part::CreatedBy;
        }
        self.function = function_name(line);
        Part::Called
    }

    /// A line that begins with a tab: where the function of the line before was.
    fn place(&mut self, part: Part, place: &'a [u8]) -> Part {
        match part {
            Part::Between | Part::Ancestors => part,
            Part::Called | Part::CreatedBy => {
                self.frame(place);
                Part::Frames
            }
            Part::Frames => {
                if place.ends_with(b"stack unavailable") {
                    self.function = Cow::Borrowed(NO_STACK);
                    self.frame(b"");
                }
                Part::Frames
            }
        }
    }

    /// Adds the frame of `self.function` at a place: `/src/main.go:16 +0x1d`, `/src/c.c:7 pc=0x45`, `pc=0x45`.
    fn frame(&mut self, place: &'a [u8]) {
        let function = std::mem::take(&mut self.function);
        let (file, line) = file_and_line(place);
        let builder = &mut self.builder;
        let location = *self
            .locations
            .entry((function, place))
            .or_insert_with_key(|(function, _)| builder.frame(function, &String::from_utf8_lossy(file), line, 0));
        if let Some(open) = &mut self.open {
            open.stack.push(location);
        }
    }

    /// Counts the goroutine that was read.
    fn close(&mut self) {
        let Some(alike) = self.open.take() else { return };
        if let Some(index) = self.known.get(&alike) {
            self.samples[*index].1 += 1;
        } else {
            self.known.insert(alike.clone(), self.samples.len());
            self.samples.push((alike, 1));
        }
    }

    fn finish(mut self) -> Profile {
        for (alike, count) in &self.samples {
            self.builder.sample(&alike.stack, &[*count], &alike.labels);
        }
        self.builder.finish()
    }
}

/// What a goroutine's first line says: `goroutine 18 gp=0xc0 m=nil [chan receive, 4 minutes, locked to thread]:`.
struct State<'a> {
    /// Why it waits, or what it does.
    name: &'a [u8],
    /// What follows, behind commas.
    rest: &'a [u8],
}

impl<'a> State<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"goroutine ")?;
        let n_digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits(&rest[..n_digits])?;
        let open = n_digits + memchr::memchr(b'[', &rest[n_digits..])?;
        // Between number and bracket there are words of crashes alone: ` gp=0xc000002380 m=0 mp=0x55d3a0 `.
        let between = &rest[n_digits..open];
        if !between.starts_with(b" ") || !between.split(|byte| *byte == b' ').all(is_word_of_crash) {
            return None;
        }
        let inner = rest[open + 1..].strip_suffix(b"]:")?;
        let name_bytes = memchr::memchr(b',', inner)
            .into_iter()
            .chain(memchr::memmem::find(inner, b" labels:{"))
            .min()
            .unwrap_or(inner.len());
        let (name, rest) = inner.split_at(name_bytes);
        // Whether the collector looks at a goroutine just now says nothing of it.
        let name = name.strip_suffix(b" (scan)").unwrap_or(name);
        Some(Self { name, rest })
    }

    /// `state`, and where said `wait` (minutes), `thread`, `synctest bubble` and the goroutine's own labels.
    fn labels(&self, builder: &mut Builder) -> Vec<Label> {
        let mut labels = vec![text_label(builder, "state", &String::from_utf8_lossy(self.name))];
        let own_at = memchr::memmem::find(self.rest, b" labels:{").unwrap_or(self.rest.len());
        let (facts, own) = self.rest.split_at(own_at);
        for fact in facts.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if let Some(minutes) = fact.strip_suffix(b" minutes").and_then(digits) {
                let (key, unit) = (builder.text("wait"), builder.text("minutes"));
                labels.push(Label { key, value: LabelValue::Number { value: minutes, unit } });
            } else if let Some(bubble) = fact.strip_prefix(b"synctest bubble ").and_then(digits) {
                let key = builder.text("synctest bubble");
                labels.push(Label { key, value: LabelValue::Number { value: bubble, unit: Text::default() } });
            } else if fact == b"locked to thread" {
                labels.push(text_label(builder, "thread", "locked"));
            }
        }
        let own = own.strip_prefix(b" labels:").and_then(|own| std::str::from_utf8(own).ok()).unwrap_or_default();
        for (key, value) in quoted_labels(own) {
            labels.push(text_label(builder, &key, &value));
        }
        labels
    }
}

fn text_label(builder: &mut Builder, key: &str, value: &str) -> Label {
    Label { key: builder.text(key), value: LabelValue::Text(builder.text(value)) }
}

fn is_word_of_crash(word: &[u8]) -> bool {
    word.is_empty() || [&b"gp="[..], b"m=", b"mp="].iter().any(|key| word.starts_with(key))
}

/// The function of a frame without its arguments, as profiles name it: `main.(*shop).reserve(0xc0, {0x1, 0x2})`.
fn function_name(line: &[u8]) -> Cow<'_, str> {
    // Functions of C stand without brackets, and arguments have none but braces.
    let name = match memchr::memrchr(b'(', line) {
        Some(open) if line.ends_with(b")") && open > 0 => &line[..open],
        _ => line,
    };
    // Tracebacks call it as the source does.
    if name == b"panic" { Cow::Borrowed("runtime.gopanic") } else { String::from_utf8_lossy(name) }
}

/// File and line of `/src/main.go:16 +0x1d`: the last colon with a number behind it that ends there.
fn file_and_line(place: &[u8]) -> (&[u8], i64) {
    for colon in memchr::memrchr_iter(b':', place) {
        let behind = &place[colon + 1..];
        let n_digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(line) = digits(&behind[..n_digits])
            && matches!(behind.get(n_digits), None | Some(b' '))
        {
            return (&place[..colon], line);
        }
    }
    (b"", 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    const COLUMN: &str = "goroutine/count\n";

    fn check(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), format!("{COLUMN}{expected}"), "{text}");
        }
    }

    #[test]
    fn equal_goroutines_are_one_sample_with_their_creator_at_the_root() {
        let text = "goroutine 21 [chan send]:
main.(*shop).reserve(...)
\t/src/main.go:16
created by main.main in goroutine 1
\t/src/main.go:36 +0x3d

goroutine 22 [chan send]:
main.(*shop).reserve(...)
\t/src/main.go:16
created by main.main in goroutine 1
\t/src/main.go:36 +0x3d

goroutine 23 [chan send, 4 minutes]:
main.(*shop).reserve(0xc000012345, {0x1, 0x2})
\t/src/main.go:16 +0x1d
created by main.main
\t/src/main.go:36 +0x3d
";
        check(&[(
            text,
            "2 | main.(*shop).reserve@/src/main.go:16 < main.main@/src/main.go:36 | state=chan send, created by=main.main
1 | main.(*shop).reserve@/src/main.go:16 < main.main@/src/main.go:36 | state=chan send, wait=4 minutes, created by=main.main",
        )]);
    }

    #[test]
    fn states_and_what_stands_behind_them_are_labels() {
        let cases = [
            ("running", "state=running"),
            (
                "chan receive (nil chan), 2 minutes, locked to thread",
                "state=chan receive (nil chan), wait=2 minutes, thread=locked",
            ),
            ("select (no cases)", "state=select (no cases)"),
            ("chan send (leaked), 9 minutes", "state=chan send (leaked), wait=9 minutes"),
            ("chan receive (durable), synctest bubble 7", "state=chan receive (durable), synctest bubble=7"),
            ("runnable (scan)", "state=runnable"),
            (
                "sync.Mutex.Lock, 1 minutes labels:{\"path\": \"/a, b\", \"n\": \"\\\"1\\\"\"}",
                "state=sync.Mutex.Lock, wait=1 minutes, path=/a, b, n=\"1\"",
            ),
            ("select labels:{\"a\": \"\\x41\"}", "state=select, a=A"),
        ];
        for (state, expected) in cases {
            let text = format!("goroutine 1 [{state}]:\nmain.main()\n\t/a.go:1 +0x1\n");
            check(&[(&text, &format!("1 | main.main@/a.go:1 | {expected}"))]);
        }
    }

    #[test]
    fn frames_of_all_kinds_have_function_file_and_line() {
        let cases = [
            ("main.waitFor[...](...)\n\t/a b/m.go:18", "main.waitFor[...]@/a b/m.go:18"),
            ("main.main.func1({0x1, {0x2?, _}}, 0x3?)\n\tC:/src/m.go:18 +0x2f", "main.main.func1@C:/src/m.go:18"),
            (
                "panic({0x1?, 0x2?})\n\t/go/panic.go:856 +0x13c fp=0xc0 sp=0xc1 pc=0x47",
                "runtime.gopanic@/go/panic.go:856",
            ),
            ("non-Go function\n\tpc=0x7f11", "non-Go function"),
            ("malloc\n\t/src/malloc.c:7 pc=0x7f11", "malloc@/src/malloc.c:7"),
            (
                "main.f(0x1)\n\t/m.go:5 +0x1\n...201 frames elided...\nmain.g()\n\t/m.go:9 +0x1",
                "main.f@/m.go:5 < ...frames elided... < main.g@/m.go:9",
            ),
            ("...additional frames elided...", "...frames elided..."),
            ("\tgoroutine running on other thread; stack unavailable", "(stack unavailable)"),
            ("main.f()\n\t/m.go:99999999999999999999 +0x1", "main.f"),
            ("main.f()\n\t/m.go:5 +0x1\nexit status 2", "main.f@/m.go:5"),
            (
                "main.f()\n\t/m.go:5 +0x1\n[originating from goroutine 1]:\nmain.g(...)\n\t/m.go:7 +0x1",
                "main.f@/m.go:5",
            ),
        ];
        for (frames, expected) in cases {
            let text = format!("goroutine 1 [running]:\n{frames}\n");
            check(&[(&text, &format!("1 | {expected} | state=running"))]);
            check(&[(&text.replace('\n', "\r\n"), &format!("1 | {expected} | state=running"))]);
        }
    }

    #[test]
    fn a_crash_is_read_with_all_that_stands_around_its_goroutines() {
        let text = "SIGQUIT: quit\nPC=0x47 m=0 sigcode=0\n\ngoroutine 0 gp=0x55d3a0 m=0 mp=0x55e1e0 [idle]:
runtime.futex(0x1, 0x80)\n\t/go/sys_linux_amd64.s:557 +0x21 fp=0x7ffc sp=0x7ffd pc=0x46

goroutine 1 gp=0xc000002380 m=nil [select (no cases), 2 minutes]:
main.main()\n\t/m.go:5 +0x1\n\nrax    0xca\nrbx    0x0\nexit status 2\n";
        check(&[(
            text,
            "1 | runtime.futex@/go/sys_linux_amd64.s:557 | state=idle
1 | main.main@/m.go:5 | state=select (no cases), wait=2 minutes",
        )]);
    }

    #[test]
    fn a_goroutine_that_is_cut_off_is_told() {
        let whole = "goroutine 1 [running]:\nmain.f()\n\t/m.go:5 +0x1\nmain.main()\n\t/m.go:9 +0x1";
        let cut = "\nwarning: the dump ends within a goroutine, which is read as far as it goes";
        check(&[
            (whole, "1 | main.f@/m.go:5 < main.main@/m.go:9 | state=running"),
            (&whole[..whole.len() - 9], &format!("1 | main.f@/m.go:5 < main.main | state=running{cut}")),
            (&whole[..whole.len() - 14], &format!("1 | main.f@/m.go:5 | state=running{cut}")),
            (&whole[..whole.len() - 20], &format!("1 | main.f@/m.go:5 | state=running{cut}")),
        ]);
    }

    #[test]
    fn other_texts_are_no_dumps() {
        let cases = [
            "",
            "goroutine profile: total 5",
            "goroutine 1 [running]",
            "goroutine x [running]:",
            "goroutine 1 and [2]:",
            "{\ngoroutine 1 [running]:",
            "\0\ngoroutine 1 [running]:",
        ];
        for text in cases {
            assert!(!knows(text.as_bytes()), "{text}");
        }
        let expected =
            "line 1: expected a dump of goroutines, `goroutine 1 [running]:`, found `goroutine profile: total 5`";
        assert_eq!(outcome(read(b"goroutine profile: total 5")), expected);
    }
}
