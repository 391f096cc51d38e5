//! The picture: a headline, the memory with what was fitted to it, the score, a time axis, a legend.

use leakscope_model::{Signal, Unit};

use super::legend::{Legend, Swatch};
use super::scale::{self, Clock};
use super::sketch::{Column, Sketch, width_ms};
use super::style;
use super::svg::{Anchor, Path, Svg, Xy, escaped};
use super::trace::Trace;
use super::view::{Band, View};
use crate::backtest::replay::{Replayed, Span};

pub(super) const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 530.0;
/// Where the headline begins, and where what is written ends.
pub(super) const MARGIN: f64 = 24.0;
/// Where both panels begin and end; beyond are the names of the lines.
const LEFT: f64 = 80.0;
pub(super) const RIGHT: f64 = 828.0;
pub(super) const MEMORY: Panel = Panel { top: 130.0, bottom: 380.0 };
const SCORE: Panel = Panel { top: 402.0, bottom: 450.0 };
/// Baselines of the time axis' labels and of the legend.
const TIMES: f64 = 467.0;
const LEGEND: f64 = 496.0;
/// Blocks whose floors are shown, at most.
const BLOCKS_MAX: i64 = 120;
/// The least width of a shaded field.
const FIELD_MIN: f64 = 1.0;
/// Scores above lie on the upper edge.
const SCORE_MAX: f64 = 1.6;

#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Panel {
    fn height(self) -> f64 {
        self.bottom - self.top
    }

    /// Where a value lies between `low` and `high`.
    pub(super) fn y(self, value: f64, low: f64, high: f64) -> f64 {
        self.bottom - (value - low) / (high - low) * self.height()
    }
}

/// Whose picture it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) clock: Clock,
    /// How much faster the detector's clock ran than the samples'.
    pub(crate) time_scale: f64,
}

impl Subject<'_> {
    /// The picture of a replay that was traced; `None` of one that was not.
    pub(crate) fn draw(self, replayed: &Replayed) -> Option<String> {
        let trace = replayed.trace.as_ref()?;
        let view = View::of(replayed, trace, self.time_scale);
        let mut picture =
            Picture { subject: self, replayed, trace, view, svg: Svg::default(), legend: Legend::default() };
        picture.draw();
        Some(picture.svg.0)
    }
}

/// A picture on its way.
pub(super) struct Picture<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) replayed: &'a Replayed,
    pub(super) trace: &'a Trace,
    pub(super) view: View,
    pub(super) svg: Svg,
    legend: Legend,
}

