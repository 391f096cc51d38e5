//! What an analysis is at, as a line on standard error that lives while it runs.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::output::Progress;

/// The line of one run. Nothing is shown where standard error is no terminal.
pub(crate) struct Steps {
    progress: Progress,
    /// What was said last, since when.
    step: Mutex<Option<(String, Instant)>>,
    /// Steps that are over, and how long they took.
    over: Mutex<Vec<(String, Duration)>>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { progress: Progress::new(), step: Mutex::default(), over: Mutex::default() }
    }

    /// Says what begins.
    pub(crate) fn begin(&self, step: &str) {
        let now = Instant::now();
        let before = self.step.lock().ok().and_then(|mut at| at.replace((step.to_owned(), now)));
        let Ok(mut over) = self.over.lock() else { return };
        over.extend(before.map(|(step, since)| (step, now.duration_since(since))));
        let mut text = String::new();
        for (step, took) in &*over {
            let _ = write!(text, "{step} {:.1} s, ", took.as_secs_f64());
        }
        self.progress.show(&format!("{text}{step} ..."));
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.progress.show("");
    }
}
