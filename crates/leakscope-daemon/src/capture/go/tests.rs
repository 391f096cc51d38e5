//! A real service of Go, and small servers that answer as unusual ones do.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use leakscope_model::{Bytes, TargetId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::capture::HttpAccess;
use crate::config::{Capture, HttpClient, Scheme};

/// A service that runs until it is dropped.
pub(in super::super) struct Service {
    child: Child,
    pub(in super::super) address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    pub(in super::super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts a program that prints one line of JSON once it listens.
    pub(in super::super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self { child, address }
    }

    /// The example service; none, and said aloud, where Go is missing.
    pub(in super::super) fn go(leak: &str) -> Option<Self> {
        let program = example()?;
        Some(Self::start(Command::new(program).args(["--exit-with-stdin", "--rate", "262144", "--leak", leak])))
    }
}

/// The example service, built once.
pub(in super::super) fn example() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/go");
        let program = std::env::current_exe().unwrap().with_file_name("go-service-of-tests");
        let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(source).status();
        let Ok(status) = built else {
            eprintln!("skipped: `go` is not installed");
            return None;
        };
        assert!(status.success(), "go build: {status}");
        Some(program)
    };
    BUILT.get_or_init(build).as_deref()
}

pub(in super::super) fn subject(address: &str, pid: Option<u32>, runtime: Runtime, settings: Capture) -> Subject {
    let http = HttpAccess::new(Scheme::Http, address, &HttpClient::default(), None).unwrap();
    Subject {
        target: TargetId(1),
        instance: address.to_owned(),
        runtime,
        pid,
        http: Some(http),
        settings: Arc::new(settings),
    }
}

pub(in super::super) async fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    answer.split_off(body)
}

/// A server that answers every request so.
pub(in super::super) async fn answering(answer: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let n = stream.read(&mut request).await.unwrap_or(0);
            let path = String::from_utf8_lossy(&request[..n]).split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = stream.write_all(answer(&path).as_bytes()).await;
        }
    });
    address
}

fn kinds(found: &Found) -> (Vec<CaptureKind>, Vec<CaptureKind>) {
    (found.means.iter().map(|means| means.kind).collect(), found.lacking.iter().map(|lacking| lacking.kind).collect())
}

async fn taken(subject: &Subject, kind: CaptureKind) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let mut output = Output::new(&mut file, Bytes(64 << 20));
    take(subject, kind, &mut output).await.map(|_| ()).map_err(|error| error.to_string())?;
    Ok(file)
}

#[tokio::test]
async fn a_service_with_pprof_gives_what_its_index_lists() {
    let Some(service) = Service::go("none") else { return };
    let subject = subject(&service.address, None, Runtime::Unknown, Capture::default());
    let found = survey(&subject).await;
    assert!(found.tasks.is_some_and(|n| (1..1_000).contains(&n)), "{found:?}");
    let (given, _) = kinds(&found);
    for kind in [CaptureKind::GoHeap, CaptureKind::Goroutines, CaptureKind::GoroutineDump] {
        assert!(given.contains(&kind), "{kind:?}: {found:?}");
        let bytes = taken(&subject, kind).await.unwrap();
        let start: &[u8] = if kind == CaptureKind::GoroutineDump { b"goroutine " } else { &[0x1f, 0x8b] };
        assert!(bytes.starts_with(start), "{kind:?}");
    }
    let proves = given.contains(&CaptureKind::GoroutineLeaks);
    assert_eq!(taken(&subject, CaptureKind::GoroutineLeaks).await.is_ok(), proves);
}

#[tokio::test]
async fn what_is_not_served_there_is_lacking_with_its_remedy() {
    let settings = || {
        let mut settings = Capture::default();
        settings.go.path = "/profiles/".into();
        settings
    };
    let cases: [(fn(&str) -> String, &str, &str); 3] = [
        (
            |_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            "/profiles/` answers 404 Not Found, and is no index of profiles",
            "import `net/http/pprof` and serve it at `/profiles/`, or say where it is served in `capture.go.path`",
        ),
        (
            |_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            "/profiles/` answers 401 Unauthorized: the job's credentials are refused there",
            "give the job an `authorization` or `basic_auth` that the server accepts at that path",
        ),
        (
            |_| "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin".into(),
            "/profiles/` answers 200 OK, and is no index of profiles",
            "import `net/http/pprof` and serve it at `/profiles/`, or say where it is served in `capture.go.path`",
        ),
    ];
    for (answer, reason, remedy) in cases {
        let address = answering(answer).await;
        let found = survey(&subject(&address, None, Runtime::Go, settings())).await;
        let heap = found.lacking.iter().find(|lacking| lacking.kind == CaptureKind::GoHeap).unwrap();
        assert_eq!((heap.reason.as_str(), heap.remedy.as_str()), (&*format!("`http://{address}{reason}"), remedy));
        assert!(found.means.is_empty());
        assert!(survey(&subject(&address, None, Runtime::Unknown, settings())).await.lacking.is_empty());
        let error = taken(&subject(&address, None, Runtime::Go, settings()), CaptureKind::GoHeap).await.unwrap_err();
        assert!(error.starts_with("expected "), "{error}");
    }
}

#[tokio::test]
async fn ten_thousand_goroutines_are_not_dumped() {
    let index = |path: &str| {
        let page = if path.contains("debug=1") {
            "goroutine profile: total 10000\n"
        } else {
            "<tr><td>10000</td><td><a href='goroutine?debug=1'>goroutine</a></td></tr>\n<tr><td>9</td><td><a href='heap?debug=1'>heap</a></td></tr>\n"
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len())
    };
    let address = answering(index).await;
    let subject = subject(&address, None, Runtime::Go, Capture::default());
    let found = survey(&subject).await;
    let (given, lacking) = kinds(&found);
    assert_eq!((given, found.tasks), (vec![CaptureKind::GoHeap, CaptureKind::Goroutines], Some(10_000)));
    assert!(lacking.contains(&CaptureKind::GoroutineDump) && lacking.contains(&CaptureKind::GoroutineLeaks));
    let error = taken(&subject, CaptureKind::GoroutineDump).await.unwrap_err();
    assert!(error.starts_with("it has 10000 goroutines, and a dump of 10000 or more stops it for long"), "{error}");
}
