//! What captures say, asked of child processes of our own binary: a capture is the word of a process that may be hostile, and reading
//! it takes memory. Whatever it does to its reader, the daemon lives. Must not read a capture itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use leakscope_engine::{Analysis, AnalysisOrder};
use leakscope_model::{Bytes, CaptureId};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

mod report;

/// Bytes of a job's answer. Beyond: it is stopped. Rows are bounded by [`ROWS`], so that only a strange answer comes near.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes that are kept of what a job said at its end beside the answer. Earlier ones are dropped.
const WORDS_BYTES_MAX: usize = 8 << 10;
/// Characters of a reason. Beyond: cut off.
const REASON_CHARS_MAX: usize = 500;
/// Suspects and types that are asked for.
const ROWS: &str = "20";
/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;
/// What of our environment a job sees. All else, secrets among it, stays here.
const VARIABLES: [&str; 2] = ["PATH", "TMPDIR"];
/// What a process says that could not have more memory: Rust twice, zstd, the system twice.
const OUT_OF_MEMORY: [&str; 5] = [
    "memory allocation of",
    "out of memory",
    "not enough memory",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
];

/// Why a job has no answer. None holds a byte of a capture's contents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// The job could not begin.
    #[error("`{}` cannot be started: {source}", program.display())]
    Start { program: PathBuf, source: io::Error },
    /// It was stopped at its bound.
    #[error("{what} needed more than {} MB, which is all that it may take", .max.0 >> 20)]
    Memory { what: &'static str, max: Bytes },
    /// It was stopped at its deadline.
    #[error("{what} was not done within {} s", .within.as_secs_f64())]
    Late { what: &'static str, within: Duration },
    /// It could not read the captures, and says why.
    #[error("{0}")]
    Refused(String),
    /// It ended in another way.
    #[error("{what} ended with {status}")]
    Broken { what: &'static str, status: ExitStatus },
    /// Its answer is not what was expected.
    #[error("expected {expected} of {what}, found {found}")]
    Strange { what: &'static str, expected: &'static str, found: String },
    /// What it gave could not be written.
    #[error("what {what} gave could not be written: {source}")]
    Unwritable { what: &'static str, source: io::Error },
}

/// Starts jobs, so many at a time; others wait.
#[derive(Debug)]
pub(crate) struct Analyser {
    program: PathBuf,
    slots: Semaphore,
}

/// One child process to run. Dropped under way, it is killed.
struct Job<'a> {
    /// For people: "the analysis".
    what: &'static str,
    arguments: Vec<&'a std::ffi::OsStr>,
    memory_max: Bytes,
    within: Duration,
}

impl Analyser {
    /// `program` understands `diff`, `analyze` and `redact` as our own binary does: see [`own_program`].
    pub(crate) fn new(program: PathBuf, workers: u32) -> Self {
        Self { program, slots: Semaphore::new(workers.max(1) as usize) }
    }

    /// What these captures of one kind and process say: what grew over several, what looks wrong in one. `files`: where the captures of
    /// the order are, in its order. Waiting for others counts to `within`. Dropped under way, the job is killed.
    ///
    /// # Errors
    /// [`JobError`].
    pub(crate) async fn run(
        &self,
        order: &AnalysisOrder,
        files: &[(CaptureId, PathBuf)],
        within: Duration,
    ) -> Result<Analysis, JobError> {
        let what = "the analysis";
        let command = if files.len() > 1 { "diff" } else { "analyze" };
        let mut arguments: Vec<&std::ffi::OsStr> =
            [command, "--format", "json", "--top", ROWS, "--"].into_iter().map(AsRef::as_ref).collect();
        arguments.extend(files.iter().map(|(_, file)| file.as_os_str()));
        let mut answer = Vec::new();
        self.job(&Job { what, arguments, memory_max: order.memory_max, within }, &mut answer, ANSWER_BYTES_MAX).await?;
        let captures: Vec<CaptureId> = files.iter().map(|(capture, _)| *capture).collect();
        let report = report::Report::of(&answer, captures.len() > 1);
        let report = report.map_err(|found| JobError::Strange { what, expected: "the JSON of a report", found })?;
        Ok(Analysis {
            analysis: order.analysis,
            findings: report.findings.into_iter().map(|finding| finding.into_model(&captures)).collect(),
            total_bytes: report.total_bytes.into_iter().map(Bytes).collect(),
            warnings: report.warnings,
        })
    }

    /// Streams a copy of a capture without its contents, and returns its size. Waiting and dropping are as of [`Self::run`].
    ///
    /// # Errors
    /// [`JobError`]; `output` then holds a part.
    pub(crate) async fn redact(
        &self,
        capture: &Path,
        output: &mut (dyn Write + Send),
        memory_max: Bytes,
        within: Duration,
    ) -> Result<Bytes, JobError> {
        let mut arguments: Vec<&std::ffi::OsStr> = ["redact", "-o", "-", "--"].into_iter().map(AsRef::as_ref).collect();
        arguments.push(capture.as_os_str());
        let job = Job { what: "the redaction", arguments, memory_max, within };
        self.job(&job, output, usize::MAX).await.map(|written| Bytes(written as u64))
    }

    /// Runs a job to its end once its turn has come, and returns the bytes that it gave.
    async fn job(&self, job: &Job<'_>, output: &mut (dyn Write + Send), max: usize) -> Result<usize, JobError> {
        let Job { what, within, .. } = *job;
        let run = async {
            // The semaphore is never closed; if it were, jobs would run without a bound on their number, not fail.
            let _slot = self.slots.acquire().await.ok();
            self.start(job)?.finish(job, output, max).await
        };
        // Dropping what runs kills the process, and tokio reaps it.
        timeout(within, run).await.unwrap_or(Err(JobError::Late { what, within }))
    }

    fn start(&self, job: &Job<'_>) -> Result<Running, JobError> {
        let mut command = Command::new(&self.program);
        command.arg0("leakscope").args(["--memory-max", &job.memory_max.0.to_string()]).args(&job.arguments);
        command.env_clear().envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().map_err(|source| JobError::Start { program: self.program.clone(), source })?;
        Ok(Running { child })
    }
}

/// A job under way.
struct Running {
    child: Child,
}

impl Running {
    async fn finish(mut self, job: &Job<'_>, output: &mut (dyn Write + Send), max: usize) -> Result<usize, JobError> {
        let what = job.what;
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (copied, words) = tokio::join!(copy(stdout, output, max, what), last_words(stderr));
        if copied.is_err() {
            // Nobody reads on: what still writes is stopped, and reaped before its slot is given on.
            let _ = self.child.kill().await;
        }
        let status = self.child.wait().await.map_err(|source| JobError::Unwritable { what, source })?;
        let written = copied?;
        if status.success() { Ok(written) } else { Err(failure(job, status, &words)) }
    }
}

/// Copies what comes, piece by piece.
async fn copy(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut (dyn Write + Send),
    max: usize,
    what: &'static str,
) -> Result<usize, JobError> {
    let Some(mut from) = from else { return Ok(0) };
    let mut piece = vec![0; PIECE_BYTES];
    let mut written = 0;
    loop {
        let n_read = from.read(&mut piece).await.map_err(|source| JobError::Unwritable { what, source })?;
        if n_read == 0 {
            return Ok(written);
        }
        written += n_read;
        if written > max {
            let found = format!("more than {max} bytes");
            return Err(JobError::Strange { what, expected: "a short answer", found });
        }
        to.write_all(&piece[..n_read]).map_err(|source| JobError::Unwritable { what, source })?;
    }
}

/// The end of what was said; all is read, so that nobody waits to say more.
async fn last_words(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut words = Vec::new();
    let mut piece = vec![0; WORDS_BYTES_MAX];
    while let Ok(n_read @ 1..) = from.read(&mut piece).await {
        words.extend_from_slice(&piece[..n_read]);
        words.drain(..words.len().saturating_sub(WORDS_BYTES_MAX));
    }
    String::from_utf8_lossy(&words).into_owned()
}

/// Why a job did not end well, as far as it could still say.
fn failure(job: &Job<'_>, status: ExitStatus, words: &str) -> JobError {
    let what = job.what;
    if OUT_OF_MEMORY.iter().any(|sign| words.contains(sign)) {
        return JobError::Memory { what, max: job.memory_max };
    }
    match words.lines().rev().find_map(|line| line.strip_prefix("error: ")) {
        Some(reason) => JobError::Refused(reason.chars().take(REASON_CHARS_MAX).collect()),
        None => JobError::Broken { what, status },
    }
}

/// Our own binary, also after its file was replaced by another version.
pub(crate) fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

#[cfg(test)]
mod tests;
