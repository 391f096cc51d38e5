//! What was measured: one row for each program, task and file, and the goals that follow from the rows.

use serde_json::Value;

use super::peer::{Peer, Task};
use crate::bench::goal::{Bound, Goal};
use crate::bench::measure::Cost;

/// Bytes of a snapshot from which on the goals of a large one hold, and of a dump or snapshot that is not small.
const LARGE_BYTES: u64 = 1_000_000_000;
/// Shares of the peers' figures, seconds and rates that the project set itself.
const CPU_OF_V8_HEAP_PARSER: f64 = 0.3;
const CPU_OF_DEVTOOLS: f64 = 1.0 / 9.0;
const WALL_OF_DEVTOOLS: f64 = 1.0 / 12.0;
const CPU_OF_HPROF_ANALYZER: f64 = 1.0 / 6.0;
const ANONYMOUS_OF_FILE: f64 = 1.0;
const LARGE_CPU_S: f64 = 5.0;
const LARGE_WALL_S: f64 = 3.5;
const REDACTED_MB_PER_S: f64 = 500.0;
const DIFF_OF_PARSES: f64 = 3.5 / 3.0;

/// Who was measured; nobody named is leakscope.
pub(super) type Contender = Option<Peer>;

pub(super) fn contender_name(contender: Contender) -> &'static str {
    contender.map_or("leakscope", Peer::name)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V8,
    Hprof,
}

/// One file that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) format: Format,
    pub(super) n_bytes: u64,
}

impl Input {
    /// `V8 280 MB`.
    pub(super) fn shown(self) -> String {
        let format = match self.format {
            Format::V8 => "V8",
            Format::Hprof => "HPROF",
        };
        format!("{format} {} MB", self.n_bytes / 1_000_000)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) input: Input,
    pub(super) task: Task,
    pub(super) contender: Contender,
    pub(super) cost: Cost,
    /// What it said about the capture, as far as it can be compared.
    pub(super) says: Says,
    /// Load average of the last minute when it was done.
    pub(super) load: String,
}

/// What a contender printed of the capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) n_nodes: Option<u64>,
    pub(super) total_bytes: Option<u64>,
    pub(super) n_classes: Option<u64>,
    /// Name, count, own bytes and retained bytes of each class, in order; empty where they were not printed.
    pub(super) classes: Vec<(String, u64, u64, u64)>,
}

impl Says {
    /// From the JSON of `leakscope analyze` or of hprof-analyzer, or the last line of one of our drivers; else nothing.
    pub(super) fn read(printed: &str) -> Self {
        // memlab writes its progress before it into the same line.
        let last = printed.trim_end().lines().last().and_then(|line| line.get(line.find('{')?..)).unwrap_or_default();
        let value = serde_json::from_str::<Value>(printed).or_else(|_| serde_json::from_str(last));
        let Ok(value) = value else { return Self::default() };
        let either = |ours: &str, theirs: &str| value[ours].as_u64().or_else(|| value["overview"][theirs].as_u64());
        let mut classes: Vec<_> = value["classes"].as_array().into_iter().flatten().filter_map(class).collect();
        classes.sort_unstable();
        Self {
            n_nodes: either("nodes", "total_objects"),
            total_bytes: either("total_bytes", "total_shallow"),
            n_classes: value["classes"].as_array().map(|all| all.len() as u64).or_else(|| value["classes"].as_u64()),
            classes,
        }
    }

    /// How many of the other's classes are here with the same count, own and retained bytes.
    pub(super) fn n_classes_equal(&self, other: &Self) -> usize {
        other.classes.iter().filter(|class| self.classes.binary_search(class).is_ok()).count()
    }
}

fn class(value: &Value) -> Option<(String, u64, u64, u64)> {
    let number = |field: &str| value[field].as_u64();
    Some((value["name"].as_str()?.to_owned(), number("count")?, number("self_bytes")?, number("retained_bytes")?))
}

