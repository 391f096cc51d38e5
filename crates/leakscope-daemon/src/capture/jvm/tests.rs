//! Evidence of real JVMs: each kind by each way, and each way closed.

mod faults;
mod shop;

use leakscope_model::{Bytes, CaptureKind};

use self::shop::{Shop, folders, taken};
use super::super::{CaptureError, Found, Taken};
use super::survey;

const MIB: u64 = 1 << 20;

/// What a survey offers.
fn kinds(found: &Found) -> Vec<CaptureKind> {
    found.means.iter().map(|means| means.kind).collect()
}

/// What a survey says of a kind that it does not offer.
fn lacking(found: &Found, kind: CaptureKind) -> &str {
    found.lacking.iter().find(|lacking| lacking.kind == kind).map_or("", |lacking| &lacking.reason)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_jvm_that_nobody_attached_to_is_surveyed_without_a_word_and_gives_its_classes() {
    let Some(shop) = Shop::open(&["-Xmx256m"]).await else { return };
    let before = survey(&shop.subject()).await;
    let all = [CaptureKind::JvmHistogram, CaptureKind::JvmOldObjects, CaptureKind::JvmHeapDump];
    assert_eq!(kinds(&before), all);
    assert!(!std::fs::exists(format!("/tmp/.java_pid{}", shop.pid)).unwrap());
    shop.keep(3_000).await;
    let (histogram, result) = taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await;
    let started = result.unwrap().process_started_at;
    assert_eq!(started, crate::proc::started_at(shop.pid));
    let histogram = String::from_utf8(histogram).unwrap();
    let row = histogram.lines().find(|line| line.ends_with("Shop$Order")).unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("3000"));
    assert_eq!(histogram.lines().next(), Some("GC.class_histogram"));
    assert!(!std::fs::exists(format!("/tmp/.attach_pid{}", shop.pid)).unwrap());
    let after = survey(&shop.subject()).await;
    assert!(after.heap.is_some_and(|heap| (3 * MIB..64 * MIB).contains(&heap.0)), "{:?}", after.heap);
    assert!(after.means.iter().all(|means| !means.hint.pause.is_zero()), "{:?}", after.means);
}

#[tokio::test]
async fn a_large_heap_counts_garbage_too_rather_than_to_be_collected() {
    let Some(shop) = Shop::open(&["-Xmx1g", "-XX:NativeMemoryTracking=summary"]).await else { return };
    let (histogram, result) = taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await;
    result.unwrap();
    assert!(histogram.starts_with(b"GC.class_histogram -all\n"));
    let found = survey(&shop.subject()).await;
    let way = &found.means.iter().find(|means| means.kind == CaptureKind::JvmHistogram).unwrap().way;
    let native = way.strip_prefix("classes of what is there, garbage included by attach; native memory tracking: ");
    assert!(native.is_some_and(|native| native.ends_with(" MiB committed")), "{way}");
}

#[tokio::test]
async fn old_objects_are_recorded_from_the_first_capture_on() {
    let Some(shop) = Shop::open(&["-Xmx256m"]).await else { return };
    old_objects_of(&shop).await;
}

