//! The programs that leakscope is measured beside: which version, how its own package manager installs it, how it is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record::service::done;

const DEVTOOLS: &str = include_str!("programs/devtools.mjs");
const MEMLAB: &str = include_str!("programs/memlab.cjs");
const V8_HEAP_PARSER: &str = include_str!("programs/v8_heap_parser.rs");
const SCAN: &str = include_str!("programs/scan.rs");

/// A module that Chrome's build generates and the package lacks; nothing of it is used here.
const LOCALES: &str = "export const LOCALES = ['en-US'], BUNDLED_LOCALES = ['en-US'], DEFAULT_LOCALE = 'en-US';\nexport const REMOTE_FETCH_PATTERN = '', LOCAL_FETCH_PATTERN = '';\n";
/// The engine asks for it and Node has it from version 22 on.
const WITH_RESOLVERS: &str = "Promise.withResolvers ??= () => { const made = {}; made.promise = new Promise((resolve, reject) => { Object.assign(made, { resolve, reject }); }); return made; };";
const ESBUILD: &str = "esbuild@0.28.2";

/// What is asked of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Graph, dominators, retained sizes, classes with retained sizes.
    Analyze,
    /// Classes with counts and own bytes.
    Histogram,
    /// A copy without contents.
    Redact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// No peer: the floor under all of them.
    Scan,
    V8HeapParser,
    DevTools,
    Memlab,
    HprofSlurp,
    HprofAnalyzer,
}

impl Peer {
    pub(super) const ALL: [Self; 6] =
        [Self::Scan, Self::V8HeapParser, Self::DevTools, Self::Memlab, Self::HprofSlurp, Self::HprofAnalyzer];

    /// Name, version, and where that comes from.
    fn pinned(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Scan => ("scan", "1", "this repository"),
            Self::V8HeapParser => ("v8-heap-parser", "1.1.0", "crates.io"),
            Self::DevTools => ("chrome-devtools-frontend", "1.0.1705227", "npm"),
            Self::Memlab => ("memlab", "2.0.5", "npm"),
            Self::HprofSlurp => ("hprof-slurp", "0.10.0", "crates.io"),
            Self::HprofAnalyzer => ("hprof-analyzer", "0.3.2", "crates.io"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.pinned().0
    }

    /// `memlab 2.0.5 (npm)`.
    pub(super) fn described(self) -> String {
        let (name, version, from) = self.pinned();
        if self == Self::Scan { format!("{name} ({from})") } else { format!("{name} {version} ({from})") }
    }

    pub(super) fn named(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|peer| peer.name() == name);
        found.ok_or_else(|| format!("peer `{name}` not known (known peers: {})", known()))
    }

    /// Whether its format is V8's, else it is HPROF.
    pub(super) fn reads_v8(self) -> bool {
        matches!(self, Self::Scan | Self::V8HeapParser | Self::DevTools | Self::Memlab)
    }

    /// Installs it into `folder` unless this version is there, and builds our driver of it, which may have changed.
    pub(super) fn install(self, folder: &Path) -> Result<(), String> {
        let (name, version, _) = self.pinned();
        let marker = folder.join(format!("{name}-{version}.installed"));
        if !marker.is_file() {
            eprintln!("installing {}", self.described());
            self.fetch(folder)?;
            write(&marker, "")?;
        }
        match self {
            Self::Scan | Self::V8HeapParser => build_rust(folder),
            Self::DevTools => bundle_devtools(&folder.join("npm")),
            Self::Memlab => write(&folder.join("npm/memlab.cjs"), MEMLAB),
            Self::HprofSlurp | Self::HprofAnalyzer => Ok(()),
        }
    }

    /// Has its package manager bring it.
    fn fetch(self, folder: &Path) -> Result<(), String> {
        let (name, version, _) = self.pinned();
        let package = format!("{name}@{version}");
        match self {
            // Cargo fetches it when it builds the driver.
            Self::Scan | Self::V8HeapParser => Ok(()),
            Self::DevTools => npm(folder, &[&package, ESBUILD]),
            Self::Memlab => npm(folder, &[&package, &format!("@memlab/heap-analysis@{version}")]),
            Self::HprofSlurp | Self::HprofAnalyzer => {
                let mut command = Command::new("cargo");
                command.args(["install", "--quiet", "--locked", "--root"]).arg(folder.join("cargo"));
                command.env("CARGO_TARGET_DIR", folder.join("cargo-build"));
                done(command.arg(package))
            }
        }
    }

