//! Whole reports of one incident, in every form.

use std::time::Duration;

use leakscope_model::{
    BytesPerHour, CaptureId, CaptureKind, Cost, Finding, Growth, IncidentId, IncidentState, Kind, Location, PathStep,
    Phase, State, Suspect, TargetId, Transition,
};

use super::*;

const HOSTILE: &str = "</style><script>alert(1)</script> [x](http://evil) \u{1b}[2J |`";

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

fn capture(id: u64, state: CaptureState, note: &str) -> Capture {
    Capture {
        id: CaptureId(id),
        target: TargetId(7),
        service: "shop".into(),
        instance: "shop-1:9100".into(),
        kind: CaptureKind::GoHeap,
        phase: Phase::Early,
        incident: Some(IncidentId(3)),
        state,
        began_at: at(30 + id as i64),
        ended_at: None,
        process_started_at: None,
        predicted: Cost { duration: Duration::from_secs(1), size: Bytes(4_096), ..Cost::default() },
        cost: None,
        digest: None,
        redacted: false,
        note: note.into(),
    }
}

fn finding(name: &str, confirmations: u32) -> Finding {
    Finding {
        suspect: Suspect {
            title: format!("{name} keeps 12 MiB more"),
            kind: "allocation".into(),
            name: name.into(),
            bytes: 12 << 20,
            count: 100,
            share: 0.93,
            path: vec![PathStep { edge: "carts".into(), name: name.into(), id: 4 }],
            stack: Vec::new(),
            location: Some(Location { file: "cart.go".into(), line: 42, column: None }),
            confidence: 0.9,
            reason: "it grew in every step".into(),
        },
        identity: None,
        growth_bytes: Some(12 << 20),
        growth_count: Some(100),
        grew_in_every_step: Some(true),
        captures: vec![CaptureId(1), CaptureId(2)],
        confirmations,
    }
}

fn incident(state: IncidentState, suspects: Vec<Finding>) -> Incident {
    Incident {
        id: IncidentId(3),
        service: "shop".into(),
        targets: vec![TargetId(7)],
        state,
        kind: Kind::Managed,
        score: 1.5,
        opened_at: at(30),
        transitions: vec![Transition { at: at(30), to: IncidentState::Open, cause: "the floor rose".into() }],
        captures: vec![CaptureId(1)],
        suspects,
    }
}

fn verdict() -> Verdict {
    let growth = |rate: f64| Interval { low: rate / 2.0, mid: rate, high: rate * 2.0 }.map(BytesPerHour);
    let hours = |hours| Duration::from_hours(hours);
    Verdict {
        state: State::Leaking,
        growth: Some(Growth { per_hour: growth(1_048_576.0), per_request: None }),
        time_to_limit: Some(Interval { low: hours(1), mid: hours(2), high: Duration::MAX }),
        since: Some(at(10)),
        ..Verdict::default()
    }
}

fn told<'a>(incident: &'a Incident, captures: &'a [Capture], lacking: Vec<Lacking>) -> wire::Report {
    let facts = Facts {
        incident,
        captures: captures.iter().collect(),
        verdict: Some(verdict()),
        limit: Some(Bytes(1 << 30)),
        peers: Vec::new(),
        lacking,
    };
    story(&facts, at(60))
}

#[test]
fn what_happened_stands_in_its_order_and_the_title_says_the_most() {
    let incident = incident(IncidentState::Explained, vec![finding("Cart", 2)]);
    let captures =
        [capture(1, CaptureState::Stored, "at the first suspicion"), capture(2, CaptureState::Refused, "no room")];
    let mut report = told(&incident, &captures, Vec::new());
    let sample = |minute, value| Sample { at: at(minute), value };
    let around = Around {
        requests: vec![sample(0, 0.0), sample(5, 3_000.0), sample(10, 3_000.0), sample(20, 100.0), sample(30, 6_100.0)],
        starts: vec![sample(0, 0.0), sample(10, 300.0), sample(20, 300.0)],
    };
    add_samples(&mut report, &around, at(10));
    assert_eq!(
        report.title,
        "shop leaks, managed, since 1970-01-01T00:10:00.000Z: +1.00 MiB/h, 2 h 0 min to its limit"
    );
    assert_eq!(report.load, Some(wire::Load { before_per_s: Some(10.0), since_per_s: 6_100.0 / 1_200.0 }));
    let moments: Vec<(&str, &str)> =
        report.moments.iter().map(|moment| (&moment.at[11..16], moment.text.as_str())).collect();
    assert_eq!(
        moments,
        [
            ("00:00", "the process of the worst replica started"),
            ("00:05", "the process of the worst replica started"),
            ("00:10", "memory began to grow, as far as the window shows"),
            ("00:30", "open: the floor rose"),
            ("00:31", "go-heap 1 of shop-1:9100 (early) taken: at the first suspicion"),
            ("00:32", "go-heap 2 of shop-1:9100 (early) refused: no room"),
        ]
    );
}

