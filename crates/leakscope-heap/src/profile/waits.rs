//! Goroutines: where they wait, who started them, for how long.

use std::fmt::Write as _;

use leakscope_model::Suspect;
use rustc_hash::FxHashMap;

use super::blame::{Site, Tree};
use super::growth::Stacks;
use super::model::{LabelValue, Profile};
use super::origin::Origin;
use super::suspects::HELD_SHARE_MIN;
use super::tell::{DOUBTFUL, LEAK, Story, Told, short, short_name};
use crate::findings::Finding;

/// Goroutines at one place from which on a single capture tells of them.
const MANY: i64 = 20;
/// Minutes of waiting from which on it is long.
const LONG_MINUTES: i64 = 5;
/// Confidence in what the runtime itself has found to wait for what nobody can reach.
const PROVEN: f64 = 0.97;

/// Goroutines that became more.
pub(crate) fn grown(story: &Story<'_>) -> Vec<Finding> {
    let waits = Waits::of(story);
    let tell = |site: &Site| {
        let grown = story.grown(story.scale.trend(&site.looks), &site.looks);
        let wait = waits.at(site);
        let origin = story.stacks.frames[site.frame as usize].origin;
        let proven = wait.leaked > 0;
        let confidence = if proven { PROVEN } else { story.confidence(&grown, origin) };
        let verb = if confidence >= LEAK { "wait for ever" } else { "accumulate" };
        let mut finding = story.finding(
            site,
            Told { title: wait.title(story, site, verb), kind: "goroutine", advice: ADVICE, confidence, grown },
        );
        finding.suspect.reason = format!("{}{}; {ADVICE}", story.reason(&grown, &site.looks), wait.said());
        finding
    };
    Tree::flat(story.stacks, story.scale).innermost().iter().map(tell).collect()
}

const ADVICE: &str = "find who should send, receive, close or cancel, and give the wait an end";

/// Goroutines of a single capture that the runtime calls leaked, or many that wait at one place.
pub(crate) fn held(story: &Story<'_>) -> Vec<Finding> {
    let waits = Waits::of(story);
    let mut findings = Vec::new();
    for site in Tree::flat(story.stacks, story.scale).largest(1.0) {
        let wait = waits.at(&site);
        let origin = story.stacks.frames[site.frame as usize].origin;
        let count = site.looks.first().map_or(0, |look| look.count);
        let share = count as f64 / story.growth.max(1.0);
        let (verb, confidence) = if wait.leaked > 0 {
            ("wait for ever", PROVEN)
        } else if origin == Origin::Own && count >= MANY && share >= HELD_SHARE_MIN {
            let is_long = wait.minutes >= LONG_MINUTES;
            ("wait", if is_long { DOUBTFUL } else { 0.1 + 0.2 * share })
        } else {
            continue;
        };
        let count = if wait.leaked > 0 { wait.leaked } else { count };
        findings.push(wait.finding(story, &site, count, verb, confidence));
    }
    findings
}

/// How the goroutines of one stack wait.
#[derive(Clone, Debug, Default)]
struct Wait {
    /// Those that the runtime has found to wait for what nobody can reach.
    leaked: i64,
    /// The longest.
    minutes: i64,
    /// For what: `chan receive`.
    state: String,
    /// The function that started them.
    creator: String,
}

/// How those of the last capture wait, by the frames of their stacks, leaf first.
struct Waits<'s> {
    stacks: &'s Stacks<'s>,
    by_frames: FxHashMap<Vec<u32>, Wait>,
}

impl<'s> Waits<'s> {
    fn of(story: &Story<'s>) -> Self {
        let stacks = story.stacks;
        let mut by_frames: FxHashMap<Vec<u32>, Wait> = FxHashMap::default();
        let Some(capture) = stacks.captures.last() else { return Self { stacks, by_frames } };
        let profile = capture.profile;
        let is_leak_profile = profile.sample_types.iter().any(|column| profile.text(column.kind) == "goroutineleak");
        for sample in 0..profile.n_samples() {
            let frames: Vec<u32> = capture.frames_of(sample).collect();
            let count = capture.look(sample).count;
            let wait = by_frames.entry(frames).or_default();
            let label = |key: &str| label(profile, sample, key);
            let state = label("state").unwrap_or_default();
            if is_leak_profile || state.contains("(leaked)") {
                wait.leaked = wait.leaked.saturating_add(count);
            }
            wait.minutes = wait.minutes.max(label("wait").and_then(|minutes| minutes.parse().ok()).unwrap_or(0));
            state.trim_end_matches(" (leaked)").clone_into(&mut wait.state);
            wait.creator = label("created by").unwrap_or_default();
        }
        Self { stacks, by_frames }
    }

