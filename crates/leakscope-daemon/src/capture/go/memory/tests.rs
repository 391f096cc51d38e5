//! The buckets of a real service, beside what its own pprof says of them.

use std::process::Command;

use leakscope_model::{Bytes, Runtime};

use super::super::tests::{Service, get, subject};
use super::*;
use crate::config::Capture;

/// Function by function what `go tool pprof` reads in a profile, a line each.
fn top(profile: &[u8], column: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), profile).unwrap();
    let mut pprof = Command::new("go");
    pprof.args(["tool", "pprof", "-top", "-nodefraction=0", "-lines", "-unit=b", "-symbolize=none"]);
    let output = pprof.arg(format!("-sample_index={column}")).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // The runtime marks frames that were inlined; here each is a frame like any other.
    let lines = text.lines().filter(|line| line.contains('%')).map(|line| line.trim_end_matches(" (inline)"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_buckets_in_memory_are_what_pprof_says_of_the_same_process() {
    let Some(service) = Service::go("session-map") else { return };
    for user in 0..400 {
        get(&service.address, &format!("/work?user={user}")).await;
    }
    let read = same(&service).await;
    assert!(read.contains("sessionStore"), "{read}");
}

/// Programs built with other versions of Go, as `VERSIONS` was verified: each prints `{"listening":"http://HOST:PORT"}` and serves pprof.
#[tokio::test]
async fn so_it_is_of_programs_of_other_versions_where_they_are_named() {
    let Some(programs) = std::env::var_os("LEAKSCOPE_TEST_GO_PROGRAMS") else { return };
    for program in std::env::split_paths(&programs) {
        eprintln!("{}", program.display());
        same(&Service::start(&mut Command::new(program))).await;
    }
}

/// What is read of a service, after it was found to be what its pprof says.
async fn same(service: &Service) -> String {
    let subject = subject(&service.address, Some(service.pid()), Runtime::Go, Capture::default());
    get(&service.address, "/debug/pprof/heap?gc=1").await;
    get(&service.address, "/debug/pprof/heap?gc=1").await;
    // Looking itself allocates in the service, so that one look in some hundred differs by a sample: three are enough.
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let mut file = Vec::new();
        take(&subject, &mut Output::new(&mut file, Bytes(64 << 20))).await.unwrap();
        let served = get(&service.address, "/debug/pprof/heap").await;
        pairs = ["inuse_space", "inuse_objects", "alloc_space"]
            .map(|column| (top(&file, column), top(&served, column)))
            .into();
        if pairs.iter().all(|(read, served)| read == served) {
            break;
        }
    }
    for (read, served) in &pairs {
        assert_eq!(read, served);
    }
    pairs.swap_remove(0).0
}

#[tokio::test]
async fn a_process_that_is_not_of_go_is_refused_with_the_reason() {
    let subject = subject("127.0.0.1:1", Some(std::process::id()), Runtime::Go, Capture::default());
    let mut found = Found::default();
    survey(&subject, &mut found).await;
    assert_eq!(found.lacking[0].reason, "its program has no build info of Go");
    let mut settings = Capture::default();
    settings.go.read_memory = false;
    let subject = super::super::tests::subject("127.0.0.1:1", Some(std::process::id()), Runtime::Go, settings);
    let mut found = Found::default();
    survey(&subject, &mut found).await;
    assert_eq!(found.lacking[0].remedy, "set `capture.go.read_memory: true`");
}
