//! Taking evidence: what a target gives (`survey`), and taking it (`take`), one file a runtime.
//!
//! A runtime's file knows its mechanisms and nothing else: no policy, no store, no engine. It is told of a [`Subject`],
//! says what can be had of it, and streams what is wanted into an [`Output`].

mod gauge;
mod go;
mod jvm;
mod native;
mod node;
mod probe;
mod process;
mod python;

use leakscope_model::{CaptureKind, Runtime};

pub(crate) use gauge::Gauge;
pub(crate) use probe::{Answer, CaptureError, Found, HttpAccess, Known, Output, Subject, Taken};

/// What a target gives now, and what it does not give, with the one change that would enable it. Pauses nothing.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let mut found = match subject.runtime {
        Runtime::Go => go::survey(subject).await,
        Runtime::Node => node::survey(subject).await,
        Runtime::Jvm => jvm::survey(subject).await,
        Runtime::Native => native::survey(subject).await,
        Runtime::Python => python::survey(subject).await,
        Runtime::DotNet => Found::default(),
        Runtime::Unknown => guessed(subject).await,
    };
    found.join(process::survey(subject).await);
    found
}

/// Of a runtime that nobody knows: the first that gives anything.
async fn guessed(subject: &Subject) -> Found {
    let go = go::survey(subject).await;
    if !go.means.is_empty() {
        return go;
    }
    let jvm = jvm::survey(subject).await;
    if jvm.means.is_empty() { native::survey(subject).await } else { jvm }
}

/// Closes, in the background, what a capture of an earlier run may have left open in its target when it was cut off.
pub(crate) fn close_leftover(subject: &Subject, kind: CaptureKind) {
    if matches!(kind, CaptureKind::V8Sampling | CaptureKind::V8Snapshot) {
        node::close_leftover(subject);
    }
}

/// Takes evidence of a kind into `output`.
pub(crate) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    match kind {
        CaptureKind::ProcessMap => process::take(subject, kind, output).await,
        CaptureKind::GoHeap
        | CaptureKind::GoHeapMemory
        | CaptureKind::Goroutines
        | CaptureKind::GoroutineLeaks
        | CaptureKind::GoroutineDump => go::take(subject, kind, output).await,
        CaptureKind::V8Sampling | CaptureKind::V8Snapshot => node::take(subject, kind, output).await,
        CaptureKind::JvmOldObjects | CaptureKind::JvmHistogram | CaptureKind::JvmHeapDump => {
            jvm::take(subject, kind, output).await
        }
        CaptureKind::PythonHeap => python::take(subject, kind, output).await,
        CaptureKind::NativeHeap => native::take(subject, kind, output).await,
    }
}
