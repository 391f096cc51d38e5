//! Jobs of the real binary over real captures.

use std::process::Command;
use std::sync::Arc;

use leakscope_model::Finding;

use super::*;

const PLENTY: Bytes = Bytes(2 << 30);
const MINUTES: Duration = Duration::from_mins(2);

/// The binary beside which this test was built; `None`, aloud, where only this crate was.
fn binary() -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("leakscope");
    let found = program.is_file();
    if !found {
        eprintln!("skipped: `{}` is not built (`cargo build -p leakscope`)", program.display());
    }
    found.then_some(program)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn order(memory_max: Bytes) -> AnalysisOrder {
    let captures = vec![CaptureId(1), CaptureId(2), CaptureId(3)];
    AnalysisOrder { analysis: 7, incident: None, captures, memory_max, deadline: leakscope_model::Timestamp::EPOCH }
}

fn files(names: &[&str]) -> Vec<(CaptureId, PathBuf)> {
    names.iter().zip(1..).map(|(name, id)| (CaptureId(id), fixture(name))).collect()
}

const SNAPSHOTS: [&str; 3] =
    ["heap/tiny-1.heapsnapshot.zst", "heap/tiny-2.heapsnapshot.zst", "heap/tiny-3.heapsnapshot.zst"];

#[tokio::test]
async fn captures_of_every_shape_become_findings() {
    let Some(program) = binary() else { return };
    let analyser = Analyser::new(program, 1);
    let cases: [(&[&str], usize); 4] = [
        (&SNAPSHOTS, 3),
        (&["heap/tiny-heap.hprof.zst"], 1),
        (&["profile/go-heap.pb.gz", "profile/go-heap.pb.gz"], 2),
        (&["profile/goroutines.txt"], 0),
    ];
    for (names, n_totals) in cases {
        let analysis = analyser.run(&order(PLENTY), &files(names), MINUTES).await.unwrap();
        assert_eq!((analysis.analysis, analysis.total_bytes.len()), (7, n_totals), "{names:?}");
    }
    let analysis = analyser.run(&order(PLENTY), &files(&SNAPSHOTS), MINUTES).await.unwrap();
    let Finding { suspect, captures, confirmations, identity, .. } = &analysis.findings[0];
    assert_eq!((captures.len(), *confirmations, identity.as_ref().map(String::len)), (3, 2, Some(16)));
    assert!(!suspect.path.is_empty() && suspect.confidence >= 0.5, "{suspect:?}");
}

#[tokio::test]
async fn a_job_that_needs_more_memory_than_it_may_have_ends_and_says_so() {
    let Some(program) = binary() else { return };
    let analyser = Analyser::new(program, 1);
    let mut said = Vec::new();
    for megabytes in [4, 8, 16, 32] {
        let answer = analyser.run(&order(Bytes(megabytes << 20)), &files(&SNAPSHOTS), MINUTES).await;
        said.push(answer.unwrap_err().to_string());
    }
    let needed =
        |megabytes: u64| format!("the analysis needed more than {megabytes} MB, which is all that it may take");
    assert_eq!(said, [4, 8, 16, 32].map(needed));
    assert!(analyser.run(&order(PLENTY), &files(&SNAPSHOTS), MINUTES).await.is_ok(), "the next job runs");
}

/// How many processes have this pipe among their arguments.
fn readers_of(pipe: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let pipe = pipe.as_os_str().as_encoded_bytes();
    lines.filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == pipe)).count()
}

async fn until_readers_are(wanted: usize, pipe: &Path) {
    for _ in 0..600 {
        if readers_of(pipe) == wanted {
            return;
        }
        // poll: the process has begun, or is gone
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("expected {wanted} readers of {}, found {}", pipe.display(), readers_of(pipe));
}

/// A pipe that nobody writes: who opens it waits.
fn pipe(folder: &Path) -> PathBuf {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

#[tokio::test]
async fn a_job_that_hangs_is_killed_at_its_deadline_and_its_place_is_free() {
    let Some(program) = binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pipe = pipe(folder.path());
    let analyser = Analyser::new(program, 1);
    let hanging = [(CaptureId(1), pipe.clone())];
    let answer = analyser.run(&order(PLENTY), &hanging, Duration::from_millis(500)).await;
    assert_eq!(answer.unwrap_err().to_string(), "the analysis was not done within 0.5 s");
    until_readers_are(0, &pipe).await;
    assert!(analyser.run(&order(PLENTY), &files(&SNAPSHOTS[..1]), MINUTES).await.is_ok());
}

#[tokio::test]
async fn who_stops_waiting_stops_the_job_and_others_wait_for_their_turn() {
    let Some(program) = binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pipe = pipe(folder.path());
    let analyser = Arc::new(Analyser::new(program, 1));
    let (hanging, waiting) = (analyser.clone(), analyser.clone());
    let file = pipe.clone();
    let first =
        tokio::spawn(async move { hanging.run(&order(PLENTY), &[(CaptureId(1), file)], MINUTES).await.map(drop) });
    until_readers_are(1, &pipe).await;
    let file = pipe.clone();
    let second = tokio::spawn(async move {
        waiting.run(&order(PLENTY), &[(CaptureId(2), file)], Duration::from_millis(300)).await.map(drop)
    });
    assert_eq!(second.await.unwrap().unwrap_err().to_string(), "the analysis was not done within 0.3 s");
    assert_eq!(readers_of(&pipe), 1, "the second never began");
    first.abort();
    until_readers_are(0, &pipe).await;
}

#[tokio::test]
async fn what_is_no_capture_is_refused_in_the_words_of_the_job() {
    let Some(program) = binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "hello").unwrap();
    let analyser = Analyser::new(program, 1);
    let error = analyser.run(&order(PLENTY), &[(CaptureId(1), text.clone())], MINUTES).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("`{}`: expected ", text.display())), "{error}");
    let missing = Analyser::new("/no/such/program".into(), 1).run(&order(PLENTY), &[], MINUTES).await;
    assert!(missing.unwrap_err().to_string().starts_with("`/no/such/program` cannot be started: "));
}

#[tokio::test]
async fn a_redacted_capture_has_the_same_suspects() {
    let Some(program) = binary() else { return };
    let folder = tempfile::tempdir().unwrap();
    let analyser = Analyser::new(program, 1);
    let mut copies = Vec::new();
    for (id, file) in files(&SNAPSHOTS) {
        let copy = folder.path().join(id.0.to_string());
        let mut output = std::fs::File::create(&copy).unwrap();
        let size = analyser.redact(&file, &mut output, PLENTY, MINUTES).await.unwrap();
        assert_eq!(size, Bytes(std::fs::metadata(&copy).unwrap().len()));
        copies.push((id, copy));
    }
    let original = analyser.run(&order(PLENTY), &files(&SNAPSHOTS), MINUTES).await.unwrap();
    let redacted = analyser.run(&order(PLENTY), &copies, MINUTES).await.unwrap();
    assert_eq!(redacted.findings, original.findings);
}
