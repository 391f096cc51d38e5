//! A script that the interpreter executes for us: our agent, which writes its answer to a file that only the process' user and we read.
//!
//! Script and answer lie in a folder of their own in the process' `/tmp`, gone when this is done, however it ends.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Gid, Mode, OFlags, ResolveFlags, Uid, fchown, mkdirat, openat, openat2, unlinkat};

use super::interpreter::Interpreter;
use super::{ANSWER_BYTES_MAX, REMEDY, Refusal, keep};
use crate::capture::{CaptureError, Output, Taken};
use crate::proc;

/// What is executed: the same file as users copy.
const AGENT: &str = include_str!("../../../../../agents/python/leakscope_heap.py");
/// Runs in a thread of its own, so that the main thread goes on at once. The agent stays loaded: it knows what it has begun.
const LOADER: &str = r#"
def run(path, source, name):
    import sys, types
    agent = sys.modules.get(name)
    if agent is None:
        agent = types.ModuleType(name)
        exec(compile(source, "<leakscope>", "exec"), agent.__dict__)
        sys.modules[name] = agent
    agent._answer_in(path)

import threading
"#;
const SCRIPT: &str = "run.py";
const ANSWER: &str = "heap.json";
/// How long the main thread may take to execute Python again: one that waits for input or for a lock does not.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at whether the answer is there.
const POLL: Duration = Duration::from_millis(20);

/// A snapshot that the agent takes within the process.
///
/// # Errors
/// [`CaptureError::Unavailable`] with what is in the way; [`CaptureError::Died`]; those of [`keep`].
pub(super) async fn take(pid: u32, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    let interpreter = Interpreter::of(pid)
        .map_err(|refused| CaptureError::Unavailable(format!("{}: {}", refused.reason, refused.remedy)))?;
    let folder = Folder::of(pid).map_err(|error| {
        CaptureError::Unavailable(format!("no script can be left in `/tmp` of process {pid}: {error}"))
    })?;
    let from = || format!("process {pid}");
    let asked = interpreter
        .ask(&format!("{}/{SCRIPT}", folder.path))
        .map_err(|source| CaptureError::Broken { from: from(), source })?;
    let mut waited = Duration::ZERO;
    loop {
        if let Some(bytes) = folder.answer().map_err(|source| CaptureError::Broken { from: from(), source })? {
            if let Ok(refusal) = serde_json::from_slice::<Refusal>(&bytes) {
                return Err(CaptureError::Unavailable(format!(
                    "the agent failed with {}",
                    super::shown(&refusal.error)
                )));
            }
            return keep(&bytes, from(), output);
        }
        if !proc::is_alive(pid) {
            return Err(CaptureError::Died);
        }
        if asked.waits() && waited > BEGIN_TIMEOUT {
            let seconds = BEGIN_TIMEOUT.as_secs();
            return Err(CaptureError::Unavailable(format!(
                "its main thread has executed no Python for {seconds} s: {REMEDY}"
            )));
        }
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
}

/// A folder in a process' `/tmp` with the script; dropped, it is removed with all that is in it.
#[derive(Debug)]
struct Folder {
    /// As the process knows it.
    path: String,
    name: String,
    parent: OwnedFd,
    inner: OwnedFd,
}

impl Folder {
    fn of(pid: u32) -> std::io::Result<Self> {
        let root = File::open(format!("/proc/{pid}/root"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // A link in its place leads to within the process' own root, never to ours.
        let parent = openat2(&root, "tmp", flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
        let name = format!(".leakscope-{:016x}", RandomState::new().hash_one(pid));
        mkdirat(&parent, &name, Mode::RWXU)?;
        let folder = match openat(&parent, &name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => folder,
            Err(error) => {
                let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
                return Err(error.into());
            }
        };
        let made = Self { path: format!("/tmp/{name}"), name, parent, inner: folder };
        made.fill(pid)?;
        Ok(made)
    }

    /// Writes the script, and gives both to the process' user.
    fn fill(&self, pid: u32) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut script = File::from(openat(&self.inner, SCRIPT, flags, Mode::RUSR | Mode::WUSR)?);
        // A string of JSON is one of Python, and one line that leaves no name behind is all that runs in `__main__`.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let arguments = format!("({}, {}, '_leakscope_heap')", text(&format!("{}/{ANSWER}", self.path)), text(AGENT));
        let start = format!("threading.Thread(target=run, args={arguments}, name='leakscope', daemon=True).start()");
        let loader = format!("{LOADER}{start}\n");
        let run = format!("exec(compile({}, '<leakscope>', 'exec'), {{}})\n", text(&loader));
        script.write_all(run.as_bytes())?;
        let owner = proc::owner(pid).ok_or_else(|| std::io::Error::other("its user cannot be read"))?;
        if owner.uid != rustix::process::geteuid().as_raw() {
            for file in [script.into(), self.inner.try_clone()?] {
                let file: OwnedFd = file;
                fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
            }
        }
        Ok(())
    }

    /// What the agent has written, once it is there: whole, since it moves it there.
    fn answer(&self) -> std::io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.inner, ANSWER, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for entry in Dir::read_from(&self.inner).into_iter().flatten().flatten() {
            let _ = unlinkat(&self.inner, entry.file_name(), AtFlags::empty());
        }
        let _ = unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}
