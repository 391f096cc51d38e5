//! What grew, over profiles that are made here: leaks, healthy services, noise of sampling, and what cannot be compared.

use leakscope_model::PathStep;

use super::*;
use crate::profile::builder::Builder;
use crate::profile::growth;
use crate::profile::model::{Label, LabelValue, Text};
use crate::profile::suspects;
use crate::profile::testing::profile;

const HEAP: [(&str, &str); 2] = [("inuse_objects", "count"), ("inuse_space", "bytes")];
const KIB: i64 = 1024;

/// Profiles of stacks, each with its objects of one KiB in every capture.
fn captures(stacks: &[(&str, &[i64])]) -> Vec<Profile> {
    let n = stacks[0].1.len();
    let at = |capture: usize| {
        let values: Vec<(&str, [i64; 2])> =
            stacks.iter().map(|(stack, counts)| (*stack, [counts[capture], counts[capture] * KIB])).collect();
        let rows: Vec<(&str, &[i64])> = values.iter().map(|(stack, values)| (*stack, &values[..])).collect();
        profile(&HEAP, &rows)
    };
    (0..n).map(at).collect()
}

fn compared(profiles: &[Profile]) -> ProfileDiff {
    let all: Vec<&Profile> = profiles.iter().collect();
    diff(&all, &Context::default()).unwrap()
}

/// Name, title and confidence in tenths of each finding.
fn said(profiles: &[Profile]) -> Vec<(String, String, u32)> {
    let told = |finding: &Finding| {
        let suspect = &finding.suspect;
        (suspect.name.clone(), suspect.title.clone(), (suspect.confidence * 10.0) as u32)
    };
    compared(profiles).findings.iter().map(told).collect()
}

#[test]
fn growth_is_blamed_on_the_function_that_keeps_and_not_on_the_one_that_helps() {
    let work = "runtime.main;main.main;net/http.serve;main.work";
    let stack = |below: &str| format!("{work};{below}");
    let (texts, pages, entry) = (
        stack("main.remember;main.texts;main.text;runtime.mallocgc"),
        stack("main.render;bytes.(*Buffer).grow;runtime.mallocgc"),
        stack("main.remember;runtime.newobject"),
    );
    let helper = "memory allocated in `remember › texts › text` grows".to_owned();
    let cases: [(&str, Vec<(&str, &[i64])>, Vec<(String, String, u32)>); 5] = [
        (
            "below a handler that fills a page cache too",
            vec![(&texts, &[1000, 2000, 3000]), (&pages, &[400, 400, 400])],
            vec![("main.remember".to_owned(), helper.clone(), 9)],
        ),
        (
            "where its growth parts",
            vec![(&texts, &[1000, 2000, 3000]), (&entry, &[200, 400, 600]), (&pages, &[400, 400, 400])],
            vec![("main.remember".to_owned(), helper, 9)],
        ),
        (
            "the innermost where nothing else is known",
            vec![(&texts, &[1000, 2000, 3000])],
            vec![("main.text".to_owned(), "memory allocated in `work › remember › texts › text` grows".to_owned(), 9)],
        ),
        ("no cache that fills", vec![(&texts, &[1000, 2000, 2000]), (&pages, &[400, 400, 400])], vec![]),
        ("nothing that shrinks in between", vec![(&texts, &[1000, 3000, 2900]), (&pages, &[400, 400, 400])], vec![]),
    ];
    for (case, stacks, expected) in cases {
        assert_eq!(said(&captures(&stacks)), expected, "{case}");
    }
}

#[test]
fn two_leaks_are_two_suspects_and_growth_is_told_once() {
    let profiles = captures(&[
        ("main.main;main.work;main.open;main.texts", &[1000, 2000, 3000]),
        ("main.main;main.work;main.open", &[100, 200, 300]),
        ("main.main;main.work;main.audit;main.texts", &[500, 900, 1400]),
        ("main.main;main.work;main.render", &[400, 410, 390]),
    ]);
    let found = compared(&profiles);
    let told: Vec<(&str, u64, u64)> = found
        .findings
        .iter()
        .map(|finding| (finding.suspect.name.as_str(), finding.suspect.bytes, finding.suspect.count))
        .collect();
    assert_eq!(told, [("main.open", 2200 * 1024, 2200), ("main.audit", 900 * 1024, 900)]);
    assert_eq!(found.growth_bytes, (4700 + 390 - 2000) * KIB);
    let shares: f64 = found.findings.iter().map(|finding| finding.suspect.share).sum();
    assert!(shares <= 1.01, "{shares}");
}