    /// How those of a site wait: as its biggest stack does.
    fn at(&self, site: &Site) -> Wait {
        let frames: Vec<u32> = self.stacks.frames_of(site.row).collect();
        let mut wait = self.by_frames.get(&frames).cloned().unwrap_or_default();
        if wait.state.is_empty() {
            let names = frames.iter().map(|&frame| self.stacks.frames[frame as usize].name.as_str());
            state_of(names).clone_into(&mut wait.state);
        }
        wait
    }
}

fn label(profile: &Profile, sample: usize, key: &str) -> Option<String> {
    Some(match profile.label(sample, key)? {
        LabelValue::Text(text) => profile.text(text).to_owned(),
        LabelValue::Number { value, .. } => value.to_string(),
    })
}

/// What a goroutine waits for, by the functions of the runtime on top of its stack.
fn state_of<'n>(stack: impl Iterator<Item = &'n str>) -> &'static str {
    const STATES: [(&str, &str); 14] = [
        ("runtime.chanrecv", "chan receive"),
        ("runtime.chansend", "chan send"),
        ("runtime.selectgo", "select"),
        ("runtime.block", "select (no cases)"),
        ("runtime.netpollblock", "IO wait"),
        ("internal/poll.runtime_pollWait", "IO wait"),
        ("sync.runtime_notifyListWait", "sync.Cond.Wait"),
        ("sync.runtime_SemacquireWaitGroup", "sync.WaitGroup.Wait"),
        ("sync.runtime_SemacquireRWMutex", "sync.RWMutex.Lock"),
        ("sync.runtime_Semacquire", "semacquire"),
        ("internal/sync.runtime_SemacquireMutex", "sync.Mutex.Lock"),
        ("sync.(*Mutex).Lock", "sync.Mutex.Lock"),
        ("time.Sleep", "sleep"),
        ("syscall.", "syscall"),
    ];
    let mut stack = stack.take_while(|name| !name.starts_with("main."));
    stack
        .find_map(|name| STATES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, state)| *state))
        .unwrap_or_default()
}

impl Wait {
    /// Goroutines wait for ever in `reserveOrder` (chan receive), started by `waitForReservation`.
    fn title(&self, story: &Story<'_>, site: &Site, verb: &str) -> String {
        let frames = &story.stacks.frames;
        let blamed = &frames[site.frame as usize];
        // Where the only own function on the stack is the one that started it, the goroutine waits in a library.
        let is_creator = self.creator == blamed.name;
        let inner = || story.stacks.frames_of(site.row).find(|&frame| frames[frame as usize].origin == Origin::Library);
        let place = if is_creator { inner().map_or(blamed, |frame| &frames[frame as usize]) } else { blamed };
        let state = if self.state.is_empty() { String::new() } else { format!(" ({})", self.state) };
        let creator = if self.creator.is_empty() {
            String::new()
        } else {
            format!(", started by `{}`", short_name(&self.creator))
        };
        format!("goroutines {verb} in `{}`{state}{creator}", short(place))
    }

    /// What is known of the wait beside where it is.
    fn said(&self) -> String {
        let mut said = String::new();
        if self.leaked > 0 {
            let _ = write!(said, "; the runtime found {} that nothing alive can wake", self.leaked);
        }
        if self.minutes > 0 {
            let _ = write!(said, "; the longest has waited for {} minutes", self.minutes);
        }
        said
    }

    fn finding(&self, story: &Story<'_>, site: &Site, count: i64, verb: &str, confidence: f64) -> Finding {
        let (stack, location) = story.stack_and_place(site);
        let share = (count as f64 / story.growth.max(1.0)).clamp(0.0, 1.0);
        let alone = if self.leaked > 0 { "" } else { "; one capture cannot show growth" };
        let suspect = Suspect {
            title: self.title(story, site, verb),
            kind: "goroutine".to_owned(),
            name: story.stacks.frames[site.frame as usize].name.clone(),
            bytes: 0,
            count: count.unsigned_abs(),
            share,
            path: Vec::new(),
            stack,
            location,
            confidence,
            reason: format!("{count} of them, {} % of all{}{alone}; {ADVICE}", (share * 100.0).round(), self.said()),
        };
        Finding { identity: story.identity_of("goroutine", &site.chain), suspect, growth: None }
    }
}
