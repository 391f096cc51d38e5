//! What the tests need of the machine: checks it, installs what is missing from Debian's packages when it may.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{on_path, printed_by};

/// A version as its first two numbers.
type Version = (u32, u32);

/// One program that the tests need.
struct Need {
    name: &'static str,
    /// Version on this machine; an error says what was found instead.
    probe: fn() -> Result<Version, String>,
    at_least: Version,
    /// Debian packages that bring it; none when only `otherwise` helps.
    packages: &'static [&'static str],
    /// What to do where the packages are missing or too old.
    otherwise: &'static str,
}

const RUST: &[Need] = &[
    Need {
        name: "rustfmt",
        probe: || version_of("cargo", &["fmt", "--version"]),
        at_least: (0, 0),
        packages: &[],
        otherwise: "run `rustup component add rustfmt`",
    },
    Need {
        name: "clippy",
        probe: || version_of("cargo", &["clippy", "--version"]),
        at_least: (0, 0),
        packages: &[],
        otherwise: "run `rustup component add clippy`",
    },
    Need {
        name: "a C compiler",
        probe: || version_of("cc", &["--version"]),
        at_least: (0, 0),
        packages: &["gcc", "libc6-dev"],
        otherwise: "run `apt-get install gcc libc6-dev`",
    },
];

const ALL: &[Need] = &[
    Need {
        name: "Node.js",
        probe: || version_of("node", &["--version"]),
        at_least: (20, 19),
        packages: &["nodejs"],
        otherwise: "install Node.js 20.19 or later: the package nodejs from Debian 13 on, else https://nodejs.org/en/download",
    },
    Need {
        name: "npm",
        probe: || version_of("npm", &["--version"]),
        at_least: (9, 0),
        packages: &["npm"],
        otherwise: "run `apt-get install npm`, or take the one that comes with https://nodejs.org/en/download",
    },
    Need {
        name: "Python with venv",
        probe: python,
        at_least: (3, 11),
        packages: &["python3", "python3-venv"],
        otherwise: "run `apt-get install python3 python3-venv`",
    },
    Need {
        name: "Java",
        probe: || version_of("java", &["-version"]),
        at_least: (17, 0),
        packages: &["default-jdk-headless"],
        otherwise: "run `apt-get install default-jdk-headless`",
    },
    Need {
        name: "javac",
        probe: || version_of("javac", &["-version"]),
        at_least: (17, 0),
        packages: &["default-jdk-headless"],
        otherwise: "run `apt-get install default-jdk-headless`",
    },
    Need {
        name: "Go",
        probe: || version_of("go", &["version"]),
        at_least: (1, 19),
        packages: &["golang-go"],
        otherwise: "run `apt-get install golang-go`, or where that is too old take it from https://go.dev/dl",
    },
    Need {
        name: "Chromium",
        probe: chromium,
        at_least: (100, 0),
        packages: &["chromium"],
        otherwise: "run `apt-get install chromium`",
    },
];

/// Names that Chromium goes by.
const CHROMIUMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Which part of the tests the machine must be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Rust,
    Everything,
}

/// Makes the machine ready, or says in one line per missing program exactly what to install.
pub(crate) fn ensure(scope: Scope, root: &Path) -> Result<(), String> {
    let wanted = || RUST.iter().chain(ALL.iter().filter(|_| scope == Scope::Everything));
    let missing: Vec<&Need> = wanted().filter(|need| missing(need, root).is_some()).collect();
    let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() && on_path("apt-get").is_some() && is_root() {
        install(&packages)?;
    }
    let problems: Vec<String> = wanted().filter_map(|need| missing_line(need, root)).collect();
    if problems.is_empty() { Ok(()) } else { Err(format!("this machine lacks:\n{}", problems.join("\n"))) }
}

fn missing_line(need: &Need, root: &Path) -> Option<String> {
    missing(need, root).map(|found| format!("  {}: {found}; {}", need.name, need.otherwise))
}

/// What is wrong with a need on this machine, or nothing.
fn missing(need: &Need, root: &Path) -> Option<String> {
    let at_least = if need.name == "Go" { go_of_services(root).unwrap_or(need.at_least) } else { need.at_least };
    match (need.probe)() {
        Ok(version) if version >= at_least => None,
        Ok((major, minor)) => Some(format!("expected {}.{} or later, found {major}.{minor}", at_least.0, at_least.1)),
        Err(found) => Some(found),
    }
}

fn install(packages: &[&str]) -> Result<(), String> {
    println!("installing from Debian's packages: {}", packages.join(" "));
    apt_get(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("apt-get did not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("apt-get {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}

fn is_root() -> bool {
    printed_by("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

fn version_of(program: &str, arguments: &[&str]) -> Result<Version, String> {
    if on_path(program).is_none() {
        return Err(format!("`{program}` is not on PATH"));
    }
    let printed = printed_by(program, arguments).ok_or(format!("`{program} {}` failed", arguments.join(" ")))?;
    first_version(&printed).ok_or(format!("`{program} {}` names no version", arguments.join(" ")))
}

fn python() -> Result<Version, String> {
    let version = version_of("python3", &["--version"])?;
    printed_by("python3", &["-c", "import venv, ensurepip"]).ok_or("python3 has no module `venv` or `ensurepip`")?;
    Ok(version)
}

fn chromium() -> Result<Version, String> {
    let name = CHROMIUMS.iter().find(|name| on_path(name).is_some()).ok_or("`chromium` is not on PATH")?;
    version_of(name, &["--version"])
}

/// The browser that [`ensure`] found.
pub(crate) fn chromium_path() -> Option<PathBuf> {
    CHROMIUMS.iter().find_map(|name| on_path(name))
}

/// The version that the Go service asks for in its go.mod.
fn go_of_services(root: &Path) -> Option<Version> {
    let text = std::fs::read_to_string(root.join("services/go/go.mod")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("go ")).and_then(first_version)
}

/// The first `major.minor` or lone `major` in a text: `v20.1.0`, `go1.22`, `openjdk version "17.0.15"`.
fn first_version(text: &str) -> Option<Version> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text.get(digits..)?.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_program_prints_them() {
        assert_eq!(first_version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(first_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(first_version("openjdk version \"17.0.15\" 2025-04-15"), Some((17, 0)));
        assert_eq!(first_version("javac 21"), Some((21, 0)));
        assert_eq!(first_version("Chromium 136.0.7103.92 built on Debian"), Some((136, 0)));
        assert_eq!(first_version("no number"), None);
    }
}