#[test]
fn two_captures_name_a_suspect_but_call_nothing_a_leak() {
    let profiles = captures(&[("main.main;main.work;main.open", &[1000, 3000]), ("main.main;main.work", &[500, 500])]);
    let found = compared(&profiles);
    let suspect = &found.findings[0].suspect;
    assert_eq!(suspect.name, "main.open");
    assert!(suspect.confidence < 0.5, "{}", suspect.confidence);
    assert!(suspect.reason.contains("take a third"), "{}", suspect.reason);
}

#[test]
fn growth_that_slows_down_is_a_cache_that_fills() {
    let profiles = captures(&[("main.main;main.fill", &[1000, 3000, 3300]), ("main.main;main.work", &[500, 500, 500])]);
    let found = compared(&profiles);
    assert!(found.findings.iter().all(|finding| finding.suspect.confidence < 0.5), "{:?}", found.findings);
}

#[test]
fn a_profile_beside_itself_says_nothing() {
    let profiles = captures(&[("main.main;main.open", &[1000, 1000, 1000]), ("main.main;main.work", &[5, 5, 5])]);
    let found = compared(&profiles);
    assert_eq!((found.growth_bytes, found.findings.len()), (0, 0));
}

#[test]
fn what_was_ever_allocated_is_no_leak() {
    let columns = [("alloc_objects", "count"), ("alloc_space", "bytes")];
    let profiles: Vec<Profile> =
        [1, 2, 3].map(|n| profile(&columns, &[("main.main;main.work", &[n * 1000, n * 1_000_000])])).into();
    let found = compared(&profiles);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    let kinds: Vec<&str> = found.findings.iter().map(|finding| finding.suspect.kind.as_str()).collect();
    assert_eq!(kinds, ["churn"]);
    assert!(found.findings[0].suspect.confidence < 0.5);
    assert_eq!(suspects(&profiles[0], &Context::default(), 10), [], "and a single one says nothing");
}

#[test]
fn pace_is_told_by_time_and_by_requests() {
    let mut profiles = captures(&[("main.main;main.open", &[1000, 2000, 3000]), ("main.main;main.work", &[500; 3])]);
    for (minute, profile) in profiles.iter_mut().enumerate() {
        profile.header.time_nanos = 1_000_000_000 + minute as i64 * 60_000_000_000;
    }
    let all: Vec<&Profile> = profiles.iter().collect();
    let context = Context { requests: vec![100, 300, 500], ..Context::default() };
    let found = diff(&all, &context).unwrap();
    let growth = found.findings[0].growth.unwrap();
    let bytes = 2000.0 * 1024.0;
    assert_eq!(growth.bytes_per_request, Some(bytes / 400.0));
    assert!((growth.bytes_per_hour.unwrap() - bytes * 30.0).abs() < 1.0);
}

#[test]
fn requests_that_the_captures_tell_count_where_nobody_says_otherwise() {
    let mut profiles = captures(&[("main.main;main.open", &[1000, 2000, 3000]), ("main.main;main.work", &[500; 3])]);
    for (requests, profile) in [100, 300, 600].into_iter().zip(&mut profiles) {
        let remark = profile.texts.push(&format!("requests_total: {requests}"));
        profile.header.comments.push(remark);
    }
    let all: Vec<&Profile> = profiles.iter().collect();
    let bytes = 2000.0 * 1024.0;
    for (requests, expected) in [(vec![], bytes / 500.0), (vec![100, 300, 500], bytes / 400.0)] {
        let found = diff(&all, &Context { requests, ..Context::default() }).unwrap();
        assert_eq!(found.findings[0].growth.unwrap().bytes_per_request, Some(expected));
    }
}

