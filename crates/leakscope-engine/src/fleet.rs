//! A fleet gives chance many chances: which of its alarms stand.

/// Share of the alarms that stand at a time that may be false, on the mean.
pub const FALSE_DISCOVERY: f64 = 0.05;

/// Least e-value, as a power of ten, of an alarm that stands among `n_targets`, by e-BH: with the `k` most surprising alarms all at least
/// `n_targets / (k FALSE_DISCOVERY)`, at most that share of them is false on the mean, however the targets depend on each other.
///
/// `surprises` are those of all alarms. Infinite when none stands.
/// Source: Wang and Ramdas 2022, False discovery rate control with e-values, doi:10.1111/rssb.12489.
pub(crate) fn least_surprise(n_targets: usize, surprises: &mut [f64]) -> f64 {
    surprises.sort_by(|a, b| b.total_cmp(a));
    let asked = |k: usize| (n_targets as f64 / (k as f64 * FALSE_DISCOVERY)).log10();
    (1..=surprises.len())
        .rev()
        .map(asked)
        .zip(surprises.iter().rev())
        .find(|(asked, found)| **found >= *asked)
        .map_or(f64::INFINITY, |(asked, _)| asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_targets_the_more_surprising_an_alarm_must_be_and_the_more_alarms_the_less() {
        let cases: [(usize, &[f64], usize); 7] = [
            (1, &[3.0], 1),
            (50, &[3.0], 1),
            (51, &[3.0], 0),
            (500, &[3.6, 9.0], 1),
            (500, &[4.0, 3.71, 9.0], 3),
            (10_000, &[3.0; 200], 200),
            (10_000, &[], 0),
        ];
        for (n_targets, surprises, expect) in cases {
            let least = least_surprise(n_targets, &mut surprises.to_vec());
            let n_stand = surprises.iter().filter(|surprise| **surprise >= least).count();
            assert_eq!(n_stand, expect, "{n_targets} targets, {surprises:?}");
        }
    }
}
