//! What the detector costs: nanoseconds a sample and bytes of state, over hours of typical targets. `detector_cost`.
#![expect(clippy::print_stdout, reason = "a command for developers")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use leakscope_detect::Detector;
use leakscope_model::{Readings, Timestamp};
use leakscope_sim::scenario::{self, Scenario};

fn main() {
    println!("{:28} {:>9} {:>12} {:>11} {:>12}", "target", "interval", "ns a sample", "checkpoint", "ns checkpoint");
    let healthy = scenario::look_alikes();
    let leaking = scenario::leaks(24.0);
    let named = |scenarios: &[Scenario], name: &str| scenarios.iter().find(|one| one.name == name).cloned();
    let chosen = [
        named(&healthy, "steady"),
        named(&healthy, "saw-tooth, live shown"),
        named(&healthy, "diurnal and weekly, shown"),
        named(&leaking, "linear"),
        named(&leaking, "on saw-tooth, live shown"),
    ];
    for scenario in chosen.into_iter().flatten() {
        for interval in [Duration::from_secs(15), Duration::from_mins(1)] {
            measure(&Scenario { interval, hours: 20.0, ..scenario.clone() });
        }
    }
}

fn measure(scenario: &Scenario) {
    let series: Vec<(Timestamp, Readings)> = scenario.series(1).collect();
    let mut best = f64::INFINITY;
    let mut checkpoint = Vec::new();
    let mut checkpoint_ns = f64::INFINITY;
    for _ in 0..5 {
        let mut detector = Detector::default();
        let began = Instant::now();
        for (at, readings) in &series {
            detector.observe(*at, readings);
        }
        best = best.min(began.elapsed().as_nanos() as f64 / series.len() as f64);
        let began = Instant::now();
        checkpoint = detector.checkpoint();
        checkpoint_ns = checkpoint_ns.min(began.elapsed().as_nanos() as f64);
    }
    let interval = format!("{} s", scenario.interval.as_secs());
    println!("{:28} {interval:>9} {best:>12.0} {:>9} B {checkpoint_ns:>12.0}", scenario.name, checkpoint.len());
}
