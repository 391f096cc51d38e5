//! A snapshot without its contents: what strings, numbers, symbols and patterns say is replaced, all else stays byte for byte.
//!
//! Contents stand in one section only, `strings`, as the names of nodes of some types. Names of properties, types, functions and
//! scripts stand there too and stay: a text that is both is a name. A snapshot has each text once, so one look at how it is used
//! decides.

use std::io::Write;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::redact::{Copy, RedactError, Redacted};

use super::layout::Layout;
use super::strings::Strings;
use super::uses::{Uses, used};

/// Names that the engine gives to what has contents; they say nothing.
const LABELS: [&[u8]; 8] = [
    b"(concatenated string)",
    b"(sliced string)",
    b"heap number",
    b"smi number",
    b"number",
    b"bigint",
    b"symbol",
    b"private symbol",
];

/// Writes `bytes`, a snapshot, without its contents.
///
/// # Errors
/// [`RedactError::Unreadable`] where it is no whole snapshot, before anything is written; [`RedactError::Unwritable`].
pub(crate) fn redact(bytes: &[u8], out: &mut dyn Write) -> Result<Redacted, RedactError> {
    let layout = Layout::of(bytes)?;
    let strings = Strings::of(bytes, layout.strings.clone())?;
    let mut pairs = PairNames::of(&strings);
    let uses = Uses::of(bytes, &layout, &strings, &mut pairs)?;
    let mut fillers = Fillers::beside(&strings, &uses);
    let mut copy = Copy::of(bytes, out);
    let mut redacted = Redacted { bytes: bytes.len() as u64, ..Redacted::default() };
    for (index, &uses) in uses.iter().enumerate() {
        let index = index as u32;
        if uses & used::AS_SHAPE != 0 {
            let raw = || strings.raw(index);
            let type_name = || (uses & used::AS_NAME == 0).then(|| plain_name(raw())).flatten();
            if let Some(name) = pairs.replacement(index, raw).or_else(type_name) {
                copy.replace(range_in(bytes, raw()), name.as_bytes())?;
                redacted.values += 1;
            }
            continue;
        }
        let raw = strings.raw(index);
        if is_content(uses, raw) {
            copy.replace(range_in(bytes, raw), fillers.of(raw).as_bytes())?;
            redacted.strings += u64::from(uses & used::AS_TEXT != 0);
            redacted.values += u64::from(uses & used::AS_TEXT == 0);
        }
    }
    copy.finish()?;
    Ok(redacted)
}

fn is_content(uses: u8, raw: &[u8]) -> bool {
    uses & used::AS_SHAPE == 0 && uses != 0 && !raw.is_empty() && !LABELS.contains(&raw)
}

/// Where `part` is in `whole`, of which it is a part.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr().addr()).saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// Texts that say how long a content was and which ones were alike, and nothing else.
struct Fillers<'a> {
    /// By the text they stand for.
    given: FxHashMap<&'a [u8], String>,
    /// How many there are of each length.
    n_given: FxHashMap<usize, u64>,
    /// Contents that stay, since they are names too: no filler may look like one of them.
    taken: FxHashSet<&'a [u8]>,
}

impl<'a> Fillers<'a> {
    fn beside(strings: &Strings<'a>, uses: &[u8]) -> Self {
        let both = |&(_, &uses): &(usize, &u8)| uses & used::AS_SHAPE != 0 && uses & !used::AS_SHAPE != 0;
        let stays = uses.iter().enumerate().filter(both);
        let taken = stays.map(|(index, _)| strings.raw(index as u32)).collect();
        Self { given: FxHashMap::default(), n_given: FxHashMap::default(), taken }
    }

    /// The filler of a text: as many UTF-16 units, the same for the same text, another for another.
    fn of(&mut self, raw: &'a [u8]) -> &str {
        let Self { given, n_given, taken } = self;
        given.entry(raw).or_insert_with(|| {
            let n_units = n_units(raw);
            let next = n_given.entry(n_units).or_insert(0);
            loop {
                let filler = filler(*next, n_units);
                *next += 1;
                if !taken.contains(filler.as_bytes()) {
                    return filler;
                }
            }
        })
    }
}

