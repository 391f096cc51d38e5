//! Rules on leakscope-daemon: only the store writes under the data folder, and sibling folders do not know each other.

use std::collections::BTreeSet;

use super::{Problem, has_word, is_all_tests, lines_with_tests};
use crate::tree::Tree;

const DAEMON: &str = "crates/leakscope-daemon/src/";

/// Ways to change the file system.
const WRITES: &[&str] =
    &["fs::write", "create_dir", "File::create", "OpenOptions", "fs::rename", "fs::remove", "fs::copy"];

/// Files of the daemon that may write, each with where it writes and why that is not the data folder.
const MAY_WRITE: &[(&str, &str)] = &[];

/// Folders and files that every folder may name: what is configured, and how an incident is told, which is pure.
const KNOWN_TO_ALL: &[&str] = &["config", "report"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let folders: BTreeSet<&str> =
        tree.paths.iter().filter_map(|path| Some(path.strip_prefix(DAEMON)?.split_once('/')?.0)).collect();
    let mut problems = Vec::new();
    for file in &tree.files {
        let Some(inside) = file.path.strip_prefix(DAEMON).filter(|_| file.kind() == "rs" && !is_all_tests(&file.path))
        else {
            continue;
        };
        problems.extend(writes(&file.path, inside, &file.text));
        problems.extend(siblings(&file.path, inside, &file.text, &folders));
    }
    problems
}

fn writes(path: &str, inside: &str, text: &str) -> Vec<Problem> {
    if MAY_WRITE.iter().any(|(allowed, _)| *allowed == inside) {
        return Vec::new();
    }
    let code = lines_with_tests(text).filter(|(_, line, in_tests)| !in_tests && !line.trim_start().starts_with("//"));
    let writing = code.filter(|(_, line, _)| WRITES.iter().any(|write| line.contains(write)));
    let instead = "let leakscope-store write it, or add this file with its reason to `MAY_WRITE`";
    writing.map(|(number, _, _)| Problem::new(path, number, "writes to the file system", instead)).collect()
}

fn siblings(path: &str, inside: &str, text: &str, folders: &BTreeSet<&str>) -> Vec<Problem> {
    // The file beside a folder, `capture.rs` beside `capture/`, belongs to the folder.
    let own = inside.split_once('/').map_or_else(|| inside.trim_end_matches(".rs"), |(folder, _)| folder);
    if !folders.contains(own) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut group = false;
    for (number, line, in_tests) in lines_with_tests(text) {
        let comment = line.trim_start().starts_with("//");
        group |= line.contains("crate::{");
        let others = folders.iter().filter(|folder| **folder != own && !KNOWN_TO_ALL.contains(folder));
        for other in others.filter(|_| !in_tests && !comment) {
            let direct = line.contains(&format!("crate::{other}::")) || line.contains(&format!("crate::{other};"));
            let grouped = group && has_word(line, other) && !line.contains("::{") || opens_group_with(line, other);
            if direct || grouped {
                let what = format!("`{own}` names its sibling `{other}`");
                problems.push(Problem::new(path, number, what, "return an event, or let runtime.rs join the two"));
            }
        }
        group &= !line.contains("};");
    }
    problems
}

/// Whether this line is `use crate::{.., other::.., ..}`.
fn opens_group_with(line: &str, other: &str) -> bool {
    line.split_once("crate::{").is_some_and(|(_, inside)| has_word(inside, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: format!("{DAEMON}{path}"), text: text.to_owned() };
        let files =
            vec![file("api/router.rs", ""), file("notify/slack.rs", ""), file("config/file.rs", ""), file(path, text)];
        let paths = files.iter().map(|file| file.path.clone()).collect();
        check(&Tree { paths, files }).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn the_daemon_does_not_write_files() {
        assert_eq!(found("scrape.rs", "std::fs::write(path, bytes)?;"), ["writes to the file system"]);
        assert_eq!(found("scrape.rs", "tokio::fs::create_dir_all(path).await?;"), ["writes to the file system"]);
        assert_eq!(found("scrape.rs", "std::fs::read(path)?; // no fs::w\n// fs::write is the store's"), [""; 0]);
        assert_eq!(found("scrape.rs", "#[cfg(test)]\nmod tests {\n    std::fs::write(p, b)\n}\n"), [""; 0]);
    }

    #[test]
    fn tests_in_a_file_of_their_own_are_free() {
        assert_eq!(found("api/tests.rs", "use crate::notify::Notifier;\nstd::fs::write(path, bytes)?;"), [""; 0]);
    }

    #[test]
    fn sibling_folders_do_not_name_each_other() {
        let sibling = ["`api` names its sibling `notify`"];
        assert_eq!(found("api/a.rs", "use crate::notify::Notifier;"), sibling);
        assert_eq!(found("api/a.rs", "use crate::{clock, notify::Notifier};"), sibling);
        assert_eq!(found("api/a.rs", "use crate::{\n    clock,\n    notify,\n};"), sibling);
        assert_eq!(found("api.rs", "use crate::notify::Notifier;"), sibling);
    }

    #[test]
    fn config_single_files_and_the_runtime_are_free() {
        assert_eq!(found("api/a.rs", "use crate::config::File;\nuse crate::clock::now;"), [""; 0]);
        assert_eq!(found("runtime.rs", "use crate::{api::Api, notify::Notifier};"), [""; 0]);
        assert_eq!(found("api/a.rs", "use crate::api::router;\nfn notify() {}"), [""; 0]);
    }
}
