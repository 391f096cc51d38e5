//! The one knob: how many false alarms a fleet may have, and the thresholds that follow from it.

/// How sure a detector must be. One number; all thresholds of chance follow from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// The record test's e-value, as a power of ten.
    pub(crate) log10_e: f64,
    /// The same for live heap, which is measured without garbage and seldom.
    pub(crate) log10_e_live: f64,
    /// Corrected Mann–Kendall z.
    pub(crate) z: f64,
    /// Part of its window for which evidence must hold before it alarms.
    pub(crate) patience: f64,
}

/// The rate that the thresholds were set at.
const RATE: f64 = 1.0;
/// Rates that can be asked for: beyond them the look-alikes decide and no threshold of chance.
const RATES: (f64, f64) = (0.01, 100.0);

impl Default for Tuning {
    /// One false alarm in a thousand service-days.
    fn default() -> Self {
        Self::for_false_alarms(RATE)
    }
}

impl Tuning {
    /// The tuning for so many false alarms in 1,000 service-days; held within 0.01 and 100.
    ///
    /// Floors depend on each other, so that an e-value of 10⁷ is worth about one in a thousand days and not one in ten million; each power of
    /// ten in the rate moves it by as much as one in the other direction.
    pub fn for_false_alarms(per_1000_service_days: f64) -> Self {
        let powers = (per_1000_service_days.clamp(RATES.0, RATES.1) / RATE).log10();
        Self {
            log10_e: 7.0 - powers,
            log10_e_live: 4.0 - powers / 2.0,
            z: 3.5 - 0.35 * powers,
            patience: 0.2 * 10.0_f64.powf(-powers / 4.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_false_alarms_ask_for_more_evidence() {
        let cases = [1_000.0, 100.0, 10.0, 1.0, 0.1, 0.01, 0.0, -1.0];
        for pair in cases.windows(2) {
            let (more, fewer) = (Tuning::for_false_alarms(pair[0]), Tuning::for_false_alarms(pair[1]));
            assert!(more.log10_e <= fewer.log10_e && more.z <= fewer.z && more.patience <= fewer.patience, "{pair:?}");
            assert!(more.log10_e_live >= 3.0 && more.patience > 0.0, "{pair:?}");
        }
    }
}
