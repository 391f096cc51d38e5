//! One profile less another, by content.

use super::*;
use crate::profile::inlined::inlined;
use crate::profile::testing::{profile, stacks};
use crate::profile::top::{self, Granularity};

const SPACE: [(&str, &str); 1] = [("inuse_space", "bytes")];

fn labels(profile: &Profile, sample: usize) -> Vec<&str> {
    profile.labels(sample).iter().map(|label| profile.text(label.key)).collect()
}

#[test]
fn samples_of_the_base_are_negated_labelled_and_stay_apart() {
    let base = profile(&SPACE, &[("main;open", &[10]), ("main;close", &[3]), ("main;open", &[5]), ("main;none", &[0])]);
    let later = profile(&SPACE, &[("main;open", &[40]), ("main;new", &[7])]);
    let difference = difference(&base, &later);
    let expected = [("main;open", 40), ("main;new", 7), ("main;open", -15), ("main;close", -3)];
    assert_eq!(stacks(&difference), expected.map(|(stack, value)| (stack.to_owned(), value)));
    let labelled: Vec<Vec<&str>> = (0..4).map(|sample| labels(&difference, sample)).collect();
    assert_eq!(labelled, [vec![], vec![], vec!["pprof::base"], vec!["pprof::base"]]);
}

#[test]
fn functions_and_locations_of_both_are_there_once() {
    let base = profile(&SPACE, &[("main:3;open:7@app", &[10])]);
    let later = profile(&SPACE, &[("new:1;main:3;open:7@app", &[10])]);
    let difference = difference(&base, &later);
    assert_eq!((difference.functions.len(), difference.locations.len(), difference.mappings.len()), (3, 3, 1));
}

#[test]
fn only_columns_that_both_have_are_compared() {
    let base = profile(&[("inuse_space", "bytes"), ("inuse_objects", "count")], &[("main", &[10, 1])]);
    let later = profile(&[("alloc_space", "bytes"), ("inuse_space", "bytes")], &[("main", &[99, 30])]);
    let found = difference(&base, &later);
    assert_eq!(stacks(&found), [("main".to_owned(), 30), ("main".to_owned(), -10)]);
    assert_eq!(found.text(found.header.default_sample_type), "inuse_space", "as what is left");
    let other = profile(&[("cpu", "nanoseconds")], &[("main", &[1])]);
    let nothing = difference(&other, &later);
    assert_eq!((nothing.n_samples(), nothing.warnings.len()), (0, 1));
}

#[test]
fn a_sum_of_nothing_is_dropped_with_all_that_it_points_to() {
    let base = profile(&SPACE, &[("main;gone", &[5]), ("main;gone", &[-5]), ("main;stays", &[1])]);
    let later = profile(&SPACE, &[("main", &[1])]);
    let difference = difference(&base, &later);
    assert_eq!(stacks(&difference), [("main".to_owned(), 1), ("main;stays".to_owned(), -1)]);
    let names: Vec<&str> = difference.functions.iter().map(|function| difference.text(function.name)).collect();
    assert_eq!(names, ["main", "stays"]);
}

#[test]
fn addresses_compare_though_the_program_lies_elsewhere() {
    let at = |start: u64| {
        let mut builder = Builder::new(crate::format::Format::Pprof, 0);
        builder.sample_type("inuse_space", "bytes");
        let file = builder.text("app");
        let mapping = builder.mapping(Mapping { start, limit: start + 0x5000, file, ..Mapping::default() });
        let address = start + 0x1234;
        let location = builder.location(Location { mapping: Some(mapping), address, is_folded: false }, &[]);
        builder.sample(&[location], &[8], &[]);
        builder.finish()
    };
    let difference = difference(&at(0x10_000), &at(0x70_000));
    assert_eq!(difference.locations.len(), 1);
    assert_eq!(difference.locations[0].address, 0x71_234, "as in the later one");
}

#[test]
fn what_is_not_merged_says_the_same_as_what_is() {
    type Stacks = [(&'static str, &'static [i64])];
    let cases: [(&Stacks, &Stacks); 5] = [
        (
            &[("main;open", &[10, 1]), ("main>inner;close", &[3, 0]), ("main;open", &[5, 2]), ("gone", &[0, 0])],
            &[("new;main;open", &[40, 7]), ("main>inner", &[7, 1]), ("gone", &[0, 0])],
        ),
        (&[], &[("main", &[3, 1])]),
        (&[("main", &[3, 1])], &[]),
        // Values below nothing and beyond all bounds are merged.
        (&[("main", &[5, 1]), ("main", &[-5, -1]), ("b", &[1, 1])], &[("main", &[2, -3])]),
        (&[("main", &[i64::MAX, 1]), ("main", &[i64::MAX, 1])], &[("main", &[2, 3])]),
    ];
    let columns = [("inuse_space", "bytes"), ("inuse_objects", "count")];
    for (base, later) in cases {
        let (base, later) = (profile(&columns, base), profile(&columns, later));
        let whole = difference(&base, &later);
        let joined = Joined::new(&base, &later);
        assert_eq!(joined.outline().sample_types, whole.sample_types);
        assert_eq!(joined.totals(), top::totals(&whole));
        for granularity in [Granularity::Functions, Granularity::Lines] {
            assert_eq!(joined.top(granularity), top::top(&whole, granularity));
            for column in 0..columns.len() {
                assert_eq!(joined.inlined(granularity, column), inlined(&whole, granularity, column));
            }
        }
    }
}
