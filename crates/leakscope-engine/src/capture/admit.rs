//! Whether one capture may be taken now: room, budgets and what is allowed at all, each refusal with its numbers.

use std::fmt;
use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Cost, Phase, Room, Weight};

use super::CapturePolicy;

/// Bytes that stay free on the disk beside twice the predicted size: an export may lie there a second time until it is kept.
const DISK_MARGIN: u64 = 64 << 20;

/// Who wants a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// The policy: all rules hold.
    Policy,
    /// A person: budgets and pauses are overruled, room is not.
    ByHand,
    /// A person who insists: the prediction is overruled too.
    Forced,
}

/// What was taken of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Light captures of the service in the last hour.
    pub(crate) light_in_hour: u32,
    /// Heavy captures of the target in the last day.
    pub(crate) heavy_in_day: u32,
    /// How long this kind has to wait yet, on the detector's clock.
    pub(crate) cools_for: Option<Duration>,
    /// Whether a heavy capture is under way somewhere.
    pub(crate) heavy_under_way: bool,
}

/// One capture that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) policy: CapturePolicy,
    pub(crate) kind: CaptureKind,
    pub(crate) phase: Phase,
    pub(crate) predicted: Cost,
    pub(crate) room: Room,
    /// Live heap, for the sentence.
    pub(crate) held: Bytes,
    pub(crate) budget: Budget,
    pub(crate) asking: Asking,
}

/// Why a capture is not taken. Displays as a sentence whose part before the colon is the same for all refusals of its sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The configuration does not allow it.
    Off(Weight),
    /// The peak would come too close to the target's limit.
    NoRoom { kind: CaptureKind, held: Bytes, need: Bytes, margin: Bytes, free: Bytes, limit: Bytes },
    /// The host has not that much memory.
    NoHostRoom { kind: CaptureKind, held: Bytes, need: Bytes, margin: Bytes, available: Bytes },
    /// Nobody says how much memory there is.
    RoomUnknown { kind: CaptureKind, need: Bytes },
    /// The disk has not that much.
    NoDisk { size: Bytes, free: Bytes },
    /// More than one capture may have.
    TooLarge { size: Bytes, size_max: Bytes },
    /// It would stop a healthy process for too long.
    Pause { pause: Duration, pause_max: Duration },
    /// The service's budget of the hour is used up.
    HourUsed { taken: u32 },
    /// The target's budget of the day is used up.
    DayUsed { taken: u32 },
    /// It was taken, or went wrong, too short a time ago.
    Cools { left: Duration },
    /// Another heavy capture is under way.
    HeavyUnderWay,
    /// The target cannot be looked at.
    Unseen(String),
    /// The target does not give it.
    Lacking { reason: String, remedy: String },
}

impl Refusal {
    /// What all refusals of one sort share: a note of the same class, kind, target and phase says nothing new.
    pub(crate) fn class(note: &str) -> &str {
        note.split(':').next().unwrap_or(note)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(Weight::Light) => f.write_str("not allowed: `capture.light` is off"),
            Self::Off(Weight::Heavy) => {
                f.write_str("not allowed: `capture.heavy` is off, so nothing is taken that stops a process for seconds")
            }
            Self::NoRoom { kind, held, need, margin, free, limit } => write!(
                f,
                "no room: a {} of {held} needs about {need} and {margin} must stay free, {free} are free below the limit of {limit}",
                kind.name()
            ),
            Self::NoHostRoom { kind, held, need, margin, available } => write!(
                f,
                "no room on the host: a {} of {held} needs about {need} and {margin} must stay free, the host has {available}",
                kind.name()
            ),
            Self::RoomUnknown { kind, need } => write!(
                f,
                "room unknown: a {} needs about {need}, and neither the target's limit nor its host's memory is known",
                kind.name()
            ),
            Self::NoDisk { size, free } => {
                write!(f, "no room on the disk: about {size} would be written up to twice, {free} are free")
            }
            Self::TooLarge { size, size_max } => {
                write!(f, "too large: about {size} would be written, `capture.size_max` is {size_max}")
            }
            Self::Pause { pause, pause_max } => write!(
                f,
                "too long a pause: a healthy process would stop for about {} ms, {} ms may be",
                pause.as_millis(),
                pause_max.as_millis()
            ),
            Self::HourUsed { taken } => {
                write!(f, "budget of the hour used: {taken} light captures of the service were taken")
            }
            Self::DayUsed { taken } => {
                write!(f, "budget of the day used: {taken} heavy captures of the target were taken")
            }
            Self::Cools { left } => {
                write!(
                    f,
                    "too soon: it was taken or went wrong of late, {} min are to pass yet",
                    left.as_secs() / 60 + 1
                )
            }
            Self::HeavyUnderWay => f.write_str("another heavy capture is under way: there is one at a time"),
            Self::Unseen(reason) => write!(f, "the target cannot be looked at: {reason}"),
            Self::Lacking { reason, remedy } => {
                write!(f, "the target does not give it: {reason}; to enable it, {remedy}")
            }
        }
    }
}