    /// How it is asked; none where it does not do that. `out`: where a copy goes.
    pub(super) fn command(self, folder: &Path, task: Task, file: &Path, out: &Path) -> Option<Command> {
        let mut command = match (self, task) {
            (Self::Scan, Task::Analyze) => Command::new(rust_binary(folder, "scan")),
            (Self::V8HeapParser, Task::Analyze) => Command::new(rust_binary(folder, "v8_heap_parser")),
            (Self::DevTools, Task::Analyze) => node(&folder.join("npm/devtools.bundle.mjs")),
            (Self::Memlab, Task::Analyze) => node(&folder.join("npm/memlab.cjs")),
            (Self::HprofSlurp, Task::Histogram) => Command::new(folder.join("cargo/bin/hprof-slurp")),
            (Self::HprofAnalyzer, Task::Analyze) => {
                let mut command = Command::new(folder.join("cargo/bin/hprof-analyzer"));
                command.args(["--format", "json"]);
                command
            }
            (Self::HprofAnalyzer, Task::Redact) => {
                let mut command = Command::new(folder.join("cargo/bin/hprof-analyzer"));
                command.arg("redact").arg(file).arg(out);
                return Some(command);
            }
            _ => return None,
        };
        command.arg(file);
        Some(command)
    }
}

fn node(program: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("--max-old-space-size=12000").arg(program);
    command
}

fn npm(folder: &Path, packages: &[&str]) -> Result<(), String> {
    let folder = folder.join("npm");
    let manifest = folder.join("package.json");
    if !manifest.is_file() {
        write(&manifest, "{\"private\":true}\n")?;
    }
    let mut command = Command::new("npm");
    // No scripts: memlab's would fetch a browser.
    command.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact"]);
    done(command.args(packages).current_dir(folder))
}

/// The engine's sources and our driver in one file.
fn bundle_devtools(folder: &Path) -> Result<(), String> {
    write(&folder.join("node_modules/chrome-devtools-frontend/front_end/core/i18n/locales.js"), LOCALES)?;
    write(&folder.join("devtools.mjs"), DEVTOOLS)?;
    let mut command = Command::new(folder.join("node_modules/.bin/esbuild"));
    command.args(["devtools.mjs", "--bundle", "--platform=node", "--format=esm", "--log-level=error"]);
    command.arg("--outfile=devtools.bundle.mjs").arg(format!("--banner:js={WITH_RESOLVERS}"));
    done(command.current_dir(folder))
}

/// A package of its own: what it depends on is no dependency of ours.
fn build_rust(folder: &Path) -> Result<(), String> {
    let (_, version, _) = Peer::V8HeapParser.pinned();
    let manifest = format!(
        "[package]\nname = \"bench-heap-peers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nv8-heap-parser = \"={version}\"\n\n[profile.release]\nopt-level = 3\nlto = true\ncodegen-units = 1\n\n[workspace]\n"
    );
    let folder = folder.join("rust");
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("src/bin/v8_heap_parser.rs"), V8_HEAP_PARSER)?;
    write(&folder.join("src/bin/scan.rs"), SCAN)?;
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet"]).env("CARGO_TARGET_DIR", folder.join("target"));
    done(command.current_dir(folder))
}

fn rust_binary(folder: &Path, name: &str) -> PathBuf {
    folder.join("rust/target/release").join(name)
}

/// Writes a file and the folders above it, unless it is so already.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("`{}` not writable: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_found_by_its_name_and_reads_one_format() {
        for peer in Peer::ALL {
            assert_eq!(Peer::named(peer.name()), Ok(peer));
        }
        let refused = Peer::named("mat").unwrap_err();
        assert!(refused.contains("hprof-slurp"), "{refused}");
    }

    #[test]
    fn a_peer_is_asked_only_for_what_it_does() {
        let asked = |peer: Peer, task| {
            let command = peer.command(Path::new("p"), task, Path::new("f"), Path::new("o"))?;
            Some(crate::process::spelled(&command))
        };
        assert_eq!(asked(Peer::HprofSlurp, Task::Histogram).as_deref(), Some("p/cargo/bin/hprof-slurp f"));
        assert_eq!(asked(Peer::HprofSlurp, Task::Redact), None);
        assert_eq!(asked(Peer::HprofAnalyzer, Task::Redact).as_deref(), Some("p/cargo/bin/hprof-analyzer redact f o"));
    }
}