#[test]
fn profiles_of_several_kinds_say_what_each_is() {
    let heap = profile(&HEAP, &[("main.main", &[1, 1])]);
    let goroutines = profile(&[("goroutine", "count")], &[("main.main", &[1])]);
    let seconds = profile(&[("cpu", "nanoseconds")], &[("main.main", &[1])]);
    let native = profile(&HEAP, &[("work:3", &[1, 1])]);
    let cases: [(&[&Profile], &str); 4] = [
        (&[&heap], "expected two captures or more, found 1"),
        (&[&heap, &goroutines], "expected memory by stack as in the first capture, found goroutines by stack"),
        (&[&heap, &seconds], "expected a column of bytes or a count of what is alive, found `cpu/nanoseconds`"),
        (&[&heap, &native], "expected a profile of Go as in the first capture, found a profile of native code"),
    ];
    for (profiles, expected) in cases {
        assert_eq!(diff(profiles, &Context::default()).unwrap_err().to_string(), expected);
    }
}

/// A generator of numbers from a seed: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Poisson, by counting exponential steps.
    fn poisson(&mut self, mean: f64) -> i64 {
        let (mut n, mut sum) = (0, -self.next().ln());
        while sum < mean {
            n += 1;
            sum -= self.next().ln();
        }
        n
    }
}

const PERIOD: f64 = 524_288.0;

/// Stacks with the objects of some size that a heap profile saw of them.
struct Seen {
    stack: String,
    size: f64,
    n: i64,
}

impl Seen {
    fn of(stack: &str, size: f64) -> Self {
        Self { stack: stack.to_owned(), size, n: 0 }
    }

    /// Part of the objects that are seen.
    fn probability(&self) -> f64 {
        1.0 - (-self.size / PERIOD).exp()
    }

    /// Objects of so many bytes more, some of which are seen; what was seen stays.
    fn allocate(&mut self, dice: &mut Dice, bytes: f64) {
        self.n += dice.poisson(bytes / self.size * self.probability());
    }
}

fn sampled(all: &[Seen]) -> Profile {
    let mut builder = Builder::new(Format::Pprof, 0);
    builder.sample_type("inuse_objects", "count");
    builder.sample_type("inuse_space", "bytes");
    for seen in all.iter().filter(|seen| seen.n > 0) {
        let locations: Vec<u32> = seen.stack.rsplit(';').map(|name| builder.frame(name, "", 0, 0)).collect();
        let count = seen.n as f64 / seen.probability();
        builder.sample(&locations, &[count as i64, (count * seen.size) as i64], &[]);
    }
    builder.header().period = PERIOD as i64;
    builder.sampled();
    builder.finish()
}

#[test]
fn noise_of_sampling_in_a_steady_heap_is_no_suspect() {
    let mut dice = Dice(7);
    let runs = 1000;
    let alarms = (0..runs).filter(|_| {
        // All of it was replaced from capture to capture, so that no draw depends on another.
        let profiles = [(); 3].map(|()| {
            let stack = |index: usize| format!("main.main;main.work;main.f{};main.g{}", index % 40, index);
            let mut all: Vec<Seen> =
                (0..160).map(|index| Seen::of(&stack(index), f64::from(32 << (index % 13)))).collect();
            for (index, seen) in all.iter_mut().enumerate() {
                seen.allocate(&mut dice, 65_536.0 * f64::from(1 << (index % 11)));
            }
            sampled(&all)
        });
        !compared(&profiles).findings.is_empty()
    });
    let alarms = alarms.count();
    assert!(alarms * 100 <= runs, "{alarms} of {runs}");
}

