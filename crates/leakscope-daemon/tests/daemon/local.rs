//! Processes of this host that are found without configuration.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use leakscope_wire as wire;

use super::house::{House, until};

/// A real process with a status page, gone when dropped.
struct Service {
    child: Child,
    port: u16,
}

const PROGRAM: &str = r#"
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == '/status/memory'
        body = b'{"heap_size": 4000000, "object_count": 77}' if known else b'nothing here'
        self.send_response(200 if known else 404)
        self.send_header('Content-Type', 'application/json' if known else 'text/plain')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

impl Service {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .env("OTEL_SERVICE_NAME", "ledger")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_this_host_is_found_read_in_both_ways_and_forgotten() {
    let service = Service::start();
    let house = House::start(&format!(
        "global: {{scrape_interval: 500ms}}\nlocal_discovery: {{interval: 500ms, ports: [{}]}}\n",
        service.port
    ))
    .await;
    let target = house.target_up("local").await;
    assert_eq!(target.instance, format!("127.0.0.1:{}", service.port));
    assert_eq!((target.service.as_str(), target.runtime.as_str()), ("ledger", "python"), "{target:#?}");
    let full = house.target_when("local", "read in both ways", |one| one.signals.contains_key("heap_used")).await;
    assert_eq!((full.signals["heap_used"], full.signals["objects"]), (4_000_000.0, 77.0), "of its page: {full:#?}");
    assert!(full.signals["rss"] > 1e6 && full.signals["threads"] >= 1.0, "of its process: {full:#?}");
    let services: wire::Services = house.get("/api/v1/services?name=ledger").await;
    assert_eq!(services.services.len(), 1, "one target, however it is read");

    drop(service);
    until("it is forgotten", async || house.targets("local").await.is_empty().then_some(())).await;
    house.stop().await;
}
