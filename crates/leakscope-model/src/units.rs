//! Units as types. Every subtraction of times happens here.

use std::fmt;
use std::time::Duration;

/// A point in time: milliseconds since the Unix epoch. The engine's clock may be simulated or compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch; saturates, and NaN becomes the epoch.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1_000.0).round() as i64)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Signed hours from `earlier` to `self`.
    pub fn hours_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 3_600_000.0
    }

    /// `self` moved into the future; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// `self` moved into the past; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A size in bytes. Displays in binary units: `212 MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A signed growth rate in bytes an hour. Displays with its sign: `+3.3 MiB/h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct BytesPerHour(pub f64);

/// A signed growth in bytes a request. Displays with its sign: `+64 KiB/request`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct BytesPerRequest(pub f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.0 as f64)
    }
}

impl fmt::Display for BytesPerHour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 < 0.0 { "-" } else { "+" })?;
        write_bytes(f, self.0.abs())?;
        f.write_str("/h")
    }
}

impl fmt::Display for BytesPerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 < 0.0 { "-" } else { "+" })?;
        write_bytes(f, self.0.abs())?;
        f.write_str("/request")
    }
}

/// Three significant digits in the largest binary unit that keeps the number at least 1.
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: f64) -> fmt::Result {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1_023.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let decimals = if unit == 0 || value >= 99.95 { 0 } else { usize::from(value < 9.995) + 1 };
    write!(f, "{value:.decimals$} {}", UNITS.get(unit).copied().unwrap_or("B"))
}

/// An estimate with its 95 % interval: `low <= mid <= high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<T> {
    /// Lower end.
    pub low: T,
    /// Best estimate.
    pub mid: T,
    /// Upper end.
    pub high: T,
}

impl<T> Interval<T> {
    /// The same interval in another unit.
    pub fn map<U>(self, to: impl Fn(T) -> U) -> Interval<U> {
        Interval { low: to(self.low), mid: to(self.mid), high: to(self.high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_show_three_digits_in_binary_units() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.00 KiB"),
            (65_536, "64.0 KiB"),
            (222_298_112, "212 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
        assert_eq!(BytesPerHour(-3_460_300.8).to_string(), "-3.30 MiB/h");
    }

    #[test]
    fn time_arithmetic_saturates_at_both_ends() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_secs_f64(f64::NAN), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_secs_f64(1.5).as_millis(), 1_500);
    }
}
