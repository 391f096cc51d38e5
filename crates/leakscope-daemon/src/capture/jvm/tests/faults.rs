//! JVMs that cannot be spoken with, end, stop, or write more than they may.

use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;

use leakscope_model::{Bytes, CaptureKind};
use rustix::process::Signal;

use super::super::super::CaptureError;
use super::super::survey;
use super::shop::{Shop, folders, taken, until};
use super::{MIB, holds, kinds, lacking};

#[tokio::test]
async fn the_socket_of_a_jvm_that_died_is_not_taken_for_it() {
    let Some(mut shop) = Shop::open(&["-Xmx64m"]).await else { return };
    let subject = shop.subject();
    taken(&subject, CaptureKind::JvmHistogram, MIB).await.1.unwrap();
    shop.process.kill().unwrap();
    shop.process.wait().unwrap();
    assert!(std::fs::exists(format!("/tmp/.java_pid{}", shop.pid)).unwrap());
    let found = survey(&subject).await;
    assert_eq!(kinds(&found), []);
    assert!(lacking(&found, CaptureKind::JvmHistogram).starts_with("the process has ended"), "{found:?}");
    let (_, result) = taken(&subject, CaptureKind::JvmHistogram, MIB).await;
    assert!(matches!(result, Err(CaptureError::Died)), "{result:?}");
}

#[tokio::test]
async fn a_socket_that_an_earlier_process_left_is_replaced_by_the_jvm() {
    let Some(shop) = Shop::open(&["-Xmx64m"]).await else { return };
    drop(UnixListener::bind(format!("/tmp/.java_pid{}", shop.pid)).unwrap());
    taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await.1.unwrap();
}

#[tokio::test]
async fn what_lies_in_the_place_of_the_socket_is_not_spoken_to() {
    let Some(shop) = Shop::open(&["-Xmx64m"]).await else { return };
    std::fs::write(format!("/tmp/.java_pid{}", shop.pid), "").unwrap();
    let (_, result) = taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await;
    assert!(
        matches!(&result, Err(CaptureError::Unavailable(why)) if why.contains("is not a socket of user")),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_jvm_of_another_user_gives_its_evidence_to_root() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        return;
    }
    let as_nobody = |command: &mut std::process::Command| {
        command.uid(NOBODY).gid(NOBODY);
    };
    let Some(shop) = Shop::with("java", &["-Xmx128m"], as_nobody).await else { return };
    shop.keep(3_000).await;
    let subject = shop.subject();
    let (histogram, result) = taken(&subject, CaptureKind::JvmHistogram, MIB).await;
    result.unwrap();
    assert!(holds(&histogram, "Shop$Order"));
    assert!(taken(&subject, CaptureKind::JvmOldObjects, 64 * MIB).await.1.unwrap().armed);
    let (dump, result) = taken(&subject, CaptureKind::JvmHeapDump, 512 * MIB).await;
    result.unwrap();
    assert!(dump.starts_with(b"JAVA PROFILE 1.0.2\0"));
    assert_eq!(folders(), Vec::<String>::new());
}

#[tokio::test]
async fn a_jvm_that_forbids_it_is_not_disturbed() {
    let Some(shop) = Shop::open(&["-Xmx64m", "-XX:+DisableAttachMechanism"]).await else { return };
    let subject = shop.subject();
    let found = survey(&subject).await;
    assert_eq!(kinds(&found), [CaptureKind::JvmHeapDump], "Actuator is there all the same: {found:?}");
    let reason = "the JVM was started with -XX:+DisableAttachMechanism";
    assert!(lacking(&found, CaptureKind::JvmHistogram).starts_with(reason), "{found:?}");
    let (_, result) = taken(&subject, CaptureKind::JvmHistogram, MIB).await;
    let why = format!("{reason}; start it without that option");
    assert!(matches!(&result, Err(CaptureError::Unavailable(text)) if *text == why), "{result:?}");
    shop.keep(1).await;
}

#[tokio::test]
async fn a_jvm_without_handlers_of_signals_has_its_socket_from_the_start() {
    let Some(shop) = Shop::open(&["-Xmx64m", "-Xrs"]).await else { return };
    taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await.1.unwrap();
}

#[tokio::test]
async fn a_dump_beyond_its_bound_is_given_up_and_removed() {
    let Some(shop) = Shop::open(&["-Xmx256m"]).await else { return };
    shop.keep(20_000).await;
    let (dump, result) = taken(&shop.subject(), CaptureKind::JvmHeapDump, 4 * MIB).await;
    assert!(matches!(result, Err(CaptureError::TooLarge(Bytes(max))) if max == 4 * MIB), "{result:?}");
    assert!(dump.len() as u64 <= 4 * MIB);
    assert_eq!(folders(), Vec::<String>::new());
}

#[tokio::test]
async fn a_jvm_that_stops_in_the_middle_of_a_dump_leaves_nothing_when_it_goes_on() {
    let Some(shop) = Shop::open(&["-Xmx1g"]).await else { return };
    shop.keep(200_000).await;
    let subject = shop.subject();
    taken(&subject, CaptureKind::JvmHistogram, MIB).await.1.unwrap();
    let taking = tokio::spawn(async move { taken(&subject, CaptureKind::JvmHeapDump, 1024 * MIB).await.1 });
    let grows = |name: &String| std::fs::metadata(format!("/tmp/{name}/evidence")).is_ok_and(|file| file.len() > MIB);
    until("the JVM writes its dump", || folders().iter().any(grows)).await;
    shop.signal(Signal::STOP);
    let state = || std::fs::read_to_string(format!("/proc/{}/status", shop.pid)).unwrap();
    until("all its threads stand still", || state().contains("State:\tT")).await;
    let found = survey(&shop.subject()).await;
    assert!(lacking(&found, CaptureKind::JvmHistogram).starts_with("the process is stopped"), "{found:?}");
    taking.abort();
    assert!(taking.await.unwrap_err().is_cancelled());
    assert_eq!(folders(), Vec::<String>::new());
    shop.signal(Signal::CONT);
    shop.keep(1).await;
    let open = || std::fs::read_dir(format!("/proc/{}/fd", shop.pid)).unwrap();
    let holds_dump = || {
        open()
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|file| file.to_string_lossy().contains("leakscope-"))
    };
    until("the JVM closes the dump that has no name", || !holds_dump()).await;
    assert_eq!(folders(), Vec::<String>::new());
    taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await.1.unwrap();
}

#[tokio::test]
async fn a_folder_that_was_left_over_goes_at_a_survey() {
    let Some(shop) = Shop::open(&["-Xmx64m"]).await else { return };
    let old = std::path::PathBuf::from("/tmp/leakscope-00000000000000000000000000000abc");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("evidence"), "a dump").unwrap();
    survey(&shop.subject()).await;
    assert!(old.exists(), "somebody may be writing to it");
    let yesterday = std::fs::FileTimes::new()
        .set_modified(std::fs::metadata(&old).unwrap().modified().unwrap() - std::time::Duration::from_hours(2));
    std::fs::File::open(&old).unwrap().set_times(yesterday).unwrap();
    survey(&shop.subject()).await;
    assert!(!old.exists());
}
