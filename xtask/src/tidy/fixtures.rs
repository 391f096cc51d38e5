//! Every file under `fixtures/` is used: named, or in a folder that is named, by some source or document.

use super::Problem;
use crate::tree::{File, Tree};

const READERS: &[&str] = &["rs", "ts", "py", "md"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let readers: Vec<&File> = tree.files.iter().filter(|file| READERS.contains(&file.kind())).collect();
    let fixtures = tree.paths.iter().filter(|path| path.starts_with("fixtures/") && !path.ends_with("README.md"));
    let unused = fixtures.filter(|path| !readers.iter().any(|file| file.path != **path && names(&file.text, path)));
    unused
        .map(|path| Problem::new(path, 1, "is used by nothing", "name it in the test that reads it, or delete it"))
        .collect()
}

/// Whether `text` holds the file's name or the path of a folder it lies in, from `fixtures/` on.
fn names(text: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut folders = path.match_indices('/').skip(1).filter_map(|(at, _)| path.get(..at));
    text.contains(name) || folders.any(|folder| text.contains(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unused(reader: &str) -> usize {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = vec![file("src/a.rs", reader), file("fixtures/exposition/go/full.txt", "up 1\n")];
        let paths = files.iter().map(|file| file.path.clone()).collect();
        check(&Tree { paths, files }).len()
    }

    #[test]
    fn a_fixture_is_used_by_its_name_or_by_a_folder_above_it() {
        assert_eq!(unused("include_str!(\"full.txt\")"), 0);
        assert_eq!(unused("read_dir(\"../../fixtures/exposition/go\")"), 0);
        assert_eq!(unused("read_dir(\"fixtures/exposition\")"), 0);
    }

    #[test]
    fn a_fixture_that_nobody_names_is_a_problem() {
        assert_eq!(unused("read_dir(\"fixtures\")"), 1);
        assert_eq!(unused(""), 1);
    }
}