/// Digits of a filler, without the `x` that fills it up.
const DIGITS: &[u8; 61] = b"0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Where digits come from when a length has more texts than `DIGITS` can tell apart: the CJK ideographs, each one UTF-16 unit.
const MORE_DIGITS: Range<u32> = 0x4e00..0xa000;

/// The `number`th text of `n_units`; none twice but for more than 21,037 of one unit.
fn filler(number: u64, n_units: usize) -> String {
    let mut digits = Vec::with_capacity(16);
    let mut rest = number;
    loop {
        digits.push(DIGITS[(rest % DIGITS.len() as u64) as usize]);
        rest /= DIGITS.len() as u64;
        if rest == 0 {
            break;
        }
    }
    if digits.len() <= n_units {
        let mut text = "x".repeat(n_units - digits.len());
        text.extend(digits.into_iter().rev().map(char::from));
        return text;
    }
    let base = u64::from(MORE_DIGITS.end - MORE_DIGITS.start);
    let mut rest = number - (DIGITS.len() as u64).pow(n_units as u32);
    let mut text = String::new();
    for _ in 0..n_units {
        text.extend(char::from_u32(MORE_DIGITS.start + (rest % base) as u32));
        rest /= base;
    }
    text
}

/// UTF-16 units of a JSON string without its quotes.
fn n_units(raw: &[u8]) -> usize {
    let mut n = 0;
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        at += match byte {
            b'\\' if raw.get(at + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            _ => 1,
        };
        n += match byte {
            // What follows in a character of several bytes counts with its first.
            0x80..0xc0 => 0,
            0xf0.. => 2,
            _ => 1,
        };
    }
    n
}

/// The names of a `WeakMap`'s edges hold the name of key and value: `N / part of key (K @k) -> value (V @v) pair in WeakMap (table
/// @T)`. Of a string, that is its contents.
pub(super) struct PairNames {
    /// Strings that are such names.
    named: FxHashSet<u32>,
    /// Ids in them.
    pub(super) mentioned: FxHashSet<u64>,
    /// Those of what has contents.
    pub(super) contents: FxHashSet<u64>,
}

const KEY: &[u8] = b" / part of key (";
const VALUE: &[u8] = b") -> value (";
const TABLE: &[u8] = b") pair in WeakMap (table @";

impl PairNames {
    fn of(strings: &Strings<'_>) -> Self {
        let named = strings.containing(KEY);
        let mut mentioned = FxHashSet::default();
        for &index in &named {
            let pair = Pair::of(strings.raw(index));
            mentioned.extend(pair.into_iter().flat_map(|pair| [pair.key.1, pair.value.1]));
        }
        Self { named: named.into_iter().collect(), mentioned, contents: FxHashSet::default() }
    }

    /// The name without contents, where it has some.
    fn replacement<'a>(&self, index: u32, raw: impl Fn() -> &'a [u8]) -> Option<String> {
        if !self.named.contains(&index) {
            return None;
        }
        let raw = raw();
        let Some(Pair { head, key, value, table }) = Pair::of(raw) else {
            // The engine cuts long names: what is left says nothing to us, and may be contents.
            let from = memchr::memmem::find(raw, KEY)? + KEY.len();
            let head = String::from_utf8_lossy(&raw[..from]);
            return raw[from..]
                .iter()
                .any(|byte| *byte != b'x')
                .then(|| format!("{head}{}", "x".repeat(raw.len() - from)));
        };
        let shown = |(name, id): (&[u8], u64)| {
            if self.contents.contains(&id) {
                "x".repeat(n_units(name))
            } else {
                String::from_utf8_lossy(name).into_owned()
            }
        };
        let (head, table) = (String::from_utf8_lossy(head), String::from_utf8_lossy(table));
        let (key, key_id, value, value_id) = (shown(key), key.1, shown(value), value.1);
        let name = format!("{head}{key} @{key_id}) -> value ({value} @{value_id}{table}");
        (name.as_bytes() != raw).then_some(name)
    }
}

