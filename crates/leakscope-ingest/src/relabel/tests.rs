//! Relabelling against Prometheus' own cases.

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn config(action: Action, sources: &[&str], regex: &str, target: &str, replacement: &str) -> RelabelConfig {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    RelabelConfig {
        source_labels: sources.iter().map(|name| (*name).to_owned()).collect(),
        regex: some(regex),
        target_label: some(target),
        replacement: some(replacement),
        action,
        ..RelabelConfig::default()
    }
}

fn apply(config: &RelabelConfig, before: &[(&str, &str)]) -> Option<Labels> {
    let rule = Relabel::compile(1, config).unwrap();
    let mut labels = labels(before);
    relabel(&[rule], &mut labels).then_some(labels)
}

/// Rule, labels before, labels after (`None`: dropped).
type Case<'a> = (RelabelConfig, &'a [(&'a str, &'a str)], Option<&'a [(&'a str, &'a str)]>);

#[test]
fn every_action_does_what_prometheus_does() {
    use Action::{Drop, DropEqual, Keep, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
    let abc: &[_] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
    let cases: &[Case<'_>] = &[
        (
            config(Replace, &["a"], "f(.*)", "d", "ch${1}-ch${1}"),
            &[("a", "foo")],
            Some(&[("a", "foo"), ("d", "choo-choo")]),
        ),
        (
            config(Replace, &["a", "b"], "f(.*);(.*)r", "a", "b${1}${2}m"),
            abc,
            Some(&[("a", "boobam"), ("b", "bar"), ("c", "baz")]),
        ),
        (config(Replace, &["a"], ".*(b).*", "d", "$1"), &[("a", "foo")], Some(&[("a", "foo")])),
        (config(Replace, &["a"], "", "b", ""), &[("a", "foo")], Some(&[("a", "foo"), ("b", "foo")])),
        (config(Replace, &["a"], "fo", "b", "x"), &[("a", "foo")], Some(&[("a", "foo")])),
        (config(Replace, &["none"], "", "b", ""), &[("b", "gone")], Some(&[])),
        (
            config(Replace, &["a"], "some-([^-]+)-([^,]+)", "${1}", "${2}"),
            &[("a", "some-name-value")],
            Some(&[("a", "some-name-value"), ("name", "value")]),
        ),
        (config(Replace, &["a"], "some-([^-]+)", "${2}", "x"), &[("a", "some-name")], Some(&[("a", "some-name")])),
        (config(Replace, &["a"], "(?P<w>.*)", "b", "$w-$$"), &[("a", "foo")], Some(&[("a", "foo"), ("b", "foo-$")])),
        (config(Replace, &["a"], "(?i)FOO", "b", "x"), &[("a", "foo")], Some(&[("a", "foo"), ("b", "x")])),
        (config(Keep, &["a"], "foo|bar", "", ""), &[("a", "foo")], Some(&[("a", "foo")])),
        (config(Keep, &["a"], "no-match", "", ""), &[("a", "foo")], None),
        (config(Drop, &["a"], "o", "", ""), &[("a", "foo")], Some(&[("a", "foo")])),
        (config(Drop, &["a"], ".*o.*", "", ""), &[("a", "foo\nx")], None),
        (config(KeepEqual, &["a"], "", "b", ""), &[("a", "x"), ("b", "x")], Some(&[("a", "x"), ("b", "x")])),
        (config(KeepEqual, &["a"], "", "b", ""), &[("a", "x")], None),
        (config(DropEqual, &["a"], "", "b", ""), &[("a", "x"), ("b", "x")], None),
        (config(DropEqual, &["a"], "", "b", ""), &[("a", "x"), ("b", "y")], Some(&[("a", "x"), ("b", "y")])),
        (
            config(LabelMap, &[], "(b.*)", "", "bar_${1}"),
            &[("a", "foo"), ("b1", "bar")],
            Some(&[("a", "foo"), ("b1", "bar"), ("bar_b1", "bar")]),
        ),
        (
            config(LabelMap, &[], "__meta_(.*)", "", ""),
            &[("__meta_my_baz", "aaa")],
            Some(&[("__meta_my_baz", "aaa"), ("my_baz", "aaa")]),
        ),
        (config(LabelDrop, &[], "(b.*)", "", ""), &[("a", "foo"), ("b1", "bar")], Some(&[("a", "foo")])),
        (config(LabelKeep, &[], "(b.*)", "", ""), &[("a", "foo"), ("b1", "bar")], Some(&[("b1", "bar")])),
        (config(Lowercase, &["a"], "", "b", ""), &[("a", "BaR")], Some(&[("a", "BaR"), ("b", "bar")])),
        (config(Uppercase, &["a"], "", "b", ""), &[("a", "BaR")], Some(&[("a", "BaR"), ("b", "BAR")])),
    ];
    for (config, before, after) in cases {
        assert_eq!(apply(config, before), after.map(labels), "{config:?}");
    }
}

#[test]
fn hashmod_sends_to_the_shard_that_prometheus_sends_to() {
    let rule =
        |sources, modulus| RelabelConfig { modulus: Some(modulus), ..config(Action::HashMod, sources, "", "d", "") };
    // Both cases stand in Prometheus' relabel_test.go.
    assert_eq!(apply(&rule(&["c"], 1_000), &[("c", "baz")]), Some(labels(&[("c", "baz"), ("d", "976")])));
    assert_eq!(apply(&rule(&["a"], 1_000), &[("a", "foo\nbar")]), Some(labels(&[("a", "foo\nbar"), ("d", "734")])));
}

#[test]
fn rules_that_cannot_work_are_refused_with_their_number() {
    for (config, message) in [
        (config(Action::Keep, &["a"], "(", "", ""), "relabelling rule 1: expected a regular expression, found `(`: "),
        (
            config(Action::Keep, &["a"], "a)|(b", "", ""),
            "relabelling rule 1: expected a regular expression, found `a)|(b`: ",
        ),
        (config(Action::Replace, &["a"], "", "", ""), "relabelling rule 1: action `replace` needs `target_label`"),
        (
            config(Action::Replace, &["a"], "", "a-b", ""),
            "relabelling rule 1: expected a label name in `target_label`, found `a-b`",
        ),
        (
            config(Action::Lowercase, &["a"], "", "${1}", ""),
            "relabelling rule 1: expected a label name in `target_label`, found `${1}`",
        ),
        (
            config(Action::HashMod, &["a"], "", "b", ""),
            "relabelling rule 1: action `hashmod` needs a `modulus` above 0",
        ),
        (
            config(Action::LabelDrop, &["a"], "x", "", ""),
            "relabelling rule 1: action `labeldrop` takes no `source_labels`",
        ),
        (config(Action::KeepEqual, &["a"], "x", "b", ""), "relabelling rule 1: action `keepequal` takes no `regex`"),
    ] {
        let error = Relabel::compile(1, &config).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