#[test]
fn a_sampled_leak_is_found_with_its_error() {
    let mut dice = Dice(11);
    let found = (0..100).filter(|_| {
        let mut leak = Seen::of("main.main;main.work;main.open;main.texts", 1024.0);
        let mut entries = Seen::of("main.main;main.work;main.open", 48.0);
        let mut pages = Seen::of("main.main;main.work;main.render", 16384.0);
        pages.allocate(&mut dice, 8e6);
        let profiles = [(); 3].map(|()| {
            leak.allocate(&mut dice, 30e6);
            entries.allocate(&mut dice, 0.3e6);
            let copy = |seen: &Seen| Seen { n: seen.n, ..Seen::of(&seen.stack, seen.size) };
            sampled(&[copy(&leak), copy(&entries), copy(&pages)])
        });
        let found = compared(&profiles);
        let Some(first) = found.findings.first() else { return false };
        let growth = first.growth.unwrap();
        assert!(growth.error_bytes.is_some_and(|error| error > 1e6 && error < 2e7), "{growth:?}");
        first.suspect.name == "main.open" && first.suspect.confidence >= 0.5
    });
    let n = found.count();
    assert!(n >= 95, "{n} of 100");
}

#[test]
fn the_error_of_sampling_is_that_of_a_simulation() {
    let mut dice = Dice(13);
    let total = 40e6;
    for size in [16.0, 1024.0, 65_536.0, 524_288.0, 4_194_304.0] {
        let runs = 2000;
        let draws: Vec<(f64, f64)> = (0..runs)
            .map(|_| {
                let mut seen = Seen::of("main.main", size);
                // Each of the objects is seen or not, so that those bigger than the period are no matter of chance.
                let n = (total / size) as u64;
                seen.n = if n > 100_000 {
                    dice.poisson(n as f64 * seen.probability())
                } else {
                    (0..n).filter(|_| dice.next() < seen.probability()).count() as i64
                };
                let count = seen.n as f64 / seen.probability();
                let bytes = count * size;
                (bytes, growth::variance(bytes as i64, count as i64, PERIOD))
            })
            .collect();
        let mean = draws.iter().map(|(bytes, _)| bytes).sum::<f64>() / f64::from(runs);
        let spread = draws.iter().map(|(bytes, _)| (bytes - mean).powi(2)).sum::<f64>() / f64::from(runs);
        let told = draws.iter().map(|(_, variance)| variance).sum::<f64>() / f64::from(runs);
        let (spread, told) = (spread.sqrt(), told.sqrt());
        assert!((told - spread).abs() <= 0.07 * spread + 20e3, "{size}: told {told}, seen {spread}");
    }
}

#[test]
fn recordings_of_old_objects_name_the_holder_where_they_accumulate() {
    let step = |name: &str, edge: &str, id: u64| PathStep { name: name.to_owned(), edge: edge.to_owned(), id };
    let recording = |heap_of: fn(i64) -> i64| {
        let mut builder = Builder::new(Format::Jfr, 0);
        builder.sample_type("objects", "count");
        builder.sample_type("bytes", "bytes");
        let stack =
            [builder.frame("java.util.Arrays.copyOf", "", 0, 0), builder.frame("Shop.remember", "Shop.java", 7, 0)];
        let (age, heap) = (builder.text("age"), builder.text("heap"));
        let number = |key, value| Label { key, value: LabelValue::Number { value, unit: Text::default() } };
        for at in 0..60 {
            let labels = [number(age, (60 - at) * 1_000_000_000), number(heap, heap_of(at))];
            builder.sample(&stack, &[1, 1024], &labels);
            builder.path(vec![
                step("Service$AuditTrail", "ENTRIES", 1),
                step("java.util.ArrayList", "elementData", 2),
                step("java.lang.Object[]", &format!("[{at}]"), 3),
                step("Service$AuditTrail$AuditEntry", "document", 100 + at as u64),
                step("byte[]", "", 1000 + at as u64),
            ]);
        }
        builder.finish()
    };
    let cases: [(&str, fn(i64) -> i64, bool); 2] =
        [("a heap that grows", |at| 10_000 + at * 1000, true), ("a heap that stays", |_| 10_000, false)];
    for (case, heap_of, is_leak) in cases {
        let found = suspects(&recording(heap_of), &Context::default(), 10);
        assert_eq!(found.len(), 1, "{case}");
        let suspect = &found[0].suspect;
        assert_eq!((suspect.name.as_str(), suspect.count, suspect.path.len()), ("Service$AuditTrail.ENTRIES", 60, 5));
        assert_eq!(suspect.location.as_ref().map(|place| place.line), Some(7), "{case}");
        assert_eq!(suspect.confidence >= 0.5, is_leak, "{case}: {}", suspect.confidence);
    }
}

