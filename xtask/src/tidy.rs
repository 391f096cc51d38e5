//! `cargo xtask tidy`: the rules that neither the compiler nor clippy holds, one line per problem.

mod daemon;
mod docs;
mod edges;
mod fixtures;
mod sources;

use std::fmt;
use std::process::ExitCode;

use crate::Outcome;
use crate::args::Args;
use crate::tree::{self, Tree};

/// One broken rule: where, what is wrong, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) instead: &'static str,
    pub(crate) weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Printed, never fails the run.
    Warning,
    Failure,
}

impl Problem {
    fn new(path: &str, line: usize, what: impl Into<String>, instead: &'static str) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), instead, weight: Weight::Failure }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weight == Weight::Warning { "warning: " } else { "" };
        write!(f, "{}:{}: {prefix}{}; {}", self.path, self.line, self.what, self.instead)
    }
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    Args::new(arguments).finish()?;
    let root = tree::root();
    let tree = Tree::read(&root)?;
    let mut problems = edges::check(&edges::Graph::of_workspace(&root)?, &tree);
    problems.extend(sources::check(&tree));
    problems.extend(fixtures::check(&tree));
    problems.extend(docs::check(&tree));
    problems.extend(daemon::check(&tree));
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    let n_failures = problems.iter().filter(|problem| problem.weight == Weight::Failure).count();
    eprintln!("tidy: {} files, {n_failures} problems, {} warnings", tree.paths.len(), problems.len() - n_failures);
    Ok(if n_failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The lines of a Rust file with their numbers from 1, and whether each is inside `#[cfg(test)] mod`.
fn lines_with_tests(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut in_tests = false;
    let mut cfg_test_before = false;
    text.lines().enumerate().map(move |(index, line)| {
        if cfg_test_before && line.starts_with("mod ") && line.ends_with('{') {
            in_tests = true;
        }
        cfg_test_before = line == "#[cfg(test)]" || (cfg_test_before && line.starts_with("#["));
        let inside = in_tests;
        if in_tests && line == "}" {
            in_tests = false;
        }
        (index + 1, line, inside)
    })
}

/// Whether a Rust file holds nothing but tests: in a folder of tests, or the `tests.rs` of a module.
fn is_all_tests(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether `word` stands in `line` with no letter, digit or `_` on either side.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_its_remedy() {
        let problem = Problem::new("a/b.rs", 7, "sleeps in a test", "wait for a condition");
        assert_eq!(problem.to_string(), "a/b.rs:7: sleeps in a test; wait for a condition");
    }

    #[test]
    fn test_modules_are_told_from_the_rest() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    x\n}\nfn b() {}";
        let inside: Vec<bool> = lines_with_tests(text).map(|(_, _, inside)| inside).collect();
        assert_eq!(inside, [false, false, true, true, true, false]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("fn parse(", "parse"));
        assert!(!has_word("fn parse_all(", "parse"));
        assert!(has_word("parse_all(parse)", "parse"));
    }
}
