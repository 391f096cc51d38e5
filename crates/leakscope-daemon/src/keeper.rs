//! The keeper: the thread of slow writes. Flushes the journal, makes blocks, keeps detectors, forgets what is old.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use leakscope_engine::Event;
use leakscope_model::{Bytes, CaptureId, Target, TargetId, Timestamp};
use leakscope_store::{Retention, Store, StoreError};

use crate::clock;
use crate::telemetry::Telemetry;

/// What a crash may cost at most: samples of so long.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// How often samples in memory become blocks.
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(10);
/// How often old blocks are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_mins(30);

/// A slow write.
#[derive(Debug)]
pub(crate) enum Chore {
    Remember(Box<Target>),
    SaveDetectors(Vec<(TargetId, Timestamp, Vec<u8>)>),
    /// Keep this much from now on.
    Keep(Keep),
    /// Write everything and end.
    Close,
}

/// How much of everything is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) retention: Retention,
    /// Age and bytes of the files of captures.
    pub(crate) captures: (Duration, Bytes),
}

/// Runs until [`Chore::Close`].
pub(crate) fn run(
    store: &Arc<Store>,
    chores: &Receiver<Chore>,
    telemetry: &Arc<Telemetry>,
    events: &Sender<Vec<Event>>,
    mut keep: Keep,
) {
    let started = clock::now();
    let (mut flushed_at, mut checkpointed_at, mut retained_at) = (started, started, started);
    let report = |what: &'static str, outcome: Result<(), StoreError>| {
        if let Err(error) = outcome {
            telemetry.store_errors.inc();
            tracing::error!(%error, what, "the store refused a write");
        }
    };
    loop {
        let first = match chores.recv_timeout(FLUSH_INTERVAL) {
            Ok(chore) => Some(chore),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Chore::Close),
        };
        let mut targets = Vec::new();
        for chore in first.into_iter().chain(std::iter::from_fn(|| chores.try_recv().ok())) {
            match chore {
                Chore::Remember(target) => targets.push(target),
                Chore::SaveDetectors(states) => report("detectors", store.save_checkpoint(&states)),
                Chore::Keep(changed) => keep = changed,
                Chore::Close => {
                    remember(store, &targets, report);
                    report("close", store.close(clock::now()));
                    return;
                }
            }
        }
        remember(store, &targets, report);
        let now = clock::now();
        if now.since(flushed_at) >= FLUSH_INTERVAL || now < flushed_at {
            flushed_at = now;
            report("flush", store.flush(now));
        }
        if now.since(checkpointed_at) >= CHECKPOINT_INTERVAL || now < checkpointed_at {
            checkpointed_at = now;
            report("checkpoint", store.checkpoint(now));
        }
        if now.since(retained_at) >= RETENTION_INTERVAL || now < retained_at {
            retained_at = now;
            report("retention", store.retain(now, keep.retention).map(|_| ()));
            report("captures", expire(store, now, &keep, events));
        }
    }
}

/// Removes files of captures that are too old or too much, and tells the engine.
fn expire(store: &Store, now: Timestamp, keep: &Keep, events: &Sender<Vec<Event>>) -> Result<(), StoreError> {
    let (age_max, size_max) = keep.captures;
    let expired: Vec<CaptureId> =
        store.expire_captures(now, age_max, size_max)?.iter().map(|capture| capture.id).collect();
    if !expired.is_empty() {
        // The loop may have ended: nobody is left to be told.
        let _ = events.send(vec![Event::Expired(expired)]);
    }
    Ok(())
}

fn remember(store: &Store, targets: &[Box<Target>], report: impl Fn(&'static str, Result<(), StoreError>)) {
    if !targets.is_empty() {
        let now = clock::now();
        let known: Vec<(&Target, Timestamp)> = targets.iter().map(|target| (target.as_ref(), now)).collect();
        report("targets", store.remember_targets(&known));
    }
}
