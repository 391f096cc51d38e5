//! Makes a program of each runtime's sources: builds what needs building, once, all runtimes at the same time.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::embedded::Sources;
use super::runtime::DemoRuntime;
use crate::output;

/// How often to look whether another demo has finished its preparations.
const LOCK_POLL: Duration = Duration::from_millis(200);
/// Characters of a failed tool's last line that are repeated.
const SHOWN_MAX: usize = 200;

/// A program that can be started as a service.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: OsString,
    pub(crate) arguments: Vec<OsString>,
}

impl Program {
    fn new(path: impl Into<OsString>, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { path: path.into(), arguments: arguments.into_iter().collect() }
    }
}

/// What became of the runtimes that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// In the order asked for.
    pub(crate) programs: Vec<(DemoRuntime, Program)>,
    /// With the reason.
    pub(crate) skipped: Vec<(DemoRuntime, String)>,
}

/// Prepares every runtime; what cannot be is skipped with its reason.
pub(crate) async fn prepare_all(runtimes: &[DemoRuntime], sources: &Sources) -> Prepared {
    let _lock = lock(&sources.build).await;
    let tasks = runtimes.iter().map(|runtime| prepare(*runtime, sources));
    let mut prepared = Prepared::default();
    for (runtime, program) in runtimes.iter().zip(join_all(tasks).await) {
        match program {
            Ok(program) => prepared.programs.push((*runtime, program)),
            Err(reason) => {
                output::note(&format!("skipping {runtime}: {reason}"));
                prepared.skipped.push((*runtime, reason));
            }
        }
    }
    prepared
}

