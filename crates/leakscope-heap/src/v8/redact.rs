//! A snapshot without its contents: what strings, numbers, symbols and patterns say is replaced, all else stays byte for byte.
//!
//! Contents stand in one section only, `strings`, as the names of nodes of some types. Names of properties, types, functions and
//! scripts stand there too and stay: a text that is both is a name. A snapshot has each text once, so one look at how it is used
//! decides.

use std::io::Write;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::Graph;
use crate::redact::{Copy, RedactError, Redacted};

use super::snapshot::{self, NodeKind, Snapshot};

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

/// How a string is used, in bits.
mod used {
    /// As the name of an edge or of a script.
    pub(super) const AS_NAME: u8 = 1;
    /// As the contents of a string.
    pub(super) const AS_TEXT: u8 = 2;
    /// As a number, a pattern or a description.
    pub(super) const AS_VALUE: u8 = 4;
    /// As the name of a type, a function, an element of a page.
    pub(super) const AS_TYPE: u8 = 8;
    /// In a way that says what it is.
    pub(super) const AS_SHAPE: u8 = AS_NAME | AS_TYPE;
}

/// Writes `bytes`, a snapshot, without its contents.
///
/// # Errors
/// [`RedactError::Unreadable`] where it is no whole snapshot, before anything is written; [`RedactError::Unwritable`].
pub(crate) fn redact(bytes: &[u8], out: &mut dyn Write) -> Result<Redacted, RedactError> {
    let snapshot::Read { snapshot, graph, .. } = snapshot::read(bytes)?;
    let pairs = PairNames::of(&snapshot);
    let uses = uses(&snapshot, &graph);
    drop(graph);
    let mut fillers = Fillers::beside(&snapshot, &uses);
    let mut copy = Copy::of(bytes, out);
    let mut redacted = Redacted { bytes: bytes.len() as u64, ..Redacted::default() };
    for (index, &uses) in uses.iter().enumerate() {
        let index = index as u32;
        let raw = snapshot.strings.raw(index);
        let range = range_in(bytes, raw);
        if uses & used::AS_SHAPE != 0 {
            let type_name = || (uses & used::AS_NAME == 0).then(|| plain_name(raw)).flatten();
            if let Some(name) = pairs.replacement(index, raw).or_else(type_name) {
                copy.replace(range, &name)?;
                redacted.values += 1;
            }
        } else if is_content(uses, raw) {
            copy.replace(range, fillers.of(raw))?;
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

/// What a node's name is: contents of a string, another value, or a name.
fn use_of(kind: NodeKind, is_value: bool) -> u8 {
    match kind {
        NodeKind::Text | NodeKind::ConsText | NodeKind::SlicedText => used::AS_TEXT,
        NodeKind::RegExp | NodeKind::Number => used::AS_VALUE,
        NodeKind::Other if is_value => used::AS_VALUE,
        _ => used::AS_TYPE,
    }
}

/// Types beside those of [`NodeKind`] whose names are values.
fn is_value(snapshot: &Snapshot<'_>, node: u32) -> bool {
    let name = snapshot.layout.node.types.get(usize::from(snapshot.type_index(node)));
    name.is_some_and(|name| name == "symbol" || name == "bigint")
}

/// How each string is used.
fn uses(snapshot: &Snapshot<'_>, graph: &Graph) -> Vec<u8> {
    let mut uses = vec![0_u8; snapshot.strings.len()];
    for node in 0..snapshot.n_nodes() as u32 {
        let kind = snapshot.kind(node);
        let is_value = kind == NodeKind::Other && is_value(snapshot, node);
        uses[snapshot.names[node as usize] as usize] |= use_of(kind, is_value);
    }
    for (edge, word) in snapshot.edge_words.iter().enumerate() {
        if !word.link().is_numbered() {
            uses[snapshot.edge_name(edge) as usize] |= used::AS_NAME;
        }
    }
    for node in script_names(snapshot, graph) {
        uses[snapshot.names[node as usize] as usize] |= used::AS_NAME;
    }
    uses
}

/// The strings that hold the files of scripts.
fn script_names(snapshot: &Snapshot<'_>, graph: &Graph) -> Vec<u32> {
    let [Some(script), Some(name)] = snapshot.strings.find(["system / Script", "name"]) else { return Vec::new() };
    let mut names = Vec::new();
    for node in (0..snapshot.n_nodes() as u32).filter(|&node| snapshot.names[node as usize] == script) {
        for edge in graph.first.range(node as usize) {
            let word = snapshot.edge_words[edge];
            if !word.link().is_numbered() && snapshot.edge_name(edge) == name {
                names.push(graph.targets[edge]);
            }
        }
    }
    names
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
    fn beside(snapshot: &Snapshot<'a>, uses: &[u8]) -> Self {
        let both = |&(_, &uses): &(usize, &u8)| uses & used::AS_SHAPE != 0 && uses & !used::AS_SHAPE != 0;
        let stays = uses.iter().enumerate().filter(both);
        let taken = stays.map(|(index, _)| snapshot.strings.raw(index as u32)).collect();
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
struct PairNames {
    /// Ids that are named so and belong to what has contents.
    contents: FxHashSet<u64>,
    /// Whether the string is such a name.
    named: FxHashSet<u32>,
}

const KEY: &[u8] = b" / part of key (";
const VALUE: &[u8] = b") -> value (";
const TABLE: &[u8] = b") pair in WeakMap (table @";

impl PairNames {
    fn of(snapshot: &Snapshot<'_>) -> Self {
        let named: FxHashSet<u32> = snapshot.strings.containing(KEY).into_iter().collect();
        let mut contents = FxHashSet::default();
        if named.is_empty() {
            return Self { contents, named };
        }
        for node in 0..snapshot.n_nodes() as u32 {
            let kind = snapshot.kind(node);
            if use_of(kind, kind == NodeKind::Other && is_value(snapshot, node)) != used::AS_TYPE {
                contents.insert(snapshot.id(node));
            }
        }
        Self { contents, named }
    }

    /// The name without contents, where it has some.
    fn replacement(&self, index: u32, raw: &[u8]) -> Option<String> {
        if !self.named.contains(&index) {
            return None;
        }
        let digits = raw.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = raw[digits..].strip_prefix(KEY)?;
        let head = String::from_utf8_lossy(&raw[..raw.len() - rest.len()]);
        let parts = || {
            let (value_at, table_at) = (memchr::memmem::find(rest, VALUE)?, memchr::memmem::rfind(rest, TABLE)?);
            let value = rest.get(value_at + VALUE.len()..table_at)?;
            Some((named_id(&rest[..value_at])?, named_id(value)?, &rest[table_at..]))
        };
        let Some(((key, key_id), (value, value_id), table)) = parts() else {
            // The engine cuts long names: what is left says nothing to us, and may be contents.
            return rest.iter().any(|byte| *byte != b'x').then(|| format!("{head}{}", "x".repeat(rest.len())));
        };
        let shown = |name: &[u8], id: u64| {
            if self.contents.contains(&id) {
                "x".repeat(n_units(name))
            } else {
                String::from_utf8_lossy(name).into_owned()
            }
        };
        let (key, value) = (shown(key, key_id), shown(value, value_id));
        let name = format!("{head}{key} @{key_id}) -> value ({value} @{value_id}{}", String::from_utf8_lossy(table));
        (name.as_bytes() != raw).then_some(name)
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
        let names = PairNames { contents: FxHashSet::from_iter([9]), named: FxHashSet::from_iter([0]) };
        let pair = |value: &str| format!("2 / part of key (Key @7) -> value ({value}) pair in WeakMap (table @5)");
        let replaced = |raw: &str| names.replacement(0, raw.as_bytes());
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