/// Whether a capture may be taken now.
///
/// # Errors
/// The first rule that says no: what is allowed at all, then budgets, then room.
pub(crate) fn admit(question: &Question) -> Result<(), Refusal> {
    allowed(question)?;
    if question.asking == Asking::Policy {
        budgeted(question)?;
    }
    if question.kind.weight() == Weight::Heavy && question.budget.heavy_under_way {
        return Err(Refusal::HeavyUnderWay);
    }
    if question.asking == Asking::Forced {
        return Ok(());
    }
    kept(question)?;
    remembered(question)
}

fn allowed(question: &Question) -> Result<(), Refusal> {
    let weight = question.kind.weight();
    let refused = match (weight, question.asking) {
        (_, Asking::Forced) | (Weight::Light, Asking::ByHand) => false,
        (Weight::Light, Asking::Policy) => !question.policy.light,
        (Weight::Heavy, Asking::Policy | Asking::ByHand) => !question.policy.heavy,
    };
    if refused { Err(Refusal::Off(weight)) } else { Ok(()) }
}

fn budgeted(question: &Question) -> Result<(), Refusal> {
    let Question { policy, budget, predicted, .. } = question;
    if let Some(left) = budget.cools_for {
        return Err(Refusal::Cools { left });
    }
    match question.kind.weight() {
        Weight::Light if budget.light_in_hour >= policy.light_per_service_per_hour => {
            return Err(Refusal::HourUsed { taken: budget.light_in_hour });
        }
        Weight::Heavy if budget.heavy_in_day >= policy.heavy_per_target_per_day => {
            return Err(Refusal::DayUsed { taken: budget.heavy_in_day });
        }
        Weight::Light | Weight::Heavy => {}
    }
    if question.phase == Phase::Baseline && predicted.pause > policy.baseline_pause_max {
        return Err(Refusal::Pause { pause: predicted.pause, pause_max: policy.baseline_pause_max });
    }
    Ok(())
}

/// Room for its bytes.
fn kept(question: &Question) -> Result<(), Refusal> {
    let size = question.predicted.size;
    if size > question.policy.size_max {
        return Err(Refusal::TooLarge { size, size_max: question.policy.size_max });
    }
    match question.room.disk_free {
        Some(free) if size.0.saturating_mul(2).saturating_add(DISK_MARGIN) >= free.0 => {
            Err(Refusal::NoDisk { size, free })
        }
        _ => Ok(()),
    }
}

