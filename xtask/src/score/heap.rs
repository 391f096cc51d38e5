//! `cargo xtask score heap`: whether the heap analysis names the leak. Every kind of leak of the Node and the Java service, three
//! captures each under traffic, and `leakscope diff` of the three.

mod capture;
mod case;
mod verdict;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use self::case::{CASES, Case, Runtime};
use self::verdict::Verdict;
use crate::args::Args;
use crate::bench::table::{Table, machine, write_page};
use crate::process::{leakscope_binary, target_folder};
use crate::score::answer;
use crate::{Outcome, tree};

pub(crate) fn run(mut args: Args) -> Outcome {
    let root = tree::root();
    let (write, reuse, captures_only) =
        (args.switch("--write"), args.switch("--reuse"), args.switch("--captures-only"));
    let only = args.value("--only")?.unwrap_or_default();
    let runtimes = runtimes(args.value("--runtimes")?)?;
    let as_json = answer::as_json(args.value("--format")?.as_deref())?;
    let binary = args.value("--binary")?;
    let rate_bytes = args.counts("--rate", &[])?.first().copied().unwrap_or(capture::RATE_BYTES);
    args.finish()?;
    let wanted = |case: &&Case| runtimes.contains(&case.runtime) && case.name().contains(&only);
    let cases: Vec<Case> = CASES.iter().filter(wanted).copied().collect();
    if cases.is_empty() {
        let names: Vec<String> = CASES.iter().map(Case::name).collect();
        return Err(format!("expected a case that contains `{only}`, found none (cases: {})", names.join(", ")));
    }
    let name = if rate_bytes == capture::RATE_BYTES { String::new() } else { format!("-{rate_bytes}") };
    let folder = target_folder(&root).join(format!("score-heap{name}"));
    take_captures(&root, &folder, &cases, reuse, rate_bytes)?;
    if captures_only {
        println!("{}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let binary = leakscope_binary(binary)?;
    let source = std::fs::read_to_string(root.join("services/node/server.js"))
        .map_err(|error| format!("the Node service is not readable: {error}"))?;
    let verdicts: Vec<Verdict> = cases.iter().map(|case| judged(&binary, &folder, *case, &source)).collect();
    let n_right = verdicts.iter().filter(|verdict| verdict.right()).count();
    if as_json {
        let rows: Vec<Value> = verdicts.iter().map(Verdict::json).collect();
        println!("{}", json!({"right": n_right, "cases": rows.len(), "rows": rows}));
    } else {
        report(&verdicts, n_right, rate_bytes, write)?;
    }
    Ok(if n_right == verdicts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runtimes(given: Option<String>) -> Result<Vec<Runtime>, String> {
    let Some(text) = given else { return Ok(Runtime::ALL.to_vec()) };
    let named = |name: &str| {
        let found = Runtime::ALL.into_iter().find(|runtime| runtime.name() == name);
        found.ok_or_else(|| format!("runtime `{name}` not known (known runtimes: node, java)"))
    };
    text.split(',').map(named).collect()
}

/// Takes the captures that are wanted: all of them, or with `reuse` those that are not there.
fn take_captures(root: &Path, folder: &Path, cases: &[Case], reuse: bool, rate_bytes: usize) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("`{}` not creatable: {error}", folder.display()))?;
    let there = |case: &Case| capture::paths(folder, case).iter().all(|path| path.is_file());
    let missing: Vec<&Case> = cases.iter().filter(|case| !reuse || !there(case)).collect();
    if missing.iter().any(|case| case.runtime == Runtime::Java) {
        capture::build(root, folder)?;
    }
    for (index, case) in missing.iter().enumerate() {
        eprintln!("captures of {} ({} of {})", case.name(), index + 1, missing.len());
        capture::take(root, folder, case, rate_bytes).map_err(|reason| format!("{}: {reason}", case.name()))?;
    }
    Ok(())
}

fn judged(binary: &Path, folder: &Path, case: Case, source: &str) -> Verdict {
    let paths = capture::paths(folder, &case);
    match answer::diff(binary, &paths) {
        Ok(answer) => Verdict::of(case, &answer, &case.lines_in(source)),
        Err(reason) => Verdict::failed(case, reason),
    }
}

fn report(verdicts: &[Verdict], n_right: usize, rate_bytes: usize, write: bool) -> Result<(), String> {
    let mut table = Table::with_heads(&Verdict::HEADS);
    for verdict in verdicts {
        table.push(verdict.row());
    }
    let about = format!(
        "{n_right} of {} right. Each service serves three clients; a capture after 300, 900 and 1,500 requests that leak {rate_bytes} bytes each; of a healthy service no suspect may have more than 5 % of the growth. Measured on {}.",
        verdicts.len(),
        machine()
    );
    println!("{}\n{about}", table.plain());
    if write {
        let text = format!("`cargo xtask score heap --write`\n\n{}\n{about}\n", table.markdown());
        write_page(&tree::root(), "heap-answers.md", "Whether the heap analysis names the leak", &text)?;
    }
    Ok(())
}
