//! Sampling heap profiles of a real Node.js: what it holds is counted by the functions that allocated it.

use std::process::Command;

use leakscope_heap::Format;
use leakscope_heap::profile::{Profile, read};

/// Bytes of the space that a function allocated itself.
fn own_bytes(profile: &Profile, function: &str) -> i64 {
    let is_leaf = |sample: &usize| {
        let leaf = profile.stack(*sample).first().and_then(|location| profile.lines(*location)[0].function);
        leaf.is_some_and(|leaf| profile.text(profile.functions()[leaf as usize].name) == function)
    };
    let space = profile.sample_type("space").unwrap();
    (0..profile.n_samples()).filter(is_leaf).map(|sample| profile.values(sample)[space]).sum()
}

#[test]
fn what_a_function_holds_is_about_what_it_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heap/sampled.js");
    for form in ["plain", "wrapped"] {
        let file = folder.path().join(form);
        let Ok(status) = Command::new("node").arg(script).arg(&file).arg(form).status() else {
            eprintln!("SKIPPED: there is no `node` to take a profile of");
            return;
        };
        assert!(status.success());
        let profile = read(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!((profile.format(), profile.warnings()), (Format::V8HeapProfile, &[][..]));
        // 20,000 arrays of 100 elements with 8 bytes each; some 500 samples, so that 20 % are four standard errors.
        let remembered = own_bytes(&profile, "remember") + own_bytes(&profile, "serve");
        assert!((16_000_000..27_000_000).contains(&remembered), "{remembered}");
        // The interval is that which the script asked for, as near as the smallest of its objects tells.
        let period = profile.header().period;
        assert!((32_768..32_900).contains(&period), "{period}");
        let serve = profile.functions().iter().find(|function| profile.text(function.name) == "serve").unwrap();
        assert!(profile.text(serve.file).ends_with("sampled.js"), "{}", profile.text(serve.file));
        assert_eq!(serve.start_line, 9);
    }
}
