//! Which files are meant: files as given, folders searched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Names of recordings end so.
const ENDINGS: [&str; 3] = [".csv", ".csv.gz", ".csv.zst"];

/// Files found in one run. Beyond: refused, as the folder is hardly the one that was meant.
const FILES_MAX: usize = 1_000_000;

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error("`{path}` cannot be read: {source}")]
    Unreadable { path: String, source: io::Error },
    #[error("`{path}` holds no recordings, expected files named {}", ENDINGS.map(|ending| format!("`*{ending}`")).join(", "))]
    Empty { path: String },
    #[error("expected at most {FILES_MAX} files, found more under `{path}`")]
    TooMany { path: String },
}

/// The files of `paths`: a file as it is, whatever its name; a folder with all below it, in the order of their names. Links to folders are not followed.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FindError> {
    let mut files = Vec::new();
    for path in paths {
        let is_folder = fs::metadata(path).map_err(|source| unreadable(path, source))?.is_dir();
        if !is_folder {
            files.push(path.clone());
            continue;
        }
        let n_before = files.len();
        search(path, &mut files)?;
        if files.len() == n_before {
            return Err(FindError::Empty { path: path.display().to_string() });
        }
    }
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FindError> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let entry = entry.map_err(|source| unreadable(&folder, source))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|source| unreadable(&path, source))?;
            if kind.is_dir() {
                folders.push(path);
            } else if ENDINGS.iter().any(|ending| entry.file_name().to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
        if files.len() + found.len() > FILES_MAX {
            return Err(FindError::TooMany { path: folder.display().to_string() });
        }
    }
    found.sort();
    files.append(&mut found);
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> FindError {
    FindError::Unreadable { path: path.display().to_string(), source }
}
