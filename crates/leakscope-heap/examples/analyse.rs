//! Analyses one capture and prints how long each phase took: for profiling, not for users.

use std::process::ExitCode;
use std::sync::Mutex;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: analyse CAPTURE");
        return ExitCode::from(2);
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("`{path}` cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = std::time::Instant::now();
    let last = Mutex::new(0.0);
    let tell = |phase: &dyn std::fmt::Display| {
        let now = start.elapsed().as_secs_f64();
        let before = last.lock().map_or(0.0, |mut last| std::mem::replace(&mut *last, now));
        println!("{now:8.3} s (+{:.3}) {phase}", now - before);
    };
    match leakscope_heap::analyse(&bytes, &|phase| tell(&phase)) {
        Ok(heap) => {
            tell(&"done");
            println!("{} nodes, {} edges, {} bytes", heap.n_nodes(), heap.n_edges(), heap.total_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
