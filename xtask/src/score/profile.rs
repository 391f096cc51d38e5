//! `cargo xtask score profile`: whether the analysis of profiles names the leak. Every kind of leak of every example service, three
//! profiles of each kind that it gives, taken under traffic, and `leakscope diff` of the three.

pub(super) mod capture;
pub(super) mod case;
pub(super) mod evidence;
pub(super) mod verdict;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use self::case::{CASES, Case};
use self::evidence::{Evidence, Runtime};
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
    let as_json = answer::as_json(args.value("--format")?.as_deref())?;
    let binary = args.value("--binary")?;
    args.finish()?;
    let cases: Vec<Case> = CASES.iter().filter(|case| case.name().contains(&only)).copied().collect();
    if cases.is_empty() {
        let names: Vec<String> = CASES.iter().map(Case::name).collect();
        return Err(format!("expected a case that contains `{only}`, found none (cases: {})", names.join(", ")));
    }
    let folder = target_folder(&root).join("score-profile");
    take_captures(&root, &folder, &cases, reuse)?;
    if captures_only {
        println!("{}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let binary = leakscope_binary(binary)?;
    let mut verdicts = Vec::new();
    for case in &cases {
        let source = root.join(case.runtime.source());
        let source = std::fs::read_to_string(&source)
            .map_err(|error| format!("`{}` not readable: {error}", source.display()))?;
        verdicts.extend(case.evidence().map(|evidence| judged(&binary, &folder, *case, evidence, &source)));
    }
    let n_right = verdicts.iter().filter(|verdict| verdict.right()).count();
    if as_json {
        let rows: Vec<Value> = verdicts.iter().map(Verdict::json).collect();
        println!("{}", json!({"right": n_right, "cases": rows.len(), "rows": rows}));
    } else {
        report(&verdicts, n_right, write)?;
    }
    Ok(if n_right == verdicts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes the captures that are wanted: all of them, or with `reuse` those that are not there.
fn take_captures(root: &Path, folder: &Path, cases: &[Case], reuse: bool) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("`{}` not creatable: {error}", folder.display()))?;
    let there = |case: &Case| {
        case.evidence().all(|evidence| capture::paths(folder, case, evidence).iter().all(|path| path.is_file()))
    };
    let missing: Vec<&Case> = cases.iter().filter(|case| !reuse || !there(case)).collect();
    for runtime in Runtime::ALL {
        if missing.iter().any(|case| case.runtime == runtime) {
            capture::build(root, folder, runtime)?;
        }
    }
    for (index, case) in missing.iter().enumerate() {
        eprintln!("captures of {} ({} of {})", case.name(), index + 1, missing.len());
        capture::take(root, folder, case).map_err(|reason| format!("{}: {reason}", case.name()))?;
    }
    Ok(())
}

fn judged(binary: &Path, folder: &Path, case: Case, evidence: Evidence, source: &str) -> Verdict {
    let paths = capture::paths(folder, &case, evidence);
    let n_bytes = paths.last().and_then(|path| path.metadata().ok()).map_or(0, |file| file.len());
    match answer::diff(binary, &paths) {
        Ok(answer) => Verdict::of(case, evidence, n_bytes, &answer, &case.bodies_in(source)),
        Err(reason) => Verdict::failed(case, evidence, n_bytes, reason),
    }
}

fn report(verdicts: &[Verdict], n_right: usize, write: bool) -> Result<(), String> {
    let mut table = Table::with_heads(&Verdict::HEADS);
    for verdict in verdicts {
        table.push(verdict.row());
    }
    let notes: Vec<String> = verdicts.iter().filter_map(Verdict::note).collect();
    let about = format!(
        "{n_right} of {} right. Each service serves three clients; a profile after 300, 900 and 1,500 requests that leak {} bytes each. Right is a first suspect that names the owner and grew in every step, with a location within the owner's body in the source where the format knows lines; of a healthy service, no suspect with a confidence of {} or more. `file` is the size of the third profile. Measured on {}.",
        verdicts.len(),
        capture::RATE_BYTES,
        verdict::CONFIDENCE_MIN,
        machine()
    );
    println!("{}\n{}\n{about}", table.plain(), notes.join("\n"));
    if write {
        let notes: Vec<String> = notes.iter().map(|note| format!("- {note}")).collect();
        let text = format!(
            "`cargo xtask score profile --write`\n\n{}\nWhat a format cannot know, and every suspect of a healthy service:\n\n{}\n\n{about}\n",
            table.markdown(),
            notes.join("\n")
        );
        write_page(&tree::root(), "profile-answers.md", "Whether the analysis of profiles names the leak", &text)?;
    }
    Ok(())
}
