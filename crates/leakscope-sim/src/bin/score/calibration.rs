//! Whether a score means what it says: bins of scores against the share that leaks, as a table and as a picture.

use std::fmt::Write as _;

use leakscope_sim::labelled::{Half, Truth};
use leakscope_sim::metrics::{Calibration, brier};

use crate::cases::Group;
use crate::run::Outcome;
use crate::table::{Table, number, percent};

/// Least scores of the bins; 1 is the alarm.
const BINS: [f64; 9] = [0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0];

/// Highest scores with their truths, of one half.
fn pairs(outcomes: &[&Outcome], half: Half) -> Vec<(f64, bool)> {
    let groups = [Group::Background, Group::Injected, Group::LookAlikes, Group::Corpus];
    let of_half = outcomes.iter().filter(|outcome| outcome.half == half && groups.contains(&outcome.row.group));
    of_half
        .filter(|outcome| outcome.truth != Truth::Unknown)
        .map(|outcome| (outcome.ours.score_max, outcome.truth != Truth::Healthy))
        .collect()
}

/// Series and leaking ones among them in each bin.
fn counts(pairs: &[(f64, bool)]) -> [(u32, u32); BINS.len()] {
    let mut counts = [(0, 0); BINS.len()];
    for (score, leaks) in pairs {
        let bin = BINS.iter().rposition(|least| score >= least).unwrap_or(0);
        counts[bin].0 += 1;
        counts[bin].1 += u32::from(*leaks);
    }
    counts
}

/// Bins with shares of both halves, then the Brier score.
pub(crate) fn table(outcomes: &[&Outcome]) -> Table {
    let halves = Half::BOTH.map(|half| pairs(outcomes, half));
    let heads = ["highest score", "series", "leaking", "share", "test: series", "leaking", "share"];
    let mut table = Table::new("score and truth: development half, then test half", &heads);
    if halves.iter().all(Vec::is_empty) {
        return table;
    }
    let counted = halves.each_ref().map(|pairs| counts(pairs));
    for bin in 0..BINS.len() {
        let mut cells = vec![match BINS.get(bin + 1) {
            Some(next) => format!("{} to {next}", BINS[bin]),
            None => format!("{} and more", BINS[bin]),
        }];
        for counts in counted {
            let (n, leaking) = counts[bin];
            cells.extend([n.to_string(), leaking.to_string(), percent(leaking, n)]);
        }
        table.push(cells);
    }
    let [development, test] = &halves;
    let (calibrated, base) = brier_scores(development, test);
    table.noted(&format!(
        "Brier score on the test half: {} with probabilities learned on the development half; {} for who always says the share of leaks.",
        number(calibrated, 3),
        number(base, 3)
    ))
}

fn brier_scores(development: &[(f64, bool)], test: &[(f64, bool)]) -> (f64, f64) {
    let calibration = Calibration::fitted(development);
    let stated: Vec<(f64, bool)> = test.iter().map(|(score, leaks)| (calibration.of(*score), *leaks)).collect();
    let share = development.iter().filter(|(_, leaks)| *leaks).count() as f64 / development.len() as f64;
    let constant: Vec<(f64, bool)> = test.iter().map(|(_, leaks)| (share, *leaks)).collect();
    (brier(&stated), brier(&constant))
}

/// Width and height of the picture, and of its margins.
const SIZE: (f64, f64) = (640.0, 360.0);
const MARGIN: (f64, f64) = (60.0, 40.0);