#[test]
fn goroutines_that_the_runtime_calls_leaked_are_a_proof() {
    let leaked = profile(&[("goroutineleak", "count")], &[("main.reserve;runtime.chanrecv1;runtime.gopark", &[3])]);
    let found = suspects(&leaked, &Context::default(), 10);
    assert_eq!(found[0].suspect.title, "goroutines wait for ever in `reserve` (chan receive)");
    assert!(found[0].suspect.confidence > 0.9);
    let alive = profile(&[("goroutine", "count")], &[("main.reserve;runtime.chanrecv1;runtime.gopark", &[300])]);
    let found = suspects(&alive, &Context::default(), 10);
    assert!(found[0].suspect.confidence < 0.5, "many that wait are a pool, or a leak");
}

#[test]
fn goroutines_that_become_more_are_told_by_where_they_wait() {
    let at = |n: i64| {
        let columns = [("goroutine", "count")];
        profile(
            &columns,
            &[
                ("main.reserve;runtime.chanrecv1;runtime.gopark", &[n]),
                ("net/http.serve;runtime.gopark", &[40 - n % 7]),
            ],
        )
    };
    let profiles = [at(100), at(300), at(500)];
    let expected = "goroutines wait for ever in `reserve` (chan receive)";
    assert_eq!(said(&profiles), [("main.reserve".to_owned(), expected.to_owned(), 9)]);
}

#[test]
fn types_are_told_by_the_programs_own_with_what_they_hold() {
    let at = |n: i64| {
        let mut builder = Builder::new(Format::ClassHistogram, 0);
        builder.sample_type("objects", "count");
        builder.sample_type("bytes", "bytes");
        let rows = [
            ("byte[]", 5000 + 64 * n, 5_000_000 + 65_536 * n),
            ("java.lang.String", 4000 + 64 * n, 96_000 + 1536 * n),
            ("com.acme.Shop$AuditEntry", n, 24 * n),
            ("com.acme.Shop$Session", 80 + n % 3, 2000),
            ("java.util.HashMap$Node", 3000, 96_000),
        ];
        for (name, count, bytes) in rows {
            let location = builder.frame(name, "", 0, 0);
            builder.sample(&[location], &[count, bytes], &[]);
        }
        builder.finish()
    };
    let found = compared(&[at(100), at(300), at(500)]);
    let told: Vec<(&str, u64, u64)> = found
        .findings
        .iter()
        .map(|finding| (finding.suspect.title.as_str(), finding.suspect.count, finding.suspect.bytes))
        .collect();
    assert_eq!(told, [("`Shop$AuditEntry` accumulates", 400, 400 * (65_536 + 1536 + 24))]);
    assert!(found.findings[0].suspect.confidence > 0.8);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_samples_changes_nothing(seed in 0_u64..1000, n in 2_usize..40) {
        let mut dice = Dice(seed);
        let rows: Vec<(String, [i64; 3])> = (0..n)
            .map(|index| {
                let stack = format!("main.main;main.f{};main.g{index}", index % 5);
                let start = (dice.next() * 1e4) as i64 + index as i64;
                let step = (dice.next() * 1e4) as i64 * i64::from(index % 3 == 0);
                (stack, [start, start + step, start + 2 * step])
            })
            .collect();
        let all = |rows: &[(String, [i64; 3])]| {
            let stacks: Vec<(&str, &[i64])> = rows.iter().map(|(stack, counts)| (stack.as_str(), &counts[..])).collect();
            said(&captures(&stacks))
        };
        let mut turned = rows.clone();
        turned.reverse();
        proptest::prop_assert_eq!(all(&rows), all(&turned));
        let steady: Vec<(String, [i64; 3])> = rows.iter().map(|(stack, counts)| (stack.clone(), [counts[0]; 3])).collect();
        proptest::prop_assert_eq!(all(&steady), vec![]);
    }
}
