//! `cargo xtask bench scrape`: what a scrape costs, leakscope beside Prometheus and vmagent on the same targets.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::contender::{Contender, Page, Plan};
use super::table::{Table, load_average, machine, write_page};
use super::usage::{cpu_time, memory_bytes};
use crate::args::Args;
use crate::process::{Running, leakscope_binary, target_folder, wait_for};
use crate::sim_targets::{Mood, Simulator};
use crate::{Outcome, clock, tree};

/// From the start of a contender until every target has been scraped once.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Share of the scrapes due that must arrive; below it a row says so.
const DUE_SHARE: f64 = 0.98;

/// What one run gave.
struct Row {
    contender: Contender,
    page: Page,
    n_targets: usize,
    cpu_per_scrape: Duration,
    peak_bytes: u64,
    scrapes_per_second: f64,
    due_per_second: f64,
    load: String,
}

pub(super) fn run(mut args: Args) -> Outcome {
    let root = tree::root();
    let sizes = args.counts("--targets", &[1_000, 5_000])?;
    let interval = args.duration("--interval", Duration::from_secs(5))?;
    let window = args.duration("--for", Duration::from_mins(1))?;
    let peers = args.value("--peers")?.unwrap_or_else(|| "prometheus,vmagent".to_owned());
    let pages = pages(args.value("--pages")?.as_deref())?;
    let (write, without_leakscope) = (args.switch("--write"), args.switch("--only-peers"));
    let binary = args.value("--binary")?;
    args.finish()?;
    let mut leakscope = PathBuf::new();
    let mut contenders: Vec<Contender> =
        peers.split(',').filter(|name| !name.is_empty()).map(Contender::named).collect::<Result<_, _>>()?;
    if !without_leakscope {
        leakscope = leakscope_binary(binary)?;
        contenders.push(Contender::Leakscope);
    }
    contenders.retain(|contender| match contender.missing(&leakscope) {
        Some(reason) => {
            eprintln!("{} left out: {reason}", contender.name());
            false
        }
        None => true,
    });
    let mut rows = Vec::new();
    for n_targets in sizes {
        for page in &pages {
            for contender in contenders.iter().filter(|contender| contender.reads(*page)) {
                eprintln!("{}: {n_targets} targets, {}", contender.name(), page.describe());
                let simulator = Simulator::start(n_targets, Mood::Honest)?;
                let plan = Plan {
                    page: *page,
                    interval,
                    targets: (0..n_targets).map(|target| simulator.address_of(target)).collect(),
                    null_receiver: simulator.null_receiver(),
                    folder: target_folder(&root).join("bench-scrape").join(contender.name()),
                    leakscope: leakscope.clone(),
                };
                rows.push(measure(*contender, &plan, &simulator, window)?);
            }
        }
    }
    let table = table_of(&rows);
    let versions: Vec<String> = contenders.iter().map(|contender| contender.version(&leakscope)).collect();
    let about = format!(
        "Measured on {}.\n{}.\nEvery {} s over {} s after a warm-up of two intervals; one keep-alive connection to each target; scrapes counted by the targets; CPU is user and system time of the contender's process, memory the peak of its resident set.",
        machine(),
        versions.join(", "),
        interval.as_secs(),
        window.as_secs()
    );
    println!("{}\n{about}", table.plain());
    if write {
        let text = format!("`cargo xtask bench scrape --write`\n\n{}\n{about}\n", table.markdown());
        write_page(&root, "scrape.md", "What a scrape costs", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pages named in `small,full,json`; all of them without a word.
fn pages(names: Option<&str>) -> Result<Vec<Page>, String> {
    let page = |name| match name {
        "small" => Ok(Page::Small),
        "full" => Ok(Page::Full),
        "json" => Ok(Page::Json),
        other => Err(format!("page `{other}` not known (known pages: small, full, json)")),
    };
    names.map_or(Ok(Page::ALL.to_vec()), |names| names.split(',').map(page).collect())
}

fn measure(contender: Contender, plan: &Plan, simulator: &Simulator, window: Duration) -> Result<Row, String> {
    let n_targets = plan.targets.len();
    let mut process = contender.start(plan)?;
    wait_until_all_scraped(simulator, n_targets, &mut process)?;
    thread::sleep(plan.interval * 2);
    process.still_runs()?;
    let (started, cpu_before, before) = (clock::now(), cpu_time(process.id())?, simulator.counts()?);
    thread::sleep(window);
    process.still_runs()?;
    let (cpu_after, after, seconds) = (cpu_time(process.id())?, simulator.counts()?, started.elapsed().as_secs_f64());
    let n_scrapes = after.scrapes - before.scrapes;
    if n_scrapes == 0 {
        return Err(format!("`{}` scraped nothing; see {}", contender.name(), plan.folder.display()));
    }
    Ok(Row {
        contender,
        page: plan.page,
        n_targets,
        cpu_per_scrape: cpu_after.saturating_sub(cpu_before).div_f64(n_scrapes as f64),
        peak_bytes: memory_bytes(process.id(), "VmHWM")?,
        scrapes_per_second: n_scrapes as f64 / seconds,
        due_per_second: n_targets as f64 / plan.interval.as_secs_f64(),
        load: load_average().split(' ').next().unwrap_or_default().to_owned(),
    })
}

fn wait_until_all_scraped(simulator: &Simulator, n_targets: usize, process: &mut Running) -> Result<(), String> {
    let all_scraped = || simulator.counts().ok().filter(|counts| counts.scrapes >= n_targets as u64);
    wait_for("a scrape of every target", START_LIMIT, process, all_scraped).map(|_| ())
}

fn table_of(rows: &[Row]) -> Table {
    let heads = ["contender", "page", "targets", "µs CPU/scrape", "peak MB", "scrapes/s", "of Prometheus' CPU", "load"];
    let mut table = Table::with_heads(&heads);
    for row in rows {
        // Prometheus reads no JSON; the page nearest in content is the small one.
        let page = if row.page == Page::Json { Page::Small } else { row.page };
        let is_base = |other: &&Row| {
            other.contender == Contender::Prometheus && other.n_targets == row.n_targets && other.page == page
        };
        let base = rows.iter().find(is_base).map(|base| base.cpu_per_scrape);
        let ratio = base.map_or("-".to_owned(), |base| ratio(row.cpu_per_scrape, base));
        let late = row.scrapes_per_second < row.due_per_second * DUE_SHARE;
        let scrapes = format!("{:.0}{}", row.scrapes_per_second, if late { " (late)" } else { "" });
        table.push(vec![
            row.contender.name().to_owned(),
            row.page.describe().to_owned(),
            row.n_targets.to_string(),
            format!("{:.1}", row.cpu_per_scrape.as_secs_f64() * 1e6),
            format!("{:.1}", row.peak_bytes as f64 / 1e6),
            scrapes,
            ratio,
            row.load.clone(),
        ]);
    }
    table
}

/// `1/7.3` where it costs less than the base, `1.4` where it costs more.
fn ratio(cost: Duration, base: Duration) -> String {
    let share = cost.as_secs_f64() / base.as_secs_f64();
    if share < 0.95 { format!("1/{:.1}", 1.0 / share) } else { format!("{share:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_reads_as_a_part_of_the_base() {
        assert_eq!(ratio(Duration::from_micros(20), Duration::from_micros(140)), "1/7.0");
        assert_eq!(ratio(Duration::from_micros(150), Duration::from_micros(140)), "1.07");
    }
}
