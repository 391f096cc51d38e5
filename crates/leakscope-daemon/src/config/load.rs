//! Reads configuration files from disk: the one place of this folder that opens them.

use std::path::{Path, PathBuf};

use super::problem::{ConfigErrors, Problem};
use super::yaml::FILE_BYTES_MAX;
use super::{Config, Included};

/// Most files of `scrape_config_files`. Beyond: refused.
const INCLUDED_MAX: usize = 1_000;

impl Config {
    /// Reads the file at `path`, the files it names in `scrape_config_files`, and the environment.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem there is, those of reading included.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let one = |problem: Box<Problem>| ConfigErrors { problems: vec![*problem], n_more: 0 };
        let text = read_text(path).map_err(one)?;
        let env = |name: &str| std::env::var(name).ok();
        Self::parse_with(&text, &path.display().to_string(), &env, include)
    }
}

fn include(patterns: &[PathBuf]) -> Vec<Included> {
    let mut files = Vec::new();
    for pattern in patterns {
        match glob(pattern) {
            Ok(paths) if paths.is_empty() && !has_star(pattern) => files.push(missing(pattern)),
            Ok(paths) => {
                files.extend(
                    paths.into_iter().map(|path| Included { name: path.display().to_string(), text: read_text(&path) }),
                );
            }
            Err(problem) => files.push(Included { name: pattern.display().to_string(), text: Err(problem) }),
        }
    }
    if files.len() > INCLUDED_MAX {
        let message = format!("expected at most {INCLUDED_MAX} files of `scrape_config_files`, found {}", files.len());
        return vec![Included { name: String::new(), text: Err(whole("scrape_config_files", message)) }];
    }
    files
}

fn missing(path: &Path) -> Included {
    let name = path.display().to_string();
    let problem = Problem::of_file(name.clone(), "this file of `scrape_config_files` is not there");
    Included { name, text: Err(Box::new(problem)) }
}

pub(crate) fn has_star(pattern: &Path) -> bool {
    pattern.file_name().is_some_and(|name| name.to_string_lossy().contains('*'))
}

/// The files that match `pattern`, whose last element may hold `*`, sorted. A missing folder has none.
pub(crate) fn glob(pattern: &Path) -> Result<Vec<PathBuf>, Box<Problem>> {
    if !has_star(pattern) {
        return Ok(if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() });
    }
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(whole(&folder.display().to_string(), format!("cannot read this folder: {error}"))),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if matches(&name, &entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `name` matches `pattern`, where `*` stands for any characters. Linear in both: it goes back to the last `*` only.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The text of a configuration file: UTF-8 and of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, Box<Problem>> {
    let name = path.display().to_string();
    let length = std::fs::metadata(path).map_err(|error| whole(&name, format!("cannot read this file: {error}")))?;
    if length.is_dir() {
        return Err(whole(&name, "expected a file, found a folder"));
    }
    if length.len() > FILE_BYTES_MAX as u64 {
        let message = format!("expected at most {FILE_BYTES_MAX} bytes of YAML, found {}", length.len());
        return Err(whole(&name, message));
    }
    let bytes = std::fs::read(path).map_err(|error| whole(&name, format!("cannot read this file: {error}")))?;
    text_of(bytes, &name)
}

fn whole(name: &str, message: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::of_file(name, message))
}

fn text_of(bytes: Vec<u8>, name: &str) -> Result<String, Box<Problem>> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let byte = error.as_bytes().get(valid).copied().unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
            let message = format!("expected UTF-8, found byte {byte:#04x} at line {line}, byte {column} of it");
            Err(whole(name, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*.json", "a.json", true),
            ("*.json", ".json", true),
            ("*.json", "a.json.bak", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*a", "a", false),
            ("a.json", "a.json", true),
            ("a.json", "b.json", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_told_with_its_place() {
        let problem = text_of(b"a: 1\nb: \xff\n".to_vec(), "x.yaml").unwrap_err();
        assert_eq!(problem.message, "expected UTF-8, found byte 0xff at line 2, byte 4 of it");
    }
}
