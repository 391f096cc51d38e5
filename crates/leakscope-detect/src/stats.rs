//! Statistics over one window of at most [`MAX`] block floors: trend, slope, records, deceleration, steps.

/// Largest window, in blocks. The pairwise statistics are quadratic in it.
pub(crate) const MAX: usize = 48;
const PAIRS: usize = MAX * (MAX - 1) / 2;

/// Points of one window: ascending times in hours and their floors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<'a> {
    pub(crate) hours: &'a [f64],
    pub(crate) floors: &'a [f64],
}

impl<'a> Points<'a> {
    pub(crate) fn len(self) -> usize {
        self.floors.len()
    }

    pub(crate) fn slice(self, range: std::ops::Range<usize>) -> Points<'a> {
        Points { hours: &self.hours[range.clone()], floors: &self.floors[range] }
    }
}

/// A least-squares line with the standard error of its slope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    pub(crate) error: f64,
}

impl Line {
    /// Sum of squares about the least-squares line. O(n).
    pub(crate) fn squares(points: Points<'_>) -> f64 {
        let n = points.len() as f64;
        let mean_hours = points.hours.iter().sum::<f64>() / n;
        let mean_floor = points.floors.iter().sum::<f64>() / n;
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (hour, floor) in points.hours.iter().zip(points.floors) {
            xx += (hour - mean_hours) * (hour - mean_hours);
            xy += (hour - mean_hours) * (floor - mean_floor);
            yy += (floor - mean_floor) * (floor - mean_floor);
        }
        if xx > 0.0 { (yy - xy * xy / xx).max(0.0) } else { yy }
    }

    /// O(n). The error is widened by the residuals' correlation from point to point.
    pub(crate) fn of(points: Points<'_>) -> Self {
        let n = points.len() as f64;
        let mean_hours = points.hours.iter().sum::<f64>() / n;
        let mean_floor = points.floors.iter().sum::<f64>() / n;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (hour, floor) in points.hours.iter().zip(points.floors) {
            covariance += (hour - mean_hours) * (floor - mean_floor);
            variance += (hour - mean_hours) * (hour - mean_hours);
        }
        if variance <= 0.0 {
            return Self { slope: 0.0, error: 0.0 };
        }
        let slope = covariance / variance;
        let (mut squares, mut products, mut last) = (0.0, 0.0, 0.0);
        for (hour, floor) in points.hours.iter().zip(points.floors) {
            let residual = floor - mean_floor - slope * (hour - mean_hours);
            squares += residual * residual;
            products += residual * last;
            last = residual;
        }
        if squares <= 0.0 || points.len() < 3 {
            return Self { slope, error: 0.0 };
        }
        let rho = (products / squares).clamp(0.0, 0.8);
        let error = (squares / (n - 2.0) / variance * (1.0 + rho) / (1.0 - rho)).sqrt();
        Self { slope, error }
    }
}

/// How fast growth goes on: a later slope over an earlier one. 1 for a line, towards 0 for a curve that saturates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) ratio: f64,
    /// Upper end of its one-sided 95 % interval.
    pub(crate) high: f64,
}

impl Pace {
    /// Second half against the first.
    pub(crate) fn within(points: Points<'_>) -> Self {
        let half = points.len() / 2;
        Self::of(Line::of(points.slice(0..half)), Line::of(points.slice(points.len() - half..points.len())))
    }

    pub(crate) fn of(earlier: Line, later: Line) -> Self {
        if later.slope <= 0.0 {
            return Self { ratio: 0.0, high: 0.0 };
        }
        if earlier.slope <= 0.0 {
            return Self { ratio: f64::INFINITY, high: f64::INFINITY };
        }
        let ratio = later.slope / earlier.slope;
        let relative_error = (later.error / later.slope).hypot(earlier.error / earlier.slope);
        Self { ratio, high: ratio * (1.0 + 1.645 * relative_error) }
    }
}

/// A parabola through one window: how fast growth goes on at its end, and how fast the slope decays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bend {
    /// Slope at the newest point.
    pub(crate) slope: f64,
    /// Rate at which the slope decays, per unit of time, as that of `1 - exp(-rate t)`; negative where growth speeds up.
    pub(crate) rate: f64,
    /// Standard error of `rate`, widened by the residuals' correlation from point to point.
    pub(crate) error: f64,
}

