//! Captured pages of real exporters.

use leakscope_model::Runtime;
use leakscope_model::Signal::{
    External, FileDescriptors, GcCount, HeapAfterGc, HeapCommitted, HeapUsed, Limit, Objects, Requests, Rss, StartTime,
    Tasks, Threads,
};

use super::{OPENMETRICS, PROMETHEUS, fixture, problems, read, values};

#[test]
fn client_golang_in_both_formats_says_the_same() {
    let text = read(PROMETHEUS, fixture!("go.prom")).unwrap();
    let open = read(OPENMETRICS, fixture!("go.om")).unwrap();
    assert_eq!(text.runtime, Some(Runtime::Go));
    assert_eq!(
        values(&text.own).into_iter().map(|(signal, _)| signal).collect::<Vec<_>>(),
        values(&open.own).into_iter().map(|(signal, _)| signal).collect::<Vec<_>>()
    );
    assert_eq!(text.own.get(Requests), Some(1_240.0));
    assert_eq!(text.own.get(GcCount), Some(0.0));
    assert_eq!(text.own.get(HeapAfterGc), None, "nothing was collected yet");
    assert_eq!(text.own.get(Limit), None, "GOMEMLIMIT is off");
    assert_eq!(problems(&text), [""; 0]);
}

#[test]
fn prom_client_tells_a_node_process() {
    let page = read(PROMETHEUS, fixture!("node.prom")).unwrap();
    assert_eq!(page.runtime, Some(Runtime::Node));
    assert_eq!(
        values(&page.own),
        [
            (Rss, 63_442_944.0),
            (HeapUsed, 4_923_768.0),
            (HeapCommitted, 22_781_952.0),
            (External, 1_944_031.0),
            (Tasks, 2.0),
            (FileDescriptors, 19.0),
            (Requests, 50.0),
            (GcCount, 2.0),
            (StartTime, 1_795_175_698.0),
        ]
    );
}

#[test]
fn prometheus_client_tells_a_python_process_in_both_formats() {
    for (kind, body) in [(PROMETHEUS, fixture!("python.prom")), (OPENMETRICS, fixture!("python.om"))] {
        let page = read(kind, body).unwrap();
        assert_eq!(page.runtime, Some(Runtime::Python));
        assert_eq!(page.version.as_deref(), Some("1.4.2"));
        let signals: Vec<_> = values(&page.own).into_iter().map(|(signal, _)| signal).collect();
        assert_eq!(signals, [Rss, FileDescriptors, Requests, GcCount, StartTime]);
        assert_eq!(page.own.get(Requests), Some(40.0));
        assert_eq!(problems(&page), [""; 0]);
    }
}

#[test]
fn micrometer_tells_a_jvm_in_both_formats() {
    for (kind, body) in [(PROMETHEUS, fixture!("micrometer.prom")), (OPENMETRICS, fixture!("micrometer.om"))] {
        let page = read(kind, body).unwrap();
        assert_eq!(page.runtime, Some(Runtime::Jvm));
        let want = [
            (HeapUsed, 42_467_872.0),
            (HeapAfterGc, 42_467_872.0),
            (HeapCommitted, 138_412_032.0),
            (External, 118_008.0),
            (Limit, 6_320_816_128.0),
            (Threads, 8.0),
            (FileDescriptors, 101.0),
            (Requests, 40.0),
            (GcCount, 2.0),
            (StartTime, 1_795_176_023.189),
        ];
        assert_eq!(values(&page.own), want);
        assert_eq!(problems(&page), [""; 0]);
    }
}

#[test]
fn client_java_tells_a_jvm() {
    let page = read(PROMETHEUS, fixture!("client-java.prom")).unwrap();
    let want = [
        (Rss, 253_870_080.0),
        (HeapUsed, 46_662_176.0),
        (HeapAfterGc, 42_467_872.0),
        (HeapCommitted, 138_412_032.0),
        (External, 118_008.0),
        (Limit, 6_320_816_128.0),
        (Threads, 8.0),
        (FileDescriptors, 101.0),
        (GcCount, 9.0),
        (StartTime, 1_795_176_023.189),
    ];
    assert_eq!(values(&page.own), want);
    assert_eq!(page.runtime, Some(Runtime::Jvm));
}

#[test]
fn widened_runtime_metrics_of_go_are_read() {
    let page = read(PROMETHEUS, fixture!("go-all.prom")).unwrap();
    let want = [
        (HeapUsed, 443_184.0),
        (HeapCommitted, 7_995_392.0 - 5_791_744.0),
        (Objects, 1_610.0),
        (Tasks, 4.0),
        (Threads, 6.0),
        (GcCount, 0.0),
    ];
    assert_eq!(values(&page.own), want);
}
