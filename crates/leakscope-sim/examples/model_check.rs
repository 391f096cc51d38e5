//! Runs the detector over every memory model: look-alikes, leaks, the compressed demonstration. `model_check [SEEDS]`.
#![expect(clippy::print_stdout, reason = "a command for developers")]

use leakscope_sim::demo;
use leakscope_sim::rng::Rng;
use leakscope_sim::scenario::{self, Scenario};
use leakscope_sim::score::{Trial, median};

fn main() {
    let n_seeds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(8_u64);
    println!("{:30} {:>8} {:>8}  (of {n_seeds} runs)", "look-alike", "leaking", "suspect");
    for scenario in scenario::look_alikes() {
        let trials: Vec<Trial> = (0..n_seeds).map(|seed| Trial::run(scenario.series(seed))).collect();
        let leaking = trials.iter().filter(|trial| !trial.alarms.is_empty()).count();
        let suspected = trials.iter().filter(|trial| trial.suspected).count();
        println!("{:30} {leaking:>8} {suspected:>8}", scenario.name);
        if let Some(verdict) = trials.iter().find_map(|trial| trial.first.as_ref()) {
            for reason in &verdict.reasons {
                println!("    {reason}");
            }
        }
    }
    println!("\n{:30} {:>12} {:>12} {:>12}  median share of time-to-OOM (runs missed)", "leak", "2 h", "6 h", "24 h");
    let tables = [2.0, 6.0, 24.0].map(|hours| (hours, scenario::leaks(hours)));
    for place in 0..tables[0].1.len() {
        print!("{:30}", tables[0].1[place].name);
        for (hours, scenarios) in &tables {
            print!(" {:>12}", share(&scenarios[place], *hours, n_seeds));
        }
        println!();
    }
    demonstration();
}

fn share(scenario: &Scenario, hours: f64, n_seeds: u64) -> String {
    let onset_h = scenario.model.leak.map_or(0.0, |leak| leak.onset_h);
    let mut shares: Vec<f64> = (0..n_seeds)
        .filter_map(|seed| {
            let found = *Trial::run(scenario.series(seed)).alarms.first()?;
            Some((found.hours_since(scenario.begin) - onset_h) / hours)
        })
        .collect();
    let missed = n_seeds as usize - shares.len();
    format!("{:.3} ({missed})", median(&mut shares))
}

fn demonstration() {
    println!(
        "\n{:30} {:>8} {:>8} {:>8} {:>9}  (of 50 runs; samples until the alarm)",
        "demonstration", "found", "median", "worst", "healthy"
    );
    for kind in demo::Kind::ALL {
        let mut found = Vec::new();
        let mut flagged = 0;
        for seed in 0..50 {
            let leaks = 0.3 * 10.0_f64.powf(Rng::new(seed + 1_000).unit());
            let began = demo::series(kind, leaks, seed).next().map(|(at, _)| at);
            let trial = Trial::run(demo::series(kind, leaks, seed));
            if trial.alarms.first().zip(began).is_none_or(|(at, began)| at.hours_since(began) * 60.0 >= 150.0) {
                println!("  seed {seed} at {leaks:.2} MiB: score {:.2}, {:?}", trial.last.score, trial.last.signal);
                for reason in &trial.last.reasons {
                    println!("    {reason}");
                }
            }
            found.extend(trial.alarms.first().zip(began).map(|(at, began)| at.hours_since(began) * 60.0));
            flagged += u32::from(!Trial::run(demo::series(kind, 0.0, seed)).alarms.is_empty());
        }
        let middle = median(&mut found);
        let worst = found.last().copied().unwrap_or(f64::NAN);
        println!("{:30} {:>8} {middle:>8.0} {worst:>8.0} {flagged:>9}", format!("{kind:?}"), found.len());
    }
}
