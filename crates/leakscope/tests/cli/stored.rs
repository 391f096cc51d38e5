//! `leakscope backtest --server`: what a running daemon has stored, judged once more.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::run::{Ran, Running, Stream, command, poll, run};

/// A page whose resident set grows by 2 MiB at every scrape, until the page is shut.
struct Leaky {
    address: String,
    open: Arc<AtomicBool>,
}

impl Leaky {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let open = Arc::new(AtomicBool::new(true));
        let (still_open, scrapes) = (open.clone(), Arc::new(AtomicU64::new(0)));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (open, scrapes) = (still_open.clone(), scrapes.clone());
                thread::spawn(move || answer(connection, &open, &scrapes));
            }
        });
        Self { address, open }
    }

    fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

/// Answers request after request; a shut page answers with the end of the connection.
fn answer(mut connection: TcpStream, open: &AtomicBool, scrapes: &AtomicU64) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    while lines.by_ref().any(|line| line.is_empty()) && open.load(Ordering::SeqCst) {
        let body =
            format!("process_resident_memory_bytes {}\n", (100 << 20) + (scrapes.fetch_add(1, Ordering::SeqCst) << 21));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        // The daemon may be gone already.
        if connection.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// A daemon for which two minutes pass between two scrapes, surer than others, and its address.
fn daemon(folder: &Path, page: &str) -> (Running, String) {
    let config = format!(
        "detection: {{time_scale: 1200, false_alarms_per_1000_service_days: 0.1}}\nlocal_discovery: {{enabled: false}}\nstorage: {{path: data}}\nscrape_configs:\n- \
         {{job_name: shop, scrape_interval: 100ms, static_configs: [{{targets: ['{page}'], labels: {{service: cart}}}}]}}\n"
    );
    fs::write(folder.join("leakscope.yaml"), config).unwrap();
    let arguments = ["serve", "--config.file", "leakscope.yaml", "--web.listen-address", "127.0.0.1:0"];
    let daemon = Running::start(&mut command(folder, &arguments), Stream::Err);
    let server = daemon.said("listening on ");
    (daemon, server)
}

fn parsed(ran: &Ran) -> Value {
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn the_samples_in_the_store_give_the_verdict_that_the_daemon_gave() {
    let folder = tempfile::tempdir().unwrap();
    let page = Leaky::start();
    let (daemon, server) = daemon(folder.path(), &page.address);
    let live = |wanted: &dyn Fn(&Value) -> bool| {
        let report = parsed(&run(folder.path(), &["targets", "--format", "json", "--server", &server]));
        report["targets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|target| target["service"] == "cart" && wanted(target))
            .cloned()
    };
    let leaking = |target: &Value| target["verdict"]["state"] == "leaking";
    poll("an alarm", || live(&leaking));
    page.shut();
    let target = poll("the page to be shut", || live(&|target| target["up"] == false));
    let backtest =
        |more: &[&str]| run(folder.path(), &[&["backtest", "--format", "json", "--server", &server], more].concat());

    let report = parsed(&backtest(&["--target", "cart"]));
    let (series, verdict) = (&report["series"][0], &target["verdict"]);
    assert_eq!(report["series"].as_array().unwrap().len(), 1);
    assert_eq!(series["file"], format!("cart {}", page.address));
    for field in
        ["state", "score", "kind", "growth_bytes_per_hour", "growth_bytes_per_request", "time_to_limit_s", "reasons"]
    {
        assert_eq!(series[field], verdict[field], "{field}");
    }
    assert_eq!(series["alarms"].as_array().unwrap().len(), 1);
    assert_eq!(backtest(&["--target", "cart", "--fail-on-leak"]).exit, 1);
    for name in ["shop", &page.address, target["id"].as_str().unwrap()] {
        assert_eq!(parsed(&backtest(&["--target", name])), report, "{name}");
    }
    let all = parsed(&backtest(&["--since", "1w", "--plot", "plots"]).without_stderr());
    let files: Vec<&Value> = all["series"].as_array().unwrap().iter().map(|series| &series["file"]).collect();
    assert_eq!(files, [&json!("leakscope self"), &series["file"]]);
    let name = format!("plots/cart-{}.svg", page.address.replace(':', "-"));
    let svg = fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(svg.contains("▲ raised 20") && svg.contains(">UTC<"), "{svg}");

    // A moment before the alarm, and a moment after which little is there.
    let raised_s = series["alarms"][0]["raised_s"].as_f64().unwrap();
    let before = parsed(&backtest(&["--target", "cart", "--at", &format!("{:.3}", raised_s - 0.001)]));
    assert_ne!(before["series"][0]["state"], "leaking");
    assert_eq!(before["series"][0]["alarms"], json!([]));
    let at = parsed(&backtest(&["--target", "cart", "--at", &format!("{raised_s:.3}")]));
    assert_eq!(at["series"][0]["alarms"], json!([{ "raised_s": raised_s, "cleared_s": null }]));
    let since = parsed(&backtest(&["--target", "cart", "--since", &format!("{raised_s:.3}")]));
    assert_ne!(since["series"][0]["alarms"], series["alarms"]);
    let never = backtest(&["--target", "cart", "--at", "2001-01-01T00:00:00Z"]);
    let expected =
        format!("warning: `cart {}`: no samples are there at or before 2001-01-01T00:00:00.000Z\n", page.address);
    assert_eq!((never.exit, never.stderr), (0, expected));

    let unknown = backtest(&["--target", "card"]);
    let expected = "error: no target is called `card`\n\
                    hint: known services: cart, leakscope; an instance, a job or an id will do as well\n";
    assert_eq!(unknown, Ran::new(2, "", expected));
    assert_eq!(daemon.end_by("TERM"), 0);
}

#[test]
fn files_and_a_server_are_not_asked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        (&["backtest"] as &[&str], "the following required arguments were not provided"),
        (&["backtest", "a.csv", "--server", "http://127.0.0.1:1"], "cannot be used with"),
        (&["backtest", "a.csv", "--since", "7d"], "cannot be used with"),
        (&["backtest", "a.csv", "--target", "cart"], "cannot be used with"),
        (&["backtest", "--server", "http://127.0.0.1:1", "--since", "yesterday"], "expected a span such as `90m`"),
        (&["backtest", "--server", "a.csv/"], "cannot connect to a.csv"),
        (&["backtest", "--server", "https://a"], "TLS is not spoken here"),
    ] {
        let ran = run(folder.path(), arguments);
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
    }
    let mut bare = command(folder.path(), &["backtest", "--server"]);
    let ran: Ran = bare.env("LEAKSCOPE_SERVER", "http://127.0.0.1:1").output().unwrap().into();
    assert_eq!(ran.exit, 3);
    assert!(ran.stderr.starts_with("error: cannot connect to 127.0.0.1:1: "), "{}", ran.stderr);
}
