//! Names and labels to roles: which series of which exporter means what. Tables only; values are gathered in `harvest`.
//!
//! Rows of one role stand in order of preference: the first row that the page fills decides, so that two agents in one process are not counted twice.

mod beam;
mod container;
mod dotnet;
mod go;
mod jvm;
mod load;
mod native;
mod node;
mod process;
mod python;
mod ruby;

use std::borrow::Cow;

use leakscope_model::{Runtime, Signal};
use rustc_hash::FxHashMap;

use crate::prometheus::Label;
use crate::spec::MetricMapping;

/// What a series means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// A signal as it stands.
    Is(Signal),
    /// Go: heap size at which the next collection starts.
    GoNextGc,
    /// Go: GOGC in percent; off shows as a huge number.
    GoGcPercent,
    /// Go: GOMEMLIMIT; `MaxInt64` is none.
    GoMemLimit,
    /// Go: heap address space.
    GoHeapSys,
    /// Go: part of it given back.
    GoHeapReleased,
    /// Objects allocated since the start.
    Mallocs,
    /// Objects freed since the start.
    Frees,
    /// JVM: use of the old pools after their last collection, as a share of their maximum.
    OldGenRatio,
    /// JVM: maximum of the old pools.
    OldGenMax,
    /// Working set of a container: active page cache included.
    WorkingSet,
    /// Everything charged to a container.
    Usage,
    /// Seconds since the process started.
    Uptime,
    /// Restarts of a container.
    Restarts,
    /// The label that tells the service's version.
    Version(&'static str),
    /// Only its being there counts: it tells the runtime.
    Hint,
    /// `telemetry.sdk.language` tells the runtime.
    SdkLanguage,
}

/// How the series of one row become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The first; a second one differs in labels nobody asked for.
    First,
    /// All label sets together.
    Sum,
}

/// Whom a series describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The process that serves the page.
    Own,
    /// The container that the labels name.
    Container,
    /// The process group that the labels name.
    Group,
}

