//! The words of a picture: headline, description, and the names of its lines.

use std::fmt::Write;
use std::time::Duration;

use leakscope_model::{Bytes, Interval, Kind};

use super::chart::{MARGIN, MEMORY, Picture, RIGHT, WIDTH, ms};
use super::scale;
use super::style;
use super::svg::Anchor;
use crate::output::table;

/// The least distance of the names of two lines.
const NAMES_GAP: f64 = 14.0;

impl Picture<'_> {
    /// State, kind, score and growth in words.
    pub(super) fn headline(&self) -> Vec<String> {
        let verdict = &self.replayed.verdict;
        let mut words = vec![table::state_words(verdict.state.name())];
        if verdict.kind != Kind::Unknown {
            words.push(verdict.kind.name().replace('_', " "));
        }
        words.push(format!("score {:.2}", verdict.score));
        if let Some(growth) = verdict.growth {
            words.push(growth.per_hour.mid.to_string());
            words.extend(growth.per_request.map(|growth| growth.mid.to_string()));
        }
        words.extend(verdict.time_to_limit.map(|left| format!("limit in {}", span(left.mid))));
        words
    }

    /// The intervals of growth and limit; empty when nothing grows.
    fn intervals(&self) -> String {
        let verdict = &self.replayed.verdict;
        let mut words = Vec::new();
        if let Some(growth) = verdict.growth {
            let Interval { low, high, .. } = growth.per_hour;
            words.push(if high.0.is_finite() { format!("{low} to {high}") } else { format!("{low} or more") });
            let per_request = growth.per_request.filter(|growth| growth.high.0.is_finite());
            words.extend(per_request.map(|growth| format!("{} to {}", growth.low, growth.high)));
        }
        words.extend(verdict.time_to_limit.map(|left| match left.high {
            Duration::MAX => format!("limit in {} or more", span(left.low)),
            high => format!("limit in {} to {}", span(left.low), span(high)),
        }));
        if words.is_empty() { String::new() } else { format!("95 %:  {}", words.join("  ·  ")) }
    }

    /// What a reader who does not see it is told.
    pub(super) fn description(&self) -> String {
        let mut words = String::new();
        if let Some(signal) = self.view.main {
            let (from, to) = (self.moment(self.view.from_ms), self.moment(self.view.to_ms));
            let _ = write!(words, "{} samples of {} from {from} to {to}. ", self.trace.n_rows, signal.name());
        }
        for alarm in &self.replayed.alarms.0 {
            let _ = write!(words, "Leaking from {}", self.moment(ms(alarm.from_s)));
            let _ = match alarm.to_s {
                Some(to_s) => write!(words, " to {}. ", self.moment(ms(to_s))),
                None => write!(words, " on. "),
            };
        }
        if !self.trace.restarts_ms.is_empty() {
            let _ = write!(words, "Restarts: {}. ", self.trace.restarts_ms.len());
        }
        let reasons: Vec<String> = self.replayed.verdict.reasons.iter().map(ToString::to_string).collect();
        words + &reasons.join("; ")
    }

    pub(super) fn draw_head(&mut self) {
        let width = WIDTH - 2.0 * MARGIN;
        let name = style::cut_front(self.subject.name, 17.0, width);
        self.svg.text("name", (MARGIN, 34.0), Anchor::Start, &name);
        let mut words = self.headline();
        let badge = words.remove(0);
        let (ground, text) = style::state_classes(self.replayed.verdict.state);
        let wide = style::width_of(&badge, 13.0) + 20.0;
        self.svg.raw(&format!(r#"<rect class="{ground}" x="{MARGIN}" y="45" width="{wide:.0}" height="22" rx="11"/>"#));
        self.svg.text(&text, (MARGIN + wide / 2.0, 60.5), Anchor::Middle, &badge);
        let says = style::cut(&words.join("  ·  "), 13.0, width - wide - 12.0);
        self.svg.text("says", (MARGIN + wide + 12.0, 60.5), Anchor::Start, &says);
        let why = self.replayed.verdict.reasons.iter().map(ToString::to_string);
        let lines = Some(self.intervals()).filter(|line| !line.is_empty()).into_iter().chain(why);
        for (line, y) in lines.take(2).zip([86.0, 103.0]) {
            self.svg.text("", (MARGIN, y), Anchor::Start, &style::cut(&line, 12.0, width));
        }
    }

    /// The names of the lines, each where its line ends.
    pub(super) fn draw_names(&mut self) {
        let trace = self.trace;
        let y = |value| MEMORY.y(value, self.view.low, self.view.high).clamp(MEMORY.top, MEMORY.bottom) + 4.0;
        let mut names: Vec<(f64, String, &str, String)> = Vec::new();
        for signal in self.view.main.iter().chain(&self.view.others) {
            let Some(last) = trace.signals.get(signal).and_then(|sketch| sketch.columns().last()) else { continue };
            let text = if Some(*signal) == self.view.main { "strong" } else { "" };
            names.push((
                y(last.last.value),
                format!("line {}", style::class_of(*signal)),
                text,
                signal.name().to_owned(),
            ));
        }
        if let Some(limit) = self.view.limit {
            let above = if self.view.shows_limit() { "" } else { " ↑" };
            names.push((y(limit), "limit".to_owned(), "strong", format!("limit {}{above}", Bytes(limit as u64))));
        }
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Down the list no name comes too near to the one above; then up again, so that none lies below the panel.
        for place in 1..names.len() {
            names[place].0 = names[place].0.max(names[place - 1].0 + NAMES_GAP);
        }
        let mut below = MEMORY.bottom + NAMES_GAP;
        for (y, ..) in names.iter_mut().rev() {
            *y = y.min(below - NAMES_GAP);
            below = *y;
        }
        for (y, line, text, name) in names {
            self.svg.line(&line, (RIGHT + 5.0, y - 4.0), (RIGHT + 15.0, y - 4.0));
            self.svg.text(text, (RIGHT + 20.0, y), Anchor::Start, &name);
        }
    }
}

/// A duration in its two largest units, to the minute.
fn span(duration: Duration) -> String {
    scale::span((duration.as_secs().min(1 << 50) as i64 + 30) / 60 * 60)
}
