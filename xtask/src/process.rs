//! Other programs: whether they are there, and running them so that none outlives the command that started it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::{bench, clock, tree};

/// How often a condition of another program is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What a program has after SIGTERM until it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The file that `name` starts, looked up on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What a program prints on both streams, when it starts and succeeds.
pub(crate) fn printed_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The command as a reader would type it.
pub(crate) fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A started program that ends with this value: SIGTERM first, SIGKILL after ten seconds.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("`{}` did not start: {error}", spelled(command)))?;
        Ok(Self { child, name: name.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error when the program has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("`{}` ended early: {status}", self.name)),
            Err(error) => Err(format!("`{}` not observable: {error}", self.name)),
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // The shell's own `kill` is there on every machine; the program of that name is not.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        let asked = clock::now();
        while asked.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Waits until `look` gives a value, as long as `program` runs and `limit` has not passed.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    program: &mut Running,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let started = clock::now();
    loop {
        if let Some(value) = look() {
            return Ok(value);
        }
        program.still_runs()?;
        if started.elapsed() > limit {
            return Err(format!("waited {limit:?} for {what} in vain"));
        }
        thread::sleep(POLL);
    }
}

/// A new empty folder under target/, removed first when it is left from an earlier run.
pub(crate) fn fresh_folder(path: &Path) -> Result<(), String> {
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(|error| format!("`{}` not removable: {error}", path.display()))?;
    }
    std::fs::create_dir_all(path).map_err(|error| format!("`{}` not creatable: {error}", path.display()))
}

/// Where this repository's builds go.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The product as it is shipped: the binary that is `given`, else it is built.
pub(crate) fn leakscope_binary(given: Option<String>) -> Result<PathBuf, String> {
    if let Some(path) = given {
        return Ok(PathBuf::from(path));
    }
    bench::build_leakscope()?;
    Ok(target_folder(&tree::root()).join("release/leakscope"))
}
