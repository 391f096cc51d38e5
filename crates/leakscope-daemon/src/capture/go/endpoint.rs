//! `net/http/pprof`: what its index lists, and taking it.
//!
//! The index is read, which costs the service microseconds. Where services have handlers of single profiles and no index, the two
//! cheapest are asked for.

use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Cost, Lacking, Means};
use reqwest::StatusCode;

use super::super::{Answer, CaptureError, Found, HttpAccess, Known, Output, Subject};

/// How long a look may take; a service that does not answer by then lacks everything.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an index that are read; real ones have 5 KB.
const INDEX_BYTES_MAX: usize = 64 << 10;
/// Bytes of a profile that are read to know it.
const START_BYTES: usize = 64;
/// Goroutines from which on a dump of each is refused: at 100,000 it stops the program for half a second and writes 18 MB.
const DUMPED_MAX: u64 = 10_000;

/// What a dump costs for each goroutine, and a profile of all, as measured at 100,000.
const DUMP_PER_GOROUTINE: Cost = Cost {
    duration: Duration::from_micros(20),
    pause: Duration::from_nanos(4_600),
    memory: Bytes(840),
    size: Bytes(178),
};
const PROFILE_PER_GOROUTINE: Cost = Cost {
    duration: Duration::from_nanos(1_600),
    pause: Duration::from_nanos(280),
    memory: Bytes(520),
    size: Bytes(0),
};

const KINDS: [CaptureKind; 4] =
    [CaptureKind::GoHeap, CaptureKind::Goroutines, CaptureKind::GoroutineLeaks, CaptureKind::GoroutineDump];

const PROFILE: Known = Known { what: "a gzipped profile", begins: |start| start.starts_with(&[0x1f, 0x8b]) };
const DUMP: Known = Known { what: "stacks of goroutines", begins: |start| start.starts_with(b"goroutine ") };

/// What a service serves of `net/http/pprof`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Served {
    has_index: bool,
    heap: bool,
    leaks: bool,
    /// How many there are.
    goroutines: Option<u64>,
}

/// Why a service serves nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Closed {
    reason: String,
    remedy: String,
}

pub(super) async fn survey(subject: &Subject, found: &mut Found) {
    let served = match &subject.http {
        Some(http) => look(http, &root(subject)).await,
        None => Err(Closed {
            reason: "no HTTP server of it is known".to_owned(),
            remedy: "import `net/http/pprof`, serve it, and name that address as a target".to_owned(),
        }),
    };
    match served {
        Ok(served) => tell(subject, served, found),
        Err(closed) => {
            let lacking = |kind| Lacking { kind, reason: closed.reason.clone(), remedy: closed.remedy.clone() };
            found.lacking.extend(KINDS.map(lacking));
        }
    }
}

/// Where the profiles are, without a slash at the end.
fn root(subject: &Subject) -> String {
    subject.settings.go.path.trim_end_matches('/').to_owned()
}

async fn look(http: &HttpAccess, root: &str) -> Result<Served, Closed> {
    let index = peek(http, &format!("{root}/"), INDEX_BYTES_MAX).await?;
    if let Some(closed) = refused(http, root, &index) {
        return Err(closed);
    }
    if let Some(served) = Served::of_index(&index) {
        return Ok(served);
    }
    let mut served = Served::default();
    let goroutines = peek(http, &format!("{root}/goroutine?debug=1"), START_BYTES).await?;
    if goroutines.status == StatusCode::OK {
        served.goroutines = total(&goroutines.start);
    }
    let heap = peek(http, &format!("{root}/heap"), START_BYTES).await?;
    if let Some(closed) = refused(http, root, &heap) {
        return Err(closed);
    }
    served.heap = heap.status == StatusCode::OK && (PROFILE.begins)(&heap.start) && is_of_go(&heap);
    if served.heap || served.goroutines.is_some() {
        return Ok(served);
    }
    Err(Closed {
        reason: format!("`{}{root}/` answers {}, and is no index of profiles", http.base(), index.status),
        remedy: format!(
            "import `net/http/pprof` and serve it at `{root}/`, or say where it is served in `capture.go.path`"
        ),
    })
}

/// Whether a heap profile comes from `net/http/pprof`: other runtimes serve theirs at the same path.
pub(crate) fn is_of_go(heap: &Answer) -> bool {
    let named = heap.headers.get(reqwest::header::CONTENT_DISPOSITION);
    named.is_some_and(|name| name.as_bytes() == br#"attachment; filename="heap""#)
}

async fn peek(http: &HttpAccess, path: &str, bytes_max: usize) -> Result<Answer, Closed> {
    let asked = tokio::time::timeout(LOOK_TIMEOUT, http.peek(path, bytes_max)).await;
    let reason = match asked {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("`{}{path}` does not answer within {} s", http.base(), LOOK_TIMEOUT.as_secs()),
    };
    Err(Closed { reason, remedy: "let leakscope reach the server that serves `net/http/pprof`".to_owned() })
}

fn refused(http: &HttpAccess, root: &str, answer: &Answer) -> Option<Closed> {
    matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN).then(|| Closed {
        reason: format!("`{}{root}/` answers {}: the job's credentials are refused there", http.base(), answer.status),
        remedy: "give the job an `authorization` or `basic_auth` that the server accepts at that path".to_owned(),
    })
}

