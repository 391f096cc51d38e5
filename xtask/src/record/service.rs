//! The example services as programs: building them once, and starting one so that it ends with this process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use super::recording::{Flavour, Recording};
use super::shape::MIB;
use crate::process::target_folder;

/// What a JVM needs besides its heap, of the bytes that a container allows it.
const JVM_BESIDES_HEAP_BYTES: f64 = 40.0 * MIB;

/// What is built of the Go, the Java and the Python service, by its name in the folder of the builds.
pub(crate) const GO: &str = "go-service";
pub(crate) const JAVA: &str = "java";
pub(crate) const VENV: &str = "venv";

/// The built services.
#[derive(Debug)]
pub(crate) struct Programs {
    root: PathBuf,
    build: PathBuf,
    rust: PathBuf,
}

impl Programs {
    /// Builds what is not yet built.
    pub(crate) fn build(root: &Path) -> Result<Self, String> {
        let target = target_folder(root);
        let build = target.join("services");
        std::fs::create_dir_all(&build).map_err(|error| format!("`{}` not creatable: {error}", build.display()))?;
        let programs = Self { root: root.to_path_buf(), rust: target.join("release/example-service"), build };
        build_rust(root, &[])?;
        build_go(root, &programs.build.join(GO))?;
        build_java(root, &programs.build.join(JAVA))?;
        build_python(root, &programs.build.join(VENV))?;
        Ok(programs)
    }

    fn python(&self) -> PathBuf {
        python_of(&self.build.join(VENV))
    }

    /// Where services put files that have no name.
    fn temporary(&self) -> PathBuf {
        self.build.clone()
    }

    fn command(&self, recording: &Recording) -> Command {
        let mut command = match recording.flavour {
            Flavour::Node | Flavour::NodeGrowing => Command::new("node"),
            Flavour::Python => Command::new(self.python()),
            Flavour::Go => Command::new(self.build.join(GO)),
            Flavour::JavaSized | Flavour::JavaSerial | Flavour::JavaDefault => Command::new("java"),
            Flavour::Rust => Command::new(&self.rust),
        };
        match recording.flavour {
            Flavour::NodeGrowing => {
                command.arg("--semi-space-growth-factor=2").arg(self.root.join("services/node/server.js"))
            }
            Flavour::Node => command.arg(self.root.join("services/node/server.js")),
            Flavour::Python => command.arg(self.root.join("services/python/app.py")),
            Flavour::JavaSized | Flavour::JavaSerial | Flavour::JavaDefault => {
                command.args(self.jvm_options(recording)).arg("-cp").arg(self.build.join(JAVA)).arg("Service")
            }
            Flavour::Go | Flavour::Rust => &mut command,
        };
        let leak = recording.leak().map_or("none", |leak| leak.flag);
        command.args(["--leak", leak, "--rate", &recording.rate_bytes().to_string(), "--exit-with-stdin"]);
        command.env("TMPDIR", self.temporary());
        command
    }

    fn jvm_options(&self, recording: &Recording) -> Vec<String> {
        let limit = recording.limit_bytes().unwrap_or_else(|| 2.0 * recording.bytes_needed());
        let heap = |bytes: f64| format!("{:.0}m", (bytes / MIB).max(64.0));
        let mut options = match recording.flavour {
            Flavour::JavaSized => vec![
                format!("@{}", self.root.join("services/java/jvm.options").display()),
                format!("-Xms{}", heap(limit)),
                format!("-Xmx{}", heap(limit)),
                "-Xmn24m".to_owned(),
                // A few minutes of the reader's clock.
                "-XX:G1PeriodicGCInterval=6000".to_owned(),
            ],
            Flavour::JavaSerial => vec![
                "-XX:+UseSerialGC".to_owned(),
                "-Xms16m".to_owned(),
                format!("-Xmx{}", heap(limit - JVM_BESIDES_HEAP_BYTES)),
                "-XX:TieredStopAtLevel=1".to_owned(),
                "-XX:MaxDirectMemorySize=1g".to_owned(),
            ],
            _ => vec!["-XX:+UseG1GC".to_owned(), format!("-Xmx{}", heap(limit - JVM_BESIDES_HEAP_BYTES))],
        };
        options.push("-XX:+ExitOnOutOfMemoryError".to_owned());
        options.push(format!("-Djava.io.tmpdir={}", self.temporary().display()));
        options
    }

    /// Starts the service of a recording and waits for its start line.
    pub(crate) fn start(&self, recording: &Recording) -> Result<Service, String> {
        Service::start(&mut self.command(recording))
    }
}

/// Builds the Rust service for release, with features of its own.
pub(crate) fn build_rust(root: &Path, features: &[&str]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet", "-p", "example-service"]).current_dir(root);
    done(command.args(features.iter().flat_map(|feature| ["--features", feature])))
}

/// Builds the Go service into the file `program`.
pub(crate) fn build_go(root: &Path, program: &Path) -> Result<(), String> {
    done(Command::new("go").args(["build", "-o"]).arg(program).arg(".").current_dir(root.join("services/go")))
}

/// Compiles the Java service into a folder.
pub(crate) fn build_java(root: &Path, classes: &Path) -> Result<(), String> {
    done(Command::new("javac").arg("-d").arg(classes).arg(root.join("services/java/Service.java")))
}

/// Makes the virtual environment of the Python service, unless it is there.
pub(crate) fn build_python(root: &Path, venv: &Path) -> Result<(), String> {
    let python = python_of(venv);
    if python.is_file() {
        return Ok(());
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    done(Command::new(python).args(install).arg(root.join("services/python/requirements.txt")))
}

/// The interpreter of a virtual environment.
pub(crate) fn python_of(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// Runs a command to its end; an error holds what it wrote to its standard error.
pub(crate) fn done(command: &mut Command) -> Result<(), String> {
    let spelled = crate::process::spelled(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("`{spelled}` did not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{spelled}` failed:\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// A started service. It ends when this value does, or when this process does: its standard input ends then.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    _stdin: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Starts an example service and waits for its start line.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("`{}` did not start: {error}", crate::process::spelled(command)))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut service = Self { child, _stdin: stdin, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("no start line: {error}"))?;
        let start: Value = serde_json::from_str(&line).map_err(|_| format!("expected a start line, found `{line}`"))?;
        let listening = start["listening"].as_str().and_then(|url| url.strip_prefix("http://")).unwrap_or_default();
        service.address = listening.parse().map_err(|_| format!("expected an address, found `{listening}`"))?;
        Ok(service)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
