//! The captures that are measured, written by real processes and kept between runs: `programs/shop.js` and `programs/Shop.java`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record::service::done;

const SHOP_JS: &str = include_str!("programs/shop.js");
const SHOP_JAVA: &str = include_str!("programs/Shop.java");

/// Sessions of the shop when a snapshot is taken; 5 kB of snapshot for each.
const V8_SESSIONS: [usize; 3] = [10_000, 56_000, 237_000];
/// Of one growing process, the last one also measured alone.
pub(super) const V8_SERIES: [usize; 3] = [19_000, 37_500, 56_000];
/// 2.7 kB of dump for each.
const JVM_SESSIONS: [usize; 2] = [142_000, 582_000];

/// Which of the files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Small,
    Medium,
    Large,
}

impl Size {
    pub(super) const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    pub(super) fn named(name: &str) -> Result<Self, String> {
        match name {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => Err(format!("size `{name}` not known (known sizes: small, medium, large)")),
        }
    }
}

/// Where the captures lie.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn v8(&self, size: Size) -> Result<PathBuf, String> {
        let path = match size {
            Size::Small => self.snapshot(V8_SESSIONS[0]),
            Size::Medium => self.snapshot(V8_SESSIONS[1]),
            Size::Large => self.snapshot(V8_SESSIONS[2]),
        };
        if !path.is_file() {
            let sessions: &[usize] = match size {
                Size::Small => &V8_SESSIONS[..1],
                Size::Medium => &V8_SERIES,
                Size::Large => &V8_SESSIONS[2..],
            };
            self.write_snapshots(sessions)?;
        }
        Ok(path)
    }

    /// The three snapshots of one process.
    pub(super) fn v8_series(&self) -> Result<Vec<PathBuf>, String> {
        let paths: Vec<PathBuf> = V8_SERIES.iter().map(|n_sessions| self.snapshot(*n_sessions)).collect();
        if !paths.iter().all(|path| path.is_file()) {
            self.write_snapshots(&V8_SERIES)?;
        }
        Ok(paths)
    }

    /// No small one: a JVM's own classes would be much of it.
    pub(super) fn hprof(&self, size: Size) -> Result<Option<PathBuf>, String> {
        let n_sessions = match size {
            Size::Small => return Ok(None),
            Size::Medium => JVM_SESSIONS[0],
            Size::Large => JVM_SESSIONS[1],
        };
        let path = self.folder.join(format!("shop-{n_sessions}.hprof"));
        if !path.is_file() {
            self.write_dump(n_sessions, &path)?;
        }
        Ok(Some(path))
    }

    fn snapshot(&self, n_sessions: usize) -> PathBuf {
        self.folder.join(format!("shop-{n_sessions}.heapsnapshot"))
    }

    fn write_snapshots(&self, sessions: &[usize]) -> Result<(), String> {
        eprintln!("writing snapshots of a shop with {sessions:?} sessions");
        let program = self.program("shop.js", SHOP_JS)?;
        let mut command = Command::new("node");
        command.arg("--max-old-space-size=8000").arg(program);
        for n_sessions in sessions {
            command.arg(n_sessions.to_string()).arg(self.snapshot(*n_sessions));
        }
        done(&mut command)
    }

    fn write_dump(&self, n_sessions: usize, path: &Path) -> Result<(), String> {
        eprintln!("writing a dump of a shop with {n_sessions} sessions");
        let program = self.program("Shop.java", SHOP_JAVA)?;
        let classes = self.folder.join("classes");
        done(Command::new("javac").arg("-d").arg(&classes).arg(program))?;
        let mut command = Command::new("java");
        command.args(["-Xmx6g", "-XX:+UseSerialGC", "-cp"]).arg(classes).arg("Shop");
        done(command.arg(n_sessions.to_string()).arg(path))
    }

    fn program(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("`{}` not writable: {error}", path.display()))?;
        Ok(path)
    }
}
