//! The capture loop as it is used: a daemon, a Node.js service that leaks, and what becomes of the evidence when one of them
//! hangs, dies or has no room.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::heap::json;
use crate::living::installed;
use crate::run::{Ran, Running, Stream, command, poll, run};

/// The service's source, and the function in it that leaks.
const SOURCE: &str = "tests/cli/capturing/leaky.js";
const LEAK: &str = "keepOrders";
/// Two minutes pass between two scrapes, so that a leak is known after seconds; rounds of captures are as close as may be.
const FAST: &str = "detection: {time_scale: 1200}\ncapture: {interval: 1m, node: {open_inspector: true}}\n";
/// What the store writes down when somebody opened a capture.
const ACCESS: &[u8] = b"downloaded over the API";

/// A service that leaks, and a folder for the daemon that watches it.
struct Scene {
    folder: TempDir,
    service: Running,
    address: String,
}

impl Scene {
    /// `None`, said aloud, where Node.js is not installed.
    fn start(arguments: &[&str]) -> Option<Self> {
        if !installed("node", "--version") {
            return None;
        }
        let mut node = Command::new("node");
        // Any free port for its inspector: tests run at the same time.
        node.arg("--inspect-port=0").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE)).args(arguments);
        let service = Running::start(node.stdin(Stdio::piped()), Stream::Err);
        let address = service.said("http://");
        Some(Self { folder: tempfile::tempdir().unwrap(), service, address })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A daemon on the folder's store, with more sections in its configuration.
    fn daemon(&self, sections: &str) -> Daemon<'_> {
        let config = format!(
            "{sections}local_discovery: {{enabled: false}}\nstorage: {{path: data}}\nscrape_configs:\n- {{job_name: shop, \
             metrics_path: /status/memory, scrape_interval: 100ms, static_configs: [{{targets: ['{}'], labels: {{service: cart}}}}]}}\n",
            self.address
        );
        fs::write(self.path().join("leakscope.yaml"), config).unwrap();
        let arguments = ["serve", "--config.file", "leakscope.yaml", "--web.listen-address", "127.0.0.1:0"];
        let process = Running::start(&mut command(self.path(), &arguments), Stream::Err);
        let server = process.said("listening on ");
        Daemon { scene: self, process, server }
    }

    /// Sends the service a signal.
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.service.id().to_string()]).status();
        assert!(sent.unwrap().success(), "{signal}");
    }

    /// The letter for what the service's process does: `T` when it is stopped.
    fn process_state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.service.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }

    /// Whether a signal waits until the service goes on.
    fn is_pending(&self, number: u32) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.service.id())).unwrap();
        let set = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap().trim();
        u64::from_str_radix(set, 16).unwrap() & (1 << (number - 1)) != 0
    }

    /// How many sockets the service listens on: one, and one more while its inspector is open.
    fn n_listening(&self) -> usize {
        let folder = PathBuf::from(format!("/proc/{}", self.service.id()));
        let links = fs::read_dir(folder.join("fd")).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let own: BTreeSet<String> = links.map(|link| link.display().to_string()).collect();
        let tables = ["net/tcp", "net/tcp6"].map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
        let listens = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(3) == Some(&"0A") && own.contains(&format!("socket:[{}]", fields[9]))
        };
        tables.iter().flat_map(|table| table.lines()).filter(listens).count()
    }

    /// The files that hold evidence, with their names.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(self.path().join("data/captures")).into_iter().flatten().map(Result::unwrap);
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).collect()
    }

    /// How many of them are not whole.
    fn n_parts(&self) -> usize {
        self.files().iter().filter(|(_, path)| path.extension().is_some_and(|extension| extension == "part")).count()
    }
}

/// A daemon that watches a scene.
struct Daemon<'a> {
    scene: &'a Scene,
    process: Running,
    server: String,
}

