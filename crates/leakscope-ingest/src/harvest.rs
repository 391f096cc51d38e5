//! Gathers the values of one page by row, keeps out what no signal can be, and settles them into readings.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::time::Duration;

use leakscope_model::{Readings, Runtime, Signal};
use rustc_hash::FxHasher;

use crate::dialect::{Entry, How, Role, Scope, Table, label};
use crate::page::{Page, Part, Problem};
use crate::prometheus::{Label, SampleLine};

/// Containers and process groups kept of one page. More: the rest is dropped and noted.
const PARTS_MAX: usize = 20_000;
/// Wanted series remembered to recognise duplicates. More: further duplicates are not recognised.
const SEEN_MAX: usize = 65_536;
/// A limit from here on is no limit: Kubernetes and Go write about 2⁶³ for none.
const UNLIMITED: f64 = (1_u64 << 60) as f64;
/// Rows that a process fills, about; room for them is made at once.
const ROWS_OF_A_PROCESS: usize = 24;
/// GOGC assumed where the page does not tell: Go's default.
const GOGC_DEFAULT: f64 = 100.0;
/// GOGC from here on means off.
const GOGC_OFF: f64 = 1e6;

/// Whether a limit limits: zero, negative and astronomical ones do not.
pub(crate) fn is_limit(value: f64) -> bool {
    value > 0.0 && value < UNLIMITED
}

/// Everything wanted of the page so far. Memory grows with wanted series only, up to the bounds above.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    own: Tally,
    parts: BTreeMap<String, PartTally>,
    /// Hash of name and labels to the newest time stamp and its value.
    seen: BTreeMap<u64, (f64, f64)>,
    runtime: Option<(u16, Runtime)>,
    version: Option<(u16, String)>,
    parts_dropped: bool,
    /// Scratch for a part's name.
    key: String,
    pub(crate) page: Page,
}

/// One value for each row that the page fills.
#[derive(Debug, Default)]
struct Tally {
    values: Vec<(u16, f64)>,
}

#[derive(Debug, Default)]
struct PartTally {
    tally: Tally,
    labels: Vec<(String, String)>,
    runtime: Option<Runtime>,
}

/// What a series does to the sum of its row.
#[derive(Clone, Copy, Debug)]
enum Change {
    Add(f64),
    Replace { old: f64, new: f64 },
}

impl Harvest {
    pub(crate) fn new() -> Self {
        Self { own: Tally { values: Vec::with_capacity(ROWS_OF_A_PROCESS) }, ..Self::default() }
    }

    /// Takes a sample that may belong to `rows`.
    pub(crate) fn take(&mut self, table: &Table, rows: &[u16], sample: &SampleLine<'_>, line: u64) {
        let mut change = None;
        for &row in rows {
            let Some(entry) = table.entry(row).filter(|entry| entry.applies(&sample.labels)) else {
                continue;
            };
            // Once for each series, however many rows want it.
            if change.is_none() {
                match self.change(sample, line) {
                    Some(first) => change = Some(first),
                    None => return,
                }
            }
            if let Some(change) = &change {
                self.apply(row, entry, sample, change, line);
            }
        }
    }

    /// A series counts once; of several time stamps the newest wins (dotnet-monitor repeats a series with older samples).
    fn change(&mut self, sample: &SampleLine<'_>, line: u64) -> Option<Change> {
        let key = series_hash(sample);
        let time = sample.timestamp.unwrap_or(f64::NEG_INFINITY);
        match self.seen.get_mut(&key) {
            Some(known) if time > known.0 => {
                let old = known.1;
                *known = (time, sample.value);
                Some(Change::Replace { old, new: sample.value })
            }
            Some(known) => {
                if time.total_cmp(&known.0).is_eq() {
                    let source = sample.name.to_string();
                    self.page.problems.note(|| Problem::Duplicate { source, line });
                }
                None
            }
            None => {
                if self.seen.len() < SEEN_MAX {
                    self.seen.insert(key, (time, sample.value));
                }
                Some(Change::Add(sample.value))
            }
        }
    }

    fn apply(&mut self, row: u16, entry: &Entry, sample: &SampleLine<'_>, change: &Change, line: u64) {
        match entry.role {
            Role::Version(name) => return self.version_seen(row, name, sample),
            Role::SdkLanguage => {
                let language = label(&sample.labels, "telemetry_sdk_language");
                return self.runtime_seen(row, language.and_then(runtime_of_sdk));
            }
            _ if entry.scope == Scope::Own => self.runtime_seen(row, entry.runtime),
            _ => {}
        }
        if entry.role == Role::Hint {
            return;
        }
        let value = sample.value;
        if value.is_nan() || value.is_infinite() || value < 0.0 {
            // -1 and +Inf are how limits say 'none'.
            if !matches!(entry.role, Role::Is(Signal::Limit) | Role::GoMemLimit | Role::OldGenMax | Role::GoGcPercent) {
                let source = sample.name.to_string();
                self.page.problems.note(|| Problem::Implausible { source, line: Some(line), value });
            }
            return;
        }
        match entry.scope {
            Scope::Own => self.own.add(row, entry, change),
            Scope::Container | Scope::Group => {
                if let Some(part) = self.part(entry.scope, &sample.labels) {
                    part.tally.add(row, entry, change);
                }
            }
        }
    }

