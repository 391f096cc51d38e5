//! What the demo shows while it runs: one table redrawn in place on a terminal, plain lines on changes elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::Cell;
use leakscope_model::{Bytes, State};

use super::watching::{Named, Seen};
use crate::output::{self, Format, style, table};

/// Cells of the bar that a score of 1.0 fills.
const BAR: usize = 10;

/// Where and how progress is shown.
#[derive(Debug)]
pub(crate) enum Screen {
    /// Redrawn on standard output.
    Live {
        /// Lines of the last drawing.
        drawn: usize,
    },
    /// A line on each change of a state.
    Lines {
        /// On standard error, since standard output is for the result.
        on_stderr: bool,
        /// The last states, and what was said to hold the bytes, in the order of the services.
        known: Vec<(State, Option<Named>)>,
    },
}

impl Screen {
    pub(crate) fn new(format: Format) -> Self {
        if format == Format::Text && io::stdout().is_terminal() {
            control("\x1b[?25l");
            return Self::Live { drawn: 0 };
        }
        Self::Lines { on_stderr: format == Format::Json, known: Vec::new() }
    }

    /// Shows how things are `after` the start.
    pub(crate) fn show(&mut self, after: Duration, of: Duration, seen: &[Seen]) {
        match self {
            Self::Live { drawn } => {
                let text = drawing(after, of, seen);
                if *drawn > 0 {
                    control(&format!("\x1b[{drawn}A\x1b[J"));
                }
                *drawn = text.lines().count();
                // A screen that is gone needs no drawing.
                let _ = output::data(&text);
            }
            Self::Lines { on_stderr, known } => {
                known.resize(seen.len(), (State::TooEarly, None));
                for ((state, named), seen) in known.iter_mut().zip(seen) {
                    if *state != seen.state {
                        line(*on_stderr, &change(after, *state, seen));
                        *state = seen.state;
                    }
                    if let Some(suspect) = seen.suspect.as_ref().filter(|suspect| named.as_ref() != Some(*suspect)) {
                        line(*on_stderr, &format!("{:>4} s  {:<15} {suspect}", after.as_secs(), seen.name));
                        *named = Some(suspect.clone());
                    }
                }
            }
        }
    }

    /// Tells something that stays.
    pub(crate) fn note(&mut self, text: &str) {
        match self {
            Self::Live { drawn } => {
                // The next drawing begins below.
                *drawn = 0;
                let _ = output::data(&format!("{text}\n"));
            }
            Self::Lines { on_stderr, .. } => line(*on_stderr, text),
        }
    }
}

/// The cursor comes back, whatever ends the demo.
impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Live { .. } = self {
            control("\x1b[?25h");
        }
    }
}

/// Moves the cursor of the terminal on standard output. Not through the stream that strips colours: movement is no colour.
fn control(sequence: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
}

fn line(on_stderr: bool, text: &str) {
    if on_stderr {
        output::note(text);
    } else {
        let _ = output::data(&format!("{text}\n"));
    }
}

fn change(after: Duration, from: State, seen: &Seen) -> String {
    format!(
        "{:>4} s  {:<15} {} -> {}  score {:.2}",
        after.as_secs(),
        seen.name,
        from.name().replace('_', " "),
        table::state_words(seen.state.name()),
        seen.verdict.score
    )
}

fn drawing(after: Duration, of: Duration, seen: &[Seen]) -> String {
    let mut rows =
        table::new(&["SERVICE", "RUNTIME", "VERDICT", "SCORE", "MEMORY", "GROWTH", "PER REQUEST", "FIRST ALARM"], 4);
    for seen in seen {
        let alarm = seen.first_alarm_s.map_or_else(|| table::NONE.to_owned(), |alarm| format!("{alarm:.0} s"));
        rows.add_row([
            Cell::new(seen.name),
            Cell::new(seen.runtime),
            table::state(seen.state.name()),
            Cell::new(bar(seen.verdict.score)),
            Cell::new(memory(seen.memory)),
            Cell::new(table::per_hour(seen.verdict.growth_bytes_per_hour)),
            Cell::new(table::per_request(seen.verdict.growth_bytes_per_request)),
            Cell::new(alarm),
        ]);
    }
    let (dim, reset) = (style::DIM, style::RESET);
    let named: String = seen
        .iter()
        .filter_map(|seen| seen.suspect.as_ref().map(|suspect| format!("  {:<15} {suspect}\n", seen.name)))
        .collect();
    format!(
        "{}{named}{dim}{} of {}{reset}\n",
        table::render(&rows),
        table::span(after.as_secs_f64()),
        table::span(of.as_secs_f64())
    )
}

fn memory(bytes: Option<f64>) -> String {
    bytes.map_or_else(|| table::NONE.to_owned(), |bytes| Bytes(bytes as u64).to_string())
}

/// A bar that is full at the alarm boundary, and the number.
fn bar(score: f64) -> String {
    let n_full = (score.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{} {score:.2}", "█".repeat(n_full), "░".repeat(BAR - n_full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_at_the_alarm_boundary() {
        assert_eq!(bar(0.0), "░░░░░░░░░░ 0.00");
        assert_eq!(bar(0.44), "████░░░░░░ 0.44");
        assert_eq!(bar(1.0), "██████████ 1.00");
        assert_eq!(bar(7.25), "██████████ 7.25");
    }
}
