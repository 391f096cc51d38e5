//! Pictures on their way into a folder, each under a name of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::output;

/// Endings that a picture's name does not keep.
const ENDINGS: [&str; 4] = [".gz", ".zst", ".csv", ".svg"];
/// Bytes of a name without its ending: file systems take 255.
const NAME_BYTES_MAX: usize = 200;

/// Where pictures go. Without a folder nowhere.
#[derive(Debug, Default)]
pub(super) struct Plots {
    folder: Option<PathBuf>,
    names: Vec<String>,
    n_written: usize,
    n_failed: usize,
}

impl Plots {
    /// Makes `folder` and gives every series a name in it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn into(folder: Option<&Path>, series: &[String]) -> Result<Self, Failure> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        fs::create_dir_all(folder)
            .map_err(|error| Failure::usage(format!("`{}` cannot be made: {error}", folder.display())))?;
        Ok(Self { folder: Some(folder.to_owned()), names: names(series), ..Self::default() })
    }

    /// Writes the picture of the series at this place. One that cannot be written is told, and the run goes on.
    pub(super) fn write(&mut self, index: usize, picture: Option<String>) {
        let (Some(folder), Some(name), Some(picture)) = (&self.folder, self.names.get(index), picture) else { return };
        let path = folder.join(format!("{name}.svg"));
        match fs::write(&path, picture) {
            Ok(()) => self.n_written += 1,
            Err(error) => {
                self.n_failed += 1;
                output::error(&format!("`{}` cannot be written: {error}", path.display()));
            }
        }
    }

    /// How many could not be written.
    pub(super) fn n_failed(&self) -> usize {
        self.n_failed
    }

    /// Tells where the pictures are.
    pub(super) fn tell(&self) {
        if let Some(folder) = &self.folder {
            let noun = if self.n_written == 1 { "plot" } else { "plots" };
            output::note(&format!("{} {noun} in `{}`", self.n_written, folder.display()));
        }
    }
}

/// A name for each series: that of its file; where two share it, its path; where two share that, with a number.
fn names(series: &[String]) -> Vec<String> {
    let short = |name: &str| plain(name.rsplit('/').next().unwrap_or(name));
    let mut n_called: BTreeMap<String, usize> = BTreeMap::new();
    for name in series {
        *n_called.entry(short(name).to_lowercase()).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let mut names = Vec::with_capacity(series.len());
    for name in series {
        let short = short(name);
        let shared = n_called.get(&short.to_lowercase()).is_some_and(|n| *n > 1);
        let wanted = if shared { plain(name) } else { short };
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        let mut free = std::iter::once(wanted.clone()).chain(numbered);
        names.extend(free.find(|name| taken.insert(name.to_lowercase())));
    }
    names
}

/// A name that any file system takes: without endings, other characters as `-`.
fn plain(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = rest;
    }
    let kept = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let mut plain: String = name.chars().map(kept).collect();
    let end = (0..=NAME_BYTES_MAX.min(plain.len())).rev().find(|at| plain.is_char_boundary(*at)).unwrap_or(0);
    plain.truncate(end);
    let trimmed = plain.trim_matches(|c| matches!(c, '-' | '.'));
    if trimmed.is_empty() { "series".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_a_name_of_its_own() {
        let series = ["a/x.csv", "b/X.csv.gz", "b/y.csv.zst", "../z z", "cart 127.0.0.1:80", "b/y", ".csv"];
        let series: Vec<String> = series.map(str::to_owned).into();
        assert_eq!(names(&series), ["a-x", "b-X", "b-y", "z-z", "cart-127.0.0.1-80", "b-y-2", "series"]);
        assert_eq!(names(&["ä".repeat(500)])[0].len(), NAME_BYTES_MAX);
    }
}
