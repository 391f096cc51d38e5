//! Quantities as people write them: `512 MB`, `1.5 GiB`, `12,345 kB`.
//!
//! `kB`, `KB`, `MB`, `GB` count in 1,024: that is what `/proc`, `ps`, `top` and most status pages mean by them. `KiB`, `Ki` and the like do so by definition.

use std::fmt;

/// A number and the unit that stood behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The number, in bytes where there was a unit.
    pub value: f64,
    /// Whether a unit of memory stood behind the number.
    pub in_bytes: bool,
}

/// Text that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityError {
    /// What is allowed.
    pub expected: &'static str,
    /// What was found, shortened.
    pub found: String,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for QuantityError {}

const UNITS: &str = "a unit of memory (`B`, `kB`, `KiB`, `MB`, `MiB`, `GB`, `GiB`, `TB`, `TiB`)";

/// Reads text that is a quantity and nothing else. Thousands may be separated by `,`, `_`, `'` or a space; `1,5` is one and a half.
///
/// # Errors
/// [`QuantityError`] for text without a number and for unknown units.
pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
    let text = text.trim();
    let length = number_len(text);
    let (number, unit) = text.split_at_checked(length).unwrap_or((text, ""));
    let error = |expected, found: &str| QuantityError { expected, found: crate::error::shown(found.as_bytes()) };
    let number = number_of(number.trim_end()).ok_or_else(|| error("a number", text))?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Ok(Quantity { value: number, in_bytes: false });
    }
    let factor = bytes_in(unit).ok_or_else(|| error(UNITS, unit))?;
    Ok(Quantity { value: number * factor, in_bytes: true })
}

/// The first quantity within text; a word behind the number that is no unit is left alone.
pub fn find(text: &str) -> Option<Quantity> {
    let start = text.bytes().position(|byte| byte.is_ascii_digit())?;
    let signed = start > 0 && text.as_bytes().get(start - 1) == Some(&b'-');
    let from = text.get(start - usize::from(signed)..)?;
    let (number, rest) = from.split_at_checked(number_len(from))?;
    let value = number_of(number.trim_end())?;
    let rest = rest.trim_start();
    let word_len = rest.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(rest.len());
    match rest.get(..word_len).and_then(bytes_in) {
        Some(factor) => Some(Quantity { value: value * factor, in_bytes: true }),
        None => Some(Quantity { value, in_bytes: false }),
    }
}

/// Bytes in one of a unit. `1 M` is a mebibyte here; milli- and bit-units do not exist for memory.
fn bytes_in(unit: &str) -> Option<f64> {
    let lower = unit.to_ascii_lowercase();
    let power = match lower.as_str() {
        "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "ki" | "kib" | "kbyte" | "kbytes" | "kilobytes" => 1,
        "m" | "mb" | "mi" | "mib" | "mbyte" | "mbytes" | "megabytes" => 2,
        "g" | "gb" | "gi" | "gib" | "gbyte" | "gbytes" | "gigabytes" => 3,
        "t" | "tb" | "ti" | "tib" | "terabytes" => 4,
        "p" | "pb" | "pi" | "pib" => 5,
        _ => return None,
    };
    Some(1_024_f64.powi(power))
}

fn is_separator(char: char) -> bool {
    matches!(char, ',' | '_' | '\'' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Bytes of `text` that belong to its number: digits, a point, an exponent, and separators that stand before three digits.
fn number_len(text: &str) -> usize {
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let rest = text.get(at + char.len_utf8()..).unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let goes_on = match char {
            '0'..='9' => true,
            '+' | '-' => at == 0 && digits > 0,
            '.' => digits > 0,
            'e' | 'E' => {
                let exponent = rest.strip_prefix(['+', '-']).unwrap_or(rest);
                at > 0 && exponent.starts_with(|char: char| char.is_ascii_digit())
            }
            ',' => at > 0 && digits > 0,
            _ => at > 0 && is_separator(char) && digits == 3,
        };
        if !goes_on {
            break;
        }
        end = at + char.len_utf8();
        if matches!(char, 'e' | 'E')
            && let Some((at, sign)) = chars.next_if(|(_, char)| matches!(char, '+' | '-'))
        {
            end = at + sign.len_utf8();
        }
    }
    end
}

fn number_of(text: &str) -> Option<f64> {
    let points = text.matches('.').count();
    let commas = text.matches(',').count();
    let after_comma = text.rsplit_once(',').map_or(0, |(_, rest)| rest.len());
    let plain: String = if commas == 1 && points == 0 && after_comma != 3 {
        // `1,5`: a decimal comma.
        text.replace(',', ".").replace(is_separator, "")
    } else if points > 1 {
        // `1.234.567`: points between thousands.
        text.replace('.', "").replace(',', ".")
    } else {
        text.replace(is_separator, "")
    };
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    #[test]
    fn quantities_with_and_without_units() {
        for (text, value, in_bytes) in [
            ("512 MB", 512.0 * MIB, true),
            ("1.5 GiB", 1_536.0 * MIB, true),
            ("12,345 kB", 12_345.0 * 1_024.0, true),
            ("12345", 12_345.0, false),
            (" 1,234,567 ", 1_234_567.0, false),
            ("1 234 567 B", 1_234_567.0, true),
            ("1\u{a0}234\u{a0}567", 1_234_567.0, false),
            ("1_000", 1_000.0, false),
            ("1'000'000 bytes", 1_000_000.0, true),
            ("1,5 MiB", 1.5 * MIB, true),
            ("1.234.567", 1_234_567.0, false),
            ("256Mi", 256.0 * MIB, true),
            ("1e6", 1e6, false),
            ("2.5E-1 K", 256.0, true),
            ("-3", -3.0, false),
        ] {
            assert_eq!(parse(text), Ok(Quantity { value, in_bytes }), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_named() {
        for (text, expected, found) in [
            ("", "a number", "the end"),
            ("MB", "a number", "`MB`"),
            ("12 parsecs", UNITS, "`parsecs`"),
            ("12 MB of 3", UNITS, "`MB of 3`"),
            ("87%", UNITS, "`%`"),
            ("1e999", "a number", "`1e999`"),
        ] {
            assert_eq!(parse(text), Err(QuantityError { expected, found: found.to_owned() }), "{text}");
        }
    }

    #[test]
    fn the_first_quantity_in_a_sentence_is_found() {
        for (text, want) in [
            ("Heap: 512 MB used (87%)", Some((512.0 * MIB, true))),
            ("used 12 of 40", Some((12.0, false))),
            ("1,024 kB", Some((MIB, true))),
            ("é3", Some((3.0, false))),
            ("nothing", None),
        ] {
            assert_eq!(find(text), want.map(|(value, in_bytes)| Quantity { value, in_bytes }), "{text}");
        }
    }
}
