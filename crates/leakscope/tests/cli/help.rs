//! Help, usage mistakes, completions, the manual page.

use std::fs;
use std::path::Path;

use crate::run::run;

/// Compares with a file beside this one; `UPDATE_SNAPSHOTS=1` writes it anew.
fn check(name: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == found, "{} differs (UPDATE_SNAPSHOTS=1 writes it anew), found:\n{found}", file.display());
}

#[test]
fn every_command_helps_with_examples_and_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 16] = [
        &[],
        &["demo"],
        &["serve"],
        &["check", "config"],
        &["targets"],
        &["incidents"],
        &["alert", "test"],
        &["alert", "list"],
        &["capture"],
        &["captures"],
        &["analyze"],
        &["diff"],
        &["redact"],
        &["backtest"],
        &["doctor"],
        &["completions"],
    ];
    for command in commands {
        let ran = run(folder.path(), &[command, &["--help"]].concat());
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains("Examples:\n"), "{command:?}");
        check(if command.is_empty() { "leakscope" } else { command.last().unwrap() }, &ran.stdout);
    }
}

#[test]
fn a_mistake_of_usage_answers_2_and_says_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["backtst"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("a similar subcommand exists: 'backtest'"), "{}", ran.stderr);
    assert_eq!(run(folder.path(), &[]).exit, 2);
}

#[test]
fn completions_and_manual_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["completions", "bash"] as &[&str], &["completions", "zsh"], &["completions", "fish"], &["man"]]
    {
        let ran = run(folder.path(), arguments);
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        for command in [
            "demo",
            "serve",
            "check",
            "targets",
            "incidents",
            "capture",
            "captures",
            "alert",
            "analyze",
            "diff",
            "redact",
            "backtest",
            "doctor",
        ] {
            assert!(ran.stdout.contains(command), "{arguments:?} does not name {command}");
        }
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut process =
        crate::run::command(folder.path(), &["man"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}
