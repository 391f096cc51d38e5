//! Figures about detectors: how sure a count is, what a share is, how well a probability is calibrated.

/// Exact interval of the rate behind `count` events in `exposure`, both ends at half of `1 - level`.
///
/// Source: Garwood 1936, doi:10.1093/biomet/28.3-4.437. Bisection over the Poisson sum: O(count), for counts up to some thousands.
pub fn poisson_interval(count: u32, exposure: f64, level: f64) -> (f64, f64) {
    if exposure <= 0.0 {
        return (0.0, f64::INFINITY);
    }
    let tail = (1.0 - level) / 2.0;
    let low = if count == 0 { 0.0 } else { mean_where(|mean| 1.0 - poisson_cdf(count - 1, mean) >= tail, count) };
    let high = mean_where(|mean| poisson_cdf(count, mean) <= tail, count);
    (low / exposure, high / exposure)
}

/// The least mean for which `holds`, which is monotone in it.
fn mean_where(holds: impl Fn(f64) -> bool, count: u32) -> f64 {
    let (mut low, mut high) = (0.0, 10.0 + 2.0 * f64::from(count) + 10.0 * f64::from(count).sqrt());
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Chance of at most `count` events.
fn poisson_cdf(count: u32, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut log_term = -mean;
    let mut sum = log_term.exp();
    for k in 1..=count {
        log_term += (mean / f64::from(k)).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

/// The value below which a share of the values lies, by linear interpolation; NaN of none. Sorts them.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    // Equal ends may both be infinite, and their difference no number.
    if below == above { below } else { below + (above - below) * place.fract() }
}

/// Mean squared distance between stated probabilities and what came true: 0 is perfect, 0.25 is a coin.
pub fn brier(stated: &[(f64, bool)]) -> f64 {
    let sum: f64 = stated.iter().map(|(probability, truth)| (probability - f64::from(u8::from(*truth))).powi(2)).sum();
    if stated.is_empty() { f64::NAN } else { sum / stated.len() as f64 }
}

/// Probabilities for scores, learned from pairs of a score and its truth: steps that never fall.
///
/// Source: Ayer et al. 1955, pool adjacent violators.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The least score of each step with its probability, ascending.
    steps: Vec<(f64, f64)>,
}

impl Calibration {
    /// Learns from some pairs, in any order.
    pub fn fitted(pairs: &[(f64, bool)]) -> Self {
        let mut pairs = pairs.to_vec();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Least score, number, number that came true.
        let mut pools: Vec<(f64, f64, f64)> = Vec::new();
        for (score, truth) in pairs {
            let hit = f64::from(u8::from(truth));
            match pools.last_mut().filter(|pool| pool.0 == score) {
                Some(pool) => {
                    pool.1 += 1.0;
                    pool.2 += hit;
                }
                None => pools.push((score, 1.0, hit)),
            }
        }
        let mut merged: Vec<(f64, f64, f64)> = Vec::new();
        for pool in pools {
            merged.push(pool);
            while let [.., before, last] = merged.as_mut_slice()
                && before.2 / before.1 >= last.2 / last.1
            {
                before.1 += last.1;
                before.2 += last.2;
                merged.pop();
            }
        }
        Self { steps: merged.into_iter().map(|(score, n, hits)| (score, hits / n)).collect() }
    }

    /// The probability of a score; that of the lowest step below all of them.
    pub fn of(&self, score: f64) -> f64 {
        let after = self.steps.partition_point(|(least, _)| *least <= score);
        self.steps.get(after.saturating_sub(1)).map_or(f64::NAN, |(_, probability)| *probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_intervals_are_those_of_the_tables() {
        // Garwood's table, 95 %.
        for (count, low, high) in [
            (0, 0.0, 3.689),
            (1, 0.0253, 5.572),
            (2, 0.242, 7.225),
            (5, 1.623, 11.668),
            (10, 4.795, 18.390),
            (50, 37.11, 65.92),
            (1_000, 938.97, 1_063.95),
        ] {
            let (found_low, found_high) = poisson_interval(count, 1.0, 0.95);
            assert!((found_low - low).abs() < 0.005 * high, "{count}: {found_low} for {low}");
            assert!((found_high - high).abs() < 0.005 * high, "{count}: {found_high} for {high}");
        }
        assert_eq!(poisson_interval(0, 0.0, 0.95), (0.0, f64::INFINITY));
    }

    #[test]
    fn quantiles_interpolate() {
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (0.9, 3.7), (1.0, 4.0)] {
            assert!((quantile(&mut [4.0, 1.0, 3.0, 2.0], share) - expected).abs() < 1e-12);
        }
        assert!(quantile(&mut [], 0.5).is_nan());
        assert_eq!(quantile(&mut [f64::INFINITY, f64::INFINITY], 0.5), f64::INFINITY);
    }

    #[test]
    fn the_brier_score_of_a_coin_is_a_quarter() {
        assert_eq!(brier(&[(0.5, true), (0.5, false)]), 0.25);
        assert_eq!(brier(&[(1.0, true), (0.0, false)]), 0.0);
        assert!(brier(&[]).is_nan());
    }

    #[test]
    fn a_calibration_never_falls_and_pools_what_would() {
        let pairs = [(0.1, false), (0.2, true), (0.3, false), (0.9, true), (1.2, true)];
        let calibration = Calibration::fitted(&pairs);
        for (score, probability) in [(0.0, 0.0), (0.1, 0.0), (0.25, 0.5), (0.5, 0.5), (0.9, 1.0), (5.0, 1.0)] {
            assert_eq!(calibration.of(score), probability, "{score}");
        }
        assert!(Calibration::default().of(1.0).is_nan());
    }
}
