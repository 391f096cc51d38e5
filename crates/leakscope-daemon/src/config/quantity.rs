//! Durations and sizes as Prometheus spells them: `1h30m`, `512MB`. Units are required, except on 0.

use std::time::Duration;

use leakscope_model::Bytes;

/// Units of a duration, largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of a size; both spellings are powers of two, as in Prometheus.
const SIZE_UNITS: [(&str, u32); 13] = [
    ("B", 0),
    ("KB", 10),
    ("KiB", 10),
    ("MB", 20),
    ("MiB", 20),
    ("GB", 30),
    ("GiB", 30),
    ("TB", 40),
    ("TiB", 40),
    ("PB", 50),
    ("PiB", 50),
    ("EB", 60),
    ("EiB", 60),
];

/// A duration: numbers with units, each unit once, from large to small. `None` when it is none or does not fit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = rest.get(..letters)?;
        rest = rest.get(letters..)?;
        let place = TIME_UNITS.iter().position(|(name, _)| *name == unit)?;
        if place < next_unit {
            return None;
        }
        next_unit = place + 1;
        millis = millis.checked_add(number.checked_mul(TIME_UNITS[place].1)?)?;
    }
    (next_unit > 0).then(|| Duration::from_millis(millis))
}

/// A duration as [`parse_duration`] reads it; parts below a millisecond are dropped.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut shown = String::new();
    for (name, unit) in TIME_UNITS {
        // Years and weeks only when they stand alone, so that 15d does not become 2w1d.
        let whole_only = matches!(name, "y" | "w");
        if millis < unit || (whole_only && millis % unit != 0) {
            continue;
        }
        shown.push_str(&(millis / unit).to_string());
        shown.push_str(name);
        millis %= unit;
    }
    shown
}

/// A size: a number and a unit, possibly with a space between. `None` when it is none or does not fit.
pub(super) fn parse_size(text: &str) -> Option<Bytes> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let number = text.get(..digits)?;
    let unit = text.get(digits..)?.trim_start();
    let (_, shift) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).map(Bytes);
    }
    let bytes = number.parse::<f64>().ok()? * (1_u64 << shift) as f64;
    (bytes.is_finite() && bytes < u64::MAX as f64).then(|| Bytes(bytes.round() as u64))
}

/// A size as [`parse_size`] reads it, in the largest unit that divides it.
pub(super) fn show_size(size: Bytes) -> String {
    let (name, shift) = SIZE_UNITS
        .iter()
        .rev()
        .filter(|(name, _)| !name.contains('i'))
        .find(|(_, shift)| size.0 != 0 && size.0.trailing_zeros() >= *shift)
        .unwrap_or(&SIZE_UNITS[0]);
    format!("{}{name}", size.0 >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_prometheus() {
        for (text, millis) in [
            ("15s", Some(15_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("2w", Some(1_209_600_000)),
            ("1y", Some(31_536_000_000)),
            ("0", Some(0)),
            ("1m0s", Some(60_000)),
            ("15", None),
            ("", None),
            ("s", None),
            ("1s1m", None),
            ("1s1s", None),
            ("-1s", None),
            ("1.5h", None),
            ("15 s", None),
            ("99999999999999999999s", None),
            ("9999999999999999y", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two_and_need_a_unit() {
        for (text, bytes) in [
            ("512MB", Some(512 << 20)),
            ("10MiB", Some(10 << 20)),
            ("1.5 GB", Some(3 << 29)),
            ("0B", Some(0)),
            ("15EB", Some(15 << 60)),
            ("16EB", None),
            ("512", None),
            ("MB", None),
            ("1..5MB", None),
            ("10mb", None),
            ("-1B", None),
        ] {
            assert_eq!(parse_size(text), bytes.map(Bytes), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for millis in [0, 1, 999, 15_000, 90_000, 5_400_000, 15 * 86_400_000, 1_209_600_000, 31_536_000_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        for bytes in [0, 1, 1_023, 1_024, 10 << 20, (10 << 20) + 1, u64::MAX] {
            assert_eq!(parse_size(&show_size(Bytes(bytes))), Some(Bytes(bytes)));
        }
        assert_eq!(show_duration(Duration::from_hours(360)), "15d");
        assert_eq!(show_size(Bytes(10 << 20)), "10MB");
    }
}
