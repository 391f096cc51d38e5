//! Texts good and bad.

use super::{knows, read};
use crate::profile::read::testing::outcome;

fn read_text(text: &str) -> String {
    assert!(knows(text.as_bytes()), "{text}");
    outcome(read(text.as_bytes()))
}

#[test]
fn a_heap_of_go_has_values_as_pprof_scales_them_and_names_from_its_comments() {
    let text = "heap profile: 3: 2048 [5: 4096] @ heap/8192\n\
        1: 1024 [2: 2048] @ 0x11 0x21 0x31\n#\t0x20\tmain.put+0x5\t/src/main.go:20\n#\t0x30\tmain.main+0x25\t/src/main.go:9\n\n\
        0: 0 [1: 16] @ 0x41 0x31\n#\t0x40\tmain.read+0x5\t\t/src/main.go:40\n\n\n# runtime.MemStats\n# Alloc = 12\n";
    let expected = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes\n\
        9 9258 4 4629 | main.put@/src/main.go:20 < main.main@/src/main.go:9 | bytes=1024\n\
        256 4104 0 0 | main.read@/src/main.go:40 < main.main@/src/main.go:9 | bytes=16";
    assert_eq!(read_text(text), expected);
    let profile = read(text.as_bytes()).unwrap();
    assert_eq!((profile.header().period, profile.is_sampled, profile.n_samples()), (4_096, true, 2));
    let addresses: Vec<u64> = profile.stack(0).iter().map(|at| profile.locations()[*at as usize].address).collect();
    assert_eq!(addresses, [0x10, 0x20, 0x30]);
}

#[test]
fn each_kind_of_heap_is_scaled_as_it_says() {
    let cases = [
        ("heap_v2/4096", "4 4629", true),
        ("heapz_v2/4096", "4 4629", true),
        ("heap/8192", "4 4629", true),
        ("heapz_v2", "1 1024", false),
        ("heap_v2/1", "1 1024", false),
        ("heapprofile", "1 1024", false),
        ("growthz", "1 1024", false),
        ("growth", "1 1024", false),
        ("fragmentationz", "1 1024", false),
    ];
    for (kind, values, is_sampled) in cases {
        let text = format!("heap profile:   1:  1024 [  1:  1024 ] @ {kind}\n   1:     1024 [   1:     1024] @ 0x11\n");
        assert_eq!(read_text(&text), format!("objects/count space/bytes\n{values} |  | bytes=1024"), "{kind}");
        assert_eq!(read(text.as_bytes()).unwrap().is_sampled, is_sampled, "{kind}");
    }
}

#[test]
fn goroutines_are_counted_with_their_labels() {
    let text = "goroutine profile: total 22\n\
        20 @ 0x11 0x21\n#\t0x20\tmain.wait+0x18\t/src/main.go:27\n\n\
        1 @ 0x11 0x21\n# labels: {\"plan\":\"free\", \"tenant\":\"blue \\\"x\\\"\"}\n#\t0x20\tmain.wait+0x18\t/src/main.go:27\n\n\
        1 @\n\n--- Memory map: ---\n10-20 r-xp 0 08:01 1 /srv/app\n";
    let expected = "goroutine/count\n20 | main.wait@/src/main.go:27\n\
        1 | main.wait@/src/main.go:27 | plan=free, tenant=blue \"x\"\n1 | ";
    assert_eq!(read_text(text), expected);
    let profile = read(text.as_bytes()).unwrap();
    assert_eq!(
        profile.locations()[0].mapping.map(|at| profile.text(profile.mappings()[at as usize].file)),
        Some("/srv/app")
    );
    assert_eq!(read_text("# a comment\n\nthreadcreate profile: total 7\n6 @ 0x0\n"), "threadcreate/count\n6 | ");
}

#[test]
fn inlined_and_recursive_frames_are_told_apart() {
    let heading = "heap profile: 1: 8 [1: 8] @ heapprofile\n";
    let frames = |frames: &[(&str, &str)]| {
        let line = |(address, name): &(&str, &str)| format!("#\t{address}\tmain.{name}+0x5\t/m.go:1\n");
        frames.iter().map(line).collect::<String>()
    };
    let recursive = frames(&[("0x10", "walk"), ("0x10", "walk"), ("0x20", "main")]);
    let inlined = frames(&[("0x10", "inner"), ("0x10", "outer"), ("0x20", "main")]);
    let cases = [
        (
            format!("1: 8 [1: 8] @ 0x11 0x11 0x21\n{recursive}"),
            "main.walk@/m.go:1 < main.walk@/m.go:1 < main.main@/m.go:1",
        ),
        (format!("1: 8 [1: 8] @ 0x11 0x21\n{inlined}"), "main.inner@/m.go:1 < main.outer@/m.go:1 < main.main@/m.go:1"),
    ];
    for (text, expected) in cases {
        let expected = format!("objects/count space/bytes\n1 8 | {expected} | bytes=8");
        assert_eq!(read_text(&format!("{heading}{text}")), expected);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let heap = |line: &str| format!("heap profile: 1: 8 [1: 8] @ heapprofile\n{line}\n\n");
    let count = |line: &str| format!("goroutine profile: total 1\n{line}\n\n");
    let sample = "line 2: expected `OBJECTS: BYTES [OBJECTS: BYTES] @ ADDRESSES`, found";
    let cases = [
        (heap("1: 8 [1: 8]"), format!("{sample} `1: 8 [1: 8]`")),
        (heap("1: 8 [1: 8] @ 0xfffffffffffffffff"), format!("{sample} `1: 8 [1: 8] @ 0xfffffffffffffffff`")),
        (heap("1: 8 [1: 8] @ main"), format!("{sample} `1: 8 [1: 8] @ main`")),
        (heap("t*: 1: 8 [1: 8]"), format!("{sample} `t*: 1: 8 [1: 8]`")),
        (heap("0: 8 [1: 8] @ 0x1"), "line 2: expected no bytes of no objects, found `0: 8 [1: 8] @ 0x1`".to_owned()),
        (count("@ 0x1"), "line 2: expected `COUNT @ ADDRESSES`, found `@ 0x1`".to_owned()),
        (count("1 0x1"), "line 2: expected `COUNT @ ADDRESSES`, found `1 0x1`".to_owned()),
    ];
    for (text, expected) in cases {
        assert_eq!(read_text(&text), expected);
    }
    let kind = read_text("heap profile: 1: 8 [1: 8] @ other\n");
    assert!(
        kind.starts_with("line 1: expected `heap profile: OBJECTS: BYTES [OBJECTS: BYTES] @ KIND` where KIND is"),
        "{kind}"
    );
}

#[test]
fn what_is_cut_off_in_its_last_line_is_read_up_to_it() {
    let text = "heap profile: 1: 8 [1: 8] @ heapprofile\n1: 8 [1: 8] @ 0x11\n1: 8 [";
    let expected =
        "objects/count space/bytes\n1 8 |  | bytes=8\nwarning: the profile ends within line 3, which is passed over";
    assert_eq!(read_text(text), expected);
}

#[test]
fn other_texts_are_not_taken_for_a_profile() {
    for text in [
        "",
        "goroutine 1 [running]:\n",
        "heap_v2/524288\n",
        "a profile: total\n",
        "{\"heap profile:\": 1}",
        "a b profile: total 1",
    ] {
        assert!(!knows(text.as_bytes()), "{text}");
    }
}
