//! Programs and their symbols: the files that addresses of a profile are mapped from, as far as they are here.

use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are no programs.
const BYTES_MAX: u64 = 8 << 30;
/// Digits of a build id that name its folder under `.build-id`.
const FOLDER_DIGITS: usize = 2;

/// Where files are looked for: what `--symbols` names, then where the profile says they were.
#[derive(Debug)]
pub(super) struct Symbols<'a> {
    given: Option<&'a Path>,
    /// Whether the file that was given has stood in for a program of another name.
    has_stood_in: bool,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(given: Option<&'a Path>) -> Self {
        Self { given, has_stood_in: false }
    }

    /// The bytes of the file that a profile knows by this path and build id. Whether the build ids agree is the caller's to compare.
    pub(super) fn open(&mut self, path: &str, build_id: &str) -> Option<Vec<u8>> {
        self.candidates(path, build_id).iter().find_map(|path| read(path))
    }

    fn candidates(&mut self, path: &str, build_id: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let name = Path::new(path).file_name();
        match self.given {
            Some(folder) if folder.is_dir() => {
                found.push(folder.join(path.trim_start_matches('/')));
                found.extend(name.map(|name| folder.join(name)));
                if let Some((head, rest)) = build_id.split_at_checked(FOLDER_DIGITS) {
                    found.push(folder.join(".build-id").join(head).join(format!("{rest}.debug")));
                }
            }
            Some(file) if file.file_name() == name => found.push(file.to_owned()),
            // A file of another name is the program itself, which is mapped first; libraries have their own.
            Some(file) if !self.has_stood_in && !path.contains(".so") => {
                self.has_stood_in = true;
                found.push(file.to_owned());
            }
            Some(_) | None => {}
        }
        found.push(PathBuf::from(path));
        found
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    // A path in a profile could be that of a device or a pipe, which would never end.
    let is_program = metadata.is_file() && metadata.len() <= BYTES_MAX;
    is_program.then(|| fs::read(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_file_stands_for_its_name_or_once_for_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.debug");
        fs::write(&file, "symbols").unwrap();
        let mut symbols = Symbols::new(Some(&file));
        assert_eq!(symbols.open("/nowhere/libc.so.6", ""), None);
        assert_eq!(symbols.open("/nowhere/shop", ""), Some(b"symbols".to_vec()));
        assert_eq!(symbols.open("/nowhere/other", ""), None);
        assert_eq!(symbols.open("/nowhere/shop.debug", ""), Some(b"symbols".to_vec()));
    }

    #[test]
    fn a_folder_is_searched_by_path_name_and_build_id() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["usr/bin/a", "b", ".build-id/ab/cdef.debug"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
        }
        let mut symbols = Symbols::new(Some(folder.path()));
        for (path, build_id) in [("/usr/bin/a", ""), ("/srv/b", ""), ("/srv/c", "abcdef")] {
            assert_eq!(symbols.open(path, build_id), Some(b"x".to_vec()), "{path}");
        }
        assert_eq!(symbols.open("/srv/d", ""), None);
        assert_eq!(Symbols::new(None).open("/dev/null", ""), None);
    }
}