async fn old_objects_of(shop: &Shop) {
    let (armed, result) = taken(&shop.subject(), CaptureKind::JvmOldObjects, 64 * MIB).await;
    assert!(result.unwrap().armed);
    assert!(armed.starts_with(b"FLR\0") && !holds(&armed, "ORDERS"));
    shop.keep(50_000).await;
    let (recording, result) = taken(&shop.subject(), CaptureKind::JvmOldObjects, 64 * MIB).await;
    let expected = Taken { armed: false, process_started_at: crate::proc::started_at(shop.pid) };
    assert_eq!(result.unwrap(), expected);
    assert!(recording.starts_with(b"FLR\0") && holds(&recording, "ORDERS") && holds(&recording, "keep"));
    assert_eq!(folders(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dump_has_about_the_size_that_was_predicted_and_leaves_nothing_behind() {
    let Some(shop) = Shop::open(&["-Xmx256m"]).await else { return };
    dump_of(&shop).await;
}

async fn dump_of(shop: &Shop) {
    shop.keep(60_000).await;
    taken(&shop.subject(), CaptureKind::JvmHistogram, MIB).await.1.unwrap();
    let found = survey(&shop.subject()).await;
    let predicted = found.means.iter().find(|means| means.kind == CaptureKind::JvmHeapDump).unwrap().hint.size;
    let (dump, result) = taken(&shop.subject(), CaptureKind::JvmHeapDump, 512 * MIB).await;
    result.unwrap();
    assert!(dump.starts_with(b"JAVA PROFILE 1.0.2\0") && holds(&dump, "Shop$Order"));
    let ratio = dump.len() as f64 / predicted.0 as f64;
    assert!((0.5..2.0).contains(&ratio), "{} of {predicted:?}", dump.len());
    assert_eq!(folders(), Vec::<String>::new());
}

#[tokio::test]
async fn a_newer_jvm_gives_the_same() {
    let Some(java) = std::env::var_os("LEAKSCOPE_TEST_JAVA") else {
        eprintln!("skipped: LEAKSCOPE_TEST_JAVA names no second `java`");
        return;
    };
    for collector in ["-XX:+UseG1GC", "-XX:+UseSerialGC", "-XX:+UseParallelGC"] {
        let Some(shop) = Shop::with(&java, &["-Xmx256m", collector], |_| {}).await else { return };
        dump_of(&shop).await;
        old_objects_of(&shop).await;
    }
}

#[tokio::test]
async fn actuator_gives_a_dump_where_attaching_is_off() {
    let Some(shop) = Shop::open(&["-Xmx256m"]).await else { return };
    let subject = shop.remote("/actuator");
    let found = survey(&subject).await;
    assert_eq!(kinds(&found), [CaptureKind::JvmHeapDump]);
    assert!(lacking(&found, CaptureKind::JvmOldObjects).starts_with("attaching to JVMs is off; "), "{found:?}");
    let (dump, result) = taken(&subject, CaptureKind::JvmHeapDump, 512 * MIB).await;
    assert_eq!(result.unwrap(), Taken::default());
    assert!(dump.starts_with(b"JAVA PROFILE 1.0.2\0") && holds(&dump, "Shop$Order"));
    let (_, result) = taken(&subject, CaptureKind::JvmHeapDump, MIB).await;
    assert!(matches!(result, Err(CaptureError::TooLarge(Bytes(MIB)))), "{result:?}");
}

#[tokio::test]
async fn an_actuator_that_gives_no_dump_says_what_would_open_it() {
    let Some(shop) = Shop::open(&["-Xmx64m"]).await else { return };
    for (path, reason, remedy) in [
        (
            "/hidden",
            "Actuator at `/hidden` does not list `heapdump`",
            "management.endpoint.heapdump.access=unrestricted",
        ),
        ("/guarded", "Actuator at `/guarded` refuses the job's credentials (401 Unauthorized)", "credentials"),
        ("/none", "there is no Actuator at `/none`", "spring-boot-starter-actuator"),
        ("/login", "`/login` answers something else than Actuator", "management.endpoints.web.exposure.include"),
    ] {
        let subject = shop.remote(path);
        let found = survey(&subject).await;
        assert_eq!((kinds(&found), lacking(&found, CaptureKind::JvmHeapDump)), (Vec::new(), reason));
        let lack = found.lacking.iter().find(|lacking| lacking.kind == CaptureKind::JvmHeapDump).unwrap();
        assert!(lack.remedy.contains(remedy), "{lack:?}");
        let (bytes, result) = taken(&subject, CaptureKind::JvmHeapDump, MIB).await;
        assert!(
            bytes.is_empty() && matches!(&result, Err(CaptureError::Unavailable(why)) if why.contains(reason)),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn jolokia_gives_the_commands_where_attaching_is_off() {
    let Some(jar) = std::env::var("LEAKSCOPE_TEST_JOLOKIA").ok() else {
        eprintln!("skipped: LEAKSCOPE_TEST_JOLOKIA names no agent jar of Jolokia");
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agent = format!("-javaagent:{jar}=port={port},host=127.0.0.1");
    let Some(shop) = Shop::open(&["-Xmx256m", &agent]).await else { return };
    shop.keep(3_000).await;
    let mut subject = shop.at(&format!("127.0.0.1:{port}"));
    let found = survey(&subject).await;
    let all = [CaptureKind::JvmHistogram, CaptureKind::JvmOldObjects, CaptureKind::JvmHeapDump];
    assert_eq!(kinds(&found), all, "{found:?}");
    let (histogram, result) = taken(&subject, CaptureKind::JvmHistogram, MIB).await;
    result.unwrap();
    assert!(holds(&histogram, "3000") && holds(&histogram, "Shop$Order"));
    let (recording, result) = taken(&subject, CaptureKind::JvmOldObjects, 64 * MIB).await;
    assert!(result.unwrap().armed && recording.starts_with(b"FLR\0"));
    let (dump, result) = taken(&subject, CaptureKind::JvmHeapDump, 512 * MIB).await;
    result.unwrap();
    assert!(dump.starts_with(b"JAVA PROFILE 1.0.2\0") && holds(&dump, "Shop$Order"));
    assert_eq!(folders(), Vec::<String>::new());
    // From afar there is no way to the files that the JVM writes.
    subject.pid = None;
    let found = survey(&subject).await;
    assert_eq!(kinds(&found), [CaptureKind::JvmHistogram]);
    let (_, result) = taken(&subject, CaptureKind::JvmOldObjects, MIB).await;
    assert!(matches!(result, Err(CaptureError::Unavailable(_))), "{result:?}");
}
