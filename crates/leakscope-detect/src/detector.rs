//! The detector of one target: lives, roles, states.

use leakscope_model::{Readings, Reason, Signal, State, Timestamp, Verdict};

use crate::combine::{self, Candidate, Cap};
use crate::evidence::{Context, Nature, SUSPECTED};
use crate::life::{End, Life};
use crate::load::Load;
use crate::past::Past;
use crate::ring::MINUTE_MS;
use crate::track::{Finding, Track};
use crate::tuning::Tuning;

/// What a growth would mean. One track each, on the best signal that the target shows for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// What survived a full collection.
    Live,
    /// Heap with garbage; its floor stands for what lives.
    Heap,
    /// Buffers that the heap owns outside of itself.
    External,
    /// Resident memory beyond what the managed heap has ever used.
    Native,
    /// All resident memory.
    Resident,
    Tasks,
    Threads,
    Descriptors,
}

impl Role {
    pub(crate) const ALL: [Self; 8] = [
        Self::Live,
        Self::Heap,
        Self::External,
        Self::Native,
        Self::Resident,
        Self::Tasks,
        Self::Threads,
        Self::Descriptors,
    ];

    fn nature(self) -> Nature {
        match self {
            Self::Live => Nature::Live,
            Self::Heap => Nature::Heap,
            Self::External => Nature::Exact,
            Self::Native => Nature::Unused,
            Self::Resident => Nature::Resident,
            Self::Tasks | Self::Threads | Self::Descriptors => Nature::Count,
        }
    }
}

/// Minutes at the start of a life that no window may touch: loading.
const LOADING_MINUTES: i64 = 2;
/// Minutes of compiling and filling pools, which only a window may touch that sees the end near.
const WARM_UP_MINUTES: i64 = 8;
/// One-minute blocks before anything can be said.
const EARLY_BLOCKS: u32 = 32;
/// Before that only of an end that is no further away than this.
const EARLY_HOURS_LEFT: f64 = 0.5;
/// How long a process must have been seen for its level to count as settled, in milliseconds.
const SETTLED_MS: i64 = 120 * MINUTE_MS;
/// Part of its limit at which a process is taken to have died of it.
const MET: f64 = 0.85;
/// How long a process may come up to the level of others, in milliseconds.
const COMING_UP_MS: i64 = 120 * MINUTE_MS;
/// Part of the resident set that must fall at once for pages of the heap to have gone back to the system.
const RETURNED: f64 = 0.03;
/// How often a life is compared with those before it, in minutes.
const RECURS_MINUTES: i64 = 15;
/// The e-value at the alarm boundary, as a power of ten.
const AT_BOUNDARY: f64 = 3.0;
/// A leak is over when the evidence stays below this ...
const OVER: f64 = 0.5;
/// ... for this long.
const OVER_MS: i64 = 30 * MINUTE_MS;
/// A sample older than the newest by more than this is a clock that was set back: a new life begins.
const CLOCK_BACK_MS: i64 = 60 * MINUTE_MS;

/// The roles that stand for the memory of a process, the one that matters most first.
const MEMORY: [Role; 3] = [Role::Resident, Role::Live, Role::Heap];

/// The detector of one target. Feed it scrapes in ascending time; ask it for its verdict at any moment.
///
/// Memory: at most eight tracks of 0.8 to 1.6 KiB, made when their signal first shows. A sample costs a few comparisons per signal;
/// once a minute the windows are tested.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    pub(crate) tracks: [Option<Box<Track>>; Role::ALL.len()],
    pub(crate) load: Load,
    pub(crate) life: Life,
    pub(crate) state: State,
    pub(crate) score: f64,
    pub(crate) limit: Option<f64>,
    pub(crate) life_began_ms: i64,
    pub(crate) last_ms: Option<i64>,
    /// The last resident set; 0 before the first.
    pub(crate) resident: f64,
    /// The most of the resident set that the managed heap may account for.
    pub(crate) heap_pages: f64,
    /// Whether nothing but a drop of its memory tells this life from the one before.
    pub(crate) began_by_drop: bool,
    /// Since when the evidence of a leak has been below [`OVER`].
    pub(crate) below_since_ms: Option<i64>,
    /// Earlier lives that ended while they leaked.
    pub(crate) n_grown: u32,
    /// What the other earlier lives showed.
    pub(crate) past: Past,
    /// Whether this life grows as those before it did.
    pub(crate) recurs: bool,
    pub(crate) tuning: Tuning,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            tracks: Default::default(),
            load: Load::default(),
            life: Life::default(),
            state: State::TooEarly,
            score: 0.0,
            limit: None,
            life_began_ms: 0,
            last_ms: None,
            resident: 0.0,
            heap_pages: 0.0,
            began_by_drop: false,
            below_since_ms: None,
            n_grown: 0,
            past: Past::default(),
            recurs: false,
            tuning: Tuning::default(),
        }
    }
}

