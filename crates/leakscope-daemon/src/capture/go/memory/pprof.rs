//! Records as pprof's `profile.proto`, gzip'ed: the columns, the scaling and the frames of `runtime/pprof`'s heap profile.
//!
//! Source: `runtime/pprof/protomem.go`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::buckets::Record;
use super::lines::Lines;
use super::program::Program;

/// The profile of these records; `rate` is `runtime.MemProfileRate`.
pub(super) fn write(program: &Program, rate: u64, records: &[Record], lines: &Lines<'_>) -> Vec<u8> {
    let mut profile = Profile::default();
    profile.text("");
    let columns =
        [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    for (kind, unit) in columns {
        let column = profile.value_type(kind, unit);
        profile.message.bytes(1, &column);
    }
    let label = profile.text("bytes");
    for record in records {
        let mut sample = Message::default();
        let stack = own(&record.stack, lines).iter().filter(|address| !is_end(**address, lines));
        let stack: Vec<u64> = stack.map(|address| profile.location(*address, lines)).collect();
        sample.numbers(1, &stack);
        let live = record.allocs.wrapping_sub(record.frees);
        let ((allocs, alloc_bytes), (objects, bytes)) =
            (scaled(record.allocs, record.size, rate), scaled(live, record.size, rate));
        sample.numbers(2, &[allocs, alloc_bytes, objects, bytes]);
        let mut size = Message::default();
        size.number(1, label);
        size.number(3, record.size);
        sample.bytes(3, &size.0);
        profile.message.bytes(2, &sample.0);
    }
    profile.mapping(program);
    let period_type = profile.value_type("space", "bytes");
    profile.message.bytes(11, &period_type);
    profile.message.number(12, rate);
    profile.message.number(9, (crate::clock::now().as_millis().max(0) as u64).saturating_mul(1_000_000));
    profile.finish()
}

/// A stack without the runtime's own frames at its leaf, unless it has no others.
fn own<'s>(stack: &'s [u64], lines: &Lines<'_>) -> &'s [u64] {
    let is_own = |address: &u64| {
        let place = lines.place(*address);
        !place.is_some_and(|place| {
            place.function.starts_with("runtime.") || place.function.starts_with("internal/runtime/")
        })
    };
    stack.iter().position(is_own).map_or(stack, |first| &stack[first..])
}

/// Whether a frame is what every goroutine begins in, which `runtime/pprof` leaves out.
fn is_end(address: u64, lines: &Lines<'_>) -> bool {
    lines.place(address).is_some_and(|place| place.function == "runtime.goexit")
}

/// Objects and bytes that sampled objects stand for: each is drawn with a probability of 1 − e^(−size/rate).
fn scaled(count: u64, size: u64, rate: u64) -> (u64, u64) {
    let bytes = count.wrapping_mul(size);
    if count == 0 || size == 0 || rate <= 1 {
        return (count, bytes);
    }
    let scale = 1.0 / (1.0 - (-(size as f64) / rate as f64).exp());
    // Frees of objects that were counted meanwhile may make it negative for a moment.
    let scaled = |value: u64| (value as i64 as f64 * scale) as i64 as u64;
    (scaled(count), scaled(bytes))
}

/// A profile in the making, with each text, function and address once.
#[derive(Default)]
struct Profile {
    message: Message,
    texts: BTreeMap<String, u64>,
    strings: Message,
    functions: BTreeMap<(String, String), u64>,
    locations: BTreeMap<u64, u64>,
}

impl Profile {
    fn text(&mut self, text: &str) -> u64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.texts.len() as u64;
        self.texts.insert(text.to_owned(), number);
        self.strings.bytes(6, text.as_bytes());
        number
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Vec<u8> {
        let mut message = Message::default();
        message.number(1, self.text(kind));
        message.number(2, self.text(unit));
        message.0
    }

    /// The number of a location; its function is written with it.
    fn location(&mut self, address: u64, lines: &Lines<'_>) -> u64 {
        if let Some(known) = self.locations.get(&address) {
            return *known;
        }
        let number = self.locations.len() as u64 + 1;
        self.locations.insert(address, number);
        let mut location = Message::default();
        location.number(1, number);
        location.number(2, 1);
        // The address of the call, not of what follows it.
        location.number(3, address.wrapping_sub(1));
        if let Some(place) = lines.place(address) {
            let mut line = Message::default();
            line.number(1, self.function(place.function, place.file, place.start_line));
            line.number(2, place.line as u64);
            location.bytes(4, &line.0);
        }
        self.message.bytes(4, &location.0);
        number
    }

    fn function(&mut self, name: &str, file: &str, start_line: i64) -> u64 {
        let next = self.functions.len() as u64 + 1;
        let number = *self.functions.entry((name.to_owned(), file.to_owned())).or_insert(next);
        if number == next {
            let (name, file) = (self.text(&printed(name)), self.text(file));
            let mut function = Message::default();
            for (field, value) in [(1, number), (2, name), (3, name), (4, file), (5, start_line.max(0) as u64)] {
                function.number(field, value);
            }
            self.message.bytes(5, &function.0);
        }
        number
    }

    fn mapping(&mut self, program: &Program) {
        let (start, end, offset) = program.mapping;
        let path = self.text(&program.path);
        let mut mapping = Message::default();
        for (field, value) in [(1, 1), (2, start), (3, end), (4, offset), (5, path), (7, 1), (8, 1), (9, 1), (10, 1)] {
            mapping.number(field, value);
        }
        self.message.bytes(3, &mapping.0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.message.0.extend_from_slice(&self.strings.0);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&self.message.0).expect("memory takes all");
        packed.finish().expect("memory takes all")
    }
}

/// A function as the runtime prints it (`funcNameForPrint`): without the shapes of type arguments.
fn printed(name: &str) -> Cow<'_, str> {
    match (name.find('['), name.rfind(']')) {
        (Some(start), Some(end)) if start < end => format!("{}[...]{}", &name[..start], &name[end + 1..]).into(),
        _ => name.into(),
    }
}

/// A message of protocol buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.varint(field << 3);
            self.varint(number);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn numbers(&mut self, field: u64, numbers: &[u64]) {
        let mut packed = Self::default();
        for number in numbers {
            packed.varint(*number);
        }
        self.bytes(field, &packed.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_without_the_shapes_of_their_type_arguments() {
        assert_eq!(printed("cart.Keep[go.shape.string,go.shape.[]uint8]"), "cart.Keep[...]");
        assert_eq!(printed("main.(*Map[go.shape.int]).Put"), "main.(*Map[...]).Put");
        assert_eq!(printed("main.hold"), "main.hold");
    }

    #[test]
    fn samples_stand_for_what_they_were_drawn_from() {
        let cases = [
            ((1, 524_288, 524_288), (1, 829_411)),
            ((3, 1 << 20, 524_288), (3, 3_638_089)),
            ((5, 16, 1), (5, 80)),
            ((0, 16, 524_288), (0, 0)),
            ((2, 16, 0), (2, 32)),
        ];
        for ((count, size, rate), expected) in cases {
            assert_eq!(scaled(count, size, rate), expected, "{count} of {size} at {rate}");
        }
    }
}
