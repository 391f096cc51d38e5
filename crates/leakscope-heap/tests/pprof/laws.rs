//! Laws of tables and filters, for any profile.

use leakscope_heap::profile::{Filter, Granularity, Order, Profile, call_graph, inlined, rank, read, top};
use proptest::prelude::*;
use regex::Regex;

use crate::GRANULARITIES;
use crate::made::made;

/// Sums of the values of samples that have a location.
fn sums(profile: &Profile) -> Vec<i64> {
    let mut sums = vec![0; profile.sample_types().len()];
    for sample in (0..profile.n_samples()).filter(|sample| !profile.stack(*sample).is_empty()) {
        for (sum, value) in sums.iter_mut().zip(profile.values(sample)) {
            *sum += value;
        }
    }
    sums
}

fn filter(change: impl Fn(&mut Filter, Option<Regex>), pattern: &str) -> Filter {
    let mut filter = Filter::default();
    change(&mut filter, Some(Regex::new(pattern).unwrap()));
    filter
}

proptest! {
    #[test]
    fn flat_values_add_up_to_all_samples_at_every_granularity(seed: u64) {
        let profile = read(&made(seed)).unwrap();
        for (_, granularity) in GRANULARITIES {
            let mut flat = vec![0; profile.sample_types().len()];
            for row in top(&profile, granularity) {
                flat.iter_mut().zip(&row.flat).for_each(|(sum, value)| *sum += value);
            }
            prop_assert_eq!(flat, sums(&profile));
        }
    }

    #[test]
    fn each_sample_is_either_in_focus_or_ignored_by_the_same_pattern(seed: u64) {
        let profile = read(&made(seed)).unwrap();
        let n_with_frames = (0..profile.n_samples()).filter(|sample| !profile.stack(*sample).is_empty()).count();
        for pattern in ["main", "alloc", "app|so", r"\.go", "^$", "nothing"] {
            let focused = filter(|filter, pattern| filter.focus = pattern, pattern).apply(&profile);
            let ignored = filter(|filter, pattern| filter.ignore = pattern, pattern).apply(&profile);
            prop_assert_eq!(focused.n_samples() + ignored.n_samples(), n_with_frames);
        }
    }

    #[test]
    fn a_filter_has_nothing_left_to_do_after_itself(seed: u64) {
        let profile = read(&made(seed)).unwrap();
        let filters: [fn(&mut Filter, Option<Regex>); 5] = [
            |filter, pattern| filter.focus = pattern,
            |filter, pattern| filter.ignore = pattern,
            |filter, pattern| filter.hide = pattern,
            |filter, pattern| filter.show = pattern,
            |filter, pattern| filter.show_from = pattern,
        ];
        for change in filters {
            let filter = filter(change, "main|alloc");
            let once = filter.apply(&profile);
            let twice = filter.apply(&once);
            prop_assert_eq!(top(&once, Granularity::Addresses), top(&twice, Granularity::Addresses));
        }
    }

    #[test]
    fn calls_of_a_graph_say_of_rows_what_the_table_does(seed: u64) {
        let profile = read(&made(seed)).unwrap();
        for (_, granularity) in GRANULARITIES {
            let graph = call_graph(&profile, granularity, 1);
            let mut rows = top(&profile, granularity);
            rank(&mut rows, 1, Order::Cum);
            let ranked: Vec<_> = graph.ranked(Order::Cum).into_iter().map(|row| graph.rows[row].clone()).collect();
            prop_assert_eq!(&rows, &ranked);
            let marks = inlined(&profile, granularity, 1);
            for (row, mark) in marks.iter().enumerate() {
                let inlined = graph.callers(row).any(|call| call.is_inlined);
                let called = graph.callers(row).any(|call| !call.is_inlined);
                let (never, partly) = (*mark == leakscope_heap::profile::Inlined::Never, *mark == leakscope_heap::profile::Inlined::Partly);
                prop_assert_eq!((!inlined, inlined && called), (never, partly));
            }
        }
    }
}
