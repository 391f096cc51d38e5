//! Moments as people write them.

/// The span of a unit, seconds.
const UNITS: [(char, f64); 5] = [('s', 1.0), ('m', 60.0), ('h', 3_600.0), ('d', 86_400.0), ('w', 604_800.0)];

/// From where on a store is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Since {
    /// Seconds since the Unix epoch.
    Moment(f64),
    /// Seconds before the end.
    Ago(f64),
}

/// Seconds of a number, or since the Unix epoch of an RFC 3339 time.
pub(crate) fn parse_moment(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let time = || text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond() as f64 / 1e3);
    number.or_else(time).ok_or_else(|| "expected seconds or an RFC 3339 time such as `2026-11-20T14:00:00Z`".to_owned())
}

/// A span such as `90m` or `7d`, or a moment as of [`parse_moment`].
pub(crate) fn parse_since(text: &str) -> Result<Since, String> {
    let span = UNITS.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(*unit)?.parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(Since::Ago(number * seconds))
    });
    match span {
        Some(span) => Ok(span),
        None => parse_moment(text).map(Since::Moment).map_err(|_| {
            "expected a span such as `90m` or `7d`, seconds since the Unix epoch, or an RFC 3339 time".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans_are_read_as_people_write_them() {
        assert_eq!(parse_moment("612.5"), Ok(612.5));
        assert_eq!(parse_moment("2026-11-20T13:20:16.250Z"), Ok(1_795_180_816.25));
        assert_eq!(parse_since("90m"), Ok(Since::Ago(5_400.0)));
        assert_eq!(parse_since("1.5d"), Ok(Since::Ago(129_600.0)));
        assert_eq!(parse_since("1795180816"), Ok(Since::Moment(1_795_180_816.0)));
        for wrong in ["", "NaN", "inf", "yesterday", "-1h", "5 apples", "2026-11-20"] {
            assert!(parse_since(wrong).is_err() && parse_moment(wrong).is_err(), "{wrong}");
        }
    }
}