/// Room for its peak: below the target's limit, and on its host. Light evidence keeps no larger margin than its own peak, or nothing could be
/// learnt of a process in its last minutes.
fn remembered(question: &Question) -> Result<(), Refusal> {
    let Question { kind, room, held, .. } = *question;
    let need = question.predicted.memory;
    let below = room.limit.zip(room.used).map(|(limit, used)| (limit, Bytes(limit.0.saturating_sub(used.0))));
    let share = question.policy.headroom * room.limit.unwrap_or(need).0 as f64;
    let margin = match kind.weight() {
        Weight::Light => Bytes((share as u64).min(need.0)),
        Weight::Heavy => Bytes(share as u64),
    };
    let wanted = need.0.saturating_add(margin.0);
    if let Some((limit, free)) = below
        && wanted > 0
        && wanted >= free.0
    {
        return Err(Refusal::NoRoom { kind, held, need, margin, free, limit });
    }
    if let Some(available) = room.host_available
        && wanted > 0
        && wanted >= available.0
    {
        return Err(Refusal::NoHostRoom { kind, held, need, margin, available });
    }
    let blind = below.is_none() && room.host_available.is_none();
    if blind && kind.weight() == Weight::Heavy {
        return Err(Refusal::RoomUnknown { kind, need });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(limit: u64, used: u64, host: u64, disk: u64) -> Room {
        let known = |mib: u64| (mib > 0).then_some(Bytes(mib * MIB));
        Room { limit: known(limit), used: known(used), host_available: known(host), disk_free: known(disk) }
    }

    fn question(kind: CaptureKind, memory: u64, size: u64, room: Room) -> Question {
        Question {
            policy: CapturePolicy { heavy: true, ..CapturePolicy::default() },
            kind,
            phase: Phase::Middle,
            predicted: Cost {
                duration: Duration::from_secs(1),
                pause: Duration::from_secs(1),
                memory: Bytes(memory * MIB),
                size: Bytes(size * MIB),
            },
            room,
            held: Bytes(200 * MIB),
            budget: Budget::default(),
            asking: Asking::Policy,
        }
    }

    /// The class of the refusal, or `admitted`.
    fn answer(question: &Question) -> String {
        admit(question).map_or_else(|refusal| Refusal::class(&refusal.to_string()).to_owned(), |()| "admitted".into())
    }

    #[test]
    fn a_capture_is_admitted_only_with_room_for_its_peak_its_margin_and_twice_its_bytes() {
        let heavy = CaptureKind::V8Snapshot;
        let light = CaptureKind::V8Sampling;
        // Kind, memory and size in MiB; limit, use, host and disk in MiB, 0 for unknown.
        for (kind, memory, size, room, expect) in [
            (heavy, 500, 100, room(1_000, 399, 4_000, 1_000), "admitted"),
            (heavy, 500, 100, room(1_000, 400, 4_000, 1_000), "no room"),
            (heavy, 2_000, 100, room(512, 362, 0, 1_000), "no room"),
            (heavy, 500, 100, room(1_000, 100, 600, 1_000), "no room on the host"),
            (heavy, 500, 100, room(0, 0, 600, 1_000), "admitted"),
            (heavy, 500, 100, room(0, 0, 550, 1_000), "no room on the host"),
            (heavy, 500, 100, room(0, 0, 0, 1_000), "room unknown"),
            (heavy, 500, 100, room(1_000, 0, 4_000, 1_000), "admitted"),
            (heavy, 500, 500, room(4_000, 100, 4_000, 1_064), "no room on the disk"),
            (heavy, 500, 9_000, room(4_000, 100, 4_000, 100_000), "too large"),
            (light, 2, 1, room(1_000, 950, 4_000, 1_000), "admitted"),
            (light, 2, 1, room(1_000, 996, 4_000, 1_000), "no room"),
            (light, 0, 1, room(1_000, 1_000, 4_000, 1_000), "admitted"),
            (light, 2, 1, room(0, 0, 0, 0), "admitted"),
        ] {
            let room_known = Room { used: room.used.or(room.limit.map(|_| Bytes(0))), ..room };
            assert_eq!(answer(&question(kind, memory, size, room_known)), expect, "{kind:?} {memory} {size} {room:?}");
        }
    }

    #[test]
    fn budgets_bind_the_policy_room_binds_a_person_and_one_heavy_at_a_time_binds_all() {
        let ample = room(64_000, 100, 64_000, 64_000);
        let tight = room(1_000, 900, 64_000, 64_000);
        let used = Budget { light_in_hour: 30, heavy_in_day: 4, ..Budget::default() };
        let cools = Budget { cools_for: Some(Duration::from_mins(5)), ..Budget::default() };
        let busy = Budget { heavy_under_way: true, ..Budget::default() };
        let (heavy, light) = (CaptureKind::JvmHeapDump, CaptureKind::JvmHistogram);
        for (kind, room, budget, answers) in [
            (light, ample, used, ["budget of the hour used", "admitted", "admitted"]),
            (heavy, ample, used, ["budget of the day used", "admitted", "admitted"]),
            (light, ample, cools, ["too soon", "admitted", "admitted"]),
            (heavy, tight, Budget::default(), ["no room", "no room", "admitted"]),
            (heavy, ample, busy, ["another heavy capture is under way"; 3]),
            (light, ample, busy, ["admitted"; 3]),
        ] {
            for (asking, expect) in [Asking::Policy, Asking::ByHand, Asking::Forced].into_iter().zip(answers) {
                let question = Question { budget, asking, ..question(kind, 500, 10, room) };
                assert_eq!(answer(&question), expect, "{kind:?} {asking:?} {budget:?}");
            }
        }
    }

    #[test]
    fn what_is_off_is_taken_by_nobody_but_a_person_and_heavy_only_by_one_who_insists() {
        let off = CapturePolicy { light: false, heavy: false, ..CapturePolicy::default() };
        let ample = room(64_000, 100, 64_000, 64_000);
        for (kind, answers) in [
            (CaptureKind::JvmHistogram, ["not allowed", "admitted", "admitted"]),
            (CaptureKind::JvmHeapDump, ["not allowed", "not allowed", "admitted"]),
        ] {
            for (asking, expect) in [Asking::Policy, Asking::ByHand, Asking::Forced].into_iter().zip(answers) {
                let question = Question { policy: off, asking, ..question(kind, 5, 10, ample) };
                assert_eq!(answer(&question), expect, "{kind:?} {asking:?}");
            }
        }
    }

    #[test]
    fn a_healthy_process_is_not_stopped_for_a_baseline() {
        let asked = question(CaptureKind::JvmHistogram, 1, 1, room(1_000, 100, 1_000, 1_000));
        assert_eq!(answer(&Question { phase: Phase::Baseline, ..asked }), "too long a pause");
        assert_eq!(answer(&Question { phase: Phase::Early, ..asked }), "admitted");
    }

    #[test]
    fn a_refusal_says_its_numbers() {
        let mut asked = question(CaptureKind::V8Snapshot, 2_048, 400, room(512, 362, 0, 10_000));
        asked.held = Bytes(210 * MIB);
        assert_eq!(
            admit(&asked).map_err(|refusal| refusal.to_string()),
            Err("no room: a v8-snapshot of 210 MiB needs about 2.00 GiB and 51.2 MiB must stay free, 150 MiB are free below the limit of 512 MiB".into())
        );
    }
}
