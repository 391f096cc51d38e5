//! Evidence that a person asks for without a daemon: of one process of this host, or what all targets would give. The probes and the
//! gauge, and nothing that is kept.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Cost, Runtime, Survey, TargetId};
use tokio::runtime::Handle;

use crate::capture::{self, Gauge, Output, Subject};
use crate::config::{Capture, Config};
use crate::{clock, collector, fleet, proc};

/// How long a target may take to say what it gives. Beyond: it gives nothing now.
const SURVEY_TIMEOUT: Duration = Duration::from_secs(10);
/// Targets that are asked at the same time.
const SURVEYS_AT_ONCE: usize = 16;

/// What can be captured of one target.
#[derive(Clone, Debug)]
pub struct Capturable {
    /// Its service.
    pub service: String,
    /// Its address.
    pub instance: String,
    /// What it runs on, as far as is known.
    pub runtime: Runtime,
    /// What it gives and lacks; `None` where it did not say so in time.
    pub survey: Option<Survey>,
}

/// What can be captured of all that a configuration names and of the processes of this host, in the order in which they are found.
/// Pauses nothing.
pub async fn what_can_be_captured(config: &Config) -> Vec<Capturable> {
    let mut subjects = fleet::subjects_of(config).await.into_iter();
    let mut found = Vec::new();
    loop {
        let round = subjects.by_ref().take(SURVEYS_AT_ONCE).map(async |(service, subject)| {
            // Whose process it is, is seen by looking at all of them.
            let located = tokio::task::spawn_blocking(move || collector::located(&subject)).await.ok()?;
            let look = tokio::time::timeout(SURVEY_TIMEOUT, collector::look_at(&located, None));
            let survey = look.await.ok();
            Some(Capturable { service, instance: located.instance, runtime: located.runtime, survey })
        });
        let round = futures_util::future::join_all(round).await;
        if round.is_empty() {
            return found;
        }
        found.extend(round.into_iter().flatten());
    }
}

/// One process of this host.
#[derive(Debug)]
pub struct LocalProcess {
    subject: Subject,
}

/// What was taken, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandTaken {
    /// What it did cost.
    pub cost: Cost,
    /// Whether it only started to record, so that only later captures can be compared.
    pub armed: bool,
}

impl LocalProcess {
    /// `open_inspector`: whether Node.js may be asked to open its inspector for the time of a capture.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn new(pid: u32, open_inspector: bool) -> Result<Self, String> {
        if !proc::is_alive(pid) {
            return Err(format!("process {pid} is not known on this host"));
        }
        let mut settings = Capture { heavy: true, ..Capture::default() };
        settings.node.open_inspector = open_inspector;
        let subject = Subject {
            target: TargetId(0),
            instance: format!("process {pid}"),
            runtime: Runtime::Unknown,
            pid: Some(pid),
            http: None,
            settings: Arc::new(settings),
        };
        Ok(Self { subject: collector::located(&subject) })
    }

    /// What it gives and what room there is. Pauses nothing.
    pub async fn survey(&self) -> Survey {
        collector::look_at(&self.subject, None).await
    }

    /// Takes evidence into `file`; beyond `size_max` it is stopped. Dropped under way, what was opened in the process is closed.
    ///
    /// # Errors
    /// What was expected and what was found; `file` then holds a part.
    pub async fn take(
        &self,
        kind: CaptureKind,
        file: &mut (dyn Write + Send),
        size_max: Bytes,
        within: Duration,
    ) -> Result<HandTaken, String> {
        let began = clock::now();
        let gauge = Gauge::start(&Handle::current(), &self.subject);
        let mut output = Output::new(file, size_max);
        let taken = tokio::time::timeout(within, capture::take(&self.subject, kind, &mut output)).await;
        let duration = clock::now().since(began);
        let (pause, memory) = gauge.read().await;
        let taken = taken.map_err(|_| format!("not done within {} s", within.as_secs()))?;
        let taken = taken.map_err(|error| error.to_string())?;
        Ok(HandTaken { cost: Cost { duration, pause, memory, size: output.written() }, armed: taken.armed })
    }
}
