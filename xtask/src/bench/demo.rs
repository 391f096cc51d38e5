//! `cargo xtask bench demo`: the demo several times in a row. Every leaking service must be found, and no healthy one accused, each time.

use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

use super::build_leakscope;
use super::table::{Table, machine, write_page};
use crate::args::Args;
use crate::process::target_folder;
use crate::{Outcome, tree};

/// Runs of the demo unless `--runs` says otherwise.
const RUNS: u32 = 5;

pub(super) fn run(mut args: Args) -> Outcome {
    let write = args.switch("--write");
    let runs = args
        .value("--runs")?
        .map_or(Ok(RUNS), |text| text.parse().map_err(|_| format!("`--runs {text}` is no number")))?;
    let duration = args.value("--for")?.unwrap_or_else(|| "3m".to_owned());
    args.finish()?;
    build_leakscope()?;
    let mut table = Table::with_heads(&["run", "service", "leaks", "judged", "score", "first alarm, s", "right"]);
    let mut wrong = 0;
    for run in 1..=runs {
        let report = demo(&duration)?;
        for service in report["services"].as_array().into_iter().flatten() {
            let leaks = service["expected_leaking"].as_bool() == Some(true);
            let alarmed = !service["first_alarm_s"].is_null();
            let right = leaks == alarmed && leaks == (service["state"] == "leaking");
            wrong += u32::from(!right);
            table.push(vec![
                run.to_string(),
                text(&service["name"]),
                if leaks { text(&service["leak"]) } else { "no".to_owned() },
                text(&service["state"]),
                service["score"].as_f64().map_or("-".to_owned(), |score| format!("{score:.2}")),
                service["first_alarm_s"].as_f64().map_or("-".to_owned(), |at| format!("{at:.0}")),
                if right { "yes" } else { "NO" }.to_owned(),
            ]);
        }
        eprintln!("run {run} of {runs}: {wrong} judged wrong so far");
    }
    let about = format!(
        "`cargo xtask bench demo --runs {runs} --for {duration}`: {wrong} services judged wrong. Measured on {}.",
        machine()
    );
    println!("{}\n{about}", table.plain());
    if write {
        write_page(
            &tree::root(),
            "demo.md",
            "The demo, several times in a row",
            &format!("{}\n{about}\n", table.markdown()),
        )?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

/// What one demo printed; its exit code 3 says that a service was judged wrong, which the report shows too.
fn demo(duration: &str) -> Result<Value, String> {
    let output = Command::new(target_folder(&tree::root()).join("release/leakscope"))
        .args(["demo", "--for", duration, "--format", "json", "--web.listen-address", "127.0.0.1:0"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("the demo did not start: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the demo printed no JSON: {error}"))
}