impl Row {
    #[rustfmt::skip]
    pub(super) const HEADS: [&'static str; 9] =
        ["file", "task", "program", "CPU s", "wall s", "MB per CPU second", "peak resident MB", "peak anonymous MB", "load"];

    pub(super) fn cells(&self) -> Vec<String> {
        let task = match self.task {
            Task::Analyze => "analyse",
            Task::Histogram => "histogram",
            Task::Redact => "redact",
        };
        let megabytes = |n_bytes: u64| format!("{:.0}", n_bytes as f64 / 1e6);
        vec![
            self.input.shown(),
            task.to_owned(),
            contender_name(self.contender).to_owned(),
            format!("{:.2}", self.cost.cpu_s),
            format!("{:.2}", self.cost.wall_s),
            format!("{:.0}", self.input.n_bytes as f64 / 1e6 / self.cost.cpu_s.max(0.001)),
            megabytes(self.cost.resident_bytes),
            megabytes(self.cost.anonymous_bytes),
            self.load.clone(),
        ]
    }
}

/// A diff of captures, and the cost of analysing each of them alone.
#[derive(Debug)]
pub(super) struct DiffRow {
    pub(super) cost: Cost,
    pub(super) parses_cpu_s: f64,
}

/// Every goal that the rows can speak to.
pub(super) fn goals(rows: &[Row], diff: Option<&DiffRow>) -> Vec<Goal> {
    let mut goals = Vec::new();
    for ours in rows.iter().filter(|row| row.contender.is_none()) {
        let of = |peer: Peer| {
            rows.iter().find(|row| row.input == ours.input && row.task == ours.task && row.contender == Some(peer))
        };
        let ratio = |what: &str, bound: f64, peer: Peer, figure: fn(&Cost) -> f64| {
            let what = format!("{}, {what} of {}", ours.input.shown(), peer.name());
            Goal::ratio(what, bound, Some(figure(&ours.cost)), of(peer).map(|row| figure(&row.cost)))
        };
        match (ours.task, ours.input.format) {
            (Task::Analyze, Format::V8) => {
                goals.push(ratio("CPU", CPU_OF_V8_HEAP_PARSER, Peer::V8HeapParser, cpu));
                goals.push(ratio("CPU", CPU_OF_DEVTOOLS, Peer::DevTools, cpu));
                goals.push(ratio("wall time", WALL_OF_DEVTOOLS, Peer::DevTools, wall));
                goals.push(of_file(ours));
                if ours.input.n_bytes >= LARGE_BYTES {
                    goals.push(seconds(ours, "CPU", LARGE_CPU_S, ours.cost.cpu_s));
                    goals.push(seconds(ours, "wall time", LARGE_WALL_S, ours.cost.wall_s));
                }
            }
            (Task::Analyze, Format::Hprof) => {
                goals.push(ratio("CPU", CPU_OF_HPROF_ANALYZER, Peer::HprofAnalyzer, cpu));
                goals.push(ratio("anonymous memory", 1.0, Peer::HprofAnalyzer, anonymous));
            }
            (Task::Histogram, _) => {
                goals.push(ratio("CPU", 1.0, Peer::HprofSlurp, cpu));
                goals.push(ratio("wall time", 1.0, Peer::HprofSlurp, wall));
            }
            (Task::Redact, _) => goals.push(Goal {
                what: format!("{}, redaction", ours.input.shown()),
                bound: Bound::RateMin(REDACTED_MB_PER_S),
                measured: Some(ours.input.n_bytes as f64 / 1e6 / ours.cost.wall_s),
            }),
        }
    }
    goals.extend(diff.map(|diff| {
        let what = "diff of three, CPU of the three analyses alone".to_owned();
        Goal::ratio(what, DIFF_OF_PARSES, Some(diff.cost.cpu_s), Some(diff.parses_cpu_s))
    }));
    goals
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu_s
}

fn wall(cost: &Cost) -> f64 {
    cost.wall_s
}

fn anonymous(cost: &Cost) -> f64 {
    cost.anonymous_bytes as f64
}

fn of_file(row: &Row) -> Goal {
    let what = format!("{}, anonymous memory of the file", row.input.shown());
    Goal::ratio(what, ANONYMOUS_OF_FILE, Some(anonymous(&row.cost)), Some(row.input.n_bytes as f64))
}

fn seconds(row: &Row, what: &str, max: f64, measured: f64) -> Goal {
    let what = format!("{}, {what}", row.input.shown());
    Goal { what, bound: Bound::SecondsMax(max), measured: Some(measured) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(format: Format, n_bytes: u64, task: Task, contender: Contender, cpu_s: f64) -> Row {
        let cost = Cost { cpu_s, wall_s: cpu_s, resident_bytes: 1_000, anonymous_bytes: n_bytes / 2 };
        Row { input: Input { format, n_bytes }, task, contender, cost, says: Says::default(), load: String::new() }
    }

    fn met(rows: &[Row], diff: Option<&DiffRow>) -> Vec<String> {
        goals(rows, diff)
            .iter()
            .map(|goal| format!("{}: {}", goal.what, goal.row().pop().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_snapshot_is_held_against_its_peers_and_its_own_size() {
        let rows = [
            row(Format::V8, 50_000_000, Task::Analyze, None, 0.2),
            row(Format::V8, 50_000_000, Task::Analyze, Some(Peer::V8HeapParser), 0.8),
            row(Format::V8, 50_000_000, Task::Analyze, Some(Peer::DevTools), 1.7),
            // Of another file.
            row(Format::V8, 60_000_000, Task::Analyze, Some(Peer::DevTools), 9.0),
        ];
        let expected = [
            "V8 50 MB, CPU of v8-heap-parser: met",
            "V8 50 MB, CPU of chrome-devtools-frontend: NOT met",
            "V8 50 MB, wall time of chrome-devtools-frontend: NOT met",
            "V8 50 MB, anonymous memory of the file: met",
        ];
        assert_eq!(met(&rows, None), expected);
    }

    #[test]
    fn a_large_snapshot_has_seconds_of_its_own() {
        let rows = [row(Format::V8, 1_200_000_000, Task::Analyze, None, 4.0)];
        let found = met(&rows, None);
        assert_eq!(found.last().map(String::as_str), Some("V8 1200 MB, wall time: NOT met"));
        assert!(found.contains(&"V8 1200 MB, CPU: met".to_owned()), "{found:?}");
        assert!(found.contains(&"V8 1200 MB, CPU of v8-heap-parser: not measured".to_owned()), "{found:?}");
    }

    #[test]
    fn redaction_and_diff_have_goals_too() {
        let rows = [row(Format::Hprof, 400_000_000, Task::Redact, None, 1.0)];
        let cost = rows[0].cost;
        let diff = DiffRow { cost, parses_cpu_s: 0.5 };
        let expected = ["HPROF 400 MB, redaction: NOT met", "diff of three, CPU of the three analyses alone: NOT met"];
        assert_eq!(met(&rows, Some(&diff)), expected);
    }

    #[test]
    fn totals_are_read_from_either_answer() {
        let ours = r#"{"nodes":3,"total_bytes":9,"classes":[{},{}],"suspects":[]}"#;
        let driver = r#"{"nodes":3,"total_bytes":9,"root_retained_bytes":9,"classes":2}"#;
        let expected = Says { n_nodes: Some(3), total_bytes: Some(9), n_classes: Some(2), classes: Vec::new() };
        let after_progress = format!("parsing\n\u{1b}[K{driver}\n");
        assert_eq!([ours, driver, &after_progress].map(Says::read), [(); 3].map(|()| expected.clone()));
        assert_eq!(Says::read("a report for people"), Says::default());
    }

    #[test]
    fn classes_are_equal_in_all_figures_or_not_at_all() {
        let says = |map: u64| {
            let class = |name: &str, retained: u64| json!({"name": name, "count": 1, "self_bytes": 8, "retained_bytes": retained});
            Says::read(&json!({"classes": [class("Map", map), class("Array", 9)]}).to_string())
        };
        assert_eq!(says(20).n_classes_equal(&says(20)), 2);
        assert_eq!(says(20).n_classes_equal(&says(21)), 1);
        assert_eq!(says(20).n_classes_equal(&Says::default()), 0);
    }
}