/// Waits while another demo prepares in the same folder. Without a lock (a file system that knows none) two demos may build the same twice.
async fn lock(build: &Path) -> Option<File> {
    let file = File::create(build.join("lock")).ok()?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::Error(_)) => return None,
            Err(TryLockError::WouldBlock) if !told => {
                output::note("waiting for another demo that is preparing the same services");
                told = true;
            }
            Err(TryLockError::WouldBlock) => {}
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// Runs futures at the same time in this task, so that dropping it drops them all and kills what they started.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        let mut all_done = true;
        for (future, done) in &mut waiting {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => all_done = false,
                }
            }
        }
        if all_done {
            std::task::Poll::Ready(waiting.iter_mut().filter_map(|(_, done)| done.take()).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

async fn prepare(runtime: DemoRuntime, sources: &Sources) -> Result<Program, String> {
    match runtime {
        DemoRuntime::Node => node(sources).await,
        DemoRuntime::Python => python(sources).await,
        DemoRuntime::Go => go(sources).await,
        DemoRuntime::Java => java(sources).await,
        DemoRuntime::Rust => rust(sources).await,
    }
}

/// With a bound on its heap, as in a container; by default V8 takes gigabytes on a large host, and a limit that far away is no news.
async fn node(sources: &Sources) -> Result<Program, String> {
    run(&mut command("node", &["--version"])).await?;
    let script = sources.root.join("node/server.js");
    Ok(Program::new("node", ["--max-old-space-size=512".into(), script.into()]))
}

/// A virtual environment with the packages that the service names; else the host's own Python when it has them.
async fn python(sources: &Sources) -> Result<Program, String> {
    let requirements = sources.root.join("python/requirements.txt");
    let wanted = fs::read(&requirements).map_err(|error| format!("`{}`: {error}", requirements.display()))?;
    let (venv, stamp) = (sources.build.join("python"), sources.build.join("python/ready"));
    let interpreter = venv.join("bin/python");
    let program = |interpreter: &Path| Program::new(interpreter, [sources.root.join("python/app.py").into()]);
    if fs::read(&stamp).is_ok_and(|ready| ready == wanted) && runs(&interpreter).await {
        return Ok(program(&interpreter));
    }
    run(&mut command("python3", &["--version"])).await?;
    output::note("preparing python: installing flask and waitress in a virtual environment");
    let installed = install(&venv, &interpreter, &requirements).await;
    if installed.is_ok() && fs::write(&stamp, &wanted).is_ok() {
        return Ok(program(&interpreter));
    }
    run(&mut command("python3", &["-c", "import flask, waitress"]))
        .await
        .map_err(|_| installed.err().unwrap_or_default())?;
    Ok(program(Path::new("python3")))
}

async fn runs(interpreter: &Path) -> bool {
    run(Command::new(interpreter).args(["-c", "import flask, waitress"])).await.is_ok()
}

async fn install(venv: &Path, interpreter: &Path, requirements: &Path) -> Result<(), String> {
    run(command("python3", &["-m", "venv", "--clear"]).arg(venv)).await?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(interpreter).args(pip).arg(requirements)).await
}

async fn go(sources: &Sources) -> Result<Program, String> {
    let binary = sources.build.join("go-service");
    let source = sources.root.join("go");
    if is_older(&binary, &source) {
        run(&mut command("go", &["version"])).await?;
        output::note("preparing go: building the service");
        // The service needs the standard library only: no newer toolchain, no modules from the network.
        let build = ["build", "-o"];
        run(command("go", &build).arg(&binary).arg(".").env("GOTOOLCHAIN", "local").current_dir(source)).await?;
    }
    Ok(Program::new(binary, []))
}

async fn java(sources: &Sources) -> Result<Program, String> {
    let (source, classes) = (sources.root.join("java"), sources.build.join("java"));
    run(&mut command("java", &["-version"])).await?;
    if is_older(&classes.join("Service.class"), &source) {
        output::note("preparing java: compiling the service");
        run(command("javac", &["-d"]).arg(&classes).arg(source.join("Service.java"))).await?;
    }
    let mut options = OsString::from("@");
    options.push(source.join("jvm.options"));
    Ok(Program::new("java", [options, "-cp".into(), classes.into(), "Service".into()]))
}

/// With an allocator that samples, where we were built from a checkout that is still there; else the service beside our own binary,
/// whose leak can then be found but not named.
async fn rust(sources: &Sources) -> Result<Program, String> {
    const NAME: &str = "example-service";
    let own = env::current_exe().map_err(|error| format!("our own path is not known: {error}"))?;
    let folder = own.parent().unwrap_or(Path::new(""));
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = checkout.join("services/rust");
    if !source.join("Cargo.toml").is_file() {
        let beside = folder.join(NAME);
        let missing = || format!("no `{NAME}` beside `{}`, and no checkout to build it from", own.display());
        return beside.is_file().then(|| Program::new(beside, [])).ok_or_else(missing);
    }
    let program = sources.build.join("rust-service");
    if is_older(&program, &source.join("src")) {
        output::note("preparing rust: building the service with an allocator that samples");
        // Where cargo put us, so that nothing is built twice; else where cargo puts it by itself.
        let debug = folder.file_name().is_some_and(|profile| profile == "debug");
        let profile = if debug { "debug" } else { "release" };
        let target = match folder.parent() {
            Some(target) if folder.ends_with(profile) => target.to_owned(),
            _ => checkout.join("target"),
        };
        let build = ["build", "--quiet", "--package", NAME, "--features", "profile", "--target-dir"];
        let mut cargo = command("cargo", &build);
        cargo.arg(&target);
        if !debug {
            cargo.arg("--release");
        }
        run(cargo.current_dir(&checkout)).await?;
        // A build without that feature would take its place.
        let built = target.join(profile).join(NAME);
        fs::copy(&built, &program).map_err(|error| format!("`{}` cannot be copied: {error}", built.display()))?;
    }
    Ok(Program::new(program, ["--profile".into()]))
}

/// Whether something has to be built: it is not there, or a file that it is made of is newer.
fn is_older(built: &Path, sources: &Path) -> bool {
    let modified = |path: PathBuf| fs::metadata(path).and_then(|found| found.modified());
    let Ok(built) = modified(built.to_owned()) else { return true };
    let newer =
        |entry: io::Result<fs::DirEntry>| entry.and_then(|entry| modified(entry.path())).is_ok_and(|at| at > built);
    fs::read_dir(sources).map_or(true, |mut entries| entries.any(newer))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a tool to its end; it dies with us.
async fn run(command: &mut Command) -> Result<(), String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let ran = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    match ran {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("`{name}` failed ({}): {}", output.status, last_line(&output))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("`{name}` is not installed")),
        Err(error) => Err(format!("`{name}` does not start: {error}")),
    }
}

fn last_line(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("it says nothing").chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_than_its_build_is_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let (sources, built) = (folder.path().join("src"), folder.path().join("built"));
        fs::create_dir(&sources).unwrap();
        fs::write(sources.join("main.go"), "x").unwrap();
        assert!(is_older(&built, &sources), "not there");
        fs::write(&built, "y").unwrap();
        assert!(!is_older(&built, &sources));
        let later = fs::metadata(&built).unwrap().modified().unwrap() + Duration::from_secs(1);
        File::options().append(true).open(sources.join("main.go")).unwrap().set_modified(later).unwrap();
        assert!(is_older(&built, &sources), "a source is newer");
    }

    #[test]
    fn a_tool_that_is_missing_or_fails_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = |command: &mut Command| runtime.block_on(run(command));
        assert_eq!(ran(&mut command("no-such-tool", &[])), Err("`no-such-tool` is not installed".to_owned()));
        let failed = ran(&mut command("sh", &["-c", "echo one; echo two >&2; exit 3"]));
        assert_eq!(failed, Err("`sh` failed (exit status: 3): two".to_owned()));
    }
}
