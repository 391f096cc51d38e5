//! Rules on single source files: header, length, marks left behind, ignored tests, sleeps in tests, foreign paths.

use super::{Problem, Weight, has_word, is_all_tests, lines_with_tests};
use crate::tree::{File, Tree};

/// Lines of a Rust file above which it is named.
const LINES_WARNED: usize = 500;
/// Lines of a Rust file above which it is refused, unless its second line gives the reason.
const LINES_REFUSED: usize = 1_000;
const LONG_BECAUSE: &str = "//! Long because ";

/// Kinds of file in which work must not be left behind as a mark.
const CODE: &[&str] = &["rs", "ts", "tsx", "js", "mjs", "py", "go", "java", "sh", "toml", "css", "html", "yml", "yaml"];
// In two halves, so that this file does not break its own rule.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
const FOREIGN_ROOTS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let (File { path, text }, kind) = (file, file.kind());
    let mut problems = foreign_paths(path, text);
    if CODE.contains(&kind) {
        problems.extend(marks(path, text));
    }
    if kind == "rs" {
        problems.extend(header(path, text));
        problems.extend(length(path, text));
        problems.extend(ignored_tests(path, text));
        problems.extend(sleeping_tests(path, text));
    }
    problems
}

fn header(path: &str, text: &str) -> Option<Problem> {
    let first = text.lines().next().unwrap_or_default();
    let says_something = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    (!says_something)
        .then(|| Problem::new(path, 1, "has no `//!` on its first line", "say there what lives here and what must not"))
}

fn length(path: &str, text: &str) -> Option<Problem> {
    let n_lines = text.lines().count();
    let gives_reason = text.lines().nth(1).is_some_and(|line| line.starts_with(LONG_BECAUSE));
    if n_lines <= LINES_WARNED || gives_reason {
        return None;
    }
    let what = format!("has {n_lines} lines");
    let problem =
        Problem::new(path, n_lines, what, "split it by noun, or begin its second line with `//! Long because `");
    let weight = if n_lines > LINES_REFUSED { Weight::Failure } else { Weight::Warning };
    Some(Problem { weight, ..problem })
}

fn marks(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            problems.push(Problem::new(
                path,
                index + 1,
                format!("leaves a `{mark}`"),
                "do it, or open an issue and delete the mark",
            ));
        }
    }
    problems
}

fn ignored_tests(path: &str, text: &str) -> Vec<Problem> {
    let ignored = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    ignored.map(|(index, _)| Problem::new(path, index + 1, "ignores a test", "make it run, or delete it")).collect()
}

fn sleeping_tests(path: &str, text: &str) -> Vec<Problem> {
    let all_tests = is_all_tests(path);
    let mut problems = Vec::new();
    let mut line_above = "";
    for (number, line, in_tests) in lines_with_tests(text) {
        let sleeps = line.contains("thread::sleep") || line.contains("time::sleep");
        let polls = [line_above, line].iter().any(|line| says_what_is_polled(line));
        let is_import = line.trim_start().starts_with("use ");
        if sleeps && (all_tests || in_tests) && !polls && !is_import {
            problems.push(Problem::new(
                path,
                number,
                "sleeps in a test",
                "wait for the condition, or name it in a `// poll: CONDITION` on this line or above",
            ));
        }
        line_above = line;
    }
    problems
}

fn says_what_is_polled(line: &str) -> bool {
    line.split_once("// poll:").is_some_and(|(_, condition)| !condition.trim().is_empty())
}

fn foreign_paths(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for root in FOREIGN_ROOTS.iter().filter(|root| starts_a_path(line, root)) {
            problems.push(Problem::new(
                path,
                index + 1,
                format!("names `{root}`, a folder of one machine"),
                "write it relative to the repository, or take it as an argument",
            ));
        }
    }
    problems
}

/// Whether an absolute path begins with `root` here; `/proc/1` before it makes it the inside of another path.
fn starts_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '*' | ']' | '>' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check_file(&file).into_iter().map(|problem| (problem.line, problem.what)).collect()
    }

    fn one(line: usize, what: &str) -> Vec<(usize, String)> {
        vec![(line, what.to_owned())]
    }

    #[test]
    fn a_rust_file_says_first_what_lives_in_it() {
        assert_eq!(found("a.rs", "//! Units.\nfn a() {}\n"), []);
        assert_eq!(found("a.rs", "fn a() {}\n"), one(1, "has no `//!` on its first line"));
        assert_eq!(found("a.rs", "//!\n"), one(1, "has no `//!` on its first line"));
        assert_eq!(found("a.rs", ""), one(1, "has no `//!` on its first line"));
    }

    #[test]
    fn a_long_file_warns_and_a_very_long_one_fails_unless_it_gives_its_reason() {
        let long = |head: &str, n_lines: usize| format!("{head}{}", "x\n".repeat(n_lines - head.lines().count()));
        let weight = |text: &str| length("a.rs", text).map(|problem| problem.weight);
        assert_eq!(weight(&long("//! a\n", 500)), None);
        assert_eq!(weight(&long("//! a\n", 501)), Some(Weight::Warning));
        assert_eq!(weight(&long("//! a\n", 1_001)), Some(Weight::Failure));
        assert_eq!(weight(&long("//! a\n//! Long because it is one table.\n", 1_001)), None);
    }

    #[test]
    fn marks_fail_in_code_and_not_in_prose_or_inside_names() {
        let mark = MARKS[0];
        assert_eq!(found("a.py", &format!("x\n# {mark}: later\n")), one(2, &format!("leaves a `{mark}`")));
        assert_eq!(found("a.py", &format!("MY{mark}S = 1\n")), []);
        assert_eq!(found("a.md", &format!("no {mark} is left\n")), []);
    }

    #[test]
    fn an_ignored_test_fails_with_and_without_a_reason() {
        assert_eq!(found("a.rs", "//! a\n#[ignore]\n"), one(2, "ignores a test"));
        assert_eq!(found("a.rs", "//! a\n    #[ignore = \"slow\"]\n"), one(2, "ignores a test"));
    }

    #[test]
    fn a_sleep_in_a_test_fails_unless_it_names_what_it_polls() {
        let sleeping = |path: &str, text: &str| found(path, &text.replace("NAP", concat!("time::", "sleep"))).len();
        assert_eq!(sleeping("crates/a/tests/b/main.rs", "//! a\ntokio::NAP(d).await;\n"), 1);
        assert_eq!(sleeping("crates/a/src/b.rs", "//! a\ntokio::NAP(d).await;\n"), 0);
        assert_eq!(sleeping("tests/a.rs", "//! a\n// poll: the port answers\nNAP(d);\n"), 0);
        assert_eq!(sleeping("tests/a.rs", "//! a\nNAP(d); // poll: the port answers\n"), 0);
        assert_eq!(sleeping("tests/a.rs", "//! a\nNAP(d); // poll:\n"), 1);
        assert_eq!(sleeping("src/a.rs", "//! a\n#[cfg(test)]\nmod tests {\n    NAP(d);\n}\n"), 1);
    }

    #[test]
    fn a_folder_of_one_machine_is_named_and_the_inside_of_another_path_is_not() {
        let root = FOREIGN_ROOTS[1];
        let what = format!("names `{root}`, a folder of one machine");
        assert_eq!(found("a.md", &format!("see `{root}x`\n")), one(1, &what));
        assert_eq!(found("a.json", &format!("{{\"a\": \"{root}x\"}}\n")), one(1, &what));
        assert_eq!(found("a.rs", &format!("//! /proc/1{root}x and {{pid}}{root}x\n")), []);
    }
}