impl Bend {
    /// O(n). `None` of fewer than six points, or where the middle slope is not positive.
    pub(crate) fn of(points: Points<'_>) -> Option<Self> {
        let n = points.len() as f64;
        if points.len() < 6 {
            return None;
        }
        // Orthogonal polynomials of degree 0, 1, 2 over the points' own times.
        let mean_hours = points.hours.iter().sum::<f64>() / n;
        let mean_floor = points.floors.iter().sum::<f64>() / n;
        let (mut second, mut third) = (0.0, 0.0);
        for hour in points.hours {
            let t = hour - mean_hours;
            second += t * t;
            third += t * t * t;
        }
        if second <= 0.0 {
            return None;
        }
        let (skew, spread) = (third / second, second / n);
        let square = |hour: &f64| (hour - mean_hours) * (hour - mean_hours - skew) - spread;
        let (mut linear, mut curved, mut fourth) = (0.0, 0.0, 0.0);
        for (hour, floor) in points.hours.iter().zip(points.floors) {
            let square = square(hour);
            linear += (hour - mean_hours) * (floor - mean_floor);
            curved += square * (floor - mean_floor);
            fourth += square * square;
        }
        if fourth <= 0.0 {
            return None;
        }
        let (linear, curved) = (linear / second, curved / fourth);
        let (mut squares, mut products, mut last) = (0.0, 0.0, 0.0);
        for (hour, floor) in points.hours.iter().zip(points.floors) {
            let residual = floor - mean_floor - linear * (hour - mean_hours) - curved * square(hour);
            squares += residual * residual;
            products += residual * last;
            last = residual;
        }
        let rho = if squares > 0.0 { (products / squares).clamp(0.0, 0.8) } else { 0.0 };
        let error = (squares / (n - 3.0) / fourth * (1.0 + rho) / (1.0 - rho)).sqrt();
        // Slope at t: linear + curved (2 (t - mean) - skew); in the middle of the window that is `linear - curved skew`.
        let middle = linear - curved * skew;
        if middle <= 0.0 {
            return None;
        }
        let end = points.hours[points.len() - 1] - mean_hours;
        Some(Self { slope: middle + 2.0 * curved * end, rate: -2.0 * curved / middle, error: 2.0 * error / middle })
    }

    /// How much more growth there may be, at least, were the slope to decay by a rate `z` standard errors above the one seen.
    pub(crate) fn reach(&self, z: f64) -> f64 {
        let rate = self.rate + z * self.error;
        if self.slope <= 0.0 {
            0.0
        } else if rate > 0.0 {
            self.slope / rate
        } else {
            f64::INFINITY
        }
    }
}

/// A robust line with its confidence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trend {
    /// Theil–Sen slope per hour.
    pub(crate) slope: f64,
    /// Lower end of the slope's 95 % interval.
    pub(crate) slope_low: f64,
    /// Upper end of the slope's 95 % interval.
    pub(crate) slope_high: f64,
    /// Fitted value at the first point.
    pub(crate) level: f64,
    /// Scale of the residuals: 1.4826 × their median absolute deviation.
    pub(crate) sigma: f64,
    /// Mann–Kendall z with the variance corrected for autocorrelation.
    pub(crate) z: f64,
}

/// Theil–Sen line with the Mann–Kendall test, both under Hamed and Rao's variance. O(n²), n at most [`MAX`].
///
/// Sources: Sen 1968, doi:10.1080/01621459.1968.10480934; Hamed and Rao 1998, doi:10.1016/S0022-1694(97)00125-X.
pub(crate) fn trend(points: Points<'_>) -> Trend {
    let n = points.len().min(MAX);
    let mut slopes = [0.0_f64; PAIRS];
    let mut n_slopes = 0;
    let mut s = 0.0;
    for later in 1..n {
        for earlier in 0..later {
            let rise = points.floors[later] - points.floors[earlier];
            let run = points.hours[later] - points.hours[earlier];
            s += sign(rise);
            slopes[n_slopes] = if run > 0.0 { rise / run } else { 0.0 };
            n_slopes += 1;
        }
    }
    let slopes = &mut slopes[..n_slopes];
    let slope = median_by_selection(slopes);

    let mut residuals = [0.0_f64; MAX];
    for (place, residual) in residuals[..n].iter_mut().enumerate() {
        *residual = points.floors[place] - slope * (points.hours[place] - points.hours[0]);
    }
    let residuals = &residuals[..n];
    let level = median(residuals);
    let variance = mann_kendall_variance(points.floors) * hamed_rao_factor(residuals);
    let half_width = 1.96 * variance.sqrt() / 2.0;
    let middle = n_slopes as f64 / 2.0;
    // The median stands in the middle now, with what is less before it.
    let (below, above) = slopes.split_at_mut(n_slopes / 2);
    let n_below = below.len();
    let place_low = ((middle - half_width).floor().max(0.0) as usize).min(n_below.saturating_sub(1));
    let place_high = ((middle + half_width).ceil() as usize).clamp(n_below, n_slopes - 1) - n_below;
    let at = |part: &mut [f64], place: usize| *part.select_nth_unstable_by(place, f64::total_cmp).1;
    Trend {
        slope,
        slope_low: at(below, place_low),
        slope_high: at(above, place_high),
        level,
        sigma: deviation(residuals, level),
        z: if variance > 0.0 { (s - sign(s)) / variance.sqrt() } else { 0.0 },
    }
}