impl Detector {
    /// The same detector with other thresholds.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// Tells a level of memory at which replicas or earlier versions of the same service live without leaking: what comes up to it in its first hours
    /// is no leak.
    pub fn expect(&mut self, settled: f64) {
        if settled.is_finite() {
            self.past.settled = self.past.settled.max(settled);
        }
    }

    /// The level of memory at which this target lives without leaking; `None` while it is young or grows.
    pub fn settled(&self) -> Option<f64> {
        let old = self.last_ms.is_some_and(|last| last.saturating_sub(self.life_began_ms) >= SETTLED_MS);
        let (_, track) = self.memory().filter(|_| old && self.state == State::Steady)?;
        Some(track.floor())
    }

    /// How surprising the evidence is, as a power of ten: an e-value that is calibrated to the tuning. At the alarm boundary it is 3, since the
    /// boundary is crossed by chance in about one of a thousand service-days.
    pub fn surprise(&self) -> f64 {
        let surprise = self.deciding().map_or(0.0, |candidate| f64::from(candidate.finding.held.surprise));
        if self.recurs { AT_BOUNDARY * surprise.max(1.0) } else { AT_BOUNDARY * surprise }
    }

    /// Takes one scrape; `true` when the state changed. A sample that is not later than the last is left out;
    /// one that is hours earlier begins a new life.
    pub fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        let at_ms = at.as_millis();
        let before = self.state;
        match self.last_ms {
            Some(last) if at_ms < last.saturating_sub(CLOCK_BACK_MS) => self.begin_life(at_ms, End::Process),
            Some(last) if at_ms <= last => return false,
            Some(_) => {}
            None => self.life_began_ms = at_ms,
        }
        self.last_ms = Some(at_ms);
        if let Some(end) = self.life.observe(readings) {
            self.begin_life(at_ms, end);
        }
        if let Some(limit) = readings.get(Signal::Limit) {
            self.limit = Some(limit);
        }
        if let Some(requests) = readings.get(Signal::Requests) {
            self.load.observe(at_ms, requests);
        }
        if self.observe_tracks(at_ms, readings) {
            self.advance(at_ms);
        }
        self.state != before
    }

    /// Where the target stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The evidence; 1.0 is the alarm boundary.
    pub fn score(&self) -> f64 {
        self.score
    }

    /// Processes that ended under this detector.
    pub fn n_restarts(&self) -> u32 {
        self.life.n_ended
    }

    /// The whole answer, with reasons.
    pub fn verdict(&self) -> Verdict {
        let n_blocks = self.n_blocks();
        match self.deciding() {
            None => Verdict { reasons: vec![Reason::NoMemorySignal], ..Verdict::default() },
            Some(candidate) if self.state == State::TooEarly => Verdict {
                signal: Some(candidate.signal),
                reasons: vec![Reason::Warming { blocks: n_blocks, want: EARLY_BLOCKS }],
                ..Verdict::default()
            },
            Some(candidate) => {
                let evidence = self
                    .track(candidate.role)
                    .map(|track| track.evidence(&candidate.finding, self.context(candidate.role)))
                    .unwrap_or_default();
                let left = self.limit.map(|limit| limit - self.used(candidate.role));
                let n_alike = if self.recurs { self.past.n_grew } else { 0 };
                combine::verdict(self.state, self.score, &candidate, &evidence, left, self.n_grown + n_alike)
            }
        }
    }

    /// Recent floors of the memory that matters most, oldest first, at most `n`: one a minute at first, one every five later.
    pub fn recent_floors(&self, n: usize) -> Vec<f64> {
        let Some((_, track)) = self.memory() else { return Vec::new() };
        let ring = if track.rings[1].held() >= n { &track.rings[1] } else { &track.rings[0] };
        (0..n.min(ring.held())).rev().filter_map(|back| ring.get(back)).collect()
    }

    /// The memory that matters most.
    fn memory(&self) -> Option<(Role, &Track)> {
        MEMORY.iter().find_map(|role| Some((*role, self.track(*role)?)))
    }

    fn begin_life(&mut self, at_ms: i64, end: End) {
        self.remember_life(end);
        self.began_by_drop = end == End::Drop;
        self.tracks = Default::default();
        self.load = Load::default();
        self.state = State::TooEarly;
        self.score = 0.0;
        self.recurs = false;
        self.resident = 0.0;
        self.heap_pages = 0.0;
        self.below_since_ms = None;
        self.life_began_ms = at_ms;
        self.last_ms = Some(at_ms);
    }

    /// Adds the life that ends to the past. One that leaked had its alarm, and its level is no measure.
    ///
    /// Memory that fell without having met its limit, and nothing else that tells of a new process, may have been collected: what it fell from
    /// is then a level to live at.
    fn remember_life(&mut self, end: End) {
        let died = self.limit.is_some_and(|limit| self.resident >= MET * limit);
        if end == End::Drop && !died {
            self.past.settled = self.past.settled.max(self.resident);
            return;
        }
        if self.state == State::Leaking {
            self.n_grown = self.n_grown.saturating_add(1);
            return;
        }
        let Some((role, track)) = self.memory() else { return };
        let hours = self.last_ms.map_or(0.0, |last| last.saturating_sub(self.life_began_ms) as f64 / 3_600_000.0);
        let level = if self.state == State::Steady { track.floor() } else { 0.0 };
        let whole = track.whole(self.context(role)).map(|(_, evidence)| evidence);
        self.past.add(hours, level, whole.as_ref());
    }

    /// `true` when a block closed on any track.
    fn observe_tracks(&mut self, at_ms: i64, readings: &Readings) -> bool {
        let resident = resident(readings).unwrap_or(self.resident);
        let returned = self.resident - resident;
        if returned > RETURNED * self.resident {
            self.heap_pages -= returned;
        }
        self.heap_pages = self.heap_pages.max(readings.get(Signal::HeapUsed).unwrap_or(0.0));
        self.resident = resident;
        let mut closed = false;
        for role in Role::ALL {
            let Some(value) = self.value_of(role, readings) else { continue };
            // Once collections are shown, garbage tells nothing more.
            if role == Role::Heap && self.track(Role::Live).is_some() {
                self.tracks[role as usize] = None;
                continue;
            }
            // The track is taken out while it looks at the rest of the detector.
            let mut track = self.tracks[role as usize].take().unwrap_or_default();
            closed |= track.observe(at_ms, value, self.context(role));
            self.tracks[role as usize] = Some(track);
        }
        closed
    }

    /// The value that stands for a role in one scrape.
    ///
    /// Native memory is what is resident beyond the heap that the runtime has obtained, or beyond the most that it has used since it last
    /// gave pages back: what garbage once touched may stay resident. It can be negative, since not all of that heap need be resident.
    fn value_of(&self, role: Role, readings: &Readings) -> Option<f64> {
        match role {
            Role::Live => readings.get(Signal::HeapAfterGc),
            Role::Heap => readings.get(Signal::HeapUsed),
            Role::External => readings.get(Signal::External),
            Role::Native => {
                let used = readings.get(Signal::HeapUsed).map(|_| self.heap_pages);
                Some(resident(readings)? - readings.get(Signal::HeapCommitted).or(used)?)
            }
            Role::Resident => resident(readings),
            Role::Tasks => readings.get(Signal::Tasks),
            Role::Threads => readings.get(Signal::Threads),
            Role::Descriptors => readings.get(Signal::FileDescriptors),
        }
    }

    fn context(&self, role: Role) -> Context<'_> {
        Context {
            began_ms: self.life_began_ms,
            loaded_ms: self.life_began_ms.saturating_add(LOADING_MINUTES * MINUTE_MS),
            warm_ms: self.life_began_ms.saturating_add(WARM_UP_MINUTES * MINUTE_MS),
            nature: role.nature(),
            limit: self.limit.filter(|_| role.nature() != Nature::Count),
            left: self.limit.map(|limit| limit - self.used(role)).filter(|left| *left > 0.0),
            resident: self.resident,
            load: &self.load,
            settled: if MEMORY.contains(&role) { self.past.settled } else { 0.0 },
            coming_up_until_ms: if self.began_by_drop {
                i64::MAX
            } else {
                self.life_began_ms.saturating_add(COMING_UP_MS)
            },
            tuning: self.tuning,
        }
    }

    /// What counts against the limit: the resident set, or the role's own floor where that is more.
    ///
    /// A limit that the resident set exceeds is one of the managed heap, and only the heap counts against it.
    fn used(&self, role: Role) -> f64 {
        let own = self.track(role).map_or(0.0, Track::floor);
        let of_heap = matches!(role, Role::Live | Role::Heap) && self.limit.is_some_and(|limit| self.resident > limit);
        if of_heap { own } else { self.resident.max(own) }
    }

    fn n_blocks(&self) -> u32 {
        self.tracks.iter().flatten().map(|track| track.n_blocks()).max().unwrap_or(0)
    }

    fn track(&self, role: Role) -> Option<&Track> {
        self.tracks[role as usize].as_deref()
    }

    /// One function moves the state, on every closed block.
    fn advance(&mut self, at_ms: i64) {
        self.recurs = self.grows_again(at_ms);
        let Some(candidate) = self.deciding() else { return };
        self.score = candidate.score();
        let low = self.score < OVER;
        self.below_since_ms = low.then(|| self.below_since_ms.unwrap_or(at_ms));
        let over = self.below_since_ms.is_some_and(|since| at_ms.saturating_sub(since) >= OVER_MS);
        let by_score = if self.score >= 1.0 {
            State::Leaking
        } else if self.score >= SUSPECTED {
            State::Suspect
        } else {
            State::Steady
        };
        self.state = match self.state {
            State::TooEarly if self.n_blocks() < EARLY_BLOCKS && !self.ends_soon(&candidate) => State::TooEarly,
            State::TooEarly | State::Steady => by_score,
            // An alarm once raised stands until the growth is over: a pause of minutes clears nothing.
            State::Leaking if over => State::Recovered,
            State::Leaking => State::Leaking,
            State::Suspect if low || self.score >= 1.0 => by_score,
            State::Suspect => State::Suspect,
            State::Recovered if self.score >= SUSPECTED => by_score,
            State::Recovered => State::Recovered,
        };
    }

    /// Whether this life grows as several before it did. Looked at every quarter of an hour.
    fn grows_again(&self, at_ms: i64) -> bool {
        let Some((role, track)) = self.memory().filter(|_| self.past.n_grew > 0) else { return false };
        if at_ms.div_euclid(MINUTE_MS) % RECURS_MINUTES != 0 {
            return self.recurs;
        }
        track.whole(self.context(role)).is_some_and(|(_, whole)| self.past.recurs(&whole, self.tuning.log10_e))
    }

    /// Whether a leak is sure, and its end near, before anything else can be said.
    fn ends_soon(&self, candidate: &Candidate) -> bool {
        let evidence = |track: &Track| track.evidence(&candidate.finding, self.context(candidate.role));
        let bytes = candidate.role.nature() != Nature::Count;
        let near = |track| bytes && self.limit.is_some() && evidence(track).hours_left <= EARLY_HOURS_LEFT;
        candidate.score() >= 1.0 && self.track(candidate.role).is_some_and(near)
    }

    /// The candidate with the highest score; on ties the better signal, by the order of [`Role::ALL`].
    fn deciding(&self) -> Option<Candidate> {
        let at_ms = self.last_ms?;
        let mut deciding: Option<Candidate> = None;
        let again = self.memory().filter(|_| self.recurs);
        for role in Role::ALL {
            let Some(track) = self.track(role) else { continue };
            let mut finding = track.best(at_ms, self.tuning);
            if again.is_some_and(|(again, _)| again == role) && finding.score < 1.0 {
                finding = track.whole(self.context(role)).map_or(finding, |(whole, _)| whole);
            }
            let candidate = Candidate {
                role,
                signal: signal_of(role),
                finding,
                floor: track.floor(),
                excess: track.excess,
                offset: if role == Role::Native { self.resident - track.last } else { 0.0 },
                capped: self.cap(role, &finding),
            };
            if deciding.as_ref().is_none_or(|best| candidate.score() > best.score()) {
                deciding = Some(candidate);
            }
        }
        deciding
    }

    /// What forbids a role to alarm by itself: garbage looks like growth until it is collected, and a heap that keeps
    /// its pages looks like growth of the resident set for as long as it likes.
    fn cap(&self, role: Role, finding: &Finding) -> Option<Cap> {
        if finding.score < SUSPECTED {
            return None;
        }
        match role {
            Role::Live if finding.few() => {
                let all = self.track(Role::Resident).or(self.track(Role::Heap))?;
                let follows = follows(all, self.track(Role::Live)?, finding, 0.0);
                (!follows).then_some(Cap::Flat(if self.resident > 0.0 { Signal::Rss } else { Signal::HeapUsed }))
            }
            // Files that are mapped count as buffers, and cost no memory of their own.
            Role::External => {
                let all = self.track(Role::Resident)?;
                let follows = follows(all, self.track(Role::External)?, finding, 0.0);
                (!follows).then_some(Cap::Flat(Signal::Rss))
            }
            Role::Live | Role::Native | Role::Tasks | Role::Threads | Role::Descriptors => None,
            Role::Heap | Role::Resident => match (self.track(Role::Live), self.track(Role::Heap)) {
                (None, None) => None,
                (Some(live), _) => match live.rise(finding) {
                    Some(_) if follows(live, self.track(role)?, finding, CONCORDANT) => None,
                    Some(_) => Some(Cap::Flat(Signal::HeapAfterGc)),
                    None => Some(Cap::NoCollection),
                },
                // No collection is ever shown. Between two of them a heap grows to twice its size and seldom beyond.
                (None, Some(heap)) if heap.floor() < 2.0 * heap.lowest => Some(Cap::NoCollection),
                (None, Some(heap)) => {
                    let follows = follows(heap, self.track(role)?, finding, CONCORDANT);
                    (role == Role::Resident && !follows).then_some(Cap::Flat(Signal::HeapUsed))
                }
            },
        }
    }
}

/// Least concordance of what should rise together.
const CONCORDANT: f64 = 0.6;
/// Least part of a growth that another signal must share.
const SHARED: f64 = 0.4;

/// Whether `other` rises along with `track` in a finding's window.
fn follows(other: &Track, track: &Track, finding: &Finding, concordance: f64) -> bool {
    match (other.rise(finding), track.rise(finding)) {
        (Some(other), Some(rise)) => other.by >= SHARED * rise.by && other.concordance >= concordance,
        _ => false,
    }
}

fn resident(readings: &Readings) -> Option<f64> {
    readings.get(Signal::AnonRss).or(readings.get(Signal::Rss))
}

/// The signal that a role is called by in verdicts.
fn signal_of(role: Role) -> Signal {
    match role {
        Role::Live => Signal::HeapAfterGc,
        Role::Heap => Signal::HeapUsed,
        Role::External => Signal::External,
        Role::Native | Role::Resident => Signal::Rss,
        Role::Tasks => Signal::Tasks,
        Role::Threads => Signal::Threads,
        Role::Descriptors => Signal::FileDescriptors,
    }
}