impl Served {
    /// What an index lists: a count and a name in each row.
    fn of_index(answer: &Answer) -> Option<Self> {
        if answer.status != StatusCode::OK {
            return None;
        }
        let page = String::from_utf8_lossy(&answer.start);
        let mut served = Self { has_index: true, ..Self::default() };
        for row in page.split("<tr><td>").skip(1) {
            let Some((count, rest)) = row.split_once("</td>") else { continue };
            let name = rest.split_once("</a>").and_then(|(link, _)| link.rsplit_once('>')).map(|(_, name)| name);
            match name {
                Some("heap") => served.heap = true,
                Some("goroutineleak") => served.leaks = true,
                Some("goroutine") => served.goroutines = count.trim().parse().ok(),
                _ => {}
            }
        }
        (served.heap && served.goroutines.is_some()).then_some(served)
    }
}

/// How many goroutines there are, by the first line of `goroutine?debug=1`.
fn total(start: &[u8]) -> Option<u64> {
    let line = start.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.strip_prefix("goroutine profile: total ")?.trim().parse().ok()
}

fn tell(subject: &Subject, served: Served, found: &mut Found) {
    let root = root(subject);
    found.tasks = served.goroutines;
    let mut give = |kind, hint| {
        let means = Means { kind, way: format!("`{}` over HTTP", path_of(subject, kind)), hint };
        found.means.push(means);
    };
    if served.heap {
        give(CaptureKind::GoHeap, Cost::default());
    }
    if let Some(n) = served.goroutines {
        give(CaptureKind::Goroutines, times(PROFILE_PER_GOROUTINE, n));
        if served.leaks {
            give(CaptureKind::GoroutineLeaks, times(PROFILE_PER_GOROUTINE, n));
        }
        if n < DUMPED_MAX {
            give(CaptureKind::GoroutineDump, times(DUMP_PER_GOROUTINE, n));
        }
    }
    let mut lack = |kind, reason: String, remedy: String| found.lacking.push(Lacking { kind, reason, remedy });
    if !served.heap {
        lack(
            CaptureKind::GoHeap,
            format!("`{root}/heap` is not served"),
            format!("serve `pprof.Handler(\"heap\")` at `{root}/heap`"),
        );
    }
    match served.goroutines {
        Some(n) if n >= DUMPED_MAX => lack(
            CaptureKind::GoroutineDump,
            format!("it has {n} goroutines, and a dump of {DUMPED_MAX} or more stops it for long"),
            "take the profile of goroutines: it has the same stacks, counted".to_owned(),
        ),
        Some(_) => {}
        None => {
            let remedy = format!("serve `pprof.Handler(\"goroutine\")` at `{root}/goroutine`");
            lack(CaptureKind::Goroutines, format!("`{root}/goroutine` is not served"), remedy.clone());
            lack(CaptureKind::GoroutineDump, format!("`{root}/goroutine` is not served"), remedy);
        }
    }
    if !served.leaks {
        let reason = if served.has_index { "is not listed in the index" } else { "cannot be known without the index" };
        lack(
            CaptureKind::GoroutineLeaks,
            format!("`goroutineleak` {reason} of `{root}/`"),
            "build it with Go 1.27 or later (1.26: `GOEXPERIMENT=goroutineleakprofile`) and serve the index of `net/http/pprof`"
                .to_owned(),
        );
    }
}

fn times(each: Cost, n: u64) -> Cost {
    let n_of_duration = u32::try_from(n).unwrap_or(u32::MAX);
    Cost {
        duration: each.duration.saturating_mul(n_of_duration),
        pause: each.pause.saturating_mul(n_of_duration),
        memory: Bytes(each.memory.0.saturating_mul(n)),
        size: Bytes(each.size.0.saturating_mul(n)),
    }
}

fn path_of(subject: &Subject, kind: CaptureKind) -> String {
    let root = root(subject);
    match kind {
        CaptureKind::GoHeap if subject.settings.go.gc => format!("{root}/heap?gc=1"),
        CaptureKind::Goroutines => format!("{root}/goroutine"),
        CaptureKind::GoroutineLeaks => format!("{root}/goroutineleak"),
        CaptureKind::GoroutineDump => format!("{root}/goroutine?debug=2"),
        _ => format!("{root}/heap"),
    }
}

pub(super) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let http = subject
        .http
        .as_ref()
        .ok_or_else(|| CaptureError::Unavailable("no HTTP server of the target is known".to_owned()))?;
    if kind == CaptureKind::GoroutineDump {
        few_enough(http, &root(subject)).await?;
        return http.stream_known(&path_of(subject, kind), &DUMP, output).await;
    }
    http.stream_known(&path_of(subject, kind), &PROFILE, output).await
}

/// # Errors
/// [`CaptureError::Unavailable`] from [`DUMPED_MAX`] goroutines on.
async fn few_enough(http: &HttpAccess, root: &str) -> Result<(), CaptureError> {
    let path = format!("{root}/goroutine?debug=1");
    let answer = http.peek(&path, START_BYTES).await?;
    let n = total(&answer.start).filter(|_| answer.status == StatusCode::OK).ok_or_else(|| {
        let from = format!("`{}{path}`", http.base());
        CaptureError::Unexpected { from, expected: "`goroutine profile: total N`", found: answer.status.to_string() }
    })?;
    if n >= DUMPED_MAX {
        return Err(CaptureError::Unavailable(format!(
            "it has {n} goroutines, and a dump of {DUMPED_MAX} or more stops it for long: the profile of goroutines has the same stacks, counted"
        )));
    }
    Ok(())
}
