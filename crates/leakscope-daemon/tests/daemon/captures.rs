//! Captures and reports over the API, of a store that an earlier daemon left.

use std::io::Write as _;

use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureKind, CaptureState, Cost, Incident, IncidentId, IncidentState, Kind, Phase,
    TargetId, Timestamp, Transition,
};
use leakscope_store::Store;
use leakscope_wire as wire;

use crate::client::{Answer, ask, ask_with};
use crate::house::{House, until};

const CONTENT: &[u8] = b"heap profile: 1: 2 [3: 4] @ heap/524288\n";
const EMPTY: &str = "scrape_configs: []\n";

fn capture(id: u64, state: CaptureState) -> Capture {
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    Capture {
        id: CaptureId(id),
        target: TargetId(7),
        service: "shop \"a\"".into(),
        instance: "shop-1:9100".into(),
        kind: CaptureKind::GoHeap,
        phase: Phase::Early,
        incident: Some(IncidentId(1)),
        state,
        began_at: now,
        ended_at: Some(now),
        process_started_at: None,
        predicted: Cost { size: Bytes(4_096), ..Cost::default() },
        cost: None,
        digest: None,
        redacted: false,
        note: format!("{} for a reason", state.name()),
    }
}

/// Folder of a store with an open incident, a kept capture and a refused one.
fn left() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data")).unwrap();
    store.record_capture(&Capture { ended_at: None, ..capture(1, CaptureState::Running) }).unwrap();
    let mut file = store.begin_capture_file(CaptureId(1)).unwrap();
    file.write_all(CONTENT).unwrap();
    let kept = file.finish().unwrap();
    let stored = capture(1, CaptureState::Stored);
    let cost = Some(Cost { size: kept.size, ..Cost::default() });
    store.record_capture(&Capture { digest: Some(kept.digest), cost, ..stored.clone() }).unwrap();
    store.record_capture(&capture(2, CaptureState::Refused)).unwrap();
    let opened_at = stored.began_at;
    let transition = Transition { at: opened_at, to: IncidentState::Open, cause: "the floor rose".into() };
    let incident = Incident {
        id: IncidentId(1),
        service: stored.service,
        targets: vec![TargetId(7)],
        state: IncidentState::Open,
        kind: Kind::Managed,
        score: 1.25,
        opened_at,
        transitions: vec![transition],
        captures: vec![CaptureId(1), CaptureId(2)],
        suspects: Vec::new(),
    };
    store.record(&incident).unwrap();
    folder
}

#[tokio::test]
async fn captures_are_listed_and_whoever_fetches_one_is_on_record() {
    let house = House::start_in(left(), EMPTY).await;
    let ids = |page: wire::Captures| page.captures.iter().map(|capture| capture.id).collect::<Vec<_>>();
    for (query, wanted) in [
        ("", vec![2, 1]),
        ("?state=stored", vec![1]),
        ("?service=none", vec![]),
        ("?incident=1&state=refused", vec![2]),
        ("?limit=1", vec![2]),
    ] {
        assert_eq!(ids(house.get(&format!("/api/v1/captures{query}")).await), wanted, "{query}");
    }
    let one: wire::Capture = house.get("/api/v1/captures/1").await;
    assert_eq!((one.kind.as_str(), one.state.as_str()), ("go-heap", "stored"));
    let file = house.ask("GET", "/api/v1/captures/1/file").await;
    assert_eq!((file.status, file.body.as_slice()), (200, CONTENT));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"shop__a_-1.pb.gz\""));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    let problems = [
        ("GET", "/api/v1/captures?state=lost", 400),
        ("GET", "/api/v1/captures/9", 404),
        ("GET", "/api/v1/captures/x", 404),
        ("GET", "/api/v1/captures/2/file", 410),
        ("DELETE", "/api/v1/captures/1", 409),
        ("DELETE", "/api/v1/captures/9", 404),
    ];
    for (method, path, status) in problems {
        house.ask(method, path).await.problem(status);
    }
    let folder = house.stop().await;
    let store = Store::open(&folder.path().join("data")).unwrap();
    let accesses = store.accesses(9).unwrap();
    let accesses: Vec<(u64, &str, &str)> =
        accesses.iter().map(|access| (access.capture.0, access.by.as_str(), access.why.as_str())).collect();
    assert_eq!(accesses, [(1, "somebody who may ask without a token", "downloaded over the API")]);
}

#[tokio::test]
async fn an_incident_is_told_in_every_form() {
    let house = House::start_in(left(), EMPTY).await;
    let report: wire::Report = house.get("/api/v1/incidents/1/report").await;
    assert!(report.title.starts_with("shop \"a\" leaks, managed, since "), "{}", report.title);
    assert_eq!((report.incident.captures.len(), report.verdict), (2, None));
    assert_eq!(report.moments.len(), 3, "{:?}", report.moments);
    for (format, content_type, shown) in [
        ("text", "text/plain; charset=utf-8", "What would confirm it\n  - a second go-heap of the same process"),
        ("markdown", "text/markdown; charset=utf-8", "## What would confirm it\n\n- a second go-heap"),
        ("html", "text/html; charset=utf-8", "<h2>What would confirm it</h2>\n<ul>\n<li>a second go-heap"),
    ] {
        let answer = house.ask("GET", &format!("/api/v1/incidents/1/report?format={format}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert!(answer.text().contains(shown), "{}", answer.text());
    }
    house.ask("GET", "/api/v1/incidents/1/report?format=pdf").await.problem(400);
    house.ask("GET", "/api/v1/incidents/9/report").await.problem(404);
    house.stop().await;
}

#[tokio::test]
async fn a_person_takes_note_of_an_incident_but_no_foreign_page() {
    let house = House::start_in(left(), EMPTY).await;
    let path = "/api/v1/incidents/1/acknowledge";
    ask(house.address(), "POST", path, &[("origin", "https://evil.example")]).await.problem(403);
    house.ask("POST", "/api/v1/incidents/9/acknowledge").await.problem(404);
    let answer: Answer = house.ask("POST", path).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let incident: wire::Incident = until("it is acknowledged", async || {
        let incident: wire::Incident = house.get("/api/v1/incidents/1").await;
        (incident.state == "acknowledged").then_some(incident)
    })
    .await;
    let last = incident.transitions.last().unwrap();
    assert!(last.cause.contains("somebody who may ask without a token"), "{}", last.cause);
    house.stop().await;
}

#[tokio::test]
async fn evidence_is_asked_of_known_targets_in_json_alone() {
    let house = House::start_in(left(), EMPTY).await;
    house.ask("GET", "/api/v1/targets/0000000000000007/evidence").await.problem(404);
    let post = async |body: &str, content_type: &str| {
        let length = body.len().to_string();
        let fields = [("content-type", content_type), ("content-length", length.as_str())];
        ask_with(house.address(), "POST", "/api/v1/captures", &fields, body).await
    };
    for (body, content_type, status) in [
        (r#"{"target":"0000000000000007"}"#, "text/plain", 400),
        (r#"{"target":"0000000000000007"}"#, "application/json", 404),
        (r#"{"target":"x","kind":"everything"}"#, "application/json", 400),
        (r#"{"target":"x","more":1}"#, "application/json", 400),
        ("{", "application/json", 400),
    ] {
        post(body, content_type).await.problem(status);
    }
    house.stop().await;
}