    fn runtime_seen(&mut self, row: u16, runtime: Option<Runtime>) {
        if let Some(runtime) = runtime
            && self.runtime.is_none_or(|(best, _)| row < best)
        {
            self.runtime = Some((row, runtime));
        }
    }

    fn version_seen(&mut self, row: u16, name: &str, sample: &SampleLine<'_>) {
        let version = label(&sample.labels, name).filter(|version| !matches!(*version, "unknown" | "(devel)"));
        if let Some(version) = version
            && self.version.as_ref().is_none_or(|(best, _)| row < *best)
        {
            self.version = Some((row, version.to_owned()));
        }
    }

    /// The part that the labels name; none for pods, pause containers and the machine itself.
    fn part(&mut self, scope: Scope, labels: &[Label<'_>]) -> Option<&mut PartTally> {
        self.key.clear();
        let named = match scope {
            Scope::Own => false,
            Scope::Group => label(labels, "groupname").map(|name| self.key.push_str(name)).is_some(),
            Scope::Container => container_key(labels, &mut self.key),
        };
        if !named {
            return None;
        }
        if !self.parts.contains_key(&self.key) {
            if self.parts.len() >= PARTS_MAX {
                if !self.parts_dropped {
                    self.parts_dropped = true;
                    self.page.problems.note(|| Problem::PartsDropped { limit: PARTS_MAX });
                }
                return None;
            }
            let part =
                PartTally { labels: identity(labels), runtime: runtime_of_agent(labels), ..PartTally::default() };
            self.parts.insert(self.key.clone(), part);
        }
        self.parts.get_mut(&self.key)
    }

    /// The page, settled.
    pub(crate) fn settle(self, table: &Table) -> Page {
        let mut page = self.page;
        let settled = Settled::of(&self.own, table);
        page.own = settled.readings();
        page.uptime = settled.get(Role::Uptime).and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        page.runtime = self.runtime.map(|(_, runtime)| runtime);
        page.version = self.version.map(|(_, version)| version);
        for (name, part) in self.parts {
            let settled = Settled::of(&part.tally, table);
            page.parts.push(Part {
                name,
                labels: part.labels,
                readings: settled.readings(),
                runtime: part.runtime,
                restarts: settled.get(Role::Restarts),
            });
        }
        page
    }
}

impl Tally {
    fn add(&mut self, row: u16, entry: &Entry, change: &Change) {
        let place = self.values.iter().position(|(other, _)| *other == row).unwrap_or_else(|| {
            self.values.push((row, f64::NAN));
            self.values.len() - 1
        });
        let Some((_, sum)) = self.values.get_mut(place) else { return };
        match (*change, entry.how) {
            (Change::Add(value), _) if sum.is_nan() => *sum = value * entry.factor,
            (Change::Add(_), How::First) => {}
            (Change::Add(value), How::Sum) => *sum += value * entry.factor,
            (Change::Replace { new, .. }, How::First) => *sum = new * entry.factor,
            (Change::Replace { old, new }, How::Sum) => {
                let base = if sum.is_nan() { 0.0 } else { *sum };
                *sum = base + (new - if old.is_finite() && old >= 0.0 { old } else { 0.0 }) * entry.factor;
            }
        }
    }
}

/// The best value of each role: a few dozen at most, searched in turn.
struct Settled {
    by_role: Vec<(Role, f64)>,
}

impl Settled {
    fn of(tally: &Tally, table: &Table) -> Self {
        let mut ranked: Vec<(u16, Role, f64)> = Vec::with_capacity(tally.values.len());
        for &(row, value) in &tally.values {
            let Some(entry) = table.entry(row) else { continue };
            let usable = match entry.role {
                Role::Is(Signal::Limit) | Role::GoMemLimit | Role::OldGenMax => is_limit(value),
                // Collectors report 0 until the first full collection.
                Role::Is(Signal::HeapAfterGc) => value > 0.0,
                _ => true,
            };
            if usable {
                ranked.push((row, entry.role, value));
            }
        }
        ranked.sort_unstable_by_key(|(row, role, _)| (*role, *row));
        ranked.dedup_by_key(|(_, role, _)| *role);
        Self { by_role: ranked.into_iter().map(|(_, role, value)| (role, value)).collect() }
    }

    fn get(&self, role: Role) -> Option<f64> {
        self.by_role.iter().find(|(found, _)| *found == role).map(|(_, value)| *value)
    }