#[test]
fn the_next_step_is_the_one_that_is_missing() {
    let stored = || capture(1, CaptureState::Stored, "");
    let refused = || capture(2, CaptureState::Refused, "it has 20 % headroom");
    let lacking =
        Lacking { kind: CaptureKind::GoHeap, reason: "status 404".into(), remedy: "import net/http/pprof".into() };
    let target = TargetId(7).to_string();
    let cases = [
        (IncidentState::Open, vec![], vec![], vec![], vec![format!("evidence: `leakscope capture {target}` takes the lightest that the replica gives")]),
        (
            IncidentState::Open,
            vec![],
            vec![refused()],
            vec![lacking],
            vec![
                format!("evidence: `leakscope capture {target}` takes the lightest that the replica gives"),
                "go-heap of shop-1:9100, which was refused: it has 20 % headroom".into(),
                "for go-heap: import net/http/pprof (status 404)".into(),
            ],
        ),
        (
            IncidentState::Gathered,
            vec![],
            vec![stored()],
            vec![],
            vec!["a second go-heap of the same process, some minutes later under the same load: what grew in between is the leak".into()],
        ),
        (IncidentState::Explained, vec![finding("Cart", 1)], vec![stored()], vec![], vec!["1 more comparison in which Cart at cart.go:42 grows".into()]),
        (
            IncidentState::Explained,
            vec![finding("Cart", 2)],
            vec![stored(), refused()],
            vec![],
            vec!["change Cart at cart.go:42: it grew in 2 comparisons; the incident is verified once a new process stays level".into()],
        ),
        (IncidentState::Closed, vec![finding("Cart", 2)], vec![stored()], vec![], vec![]),
    ];
    for (state, suspects, captures, lacking, steps) in cases {
        assert_eq!(told(&incident(state, suspects), &captures, lacking).next_steps, steps);
    }
}

#[test]
fn no_name_leaves_the_place_where_it_stands() {
    let mut hostile = incident(IncidentState::Explained, vec![finding(HOSTILE, 1)]);
    hostile.service = HOSTILE.into();
    let report = told(&hostile, &[capture(1, CaptureState::Failed, HOSTILE)], Vec::new());
    let page = html(&report);
    assert_eq!(page.matches("<script").count(), 0);
    assert_eq!(page.matches("</style>").count(), 1);
    for foreign in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let marked = markdown(&report);
    // What is indented is code, in which nothing means anything.
    let is_safe = |line: &str| line.starts_with("    ") || !line.replace("\\<", "").contains(['<', '\u{1b}']);
    assert!(marked.lines().all(is_safe), "{marked}");
    for shown in [page, marked, text(&report)] {
        assert!(!shown.contains('\u{1b}'));
    }
}

#[test]
fn the_text_reads_from_the_verdict_to_the_next_step() {
    let incident = incident(IncidentState::Explained, vec![finding("Cart", 1)]);
    let shown = text(&told(&incident, &[capture(1, CaptureState::Stored, "first")], Vec::new()));
    let headings = ["Why we think so", "What holds the memory", "What happened", "Captures", "What would confirm it"];
    let places: Vec<Option<usize>> = headings.iter().map(|heading| shown.find(heading)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{shown}");
    assert!(shown.contains("\n  ▲ Cart keeps 12 MiB more\n  allocation Cart, cart.go:42: +12.0 MiB grown, 93 % of all growth, confidence 90 %.\n"), "{shown}");
    assert!(shown.contains("  - its limit of 1.00 GiB is met in 2 h 0 min, at the earliest in 1 h 0 min\n"), "{shown}");
}
