//! Profiles that no program writes but the format allows, from a seed: cycles of calls, functions without a name or a file, locations without frames, negative and zero values, paths that are not clean, stacks without a location.

/// Draws numbers from a seed.
pub(crate) struct Draw(u64);

impl Draw {
    /// Below `n`, which is above 0.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A message of Protocol Buffers in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn packed(self, field: u64, values: impl Iterator<Item = u64>) -> Self {
        let mut all = Self::default();
        values.for_each(|value| all.varint(value));
        self.bytes(field, &all.0)
    }
}

const TEXTS: [&str; 26] = [
    "",
    "objects",
    "count",
    "space",
    "bytes",
    "alloc",
    "alloc(unsigned long)",
    "main.put",
    "main.(*Cache).put",
    "runtime.mallocgc",
    "std::vec<int>::push_back(int const&)",
    "(anonymous namespace)::f(int)",
    "a::operator()(int) const",
    "name with spaces",
    "/src/main.go",
    "/src//cache/../cache/cache.go",
    "./a/b.c",
    "/proc/self/cwd/x/y.cc",
    "../../up.rs",
    "/usr/bin/app",
    "libc.so.6",
    "[vdso]",
    "alloc|runtime\\..*",
    "runtime.keep.*",
    "runtime.keepalive",
    "ключ",
];
/// Which of them name functions, files, and mapped files.
const NAMES: [u64; 13] = [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25, 7];
const FILES: [u64; 7] = [0, 14, 15, 16, 17, 18, 14];
const MAPPED: [u64; 4] = [0, 19, 20, 21];

/// A profile with the columns `objects/count` and `space/bytes`, not packed.
pub(crate) fn made(seed: u64) -> Vec<u8> {
    let draw = &mut Draw(seed.wrapping_mul(2).wrapping_add(1));
    let (n_functions, n_mappings, n_locations) = (1 + draw.below(14), draw.below(4), 1 + draw.below(24));
    let pick = |draw: &mut Draw, from: &[u64]| from[draw.below(from.len() as u64) as usize];
    let value_type = |kind: u64, unit: u64| Message::default().number(1, kind).number(2, unit).0;
    let mut profile = Message::default().bytes(1, &value_type(1, 2)).bytes(1, &value_type(3, 4));
    for text in TEXTS {
        profile = profile.bytes(6, text.as_bytes());
    }
    for id in 1..=n_mappings {
        let start = id << 20;
        let mapping = Message::default().number(1, id).number(2, start).number(3, start + (1 << 19));
        profile = profile.bytes(3, &mapping.number(5, pick(draw, &MAPPED)).0);
    }
    for id in 1..=n_functions {
        let (name, file) = (pick(draw, &NAMES), pick(draw, &FILES));
        let function = Message::default().number(1, id).number(2, name).number(3, name).number(4, file);
        profile = profile.bytes(5, &function.number(5, draw.below(3) * 10).0);
    }
    for id in 1..=n_locations {
        let mapping = draw.below(n_mappings + 1);
        let address = if draw.below(4) == 0 { 0 } else { (mapping << 20) + 64 * id };
        let mut location = Message::default().number(1, id).number(2, mapping).number(3, address);
        for _ in 0..draw.below(4) {
            let function = 1 + draw.below(n_functions);
            let line = Message::default().number(1, function).number(2, draw.below(5)).number(3, draw.below(2) * 7);
            location = location.bytes(4, &line.0);
        }
        profile = profile.bytes(4, &location.0);
    }
    for _ in 0..draw.below(60) {
        let n_frames = draw.below(9);
        let stack: Vec<u64> = (0..n_frames).map(|_| 1 + draw.below(n_locations)).collect();
        let sign = if draw.below(4) == 0 { -1 } else { 1 };
        let size = draw.below(3) as i64 * draw.below(1 << 30) as i64 * 7;
        let values = [sign * (draw.below(4) as i64), sign * size].map(|value| value as u64);
        profile = profile.bytes(2, &Message::default().packed(1, stack.into_iter()).packed(2, values.into_iter()).0);
    }
    if seed.is_multiple_of(3) {
        profile = profile.number(7, 22).number(8, 23);
    }
    profile.0
}