impl Daemon<'_> {
    fn run(&self, arguments: &[&str]) -> Ran {
        run(self.scene.path(), &[arguments, &["--server", &self.server]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(self.scene.path(), &[arguments, &["--format", "json", "--server", &self.server]].concat())
    }

    /// Attempts of one kind, oldest first; of all kinds of `""`.
    fn captures(&self, kind: &str) -> Vec<Value> {
        let Value::Array(mut captures) = self.json(&["captures"])["captures"].take() else { panic!("no captures") };
        captures.reverse();
        captures.retain(|capture| kind.is_empty() || capture["kind"] == kind);
        captures
    }

    /// The first attempt of a kind that is in a state, as soon as there is one.
    fn capture(&self, kind: &str, state: &str) -> Value {
        let found = || self.captures(kind).into_iter().find(|capture| capture["state"] == state);
        poll(&format!("a {kind} that is {state}"), found)
    }

    fn incident(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        poll("an incident", || {
            self.json(&["incidents"])["incidents"].as_array().unwrap().iter().find(|one| wanted(one)).cloned()
        })
    }

    /// The service's id as a target, once the daemon has heard from it.
    fn target(&self) -> String {
        poll("the service to answer", || {
            let report = self.json(&["targets"]);
            let cart = report["targets"].as_array().unwrap().iter().find(|target| target["service"] == "cart")?;
            (cart["up"] == true).then(|| cart["id"].as_str().unwrap().to_owned())
        })
    }

    /// Whether the store says that somebody opened a capture.
    fn logged_access(&self) -> bool {
        let files = fs::read_dir(self.scene.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
        let holds = |path: PathBuf| fs::read(path).unwrap().windows(ACCESS.len()).any(|window| window == ACCESS);
        files.filter(|path| path.is_file()).any(holds)
    }
}

fn is_private(path: &Path) -> bool {
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

fn note(capture: &Value) -> &str {
    capture["note"].as_str().unwrap()
}

/// When something was, in seconds since the Unix epoch.
fn seconds(at: &Value) -> f64 {
    at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond() as f64 / 1e3
}

#[test]
fn a_service_that_leaks_is_explained_down_to_the_line_by_light_captures_alone() {
    let Some(scene) = Scene::start(&[]) else { return };
    let daemon = scene.daemon(FAST);
    let explained = daemon.incident(|incident| incident["state"] == "explained");
    let suspect = &explained["suspects"][0];
    assert_eq!(suspect["name"], LEAK, "{suspect:#}");
    let location = &suspect["location"];
    assert!(location["file"].as_str().unwrap().ends_with("leaky.js"), "{location}");
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE)).unwrap();
    let head = source.lines().position(|line| line == format!("function {LEAK}() {{")).unwrap() as u64 + 1;
    assert!(
        (head..head + 7).contains(&location["line"].as_u64().unwrap()),
        "{location}, expected the function at {head}"
    );

    let captures = daemon.captures("");
    let stored: Vec<&Value> = captures.iter().filter(|capture| capture["state"] == "stored").collect();
    assert!(stored.iter().filter(|capture| capture["kind"] == "v8-sampling").count() >= 2, "{captures:#?}");
    for capture in stored {
        let cost = &capture["cost"];
        assert!(cost["duration_s"].as_f64().unwrap() > 0.0 && cost["size_bytes"].as_u64().unwrap() > 0, "{capture:#}");
        // The service was asked all the while.
        assert!(cost["pause_s"].as_f64().unwrap() > 0.0, "{capture:#}");
    }
    let taken = |capture: &&Value| capture["state"] != "refused" && capture["kind"] == "v8-snapshot";
    assert_eq!(captures.iter().find(taken), None, "heavy evidence is off");
    let files = scene.files();
    assert!(!files.is_empty() && files.iter().all(|(_, path)| is_private(path)), "{files:?}");

    let story = daemon.run(&["incidents", &explained["id"].to_string()]);
    assert_eq!((story.exit, story.stderr.as_str()), (0, ""));
    for told in ["cart leaks", LEAK, "leaky.js", "v8-sampling", "memory began to grow", "explained: "] {
        assert!(story.stdout.contains(told), "{told}: {}", story.stdout);
    }
    assert_eq!(daemon.process.end_by("TERM"), 0);
}

#[test]
fn a_daemon_that_is_killed_during_a_capture_leaves_no_part_no_port_and_no_second_attempt_too_soon() {
    let Some(scene) = Scene::start(&["--freeze-at", "1"]) else { return };
    // Twelve hours are 36 seconds.
    let rare = "detection: {time_scale: 1200}\ncapture: {interval: 12h, node: {open_inspector: true}}\n";
    let daemon = scene.daemon(rare);
    let running = daemon.capture("v8-sampling", "running");
    poll("the service to hang", || (scene.process_state() == 'T').then_some(()));
    assert_eq!(scene.n_listening(), 2);
    assert_eq!(scene.n_parts(), 1);
    daemon.process.end_by("KILL");
    assert_eq!(scene.n_parts(), 1);

    let daemon = scene.daemon(rare);
    let failed = daemon.json(&["captures", &running["id"].to_string()])["captures"][0].clone();
    assert_eq!((&failed["state"], note(&failed)), (&"failed".into(), "leakscope ended during it"));
    assert_eq!(failed["began_at"], running["began_at"]);
    assert_eq!(scene.n_parts(), 0);

    scene.signal("CONT");
    // Nobody came back for it: the process closes it by itself.
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
    let next = daemon.capture("v8-sampling", "stored");
    let apart = seconds(&next["began_at"]) - seconds(&failed["began_at"]);
    assert!(apart >= 36.0 && daemon.captures("v8-sampling").len() == 2, "{apart} s: {:#?}", daemon.captures(""));
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
}

#[test]
fn an_inspector_that_opens_after_the_daemon_was_killed_is_closed_by_the_next() {
    let Some(scene) = Scene::start(&[]) else { return };
    let allowed = "capture: {node: {open_inspector: true}}\n";
    let daemon = scene.daemon(allowed);
    let target = daemon.target();
    scene.signal("STOP");
    let arguments = ["capture", &target, "--kind", "v8-sampling", "--yes", "--server", &daemon.server];
    let asking = Running::start(&mut command(scene.path(), &arguments), Stream::Err);
    // SIGUSR1 is 10.
    poll("the signal", || scene.is_pending(10).then_some(()));
    daemon.process.end_by("KILL");
    drop(asking);

    let daemon = scene.daemon(allowed);
    let failed = daemon.capture("v8-sampling", "failed");
    assert_eq!(note(&failed), "leakscope ended during it");
    scene.signal("CONT");
    scene.service.said("Debugger listening on ");
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
}

#[test]
fn a_service_that_hangs_during_a_capture_is_left_at_the_deadline_and_its_pause_is_told() {
    let Some(scene) = Scene::start(&["--freeze-at", "1"]) else { return };
    let daemon = scene.daemon("capture: {node: {open_inspector: true}}\n");
    let failed = daemon.run(&["capture", &daemon.target(), "--kind", "v8-sampling", "--yes"]);
    assert_eq!((failed.exit, failed.stdout.as_str()), (3, ""));
    assert!(failed.stderr.contains("was failed: not done within "), "{}", failed.stderr);
    let capture = daemon.capture("v8-sampling", "failed");
    assert!(capture["cost"]["pause_s"].as_f64().unwrap() > 20.0, "{capture:#}");
    assert_eq!(scene.n_parts(), 0);
    scene.signal("CONT");
    poll("the service to go on", || (scene.process_state() != 'T').then_some(()));
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
    assert_eq!(daemon.process.end_by("TERM"), 0);
}

#[test]
fn a_service_without_headroom_gets_no_snapshot_but_the_light_path_and_the_report_says_so() {
    let Some(scene) = Scene::start(&["--limit", "400000000"]) else { return };
    let daemon = scene.daemon(&FAST.replace("interval", "heavy: true, interval"));
    let refused = daemon.capture("v8-snapshot", "refused");
    let (told, limit) = (note(&refused), "below the limit of 381 MiB");
    assert!(told.starts_with("no room: a v8-snapshot of ") && told.ends_with(limit), "{told}");
    assert!(refused["predicted"]["memory_bytes"].as_u64().unwrap() > 200_000_000, "{refused:#}");
    daemon.capture("v8-sampling", "stored");
    let incident = daemon.incident(|incident| incident["state"] != "open");
    let story = daemon.run(&["incidents", &incident["id"].to_string()]).stdout;
    assert!(story.contains("v8-snapshot") && story.contains("refused: no room: a v8-snapshot of "), "{story}");
    assert!(daemon.captures("v8-snapshot").iter().all(|capture| capture["state"] == "refused"));
}

#[test]
fn a_dump_that_is_larger_than_it_may_be_fails_and_nothing_of_it_is_kept() {
    let Some(scene) = Scene::start(&[]) else { return };
    let daemon = scene.daemon("capture: {heavy: true, size_max: 1MB, node: {open_inspector: true}}\n");
    let target = daemon.target();
    let ask = |more: &[&str]| daemon.run(&[&["capture", &target, "--kind", "v8-snapshot", "--yes"], more].concat());
    // It is known before.
    let refused = ask(&[]);
    assert_eq!((refused.exit, refused.stdout.as_str()), (3, ""));
    assert!(refused.stderr.contains("was refused: too large: about "), "{}", refused.stderr);
    assert!(refused.stderr.contains("`capture.size_max` is 1.00 MiB"), "{}", refused.stderr);
    // Who insists finds out.
    let failed = ask(&["--force"]);
    assert_eq!((failed.exit, failed.stdout.as_str()), (3, ""));
    let told = "was failed: the evidence has more than 1048576 bytes, which is all that it may have\n";
    assert!(failed.stderr.ends_with(told), "{}", failed.stderr);
    let capture = daemon.capture("v8-snapshot", "failed");
    assert_eq!((&capture["digest"], &capture["cost"]["size_bytes"]), (&Value::Null, &0.into()));
    let kept: Vec<String> =
        daemon.captures("").iter().filter_map(|one| Some(one["digest"].as_str()?.to_owned())).collect();
    assert!(scene.files().iter().all(|(name, _)| kept.contains(name)), "{kept:?} {:?}", scene.files());
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
    assert_eq!(daemon.process.end_by("TERM"), 0);
}

#[test]
fn a_service_that_dies_during_a_capture_leaves_what_was_gathered_and_a_daemon_that_goes_on() {
    let Some(scene) = Scene::start(&["--freeze-at", "2"]) else { return };
    let daemon = scene.daemon(FAST);
    daemon.capture("v8-sampling", "stored");
    poll("the service to hang in the second capture", || (scene.process_state() == 'T').then_some(()));
    scene.signal("KILL");
    let failed = daemon.capture("v8-sampling", "failed");
    assert!(note(&failed).starts_with("the process ended during the capture"), "{failed:#}");
    let incident = daemon.incident(|_| true);
    let states: Vec<&Value> =
        incident["captures"].as_array().unwrap().iter().map(|capture| &capture["state"]).collect();
    assert!(states.contains(&&"stored".into()) && states.contains(&&"failed".into()), "{incident:#}");
    let story = daemon.run(&["incidents", &incident["id"].to_string()]).stdout;
    assert!(story.contains("failed: the process ended during the capture"), "{story}");
    poll("the service to be missed", || {
        let report = daemon.json(&["targets"]);
        report["targets"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["service"] == "cart" && one["up"] == false)
            .then_some(())
    });
    assert_eq!(daemon.process.end_by("TERM"), 0);
}

#[test]
fn evidence_is_asked_for_of_a_process_and_of_a_daemon_which_notes_who_opened_it() {
    let Some(scene) = Scene::start(&[]) else { return };
    let pid = scene.service.id().to_string();
    let profile = |name: &str| {
        let path = scene.path().join(name);
        assert!(is_private(&path), "{name}");
        assert_eq!(serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap()["head"]["id"], 1, "{name}");
    };
    let by_pid = run(scene.path(), &["capture", "--pid", &pid, "--yes", "--force", "-o", "pid.heapprofile"]);
    assert_eq!((by_pid.exit, by_pid.stdout.as_str()), (0, "pid.heapprofile\n"), "{}", by_pid.stderr);
    profile("pid.heapprofile");
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));

    let daemon = scene.daemon("capture: {node: {open_inspector: true}}\n");
    let target = daemon.target();
    let taken = daemon.run(&["capture", &target, "--yes"]);
    assert_eq!(taken.exit, 0, "{}", taken.stderr);
    let id = taken.stdout.trim();
    let capture = daemon.json(&["captures", id])["captures"][0].clone();
    assert_eq!((&capture["kind"], &capture["state"]), (&"v8-sampling".into(), &"stored".into()));
    assert_eq!((&capture["phase"], &capture["service"]), (&"asked".into(), &"cart".into()));
    let listed = daemon.run(&["captures"]);
    assert!(listed.stdout.contains("v8-sampling") && listed.stdout.contains("cart"), "{}", listed.stdout);

    assert!(!daemon.logged_access());
    let fetched = daemon.run(&["captures", id, "-o", "fetched.heapprofile"]);
    assert_eq!((fetched.exit, fetched.stdout.as_str()), (0, ""), "{}", fetched.stderr);
    assert!(daemon.logged_access());
    profile("fetched.heapprofile");
    let kept = scene.path().join("data/captures").join(capture["digest"].as_str().unwrap());
    assert!(is_private(&kept));
    assert_eq!(fs::read(scene.path().join("fetched.heapprofile")).unwrap(), fs::read(kept).unwrap());

    let second = daemon.run(&["capture", &target, "--yes", "-o", "second.heapprofile"]);
    assert_eq!(second.exit, 0, "{}", second.stderr);
    profile("second.heapprofile");
    poll("the inspector to close", || (scene.n_listening() == 1).then_some(()));
    assert_eq!(daemon.process.end_by("TERM"), 0);
}
