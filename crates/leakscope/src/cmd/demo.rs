//! `leakscope demo`: a real fleet, one of each kind leaking; watch it be found.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::demo::{DemoRuntime, Fleet, Load, Prepared, Report, Screen, Sources, Watching, prepare_all};
use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format};
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  leakscope demo
  leakscope demo --for 5m --runtimes node,go --keep
  leakscope demo --for 3m --format json > demo.json";

/// How many seconds of the detector's clock one second counts, without `--real-time`.
const TIME_SCALE: f64 = 60.0;
/// How often the services are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Starts real services, healthy and leaking, and shows which are found to leak
///
/// Starts a healthy and a leaking service of each runtime, gives them constant load, and watches them as `serve` would,
/// in a temporary store. The page shows them too. Exits with 0 when every service was judged right, else with 3.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// How long to watch
    #[arg(long = "for", default_value = "2m", value_name = "DURATION", value_parser = parse_duration)]
    duration: Duration,

    /// Which runtimes to show: some of node, python, go, java, rust [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RUNTIME,...", default_values_t = DemoRuntime::ALL, hide_possible_values = true, hide_default_value = true)]
    runtimes: Vec<DemoRuntime>,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,

    /// Let a second count as a second; otherwise it counts as a minute for the detector
    #[arg(long)]
    real_time: bool,

    /// Bytes that a leaking service keeps of each request
    #[arg(long, default_value_t = 65_536, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    rate: u64,

    /// Requests a second to each service
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rps: u32,

    /// Where the page is served; a free port when this one is taken
    #[arg(
        long = "web.listen-address",
        default_value = "127.0.0.1:7077",
        value_name = "ADDRESS",
        env = "LEAKSCOPE_WEB_LISTEN_ADDRESS"
    )]
    listen: SocketAddr,

    /// Stay up after the time, until Ctrl-C
    #[arg(long)]
    keep: bool,

    /// Take the services' sources from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    services: Option<PathBuf>,

    /// For callers that say so: the demo never opens a browser
    #[arg(long, hide = true)]
    no_open: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration such as `90s`, `2m` or `1h30m`".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(wrong()),
        };
        total += Duration::from_secs(seconds) * number;
        rest = after;
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

impl Args {
    fn load(&self) -> Load {
        Load { rate: self.rate, rps: self.rps }
    }

    fn time_scale(&self) -> f64 {
        if self.real_time { 1.0 } else { TIME_SCALE }
    }
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut stop = Stop::new()?;
    let sources = match &args.services {
        Some(folder) => Sources::at(folder),
        None => Sources::unpacked(),
    };
    let sources = sources.map_err(|error| Failure::usage(error.to_string()))?;
    let folder = tempfile::Builder::new().prefix("leakscope-demo-").tempdir();
    let folder = folder.map_err(|error| Failure::usage(format!("no temporary folder: {error}")))?;
    let mut runtimes = args.runtimes.clone();
    runtimes.sort_unstable();
    runtimes.dedup();
    // Both die with all they have started when they are dropped at an interruption.
    let mut prepared = stop.or(prepare_all(&runtimes, &sources)).await?;
    let fleet = stop.or(start(args, &mut prepared, folder.path())).await?;
    if fleet.services.is_empty() {
        return none_started(args, &prepared);
    }
    let watched = watch(args, fleet, &prepared, folder.path(), &mut stop).await;
    folder.close().map_err(|error| Failure::usage(format!("the temporary folder stays: {error}")))?;
    watched
}

/// Starts what can be started; the rest becomes skipped.
async fn start(args: &Args, prepared: &mut Prepared, folder: &Path) -> Fleet {
    let mut fleet = Fleet::start(&prepared.programs, args.load(), folder).await;
    for (runtime, reason) in std::mem::take(&mut fleet.failed) {
        output::note(&format!("skipping {runtime}: {reason}"));
        prepared.skipped.push((runtime, reason));
    }
    fleet
}

fn none_started(args: &Args, prepared: &Prepared) -> Result<Exit, Failure> {
    if args.format == Format::Json {
        output::json(&Report::new(&[], &prepared.skipped))?;
    }
    let hint = "install one of node, python3, go or a JDK; `--runtimes` chooses among them";
    Err(Failure::inconclusive("no example service can be started").hint(hint))
}

/// Watches the fleet to the end, tells, and leaves nothing behind.
async fn watch(
    args: &Args,
    mut fleet: Fleet,
    prepared: &Prepared,
    folder: &Path,
    stop: &mut Stop,
) -> Result<Exit, Failure> {
    let watching = match Watching::start(&fleet.services, args.listen, folder, args.time_scale()).await {
        Ok(watching) => watching,
        Err(failure) => {
            fleet.stop().await;
            return Err(failure);
        }
    };
    fleet.drive(args.load());
    introduce(args, &watching, fleet.services.len());
    let (ran, interrupted) = show(args, &mut fleet, &watching, stop).await;
    let report = Report::new(&watching.look(), &prepared.skipped);
    let told = tell(args, &report, &watching, ran);
    if args.keep && !interrupted && told.is_ok() {
        output::note(&format!("still watching; the page is at {}, Ctrl-C ends", watching.url()));
        stop.wait().await;
    }
    watching.stop().await;
    fleet.stop().await;
    told?;
    if interrupted {
        return Err(Failure::inconclusive(format!("interrupted after {} s", ran.as_secs())));
    }
    Ok(if report.all_right() { Exit::Done } else { Exit::Inconclusive })
}

fn introduce(args: &Args, watching: &Watching, n_services: usize) {
    output::note(&format!("watching {n_services} services; the page is at {}", watching.url()));
    if args.real_time {
        output::note("a second counts as a second; a verdict takes its time: see `leakscope demo --help`");
    } else {
        output::note("one second counts as one minute for the detector; `--real-time` switches that off");
    }
}

/// Shows the services until the time is over: how long that was, and whether someone ended it.
async fn show(args: &Args, fleet: &mut Fleet, watching: &Watching, stop: &mut Stop) -> (Duration, bool) {
    let began = Instant::now();
    let mut screen = Screen::new(args.format);
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended: Vec<&str> = Vec::new();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.wait() => return (began.elapsed(), true),
        }
        let ran = began.elapsed().min(args.duration);
        screen.show(ran, args.duration, &watching.look());
        for name in fleet.ended() {
            if !ended.contains(&name) {
                screen.note(&format!("`{name}` has ended"));
                ended.push(name);
            }
        }
        if ran >= args.duration {
            return (ran, false);
        }
    }
}

fn tell(args: &Args, report: &Report, watching: &Watching, ran: Duration) -> Result<(), Failure> {
    match args.format {
        Format::Json => output::json(report),
        Format::Text => {
            let page = if args.keep {
                String::new()
            } else {
                format!("`leakscope demo --keep` leaves the page up ({}).\n", watching.url())
            };
            output::data(&format!("\n{}{page}", report.summary(ran, args.time_scale())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse_duration("1h1m1s"), Ok(Duration::from_secs(3_661)));
        for wrong in ["", "0s", "2", "m", "2x", "-1s", "99999999999s", "ß"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
