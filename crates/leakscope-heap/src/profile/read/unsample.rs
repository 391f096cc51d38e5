//! From what an allocator's sampling counted to what it stands for.

/// Objects and bytes that a sample of `count` objects with `bytes` stands for, drawn every `period` bytes on average.
///
/// An object of size s is drawn with the probability 1 - e^(-s/P), so each stands for 1/(1 - e^(-s/P)). A period of 1 or less says that
/// all are there. Both are cut to whole numbers, as pprof does.
///
/// Source: `scaleHeapSample` of google/pprof; Go, tcmalloc and jemalloc (`jeprof`, `AdjustSamples`) scale alike.
pub(super) fn unsampled(count: i64, bytes: i64, period: i64) -> (i64, i64) {
    if count == 0 || bytes == 0 {
        return (0, 0);
    }
    if period <= 1 {
        return (count, bytes);
    }
    let average = bytes as f64 / count as f64;
    let scale = 1.0 / (1.0 - (-average / period as f64).exp());
    ((count as f64 * scale) as i64, (bytes as f64 * scale) as i64)
}

#[cfg(test)]
mod tests {
    use super::unsampled;

    #[test]
    fn small_objects_stand_for_many_and_large_ones_for_themselves() {
        let cases = [
            ((1, 524_288, 524_288), (1, 829_411)),
            ((1, 16, 524_288), (32_768, 524_296)),
            ((10, 100_000_000, 524_288), (10, 100_000_000)),
            ((3, 300, 1), (3, 300)),
            ((3, 300, 0), (3, 300)),
            ((0, 0, 524_288), (0, 0)),
            ((3, 0, 524_288), (0, 0)),
            ((-1, -16, 524_288), (-32_768, -524_296)),
        ];
        for ((count, bytes, period), expected) in cases {
            assert_eq!(unsampled(count, bytes, period), expected, "{count} {bytes} {period}");
        }
    }
}
