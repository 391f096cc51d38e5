//! Rules on Markdown: relative links lead somewhere, and what ARCHITECTURE.md names in the code is there.

use super::{Problem, has_word};
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.kind() == "md") {
        problems.extend(dead_links(&file.path, &file.text, tree));
        if file.path == "ARCHITECTURE.md" {
            problems.extend(missing_symbols(&file.path, &file.text, tree));
        }
    }
    problems
}

fn dead_links(path: &str, text: &str, tree: &Tree) -> Vec<Problem> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut problems = Vec::new();
    for (number, line) in prose_lines(text) {
        for target in link_targets(&without_code_spans(line)) {
            let leads_somewhere = resolved(folder, &target).is_some_and(|path| tree.has(&path));
            if !leads_somewhere {
                let what = format!("links to `{target}`, which is not there");
                problems.push(Problem::new(path, number, what, "correct the path or remove the link"));
            }
        }
    }
    problems
}

/// Lines outside fenced code, with their numbers from 1.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        in_fence ^= is_fence;
        (!in_fence && !is_fence).then_some((index + 1, line))
    })
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Relative targets of `[..](target)`, `[..]: target` and `src="target"`, without their anchors.
fn link_targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let sources = line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    let targets = inline.chain(sources).chain(definition);
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    local
        .map(|target| target.trim_matches(['<', '>']).split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty())
        .collect()
}

/// `target` seen from `folder`, or nothing when it leaves the repository.
fn resolved(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Code spans of the form `folder/file.rs` or `folder/file.rs: symbol` whose file or symbol is not there.
fn missing_symbols(path: &str, text: &str, tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in prose_lines(text) {
        for span in code_spans(line).filter(|span| span.starts_with("crates/") || span.starts_with("xtask/")) {
            let (file, symbol) = span.split_once(": ").unwrap_or((span, ""));
            let missing = match tree.text(file) {
                None if tree.has(file) || file.contains(['*', '{', '<']) => None,
                None => Some(format!("names `{file}`, which is not there")),
                Some(code) => {
                    first_missing(code, symbol).map(|name| format!("names `{name}`, which `{file}` does not have"))
                }
            };
            if let Some(what) = missing {
                problems.push(Problem::new(path, number, what, "name what the code has now"));
            }
        }
    }
    problems
}

/// The first part of `Type::method` that is no word of `code`.
fn first_missing<'a>(code: &str, symbol: &'a str) -> Option<&'a str> {
    let mut names = symbol.split("::").map(|name| name.trim_end_matches("()")).filter(|name| !name.is_empty());
    names.find(|name| !has_word(code, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = vec![
            file(path, text),
            file("docs/api.md", ""),
            file("crates/a/src/store.rs", "impl Store { pub fn append(&mut self) {} }"),
        ];
        let paths = files.iter().map(|file| file.path.clone()).collect();
        check(&Tree { paths, files }).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_relative_link_leads_to_a_file_or_a_folder() {
        assert_eq!(found("README.md", "[a](docs/api.md) [b](docs) [c](./docs/api.md#x) [d](#here)"), [""; 0]);
        assert_eq!(
            found("docs/x.md", "[a](api.md) [b](../README.md)"),
            ["links to `../README.md`, which is not there"]
        );
        assert_eq!(found("README.md", "[a](docs/no.md \"title\")"), ["links to `docs/no.md`, which is not there"]);
        assert_eq!(found("README.md", "[a]: docs/no.md"), ["links to `docs/no.md`, which is not there"]);
        assert_eq!(found("README.md", "<img src=\"docs/no.png\">"), ["links to `docs/no.png`, which is not there"]);
        assert_eq!(found("README.md", "[a](../out.md)"), ["links to `../out.md`, which is not there"]);
    }

    #[test]
    fn links_to_the_web_and_links_in_code_are_left_alone() {
        assert_eq!(found("README.md", "[a](https://example.com/x) [b](mailto:a@example.com)"), [""; 0]);
        assert_eq!(found("README.md", "`[a](no.md)`\n```\n[a](no.md)\n```\n"), [""; 0]);
    }

    #[test]
    fn what_the_architecture_names_is_in_the_code() {
        assert_eq!(found("ARCHITECTURE.md", "`crates/a/src/store.rs: Store::append`, `crates/a/src`"), [""; 0]);
        assert_eq!(
            found("ARCHITECTURE.md", "`crates/a/src/store.rs: Store::drop_all`"),
            ["names `drop_all`, which `crates/a/src/store.rs` does not have"]
        );
        assert_eq!(
            found("ARCHITECTURE.md", "`crates/a/src/no.rs: x`"),
            ["names `crates/a/src/no.rs`, which is not there"]
        );
    }
}