/// The picture: a bar for each bin of the test half with its 95 % interval, a mark for the development half.
pub(crate) fn svg(outcomes: &[&Outcome]) -> Option<String> {
    let [development, test] = Half::BOTH.map(|half| counts(&pairs(outcomes, half)));
    if test.iter().all(|(n, _)| *n == 0) {
        return None;
    }
    let (width, height) = (SIZE.0 - 2.0 * MARGIN.0, SIZE.1 - 2.0 * MARGIN.1);
    let y = |share: f64| MARGIN.1 + height * (1.0 - share);
    let step = width / BINS.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>Share of series that leak, by their highest score</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        SIZE.0, SIZE.1
    );
    for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = writeln!(
            out,
            "<path d=\"M{} {:.1}H{}\" stroke=\"#d8dce2\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#39414d\">{:.0} %</text>",
            MARGIN.0,
            y(tenth),
            SIZE.0 - MARGIN.0,
            MARGIN.0 - 8.0,
            y(tenth) + 4.0,
            100.0 * tenth
        );
    }
    for bin in 0..BINS.len() {
        let left = MARGIN.0 + step * bin as f64;
        let _ = writeln!(
            out,
            "<text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#39414d\">{}</text>",
            SIZE.1 - MARGIN.1 + 18.0,
            BINS[bin]
        );
        bar(&mut out, left, step, test[bin], y);
        mark(&mut out, left + step / 2.0, development[bin], y);
    }
    let alarm = MARGIN.0 + step * BINS.iter().position(|least| *least >= 1.0).unwrap_or(0) as f64;
    let _ = writeln!(
        out,
        "<path d=\"M{alarm:.1} {}V{}\" stroke=\"#b3261e\" stroke-dasharray=\"4 3\"/><text x=\"{:.1}\" y=\"{}\" fill=\"#b3261e\">alarm</text>",
        MARGIN.1 - 10.0,
        SIZE.1 - MARGIN.1,
        alarm + 4.0,
        MARGIN.1 - 4.0
    );
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"16\" fill=\"#39414d\">share that leaks: bars and 95 % intervals are the test half, circles the development half</text>\n</svg>",
        MARGIN.0
    );
    Some(out)
}

fn bar(out: &mut String, left: f64, step: f64, (n, leaking): (u32, u32), y: impl Fn(f64) -> f64) {
    if n == 0 {
        return;
    }
    let share = f64::from(leaking) / f64::from(n);
    let (low, high) = wilson(leaking, n);
    let middle = left + step / 2.0;
    let _ = writeln!(
        out,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#7da7d9\"/>\
         <path d=\"M{middle:.1} {:.1}V{:.1}\" stroke=\"#1d3557\" stroke-width=\"2\"/>\
         <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#39414d\" font-size=\"10\">n = {n}</text>",
        left + 4.0,
        y(share),
        step - 8.0,
        y(0.0) - y(share),
        y(low),
        y(high),
        y(0.0) + 32.0
    );
}

fn mark(out: &mut String, middle: f64, (n, leaking): (u32, u32), y: impl Fn(f64) -> f64) {
    if n > 0 {
        let share = f64::from(leaking) / f64::from(n);
        let _ = writeln!(
            out,
            "<circle cx=\"{middle:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#ffffff\" stroke=\"#b26a00\" stroke-width=\"2\"/>",
            y(share)
        );
    }
}

/// The 95 % interval of a share. Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
fn wilson(part: u32, whole: u32) -> (f64, f64) {
    let (n, z) = (f64::from(whole), 1.96);
    let share = f64::from(part) / n;
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        let (low, high) = wilson(8, 10);
        assert!((low - 0.490).abs() < 0.001 && (high - 0.943).abs() < 0.001, "{low} {high}");
        assert_eq!(wilson(0, 10).0, 0.0);
    }

    #[test]
    fn scores_fall_into_the_bin_that_they_reach() {
        let counts = counts(&[(0.1, false), (1.0, true), (0.999, true), (7.0, true)]);
        assert_eq!((counts[0], counts[4], counts[5], counts[8]), ((1, 0), (1, 1), (1, 1), (1, 1)));
    }

    #[test]
    fn who_learned_well_beats_who_says_the_share() {
        let (calibrated, base) = brier_scores(&[(0.1, false), (1.2, true)], &[(0.3, false), (1.5, true)]);
        assert_eq!((calibrated, base), (0.0, 0.25));
    }
}