/// The parts of such a name.
struct Pair<'a> {
    /// Up to the key.
    head: &'a [u8],
    /// Name and id.
    key: (&'a [u8], u64),
    value: (&'a [u8], u64),
    /// From behind the value.
    table: &'a [u8],
}

impl<'a> Pair<'a> {
    fn of(raw: &'a [u8]) -> Option<Self> {
        let digits = raw.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = raw[digits..].strip_prefix(KEY)?;
        let (value_at, table_at) = (memchr::memmem::find(rest, VALUE)?, memchr::memmem::rfind(rest, TABLE)?);
        let value = named_id(rest.get(value_at + VALUE.len()..table_at)?)?;
        Some(Self {
            head: &raw[..raw.len() - rest.len()],
            key: named_id(&rest[..value_at])?,
            value,
            table: &rest[table_at..],
        })
    }
}

/// `NAME @id` in its parts.
fn named_id(text: &[u8]) -> Option<(&[u8], u64)> {
    let at = memchr::memmem::rfind(text, b" @")?;
    let id = std::str::from_utf8(&text[at + 2..]).ok()?.parse().ok()?;
    Some((&text[..at], id))
}

/// A name that has contents in it, without them: attributes of an element of a page (`<a href=..>`), what follows the path of an
/// address.
fn plain_name(raw: &[u8]) -> Option<String> {
    let from = if raw.starts_with(b"<") && raw.ends_with(b">") {
        memchr::memchr(b' ', raw)? + 1
    } else {
        let address = memchr::memmem::find(raw, b"://")?;
        address + memchr::memchr2(b'?', b'#', &raw[address..])? + 1
    };
    let to = raw.len() - usize::from(raw.ends_with(b">"));
    let contents = raw.get(from..to)?;
    let plain = [&raw[..from], "x".repeat(n_units(contents)).as_bytes(), &raw[to..]].concat();
    (plain != raw).then(|| String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_of_one_length_are_as_long_and_all_different() {
        for (n_units, n) in [(1, 21_037), (2, 100_000), (3, 100_000), (40, 1_000)] {
            let fillers: FxHashSet<String> = (0..n).map(|number| filler(number, n_units)).collect();
            assert_eq!(fillers.len() as u64, n);
            assert!(fillers.iter().all(|filler| filler.encode_utf16().count() == n_units));
        }
        assert_eq!([0, 60, 61].map(|number| filler(number, 8)), ["xxxxxxx0", "xxxxxxxZ", "xxxxxx10"]);
    }

    #[test]
    fn units_are_counted_as_javascript_does() {
        for (raw, n) in
            [("", 0), ("abc", 3), (r#"a\"b\\"#, 4), (r"\u00e9\n", 2), (r"\ud83d\ude00", 2), ("é", 1), ("😀", 2)]
        {
            assert_eq!(n_units(raw.as_bytes()), n, "{raw}");
        }
    }

    #[test]
    fn names_that_hold_contents_lose_them() {
        let (named, contents) = (FxHashSet::from_iter([0]), FxHashSet::from_iter([9]));
        let names = PairNames { named, mentioned: FxHashSet::default(), contents };
        let pair = |value: &str| format!("2 / part of key (Key @7) -> value ({value}) pair in WeakMap (table @5)");
        let replaced = |raw: &str| names.replacement(0, || raw.as_bytes());
        assert_eq!(replaced(&pair("Session @8")), None);
        assert_eq!(replaced(&pair("se) -> value (cret @3 @9")), Some(pair("xxxxxxxxxxxxxxxxxxxxx @9")));
        assert_eq!(
            replaced("2 / part of key (Key @7) -> value (se"),
            Some(format!("2 / part of key ({}", "x".repeat(20)))
        );
        let plain = |raw: &str| plain_name(raw.as_bytes());
        assert_eq!(plain("<a href=\\\"/x\\\">"), Some(format!("<a {}>", "x".repeat(9))));
        assert_eq!(plain("Window / https://shop.example/?t=1"), Some("Window / https://shop.example/?xxx".to_owned()));
        assert_eq!([plain("<div>"), plain("Session"), plain("node:internal/url")], [None, None, None]);
    }
}
