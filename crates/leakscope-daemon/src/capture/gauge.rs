//! What a capture really costs its target: the longest that the service did not answer, and the memory that it took.

use std::time::Duration;

use leakscope_model::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::probe::{HttpAccess, Subject};
use crate::proc;

/// Rest between two looks: short beside the pauses that matter, long beside what a look costs.
const REST: Duration = Duration::from_millis(20);
/// How long an answer is waited for. A longer pause is told as this long.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// How long an answer that is due when the capture ends is waited for. More would make the capture's own answer late, and lost: the engine gives
/// it 30 s after the deadline.
const ANSWER_AFTER_MAX: Duration = Duration::from_secs(10);

/// Two watchers beside a capture: one asks the service for its page, one reads its resident memory.
#[derive(Debug)]
pub(crate) struct Gauge {
    stop: watch::Sender<bool>,
    pause: JoinHandle<Duration>,
    memory: JoinHandle<Bytes>,
}

impl Gauge {
    /// Begins to watch, on the given runtime: not on the capture's own thread, whose work would be taken for the service's.
    pub(crate) fn start(runtime: &Handle, subject: &Subject) -> Self {
        let (stop, stopped) = watch::channel(false);
        let pause = runtime.spawn(longest_answer(subject.http.clone(), stopped.clone()));
        let memory = runtime.spawn(highest_rise(subject.pid, stopped));
        Self { stop, pause, memory }
    }

    /// The longest answer and the highest rise of resident memory since the start. Waits for the answer that is still due.
    pub(crate) async fn read(self) -> (Duration, Bytes) {
        self.stop.send_replace(true);
        // A watcher that panicked has seen nothing.
        (self.pause.await.unwrap_or_default(), self.memory.await.unwrap_or_default())
    }
}

async fn longest_answer(http: Option<HttpAccess>, mut stopped: watch::Receiver<bool>) -> Duration {
    let mut longest = Duration::ZERO;
    let Some((http, page)) = http.and_then(|http| http.page().map(str::to_owned).map(|page| (http, page))) else {
        return longest;
    };
    while !*stopped.borrow_and_update() {
        let Ok(request) = http.get(&page) else { return longest };
        let asked = tokio::time::Instant::now();
        let over = async {
            // Without whoever says so it is over as well.
            let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
            tokio::time::sleep(ANSWER_AFTER_MAX).await;
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(ANSWER_MAX, request.send()) => answer.ok(),
            () = over => None,
        };
        // A refusal is an answer too; a connection that breaks says nothing about a pause.
        if !matches!(answer, Some(Err(_))) {
            longest = longest.max(asked.elapsed());
        }
        drop(answer);
        // Either way it goes on: what counts is whether it stopped.
        let _ = tokio::time::timeout(REST, stopped.changed()).await;
    }
    longest
}

async fn highest_rise(pid: Option<u32>, mut stopped: watch::Receiver<bool>) -> Bytes {
    let Some((pid, before)) = pid.and_then(|pid| Some((pid, proc::resident(pid)?))) else { return Bytes(0) };
    let mut highest = before;
    loop {
        highest = highest.max(proc::resident(pid).unwrap_or_default());
        if *stopped.borrow_and_update() {
            return Bytes(highest.0 - before.0);
        }
        let _ = tokio::time::timeout(REST, stopped.changed()).await;
    }
}
