//! What was measured: one row for each program, task and file, and the goals that follow from the rows.

use super::files::Pair;
use crate::bench::goal::Goal;
use crate::bench::measure::Cost;

/// Shares of the figures of `go tool pprof` at [`GOAL_SAMPLES`] that the project set itself.
const CPU_OF_PPROF: f64 = 1.0 / 70.0;
const RESIDENT_OF_PPROF: f64 = 1.0 / 8.0;
const GOAL_SAMPLES: u64 = 100_000;
/// CPU time a sample at the most samples beside that at [`GOAL_SAMPLES`]: linear, with room for caches that are too small.
const LINEAR: f64 = 1.5;

/// What is asked of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// The functions of one profile.
    Top,
    /// The growth from one profile to another.
    Diff,
}

impl Task {
    pub(super) const ALL: [Self; 2] = [Self::Top, Self::Diff];

    fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Diff => "diff",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Leakscope,
    Pprof,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leakscope => "leakscope",
            Self::Pprof => "go tool pprof",
        }
    }
}

/// One program at one task on one file.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) pair: Pair,
    /// Bytes of the file, of a diff of the later one.
    pub(super) file_bytes: u64,
    pub(super) task: Task,
    pub(super) program: Program,
    pub(super) cost: Cost,
    /// Load of the last minute, at its end.
    pub(super) load: String,
}

impl Row {
    pub(super) const HEADS: [&'static str; 9] =
        ["samples", "file", "task", "program", "CPU s", "wall s", "resident MB", "CPU beside pprof", "load"];

    /// A row under [`Self::HEADS`].
    pub(super) fn cells(&self, rows: &[Self]) -> Vec<String> {
        let pprof = rows.iter().find(|row| self.is_beside(row) && row.program == Program::Pprof);
        let share =
            pprof.filter(|_| self.program == Program::Leakscope).map(|pprof| pprof.cost.cpu_s / self.cost.cpu_s);
        vec![
            self.pair.name.clone(),
            format!("{:.2} MB", self.file_bytes as f64 / 1e6),
            self.task.name().to_owned(),
            self.program.name().to_owned(),
            format!("{:.3}", self.cost.cpu_s),
            format!("{:.3}", self.cost.wall_s),
            format!("{:.0}", self.cost.resident_bytes as f64 / 1e6),
            share.map_or("-".to_owned(), |share| format!("1/{share:.0}")),
            self.load.clone(),
        ]
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.pair == other.pair && self.task == other.task
    }
}

/// The goals with their figures; those without rows are not there.
pub(super) fn goals(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let ours = |row: &&Row| row.program == Program::Leakscope;
    for row in rows.iter().filter(ours).filter(|row| row.pair.n_samples == GOAL_SAMPLES) {
        let of_pprof = |figure: fn(&Cost) -> f64| {
            let pprof = rows.iter().find(|other| row.is_beside(other) && other.program == Program::Pprof);
            pprof.map(|pprof| figure(&pprof.cost))
        };
        let (cpu, resident): (fn(&Cost) -> f64, fn(&Cost) -> f64) =
            (|cost| cost.cpu_s, |cost| cost.resident_bytes as f64);
        for (figure, name, bound) in [(cpu, "CPU", CPU_OF_PPROF), (resident, "resident memory", RESIDENT_OF_PPROF)] {
            let what = format!("{} {}: {name} beside go tool pprof", row.pair.name, row.task.name());
            goals.push(Goal::ratio(what, bound, Some(figure(&row.cost)), of_pprof(figure)));
        }
    }
    for row in rows.iter().filter(ours).filter(|row| row.pair.n_samples > GOAL_SAMPLES) {
        let each = |row: &Row| row.cost.cpu_s / row.pair.n_samples as f64;
        let at_goal = |other: &&Row| {
            other.pair.n_samples == GOAL_SAMPLES && other.pair.shape == row.pair.shape && other.task == row.task
        };
        let small = rows.iter().filter(ours).find(at_goal).map(each);
        let what = format!("{} {}: CPU a sample beside that of {GOAL_SAMPLES}", row.pair.name, row.task.name());
        goals.push(Goal::ratio(what, LINEAR, Some(each(row)), small));
    }
    goals
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::generate::Shape;
    use super::*;

    fn row(n_samples: u64, program: Program, cpu_s: f64, resident_bytes: u64) -> Row {
        let pair = Pair {
            name: format!("r {n_samples}"),
            shape: Some(Shape::Shared),
            n_samples,
            base: PathBuf::new(),
            later: PathBuf::new(),
        };
        let cost = Cost { cpu_s, wall_s: cpu_s, resident_bytes, anonymous_bytes: 0 };
        Row { pair, file_bytes: 4_000_000, task: Task::Top, program, cost, load: "1.0".to_owned() }
    }

    #[test]
    fn goals_hold_ours_against_pprof_and_against_itself() {
        let rows = [
            row(100_000, Program::Leakscope, 0.1, 30_000_000),
            row(100_000, Program::Pprof, 10.0, 300_000_000),
            row(5_000_000, Program::Leakscope, 10.0, 500_000_000),
        ];
        let shown: Vec<Vec<String>> = goals(&rows).iter().map(Goal::row).collect();
        assert_eq!(
            shown,
            [
                ["r 100000 top: CPU beside go tool pprof", "at most 0.014", "0.010", "met"],
                ["r 100000 top: resident memory beside go tool pprof", "at most 0.125", "0.100", "met"],
                ["r 5000000 top: CPU a sample beside that of 100000", "at most 1.500", "2.000", "NOT met"],
            ]
        );
        assert_eq!(rows[0].cells(&rows)[7], "1/100");
        assert_eq!(rows[1].cells(&rows)[7], "-");
    }
}