    fn readings(&self) -> Readings {
        let mut readings = Readings::default();
        for (role, value) in &self.by_role {
            if let Role::Is(signal) = role {
                readings.set(*signal, *value);
            }
        }
        let mut derive = |signal, value: Option<f64>| {
            if let (None, Some(value)) = (readings.get(signal), value) {
                readings.set(signal, value);
            }
        };
        derive(Signal::HeapAfterGc, self.go_live_heap().or_else(|| self.old_gen_live()));
        derive(Signal::HeapCommitted, self.difference(Role::GoHeapSys, Role::GoHeapReleased));
        derive(Signal::Objects, self.difference(Role::Mallocs, Role::Frees));
        derive(Signal::Limit, self.get(Role::GoMemLimit));
        // The working set counts active page cache; it stands in only where nothing better is there.
        if readings.get(Signal::AnonRss).is_none() {
            let without_cache = self.get(Role::Usage).zip(self.get(Role::Is(Signal::PageCache)));
            let without_cache = without_cache.map(|(usage, cache)| (usage - cache).max(0.0));
            if let (None, Some(value)) = (readings.get(Signal::Rss), without_cache.or(self.get(Role::WorkingSet))) {
                readings.set(Signal::Rss, value);
            }
        }
        readings
    }

    /// Go starts the next collection at live × (1 + GOGC/100), so the goal tells the live heap. No answer before the first collection, while GOMEMLIMIT may press the goal down, or with GOGC off.
    fn go_live_heap(&self) -> Option<f64> {
        let goal = self.get(Role::GoNextGc)?;
        if self.get(Role::Is(Signal::GcCount)) == Some(0.0) {
            return None;
        }
        let percent = self.get(Role::GoGcPercent).unwrap_or(GOGC_DEFAULT);
        let pressed = self.get(Role::GoMemLimit).is_some_and(|limit| goal > limit / 2.0);
        let live = goal / (1.0 + percent / 100.0);
        (!pressed && percent < GOGC_OFF && live > 0.0).then_some(live)
    }

    /// Micrometer tells use after collection as a share of the old pools' maximum.
    fn old_gen_live(&self) -> Option<f64> {
        let live = self.get(Role::OldGenRatio)? * self.get(Role::OldGenMax)?;
        (live > 0.0).then_some(live)
    }

    fn difference(&self, all: Role, less: Role) -> Option<f64> {
        Some((self.get(all)? - self.get(less)?).max(0.0))
    }
}

/// Order of labels does not matter: each is hashed by itself, and the hashes are summed.
fn series_hash(sample: &SampleLine<'_>) -> u64 {
    let hash_of = |parts: [&str; 2]| {
        let mut hasher = FxHasher::default();
        for part in parts {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xff);
        }
        // The hasher is linear in its parts: without this, `a="1",b="2"` and `a="2",b="1"` would sum to the same.
        let mut hash = hasher.finish();
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    };
    sample
        .labels
        .iter()
        .fold(hash_of([&sample.name, ""]), |hash, label| hash.wrapping_add(hash_of([&label.name, &label.value])))
}

const NAMESPACE: &[&str] = &["namespace", "pod_namespace", "k8s_namespace_name"];
const POD: &[&str] = &["pod", "pod_name", "k8s_pod_name"];
const CONTAINER: &[&str] = &["container", "container_name", "k8s_container_name"];

fn first_of<'a>(labels: &'a [Label<'_>], names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| label(labels, name))
}

/// `namespace/pod/container`, else Coroot's `container_id`, else Docker's `name`. `false` for rows that are no container.
fn container_key(labels: &[Label<'_>], key: &mut String) -> bool {
    let pod = first_of(labels, POD);
    match first_of(labels, CONTAINER) {
        Some("POD") => false,
        Some(container) => {
            for outer in [first_of(labels, NAMESPACE), pod].into_iter().flatten() {
                key.push_str(outer);
                key.push('/');
            }
            key.push_str(container);
            true
        }
        None if pod.is_some() => false,
        None => match label(labels, "container_id").or_else(|| label(labels, "name")) {
            Some(name) => {
                key.push_str(name);
                true
            }
            None => false,
        },
    }
}

/// The labels that a person knows a part by.
fn identity(labels: &[Label<'_>]) -> Vec<(String, String)> {
    let known: [(&str, &[&str]); 6] = [
        ("container", CONTAINER),
        ("container_id", &["container_id"]),
        ("groupname", &["groupname"]),
        ("image", &["image", "container_image_name"]),
        ("namespace", NAMESPACE),
        ("pod", POD),
    ];
    let value = |(name, names): &(&str, &[&str])| Some(((*name).to_owned(), first_of(labels, names)?.to_owned()));
    known.iter().filter_map(value).collect()
}

/// Coroot's agent names the runtime in the metric; the label tells it only for the JVM.
fn runtime_of_agent(labels: &[Label<'_>]) -> Option<Runtime> {
    label(labels, "jvm").map(|_| Runtime::Jvm)
}

fn runtime_of_sdk(language: &str) -> Option<Runtime> {
    match language {
        "go" => Some(Runtime::Go),
        "java" => Some(Runtime::Jvm),
        "nodejs" => Some(Runtime::Node),
        "python" => Some(Runtime::Python),
        "dotnet" => Some(Runtime::DotNet),
        "rust" | "cpp" => Some(Runtime::Native),
        _ => None,
    }
}