/// A condition on labels. Names match dotted and escaped alike.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// The label has this value.
    Is(&'static str, &'static str),
    /// The label is not there.
    Absent(&'static str),
    /// The label is there.
    Present(&'static str),
    /// The label names a pool of the old generation.
    OldPool(&'static str),
    /// The request was not one for metrics.
    NotScrape,
}

/// How a metric may be called.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// Exactly so.
    Classic(&'static str),
    /// An OpenTelemetry name: dotted or escaped, with or without the unit's suffix, then a fixed suffix.
    Otel(&'static str, &'static str, &'static str),
    /// Ends so; for names that carry the service's own.
    Suffix(&'static str),
}

/// One line of a dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    name: Name,
    when: &'static [When],
    pub(crate) role: Role,
    pub(crate) how: How,
    pub(crate) scope: Scope,
}

/// A row: `name` exactly.
const fn row(name: &'static str, role: Role) -> Row {
    Row { name: Name::Classic(name), when: &[], role, how: How::First, scope: Scope::Own }
}

/// A row that is a signal as it stands.
const fn is(name: &'static str, signal: Signal) -> Row {
    row(name, Role::Is(signal))
}

/// A row with an OpenTelemetry name (dotted), its unit's suffix (`_bytes`) and a fixed suffix (`_total`, `_count`).
const fn otel(dotted: &'static str, unit: &'static str, suffix: &'static str, role: Role) -> Row {
    Row { name: Name::Otel(dotted, unit, suffix), when: &[], role, how: How::First, scope: Scope::Own }
}

/// A row for all names that end so.
const fn suffix(end: &'static str, role: Role) -> Row {
    Row { name: Name::Suffix(end), when: &[], role, how: How::First, scope: Scope::Own }
}

impl Row {
    const fn when(self, when: &'static [When]) -> Self {
        Self { when, ..self }
    }

    const fn sum(self) -> Self {
        Self { how: How::Sum, ..self }
    }

    const fn at(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }
}

/// Every dialect with the runtime it gives away, in order of preference.
const DIALECTS: &[(Option<Runtime>, &[Row])] = &[
    (Some(Runtime::Go), go::ROWS),
    (Some(Runtime::Jvm), jvm::ROWS),
    (Some(Runtime::Node), node::ROWS),
    (Some(Runtime::Python), python::ROWS),
    (Some(Runtime::DotNet), dotnet::ROWS),
    (Some(Runtime::Native), native::ROWS),
    (None, ruby::ROWS),
    (None, beam::ROWS),
    (None, process::ROWS),
    (None, load::ROWS),
    (None, container::ROWS),
];

/// A row as compiled into a [`Table`].
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) role: Role,
    pub(crate) how: How,
    pub(crate) scope: Scope,
    pub(crate) runtime: Option<Runtime>,
    /// Values are multiplied by this.
    pub(crate) factor: f64,
    conditions: Conditions,
}

#[derive(Clone, Debug)]
enum Conditions {
    Builtin(&'static [When]),
    Configured(Vec<(String, String)>),
}

/// All rows by name: built once per job, shared by its targets.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    by_name: FxHashMap<Box<[u8]>, Vec<u16>>,
    by_suffix: Vec<(&'static [u8], Vec<u16>)>,
}

impl Table {
    /// Configured metrics come first, so they win over every dialect. Names are also taken with each prefix before them.
    pub(crate) fn compile(prefixes: &[String], configured: &[MetricMapping]) -> Self {
        let mut table = Self { entries: Vec::new(), by_name: FxHashMap::default(), by_suffix: Vec::new() };
        for metric in configured {
            let index = table.push(Entry {
                role: Role::Is(metric.signal),
                how: How::Sum,
                scope: Scope::Own,
                runtime: None,
                factor: metric.factor,
                conditions: Conditions::Configured(metric.labels.clone()),
            });
            table.by_name.entry(metric.name.as_bytes().into()).or_default().push(index);
        }
        for (runtime, rows) in DIALECTS {
            for row in *rows {
                table.add(row, *runtime, prefixes);
            }
        }
        table
    }

    /// The rows that a name may belong to; their conditions are not checked yet.
    pub(crate) fn rows_of(&self, name: &[u8]) -> Option<&[u16]> {
        if let Some(rows) = self.by_name.get(name) {
            return Some(rows);
        }
        self.by_suffix.iter().find(|(end, _)| name.ends_with(end)).map(|(_, rows)| rows.as_slice())
    }

    pub(crate) fn entry(&self, index: u16) -> Option<&Entry> {
        self.entries.get(usize::from(index))
    }

    fn push(&mut self, entry: Entry) -> u16 {
        self.entries.push(entry);
        u16::try_from(self.entries.len() - 1)
            .expect("a table has a few hundred rows; configurations are bounded when they are compiled")
    }

    fn add(&mut self, row: &Row, runtime: Option<Runtime>, prefixes: &[String]) {
        let Row { role, how, scope, when, .. } = *row;
        let index = self.push(Entry { role, how, scope, runtime, factor: 1.0, conditions: Conditions::Builtin(when) });
        if let Name::Suffix(end) = row.name {
            match self.by_suffix.iter_mut().find(|(other, _)| *other == end.as_bytes()) {
                Some((_, rows)) => rows.push(index),
                None => self.by_suffix.push((end.as_bytes(), vec![index])),
            }
        }
        for name in row.name.spellings() {
            for prefix in prefixes {
                self.by_name.entry(format!("{prefix}{name}").into_bytes().into()).or_default().push(index);
            }
            let rows = self.by_name.entry(name.as_bytes().into()).or_default();
            if !rows.contains(&index) {
                rows.push(index);
            }
        }
    }
}

impl Name {
    fn spellings(self) -> Vec<Cow<'static, str>> {
        match self {
            Self::Classic(name) => vec![name.into()],
            Self::Suffix(_) => Vec::new(),
            Self::Otel(dotted, unit, suffix) => {
                let escaped = dotted.replace('.', "_");
                let mut names = Vec::with_capacity(4);
                for stem in [dotted, &escaped] {
                    names.push(format!("{stem}{unit}{suffix}").into());
                    if !unit.is_empty() {
                        names.push(format!("{stem}{suffix}").into());
                    }
                }
                names
            }
        }
    }
}

impl Entry {
    /// Whether the labels are those of this row.
    pub(crate) fn applies(&self, labels: &[Label<'_>]) -> bool {
        match &self.conditions {
            Conditions::Builtin(when) => when.iter().all(|when| when.holds(labels)),
            Conditions::Configured(want) => want.iter().all(|(name, value)| label(labels, name) == Some(value)),
        }
    }
}

impl When {
    fn holds(self, labels: &[Label<'_>]) -> bool {
        match self {
            Self::Is(name, value) => label(labels, name) == Some(value),
            Self::Absent(name) => label(labels, name).is_none(),
            Self::Present(name) => label(labels, name).is_some(),
            Self::OldPool(name) => label(labels, name).is_some_and(is_old_pool),
            Self::NotScrape => !labels.iter().any(is_scrape),
        }
    }
}

/// Value of a label; an empty value is none. `name` is written with underscores.
pub(crate) fn label<'a>(labels: &'a [Label<'_>], name: &str) -> Option<&'a str> {
    let value = labels.iter().find(|label| same_name(&label.name, name)).map(|label| label.value.as_ref());
    value.filter(|value| !value.is_empty())
}

fn same_name(found: &str, want: &str) -> bool {
    found.len() == want.len()
        && found.bytes().zip(want.bytes()).all(|(found, want)| found == want || (found == b'.' && want == b'_'))
}

/// `.*Old Gen|Tenured.*|ZHeap|ZGC Old.*|Shenandoah`: the pools that a long-lived object ends in.
pub(crate) fn is_old_pool(pool: &str) -> bool {
    pool.ends_with("Old Gen")
        || pool.starts_with("Tenured")
        || pool.starts_with("ZGC Old")
        || matches!(pool, "ZHeap" | "Shenandoah" | "long-lived")
}

/// Whether a label says that the request was a scrape.
fn is_scrape(label: &Label<'_>) -> bool {
    matches!(
        label.name.as_ref(),
        "path" | "handler" | "route" | "uri" | "endpoint" | "http_route" | "http.route" | "url"
    ) && matches!(label.value.as_ref(), "/metrics" | "/actuator/prometheus" | "/status/memory" | "/debug/vars")
}
