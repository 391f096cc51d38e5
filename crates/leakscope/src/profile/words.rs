//! How values of a profile read, by their unit.

use crate::heap::words;

/// A value in its unit, with its sign where it is negative.
pub(super) fn amount(value: i64, unit: &str) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", size(value.unsigned_abs(), unit))
}

/// A value in its unit, always with its sign.
pub(super) fn change(value: i64, unit: &str) -> String {
    let sign = if value < 0 { '-' } else { '+' };
    format!("{sign}{}", size(value.unsigned_abs(), unit))
}

fn size(value: u64, unit: &str) -> String {
    match unit {
        "bytes" => words::bytes(value),
        "" | "count" => words::number(value),
        unit => format!("{} {}", words::number(value), words::clean(unit)),
    }
}

/// A part of a whole in percent, as `go tool pprof` writes it.
pub(super) fn percent(part: i64, whole: i64) -> String {
    let percent = if whole == 0 { 0.0 } else { (part as f64 / whole as f64).abs() * 100.0 };
    match percent {
        percent if (99.95..=100.05).contains(&percent) => "100%".to_owned(),
        0.0 => "0%".to_owned(),
        percent if percent < 0.005 => "<0.01%".to_owned(),
        percent => format!("{percent:.2}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_by_their_unit_with_their_sign() {
        assert_eq!([amount(2_048, "bytes"), amount(-1_500, "count")], ["2.00 KiB", "-1,500"]);
        assert_eq!([change(2_048, "bytes"), change(-3, "nanoseconds")], ["+2.00 KiB", "-3 nanoseconds"]);
        assert_eq!(
            [(1, 3), (-1, 3), (1, 1), (0, 0), (1, 1_000_000)].map(|(a, b)| percent(a, b)),
            ["33.33%", "33.33%", "100%", "0%", "<0.01%"]
        );
    }
}
