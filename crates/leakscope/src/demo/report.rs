//! How the demo ends: the published result, and the summary for people.

use std::fmt::Write;
use std::time::Duration;

use leakscope_model::{BytesPerHour, BytesPerRequest};
use serde::Serialize;

use super::runtime::DemoRuntime;
use super::watching::{Named, Seen};
use crate::output::{style, table};

/// Reasons told of a service that was judged wrong.
const REASONS_TOLD: usize = 2;

/// The published result of a demo.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    services: Vec<Row>,
    /// Runtimes that were asked for and did not run.
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    runtime: &'static str,
    expected_leaking: bool,
    leak: Option<&'static str>,
    state: String,
    score: f64,
    first_alarm_s: Option<f64>,
    growth_bytes_per_hour: Option<f64>,
    growth_bytes_per_request: Option<f64>,
    /// What holds the bytes; known once evidence is taken.
    suspect: Option<Named>,
    #[serde(skip)]
    judged_right: bool,
    /// Only for people.
    #[serde(skip)]
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    runtime: &'static str,
    reason: String,
}

impl Report {
    pub(crate) fn new(seen: &[Seen], skipped: &[(DemoRuntime, String)]) -> Self {
        let services = seen.iter().map(Row::of).collect();
        let skipped =
            skipped.iter().map(|(runtime, reason)| Skipped { runtime: runtime.name(), reason: reason.clone() });
        Self { services, skipped: skipped.collect() }
    }

    /// Whether there is a service and every one was judged right.
    pub(crate) fn all_right(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(|row| row.judged_right)
    }

    /// The closing summary: who leaks, how fast, and what was judged wrong.
    pub(crate) fn summary(&self, ran: Duration, time_scale: f64) -> String {
        let (leaking, healthy): (Vec<&Row>, Vec<&Row>) = self.services.iter().partition(|row| row.expected_leaking);
        let found = leaking.iter().filter(|row| row.judged_right).count();
        let accused = healthy.iter().filter(|row| !row.judged_right).count();
        let mut text = format!(
            "{}After {}: found {found} of {} leaks, accused {accused} of {} healthy services.{}\n",
            style::BOLD,
            table::span(ran.as_secs_f64()),
            leaking.len(),
            healthy.len(),
            style::RESET,
        );
        for row in &self.services {
            let _ = writeln!(text, "  {}", row.sentence());
            if let Some(suspect) = row.suspect.as_ref().filter(|_| row.expected_leaking) {
                let _ = writeln!(text, "      {suspect}");
            }
            let told = if row.judged_right { 0 } else { REASONS_TOLD };
            for reason in row.reasons.iter().take(told) {
                let _ = writeln!(text, "      {reason}");
            }
        }
        for Skipped { runtime, reason } in &self.skipped {
            let _ = writeln!(text, "  - {runtime} skipped: {reason}");
        }
        if time_scale > 1.0 {
            let real_s = 3_600.0 / time_scale;
            let _ =
                writeln!(text, "One second counted as {time_scale} s: what grows in an hour (/h) grew in {real_s} s.");
        }
        text
    }
}

impl Row {
    fn of(seen: &Seen) -> Self {
        Self {
            name: seen.name,
            runtime: seen.runtime.name(),
            expected_leaking: seen.leak.is_some(),
            leak: seen.leak,
            state: seen.verdict.state.clone(),
            score: seen.verdict.score,
            first_alarm_s: seen.first_alarm_s,
            growth_bytes_per_hour: seen.verdict.growth_bytes_per_hour.map(|growth| growth.mid),
            growth_bytes_per_request: seen.verdict.growth_bytes_per_request.map(|growth| growth.mid),
            suspect: seen.suspect.clone(),
            judged_right: seen.judged_right(),
            reasons: seen.verdict.reasons.clone(),
        }
    }

    fn sentence(&self) -> String {
        let (mark, color) = if self.judged_right { ("✓", style::GREEN) } else { ("✗", style::RED) };
        let mut text = format!("{color}{mark}{} {:<15} ", style::RESET, self.name);
        if let Some(leak) = self.leak {
            let _ = write!(text, "leaks ({leak}): {}", self.state.replace('_', " "));
        } else {
            let _ = write!(text, "is healthy: {}", self.state.replace('_', " "));
        }
        if let Some(growth) = self.growth_bytes_per_hour.filter(|_| self.state == "leaking") {
            let _ = write!(text, ", {}", BytesPerHour(growth));
        }
        if let Some(growth) = self.growth_bytes_per_request.filter(|_| self.state == "leaking") {
            let _ = write!(text, ", {}", BytesPerRequest(growth));
        }
        if let Some(alarm) = self.first_alarm_s {
            let _ = write!(text, ", first alarm after {alarm:.0} s");
        }
        text
    }
}
