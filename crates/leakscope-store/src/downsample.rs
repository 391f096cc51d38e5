//! Fewer points for a plot, with every extreme kept. Pure.

use leakscope_model::{Sample, Timestamp};

/// At most `n_max` of `samples` that draw the same line: the time from first to last is cut into equal buckets, and each
/// keeps its first, lowest, highest and last sample (M4), so that no spike is lost and the order stays.
///
/// `samples`: ascending in time, finite. With `n_max` below 4 there is one bucket, of which the extremes matter most:
/// 3 keeps lowest, highest and last, 2 the extremes, 1 the highest, 0 nothing. O(n).
///
/// Source: Jugel et al. 2014, "M4: a visualization-oriented time series data aggregation", doi:10.14778/2732951.2732953.
pub fn downsample(samples: &[Sample], n_max: usize) -> Vec<Sample> {
    if samples.len() <= n_max {
        return samples.to_vec();
    }
    if n_max < 4 {
        return bucket_points(samples, n_max);
    }
    let n_buckets = n_max / 4;
    let mut kept = Vec::with_capacity(n_buckets * 4);
    let mut rest = samples;
    for bucket in 1..=n_buckets {
        let end = if bucket == n_buckets {
            rest.len()
        } else {
            rest.partition_point(|s| s.at < edge(samples, bucket, n_buckets))
        };
        let (points, later) = rest.split_at(end);
        kept.extend(bucket_points(points, 4));
        rest = later;
    }
    kept
}

/// The time at which `bucket` of `n_buckets` ends.
fn edge(samples: &[Sample], bucket: usize, n_buckets: usize) -> Timestamp {
    let millis = |sample: Option<&Sample>| sample.map_or(0, |s| i128::from(s.at.as_millis()));
    let (first, last) = (millis(samples.first()), millis(samples.last()));
    let edge = first + (last - first) * bucket as i128 / n_buckets as i128;
    Timestamp::from_millis(i64::try_from(edge).unwrap_or(i64::MAX))
}

/// Of one bucket: highest, lowest, last and first, the first `n` of these, in order of time and each once.
fn bucket_points(points: &[Sample], n: usize) -> Vec<Sample> {
    let value = |a: &(usize, &Sample), b: &(usize, &Sample)| a.1.value.total_cmp(&b.1.value);
    let (Some(highest), Some(lowest)) =
        (points.iter().enumerate().max_by(value), points.iter().enumerate().min_by(value))
    else {
        return Vec::new();
    };
    let mut places: Vec<usize> = [highest.0, lowest.0, points.len() - 1, 0].into_iter().take(n).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().filter_map(|place| points.get(place).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        prop::collection::vec((1..100_000_i64, -1e12..1e12_f64), 0..400).prop_map(|steps| {
            let mut at = 0;
            steps
                .into_iter()
                .map(|(step, value)| {
                    at += step;
                    Sample { at: Timestamp::from_millis(at), value }
                })
                .collect()
        })
    }

    fn extremes<'a>(points: impl Iterator<Item = &'a Sample> + Clone) -> (f64, f64) {
        let values = points.map(|s| s.value);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    }

    proptest! {
        #[test]
        fn the_count_is_bounded_and_the_order_kept(samples in samples(), n_max in 0..200_usize) {
            let kept = downsample(&samples, n_max);
            prop_assert!(kept.len() <= n_max);
            prop_assert!(kept.is_sorted_by(|a, b| a.at < b.at));
            prop_assert!(kept.iter().all(|point| samples.contains(point)));
        }

        #[test]
        fn every_bucket_keeps_its_extremes_and_its_ends(samples in samples(), n_max in 4..200_usize) {
            prop_assume!(samples.len() > n_max);
            let kept = downsample(&samples, n_max);
            let n_buckets = n_max / 4;
            for bucket in 0..n_buckets {
                let from = edge(&samples, bucket, n_buckets);
                let to = edge(&samples, bucket + 1, n_buckets);
                let within = |s: &&Sample| s.at >= from && (s.at < to || bucket + 1 == n_buckets);
                prop_assert_eq!(
                    extremes(samples.iter().filter(within)),
                    extremes(kept.iter().filter(within))
                );
                prop_assert_eq!(samples.iter().find(within), kept.iter().find(within));
                prop_assert_eq!(samples.iter().rfind(within), kept.iter().rfind(within));
            }
        }

        #[test]
        fn few_samples_stay_as_they_are(samples in samples()) {
            prop_assert_eq!(downsample(&samples, samples.len()), samples);
        }
    }
}
