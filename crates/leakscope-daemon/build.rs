//! Builds the page with npm when its sources changed, so that it can be carried in the binary.
//!
//! Without Node.js the binary is built all the same, with a page that says what is missing; cargo shows it in one line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the page is built from, under `ui/`.
const SOURCES: [&str; 8] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "svelte.config.js",
    "tsconfig.json",
];

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?).join("ui");
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("cargo sets CARGO_MANIFEST_DIR"))?;
    let ui = Path::new(&manifest).join("../../ui");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", ui.join(source).display());
    }
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    match build(&ui, &out) {
        Ok(()) => Ok(()),
        Err(missing) => {
            println!("cargo::warning=the web page is left out: {missing}");
            let page = format!(
                "<!doctype html><title>leakscope</title><p>This build has no web page: {missing}. The API is at <a href=\"api/v1/services\">api/v1</a>."
            );
            fs::write(out.join("index.html"), page)
        }
    }
}

/// Installs the locked packages when they are not there, and builds into `out`. The error is one line that says what is missing.
fn build(ui: &Path, out: &Path) -> Result<(), String> {
    let version = Command::new("node").arg("--version").output().map_err(|_| "Node.js 20 or newer is not installed")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().trim_start_matches('v').to_owned();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 20 {
        return Err(format!("Node.js 20 or newer is needed, {version} is installed"));
    }
    if !up_to_date(ui) {
        npm(ui, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    }
    let out = out.to_string_lossy();
    npm(ui, &["run", "build", "--silent", "--", "--outDir", &out, "--emptyOutDir"])
}

/// Whether the installed packages are those of the lock file: npm leaves its own copy of it beside them.
fn up_to_date(ui: &Path) -> bool {
    let modified = |path: &str| fs::metadata(ui.join(path)).and_then(|metadata| metadata.modified()).ok();
    match (modified("package-lock.json"), modified("node_modules/.package-lock.json")) {
        (Some(lock), Some(installed)) => installed >= lock,
        _ => false,
    }
}

fn npm(ui: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(ui).output().map_err(|_| "npm is not installed")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("`npm {}` failed: {last}", arguments.join(" ")))
}
