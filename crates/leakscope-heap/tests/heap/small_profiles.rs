//! Profiles that real programs wrote, of the formats that are texts or JSON: each is known for what it is and read whole.

use leakscope_heap::Format;
use leakscope_heap::profile::{LabelValue, Profile, read};

use crate::fixture;

fn profile(name: &str) -> Profile {
    read(&fixture(name)).unwrap()
}

fn sums(profile: &Profile) -> Vec<i64> {
    let n = profile.sample_types().len();
    (0..n).map(|column| (0..profile.n_samples()).map(|sample| profile.values(sample)[column]).sum()).collect()
}

/// Functions of a sample, leaf first.
fn functions(profile: &Profile, sample: usize) -> Vec<&str> {
    let lines = profile.stack(sample).iter().flat_map(|location| profile.lines(*location));
    lines.map(|line| profile.text(profile.functions()[line.function.unwrap() as usize].name)).collect()
}

/// The figures are those that `jq` adds up from the files.
#[test]
fn real_profiles_are_known_and_read_whole() {
    use Format::{ClassHistogram, Collapsed, Goroutines, MemrayStats, Python, V8HeapProfile};
    let cases: [(&str, Format, usize, &[i64]); 8] = [
        ("profile/goroutines.txt", Goroutines, 10, &[16]),
        ("profile/goroutines-crash.txt", Goroutines, 10, &[16]),
        ("profile/shop.heapprofile", V8HeapProfile, 6, &[672, 22_761_200]),
        ("profile/python-tracemalloc.json", Python, 41, &[30_229, 6_378_157]),
        ("profile/python-memray.json", Python, 28, &[2_046, 2_640_211]),
        ("profile/memray-stats.json", MemrayStats, 11, &[2_160, 2_963_816]),
        ("profile/py-spy.collapsed.txt", Collapsed, 7, &[164]),
        ("heap/tiny-heap.histogram.txt", ClassHistogram, 253, &[21_226, 856_040]),
    ];
    for (name, format, n_samples, expected) in cases {
        let profile = profile(name);
        let found = (profile.format(), profile.n_samples(), sums(&profile), profile.warnings());
        assert_eq!(found, (format, n_samples, expected.to_vec(), &[][..]), "{name}");
    }
}

#[test]
fn goroutines_say_where_they_wait_for_how_long_and_who_made_them() {
    let profile = profile("profile/goroutines.txt");
    let sample = (0..profile.n_samples()).find(|sample| profile.values(*sample) == [5]).unwrap();
    assert_eq!(functions(&profile, sample), ["main.(*shop).reserve", "main.main"]);
    let labels: Vec<(&str, String)> = profile
        .labels(sample)
        .iter()
        .map(|label| {
            let value = match label.value {
                LabelValue::Text(text) => profile.text(text).to_owned(),
                LabelValue::Number { value, unit } => format!("{value} {}", profile.text(unit)),
            };
            (profile.text(label.key), value)
        })
        .collect();
    let expected = [("state", "chan send"), ("wait", "2 minutes"), ("created by", "main.main")];
    assert_eq!(labels, expected.map(|(key, value)| (key, value.to_owned())));
}

#[test]
fn a_dump_of_100_000_goroutines_is_a_few_samples() {
    let one = "goroutine 7 [chan receive, 3 minutes]:\nmain.reserveOrder(0xc000012345)\n\t/src/main.go:4 +0x1d\ncreated by main.main in goroutine 1\n\t/src/main.go:9 +0x3d\n\n";
    let profile = read(one.repeat(100_000).as_bytes()).unwrap();
    assert_eq!((profile.n_samples(), profile.values(0)), (1, &[100_000][..]));
}