/// Median of at least one value, which come to stand in another order. O(n).
fn median_by_selection(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if even { f64::midpoint(below.iter().copied().fold(f64::NEG_INFINITY, f64::max), middle) } else { middle }
}

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// Variance of Mann and Kendall's S under independence, corrected for ties. O(n log n).
fn mann_kendall_variance(floors: &[f64]) -> f64 {
    let mut sorted = [0.0_f64; MAX];
    let sorted = &mut sorted[..floors.len()];
    sorted.copy_from_slice(floors);
    sorted.sort_unstable_by(f64::total_cmp);
    let n = floors.len() as f64;
    let tied = |same: f64| same * (same - 1.0) * (2.0 * same + 5.0);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|same| tied(same.len() as f64)).sum();
    ((n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0).max(0.0)
}

/// How much autocorrelation of the residuals' ranks inflates the variance of S; at least 1. O(n²).
fn hamed_rao_factor(residuals: &[f64]) -> f64 {
    let n = residuals.len();
    let mut order = [(0.0_f64, 0_usize); MAX];
    let order = &mut order[..n];
    for (place, residual) in residuals.iter().enumerate() {
        order[place] = (*residual, place);
    }
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = [0.0_f64; MAX];
    let mut below = 0;
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        let rank = below as f64 + 0.5 * same.len() as f64;
        for (_, place) in same {
            ranks[*place] = rank;
        }
        below += same.len();
    }
    let ranks = &ranks[..n];
    let mean = ranks.iter().sum::<f64>() / n as f64;
    let variance: f64 = ranks.iter().map(|rank| (rank - mean) * (rank - mean)).sum();
    if variance <= 0.0 {
        return 1.0;
    }
    let significant = 1.96 / (n as f64).sqrt();
    let mut sum = 0.0;
    for lag in 1..n.min(n / 4 + 2) {
        let covariance: f64 = ranks.iter().zip(&ranks[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum();
        let rho = covariance / variance;
        if rho > significant {
            let left = (n - lag) as f64;
            sum += left * (left - 1.0) * (left - 2.0) * rho;
        }
    }
    let n = n as f64;
    (1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * sum).max(1.0)
}

/// What each bet on a record stakes.
const WEIGHTS: [f64; 3] = [0.3, 0.6, 0.85];

/// Evidence from record highs: how many floors exceeded every one before, and the e-value of that.
///
/// Under exchangeable floors the k-th is a record with probability at most 1/k (Rényi 1962). Each block bets weight `w` on a record:
/// the product is a non-negative supermartingale, so by Ville's inequality it reaches 1/α with probability at most α, whenever one looks.
/// The mean over three weights is one again. A process that never returns memory has the records of its demand, so the bet stays fair there.
pub(crate) fn records(floors: &[f64]) -> (u32, f64) {
    let mut products = [1.0_f64; WEIGHTS.len()];
    let mut highest = floors.first().copied().unwrap_or(0.0);
    let mut n_records = 0;
    for (place, floor) in floors.iter().enumerate().skip(1) {
        let k = (place + 1) as f64;
        let record = *floor > highest;
        for (product, weight) in products.iter_mut().zip(WEIGHTS) {
            *product *= if record { weight * k } else { (1.0 - weight) * k / (k - 1.0) };
        }
        if record {
            highest = *floor;
            n_records += 1;
        }
    }
    (n_records, products.iter().sum::<f64>() / WEIGHTS.len() as f64)
}

/// The e-value of `n` floors that are records one and all.
pub(crate) fn records_at_most(n: usize) -> f64 {
    let product = |weight: f64| (2..=n).map(|k| weight * k as f64).product::<f64>();
    WEIGHTS.into_iter().map(product).sum::<f64>() / WEIGHTS.len() as f64
}

/// Mann–Kendall z of `n` floors that rise one and all.
pub(crate) fn z_at_most(n: usize) -> f64 {
    let n = n as f64;
    (n * (n - 1.0) / 2.0 - 1.0) / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt()
}

/// The largest rise between two neighbours over the whole `growth`.
pub(crate) fn step_share(floors: &[f64], growth: f64) -> f64 {
    let largest = floors.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    if growth > 0.0 { largest / growth } else { f64::INFINITY }
}

/// Whether the medians of five consecutive parts never fall and rise at least three times out of four.
pub(crate) fn quintiles_rise(floors: &[f64]) -> bool {
    let n = floors.len();
    let mut rises = 0;
    let mut last = f64::NEG_INFINITY;
    for part in 0..5 {
        let middle = median(&floors[part * n / 5..(part + 1) * n / 5]);
        if middle < last {
            return false;
        }
        rises += u32::from(part > 0 && middle > last);
        last = middle;
    }
    rises >= 3
}

/// Median of at most [`MAX`] values; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    if let [a, b, c] = values {
        return a.max(*b).min(a.min(*b).max(*c));
    }
    let mut sorted = [0.0_f64; MAX];
    let n = values.len().min(MAX);
    sorted[..n].copy_from_slice(&values[..n]);
    sorted[..n].sort_unstable_by(f64::total_cmp);
    median_of_sorted(&sorted[..n])
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    match n {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        _ => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn deviation(values: &[f64], centre: f64) -> f64 {
    let mut distances = [0.0_f64; MAX];
    let n = values.len().min(MAX);
    for (distance, value) in distances[..n].iter_mut().zip(values) {
        *distance = (value - centre).abs();
    }
    1.4826 * median(&distances[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(n: usize) -> Vec<f64> {
        (0..n).map(|hour| hour as f64).collect()
    }

    #[test]
    fn one_spike_does_not_move_the_line() {
        let mut floors: Vec<f64> = (0..24).map(|hour| 100.0 + 2.0 * f64::from(hour)).collect();
        floors[20] = 10_000.0;
        let trend = trend(Points { hours: &hours(24), floors: &floors });
        assert!((trend.slope - 2.0).abs() < 1e-9, "{trend:?}");
        assert!((trend.level - 100.0).abs() < 1e-9, "{trend:?}");
        assert!(trend.slope_low <= 2.0 && trend.slope_high >= 2.0, "{trend:?}");
    }

    #[test]
    fn a_constant_series_has_no_trend_and_no_records() {
        let floors = [5.0; 24];
        let trend = trend(Points { hours: &hours(24), floors: &floors });
        assert_eq!((trend.slope, trend.z, trend.sigma), (0.0, 0.0, 0.0));
        let (n_records, e_value) = records(&floors);
        assert_eq!(n_records, 0);
        assert!(e_value < 1.0);
    }

    #[test]
    fn eight_records_in_a_row_are_worth_thousands() {
        let floors: Vec<f64> = (0..9).map(f64::from).collect();
        let (n_records, e_value) = records(&floors);
        assert_eq!(n_records, 8);
        assert!(e_value > 7_000.0, "{e_value}");
    }

    #[test]
    fn a_saturating_curve_decelerates_and_a_line_does_not() {
        let line: Vec<f64> = (0..24).map(f64::from).collect();
        let curve: Vec<f64> = (0..24).map(|hour| 1.0 - (-f64::from(hour) / 6.0).exp()).collect();
        let pace = |floors: &[f64]| Pace::within(Points { hours: &hours(24), floors });
        assert!((pace(&line).ratio - 1.0).abs() < 1e-9);
        assert!(pace(&curve).high < 0.2);
    }

    #[test]
    fn autocorrelation_widens_the_test() {
        let independent: Vec<f64> = (0..24).map(|place| f64::from(place * 7 % 24)).collect();
        let slow: Vec<f64> = (0..24).map(|place| (f64::from(place) / 4.0).sin()).collect();
        assert!(hamed_rao_factor(&slow) > 2.0 * hamed_rao_factor(&independent));
    }
}
