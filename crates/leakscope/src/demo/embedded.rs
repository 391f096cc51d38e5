//! The sources of the example services: carried in the binary, unpacked once into a cache folder named by their hash.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../../services"]
struct Services;

/// What users copy into their programs, and the services use as users do.
#[derive(RustEmbed)]
#[folder = "../../agents"]
#[prefix = "agents/"]
struct Agents;

/// Parts of paths that are made by running the services and not their sources.
const NOT_SOURCES: [&str; 3] = ["__pycache__", "node_modules", "target"];

/// Why the sources cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be {what}: {source}")]
pub(crate) struct SourcesError {
    path: String,
    what: &'static str,
    source: io::Error,
}

/// Where the sources are and where what is built of them goes.
#[derive(Debug)]
pub(crate) struct Sources {
    /// One folder per runtime.
    pub(crate) root: PathBuf,
    /// What is built, kept for the next demo.
    pub(crate) build: PathBuf,
}

impl Sources {
    /// The sources of the binary itself.
    pub(crate) fn unpacked() -> Result<Self, SourcesError> {
        let folder = cache_folder().join(format!("services-{:016x}", hash_of_sources()));
        let root = folder.join("src");
        if !root.is_dir() {
            unpack(&folder, &root)?;
        }
        Self::with_build(root, folder.join("build"))
    }

    /// The sources in a folder of the user's.
    pub(crate) fn at(folder: &Path) -> Result<Self, SourcesError> {
        let root = fs::canonicalize(folder).map_err(failed(folder, "read"))?;
        let key = fnv(root.as_os_str().as_encoded_bytes(), FNV_START);
        Self::with_build(root, cache_folder().join(format!("build-{key:016x}")))
    }

    fn with_build(root: PathBuf, build: PathBuf) -> Result<Self, SourcesError> {
        fs::create_dir_all(&build).map_err(failed(&build, "made"))?;
        Ok(Self { root, build })
    }
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> SourcesError {
    let path = path.display().to_string();
    move |source| SourcesError { path, what, source }
}

/// `$XDG_CACHE_HOME/leakscope`, `~/.cache/leakscope`, or a folder for temporary files where there is no home that can be written.
fn cache_folder() -> PathBuf {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let wanted = xdg.or_else(|| home().map(|home| home.join(".cache"))).map(|cache| cache.join("leakscope"));
    wanted.filter(|folder| fs::create_dir_all(folder).is_ok()).unwrap_or_else(|| env::temp_dir().join("leakscope"))
}

fn sources() -> impl Iterator<Item = String> {
    let is_source = |path: &str| !path.split('/').any(|part| NOT_SOURCES.contains(&part));
    Services::iter().chain(Agents::iter()).map(std::borrow::Cow::into_owned).filter(move |path| is_source(path))
}

fn source(path: &str) -> Option<EmbeddedFile> {
    Services::get(path).or_else(|| Agents::get(path))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn hash_of_sources() -> u64 {
    let mut paths: Vec<String> = sources().collect();
    paths.sort();
    paths.iter().fold(FNV_START, |hash, path| {
        let content = source(path).map(|file| file.metadata.sha256_hash()).unwrap_or_default();
        fnv(&content, fnv(path.as_bytes(), hash))
    })
}

/// Writes everything beside its place and moves it there at once, so that no demo ever sees a half.
fn unpack(folder: &Path, root: &Path) -> Result<(), SourcesError> {
    fs::create_dir_all(folder).map_err(failed(folder, "made"))?;
    let beside = tempfile::tempdir_in(folder).map_err(failed(folder, "written to"))?;
    for path in sources() {
        let Some(file) = source(&path) else { continue };
        let target = beside.path().join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed(parent, "made"))?;
        }
        fs::write(&target, &file.data).map_err(failed(&target, "written"))?;
    }
    match fs::rename(beside.path(), root) {
        // Another demo was faster; it wrote the same.
        Err(_) if root.is_dir() => Ok(()),
        renamed => renamed.map_err(failed(root, "made")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_has_sources_in_the_binary() {
        let paths: Vec<String> = sources().collect();
        for path in [
            "node/server.js",
            "python/app.py",
            "python/requirements.txt",
            "agents/python/leakscope_heap.py",
            "go/main.go",
            "java/Service.java",
        ] {
            assert!(paths.iter().any(|known| known == path), "{path} is missing in {paths:?}");
        }
    }
}
