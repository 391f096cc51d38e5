//! Times on the wire: RFC 3339 in UTC with milliseconds.

use leakscope_model::Timestamp;

/// `2026-11-20T11:20:08.250Z`; the range of the calendar (years −9999 to 9999) is clamped.
pub fn rfc3339(at: Timestamp) -> String {
    let clamped = at.as_millis().clamp(-377_705_023_201_000, 253_402_207_200_000);
    jiff::Timestamp::from_millisecond(clamped).map(|time| format!("{time:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_shown() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_795_173_608_000)), "2026-11-20T11:20:08.000Z");
        assert!(rfc3339(Timestamp::from_millis(i64::MAX)).starts_with("9999"));
    }
}