impl Picture<'_> {
    fn draw(&mut self) {
        self.svg.raw(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc">"#
        ));
        let title = format!("{}: {}", self.subject.name, self.headline().join(", "));
        self.svg.raw(&format!(r#"<title id="title">{}</title>"#, escaped(&title)));
        let description = self.description();
        self.svg.raw(&format!(r#"<desc id="desc">{}</desc>"#, escaped(&description)));
        self.svg.raw(style::SHEET);
        self.svg.rect("paper", (0.0, 0.0), WIDTH, HEIGHT);
        self.draw_head();
        self.draw_axes();
        self.svg.raw(&format!(
            r#"<clipPath id="memory"><rect x="{LEFT}" y="{}" width="{}" height="{}"/></clipPath>"#,
            MEMORY.top,
            RIGHT - LEFT,
            MEMORY.height()
        ));
        self.draw_states();
        self.svg.raw(r#"<g clip-path="url(#memory)">"#);
        self.draw_memory();
        self.svg.raw("</g>");
        self.draw_names();
        self.draw_limit();
        self.draw_restarts();
        self.draw_score();
        self.draw_alarms();
        self.legend.draw(&mut self.svg, LEFT, WIDTH - MARGIN, LEGEND);
        self.svg.raw("</svg>");
    }

    fn draw_axes(&mut self) {
        let view = &self.view;
        let (low, high) = (view.low, view.high);
        let sizes = view.main.is_none_or(|signal| signal.unit() == Unit::Bytes);
        let ticks = if sizes { scale::byte_ticks(low, high, 6) } else { scale::count_ticks(low, high, 6) };
        for tick in ticks {
            let y = MEMORY.y(tick.at, low, high);
            self.svg.line("grid", (LEFT, y), (RIGHT, y));
            self.svg.text("", (LEFT - 8.0, y + 4.0), Anchor::End, &tick.label);
        }
        let zero_ms = self.zero_ms();
        let times = scale::time_ticks(self.view.from_ms, self.view.end_ms, zero_ms, self.subject.clock, 9);
        for tick in times {
            let x = self.x(tick.at);
            self.svg.line("grid", (x, MEMORY.top), (x, MEMORY.bottom));
            self.svg.line("grid", (x, SCORE.top), (x, SCORE.bottom));
            self.svg.text("", (x, TIMES), Anchor::Middle, &tick.label);
        }
        let name = match self.subject.clock {
            Clock::Unix => "UTC",
            Clock::Elapsed => "since the start",
        };
        self.svg.text("small", (WIDTH - MARGIN, TIMES), Anchor::End, name);
        self.svg.line("base", (LEFT, MEMORY.bottom), (RIGHT, MEMORY.bottom));
        self.svg.line("base", (LEFT, SCORE.bottom), (RIGHT, SCORE.bottom));
    }

    /// Fields over both panels: when it was leaking, when suspect.
    fn draw_states(&mut self) {
        let states = [(&self.trace.suspect.0, "doubt", "suspect"), (&self.replayed.alarms.0, "alarm", "leaking")];
        for (spans, class, name) in states {
            let mut fields: Vec<(f64, f64)> = Vec::new();
            for span in spans {
                let (from, to) = self.extent(span);
                match fields.last_mut() {
                    // Fields that touch are one: a flickering state costs no more than a steady one.
                    Some(last) if from <= last.1 => last.1 = last.1.max(to),
                    _ => fields.push((from, to.max(from + FIELD_MIN))),
                }
            }
            for (from, to) in &fields {
                self.svg.rect(class, (*from, MEMORY.top), to - from, MEMORY.height());
                self.svg.rect(class, (*from, SCORE.top), to - from, SCORE.height());
            }
            if !fields.is_empty() {
                self.legend.add(Swatch::Field, class, name);
            }
        }
    }

    fn extent(&self, span: &Span) -> (f64, f64) {
        let to_ms = span.to_s.map_or(self.view.to_ms, ms);
        (self.x(ms(span.from_s) as f64), self.x(to_ms as f64))
    }

    fn draw_memory(&mut self) {
        let Some(main) = self.view.main else {
            let centre = (f64::midpoint(LEFT, RIGHT), f64::midpoint(MEMORY.top, MEMORY.bottom));
            self.svg.text("", centre, Anchor::Middle, "no memory signal");
            return;
        };
        let trace = self.trace;
        for signal in self.view.others.clone() {
            if let Some(sketch) = trace.signals.get(&signal) {
                self.draw_samples(&format!("faint {}", style::class_of(signal)), sketch);
            }
        }
        let Some(sketch) = trace.signals.get(&main) else { return };
        let class = style::class_of(main);
        self.draw_samples(&format!("line {class}"), sketch);
        self.legend.add(Swatch::Line, format!("line {class}"), "samples");
        let block_ms = self.block_ms();
        let floors = self.floors(sketch, block_ms);
        self.svg.path(&format!("floors {class}"), &floors);
        let block = scale::span(block_ms / 1_000);
        self.legend.add(Swatch::Line, format!("floors {class}"), format!("their floor in every {block}"));
        if let Some(band) = self.view.band {
            self.draw_band(&band);
        }
    }

    fn draw_samples(&mut self, class: &str, sketch: &Sketch) {
        let path = self.samples(sketch, |view, value| MEMORY.y(value, view.low, view.high));
        self.svg.path(class, &path);
    }

    /// Blocks of which at most [`BLOCKS_MAX`] cover the series.
    fn block_ms(&self) -> i64 {
        let span_ms = self.view.to_ms - self.view.from_ms;
        // A minute of its clock is the shortest block that the detector knows.
        let minute_ms = 60_000.0 / self.subject.time_scale;
        let mut step = 0;
        while (width_ms(step) as f64) < minute_ms || span_ms / width_ms(step) > BLOCKS_MAX {
            step += 1;
        }
        width_ms(step)
    }

    /// Samples as a line that keeps every extreme of each pixel column and breaks where the series was silent.
    fn samples(&self, sketch: &Sketch, y: impl Fn(&View, f64) -> f64) -> Path {
        let mut by_pixel: Vec<(i64, Column)> = Vec::new();
        for column in sketch.columns() {
            let pixel = self.x(column.first.at_ms as f64).floor() as i64;
            match by_pixel.last_mut() {
                Some((last, group)) if *last == pixel => group.join(column),
                _ => by_pixel.push((pixel, *column)),
            }
        }
        let silence_ms = self.silence_ms(sketch);
        let mut path = Path::default();
        let mut before: Option<i64> = None;
        for point in by_pixel.iter().flat_map(|(_, column)| column.points()) {
            let place = (self.x(point.at_ms as f64), y(&self.view, point.value));
            if before.is_none_or(|before| point.at_ms - before > silence_ms) {
                path.move_to(place);
            }
            path.line_to(place);
            before = Some(point.at_ms);
        }
        path
    }

    /// A silence that is longer than the rhythm of the samples, and long enough to be seen.
    fn silence_ms(&self, sketch: &Sketch) -> i64 {
        let firsts: Vec<i64> = sketch.columns().map(|column| column.first.at_ms).collect();
        let mut steps: Vec<i64> = firsts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        let usual = steps.get(steps.len() / 2).copied().unwrap_or(0);
        (6 * usual).max((self.view.to_ms - self.view.from_ms) / 60)
    }

    fn floors(&self, sketch: &Sketch, block_ms: i64) -> Path {
        let mut path = Path::default();
        for floor in sketch.floors(block_ms) {
            let y = MEMORY.y(floor.value, self.view.low, self.view.high);
            let from_ms = floor.at_ms.max(self.view.from_ms);
            let to_ms = floor.at_ms.saturating_add(block_ms).min(self.view.to_ms);
            path.move_to((self.x(from_ms as f64), y));
            path.line_to((self.x(to_ms as f64), y));
        }
        path
    }

    fn draw_band(&mut self, band: &Band) {
        let (from, to, end) = (band.begins_ms(), band.ends_ms(), self.end_of_forecast(band));
        let times = [from, band.centre_ms(), to, end];
        let upper = times.iter().map(|at| self.place(*at, band.high(*at)));
        let lower = times.iter().rev().map(|at| self.place(*at, band.low(*at)));
        let corners: Vec<Xy> = upper.chain(lower).collect();
        self.svg.path("band", &Path::around(&corners));
        let (a, b, c) =
            (self.place(from, band.mid(from)), self.place(to, band.mid(to)), self.place(end, band.mid(end)));
        self.svg.line("forecast", b, c);
        self.svg.line("fit", a, b);
        self.legend.add(Swatch::Line, "fit", "fitted growth, 95 % band");
        if self.view.end_ms > self.view.to_ms {
            let x = self.x(self.view.to_ms as f64);
            self.svg.line("now", (x, MEMORY.top), (x, MEMORY.bottom));
            if RIGHT - x > 60.0 {
                self.svg.text("small", (x + 5.0, MEMORY.bottom - 6.0), Anchor::Start, "forecast");
            }
        }
    }

    /// The forecast ends where it meets the limit, or with the picture.
    fn end_of_forecast(&self, band: &Band) -> f64 {
        let end = self.view.end_ms as f64;
        let slope = band.mid(band.ends_ms() + 1.0) - band.mid(band.ends_ms());
        let meets = self.view.limit.map(|limit| band.ends_ms() + (limit - band.mid(band.ends_ms())) / slope);
        meets.filter(|at| slope > 0.0 && *at > band.ends_ms()).map_or(end, |at| at.min(end))
    }

    fn draw_limit(&mut self) {
        let limit = self.view.limit.filter(|_| self.view.shows_limit());
        let (Some(limit), Some(sketch)) = (limit, self.trace.signals.get(&Signal::Limit)) else { return };
        let mut path = Path::default();
        let mut before = None;
        for point in sketch.columns().flat_map(Column::points) {
            let (x, y) = self.place(point.at_ms as f64, point.value.min(self.view.high));
            match before {
                None => path.move_to((x, y)),
                Some(before) if before != y => {
                    path.line_to((x, before));
                    path.line_to((x, y));
                }
                Some(_) => {}
            }
            before = Some(y);
        }
        let y = MEMORY.y(limit, self.view.low, self.view.high);
        path.line_to((RIGHT, y));
        self.svg.path("limit", &path);
        if let Some([from, _, to]) = self.view.meets_ms.filter(|[from, ..]| *from < self.view.end_ms as f64) {
            self.svg.line("meets", (self.x(from), y), (self.x(to).min(RIGHT).max(self.x(from) + 3.0), y));
            self.legend.add(Swatch::Line, "meets", "when peaks meet the limit, 95 %");
        }
    }

    fn draw_restarts(&mut self) {
        let mut last = f64::NEG_INFINITY;
        for at in &self.trace.restarts_ms {
            let x = self.x(*at as f64);
            if x - last < 2.0 {
                continue;
            }
            last = x;
            self.svg.line("restart", (x, MEMORY.top), (x, SCORE.bottom));
            let corners = [(x - 4.0, MEMORY.bottom + 8.0), (x + 4.0, MEMORY.bottom + 8.0), (x, MEMORY.bottom + 1.0)];
            self.svg.path("foot", &Path::around(&corners));
        }
        if !self.trace.restarts_ms.is_empty() {
            self.legend.add(Swatch::Upright, "restart", "restart");
        }
    }

    fn draw_score(&mut self) {
        let y = |score: f64| SCORE.y(score.min(SCORE_MAX), 0.0, SCORE_MAX);
        self.svg.line("boundary", (LEFT, y(1.0)), (RIGHT, y(1.0)));
        self.svg.text("small", (LEFT - 8.0, y(1.0) + 4.0), Anchor::End, "alarm 1.0");
        self.svg.text("small", (LEFT - 8.0, y(0.0) + 2.0), Anchor::End, "score 0");
        let path = self.samples(&self.trace.score, |_, score| y(score));
        self.svg.path("score", &path);
    }

    /// Where alarms were raised and cleared, with the moments where there is room.
    fn draw_alarms(&mut self) {
        let alarms = &self.replayed.alarms.0;
        let raised: Vec<i64> = alarms.iter().map(|alarm| ms(alarm.from_s)).collect();
        let cleared: Vec<i64> = alarms.iter().filter_map(|alarm| alarm.to_s.map(ms)).collect();
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for (moments, line, text, words) in
            [(raised, "raised", "small bad", "▲ raised"), (cleared, "cleared", "small good", "▼ cleared")]
        {
            let mut last = f64::NEG_INFINITY;
            for at_ms in moments {
                let x = self.x(at_ms as f64);
                if x - last < FIELD_MIN {
                    continue;
                }
                last = x;
                self.svg.line(line, (x, MEMORY.top - 4.0), (x, SCORE.bottom));
                let words = format!("{words} {}", self.moment(at_ms));
                let wide = style::width_of(&words, 11.0) + 12.0;
                let from = x.min(WIDTH - MARGIN - wide);
                if taken.iter().all(|(left, right)| from >= *right || from + wide <= *left) {
                    taken.push((from, from + wide));
                    self.svg.text(text, (from - 4.0, MEMORY.top - 8.0), Anchor::Start, &words);
                }
            }
        }
    }

    /// A moment in the words of the series' clock.
    pub(super) fn moment(&self, at_ms: i64) -> String {
        match self.subject.clock {
            Clock::Unix => scale::whole_moment(at_ms.div_euclid(1_000)),
            Clock::Elapsed => format!("after {}", scale::span((at_ms - self.zero_ms()) / 1_000)),
        }
    }

    /// The first row's time, from which spans are counted.
    fn zero_ms(&self) -> i64 {
        self.replayed.began_s.map_or(self.view.from_ms, ms)
    }

    fn x(&self, at_ms: f64) -> f64 {
        let (from, end) = (self.view.from_ms as f64, self.view.end_ms as f64);
        LEFT + (at_ms - from) / (end - from) * (RIGHT - LEFT)
    }

    fn place(&self, at_ms: f64, value: f64) -> Xy {
        (self.x(at_ms), MEMORY.y(value, self.view.low, self.view.high))
    }
}

pub(super) fn ms(seconds: f64) -> i64 {
    leakscope_model::Timestamp::from_secs_f64(seconds).as_millis()
}
