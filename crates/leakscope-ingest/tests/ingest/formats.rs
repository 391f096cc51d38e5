//! Formats beside captured pages: what each one becomes, and how it is told from the others.

use std::sync::Arc;
use std::time::Duration;

use leakscope_ingest::{
    Format, IngestError, Limits, Mapping, Opinion, Page, PageConfig, PageSpec, Source, SpecError, actuator, jolokia,
};
use leakscope_model::Runtime;
use leakscope_model::Signal::{
    External, FileDescriptors, GcCount, HeapAfterGc, HeapCommitted, HeapUsed, Limit, Objects, Requests, Rss, StartTime,
    Tasks, Threads,
};

use super::{OPENMETRICS, PROMETHEUS, fixture, json, mapping, problems, read, read_as, text, values};

#[test]
fn lines_end_with_or_without_carriage_return_and_may_be_indented() {
    let page = text("process_open_fds 3\r\n\r\n  process_threads 4\r\n\t# note\n\nprocess_resident_memory_bytes 5");
    assert_eq!(values(&page.own), [(Rss, 5.0), (Threads, 4.0), (FileDescriptors, 3.0)]);
    assert_eq!(page.series, 3);
}

#[test]
fn names_of_open_telemetry_are_read_dotted_and_escaped() {
    for name in [
        "process_memory_usage_bytes",
        "process_memory_usage",
        "{\"process.memory.usage\"}",
        "{\"process.memory.usage_bytes\",a=\"b\"}",
    ] {
        assert_eq!(values(&text(&format!("{name} 7\n")).own), [(Rss, 7.0)], "{name}");
    }
}

#[test]
fn configured_prefixes_are_stripped() {
    let config = PageConfig { prefixes: vec!["shop_".to_owned()], ..PageConfig::default() };
    let spec = Arc::new(PageSpec::compile(&config).unwrap());
    let body = b"shop_process_resident_memory_bytes 5\nnodejs_heap_size_used_bytes 3\nother_process_open_fds 9\n";
    let page = read_as(&spec, PROMETHEUS, Limits::default(), &[body]).unwrap();
    assert_eq!(values(&page.own), [(Rss, 5.0), (HeapUsed, 3.0)]);
}

#[test]
fn configured_metrics_win_over_dialects_and_add_up() {
    let source = Source::Metric { name: "pool_mb".to_owned(), labels: vec![("kind".to_owned(), "used".to_owned())] };
    let config = PageConfig {
        mappings: vec![Mapping { signal: HeapUsed, source, factor: 1_048_576.0 }],
        ..PageConfig::default()
    };
    let spec = Arc::new(PageSpec::compile(&config).unwrap());
    let body = b"nodejs_heap_size_used_bytes 3\npool_mb{kind=\"used\",id=\"a\"} 1\npool_mb{kind=\"used\",id=\"b\"} 2\npool_mb{kind=\"free\"} 9\n";
    let page = read_as(&spec, PROMETHEUS, Limits::default(), &[body]).unwrap();
    assert_eq!(values(&page.own), [(HeapUsed, 3.0 * 1_048_576.0)]);
}

#[test]
fn requests_come_from_the_best_counter_without_scrapes() {
    for (body, want) in [
        ("promhttp_metric_handler_requests_total{code=\"200\"} 9\n", None),
        ("http_requests_total{code=\"200\"} 3\nhttp_requests_total{code=\"500\"} 1\n", Some(4.0)),
        ("http_requests_total{path=\"/metrics\"} 3\nhttp_requests_total{path=\"/\"} 1\n", Some(1.0)),
        ("http_requests_total 3\nhttp_server_requests_seconds_count{uri=\"/a\"} 2\n", Some(2.0)),
        ("http_request_duration_seconds_bucket{le=\"+Inf\"} 7\nhttp_request_duration_seconds_sum 1\n", None),
        ("{\"http.server.request.duration_seconds_count\",\"http.route\"=\"/\"} 6\n", Some(6.0)),
        ("kafka_consumer_orders_records_consumed_total 8\n", Some(8.0)),
        ("grpc_server_handled_total{grpc_code=\"OK\"} 5\n", Some(5.0)),
    ] {
        assert_eq!(text(body).own.get(Requests), want, "{body}");
    }
}

#[test]
fn further_runtimes_are_read() {
    for (body, runtime, want) in [
        (
            "dotnet_total_memory_bytes 5\nprocess_num_threads 9\ndotnet_collection_count_total{generation=\"2\"} 1\n",
            Some(Runtime::DotNet),
            vec![(HeapUsed, 5.0), (Threads, 9.0), (GcCount, 1.0)],
        ),
        (
            "dotnet_gc_last_collection_heap_size_bytes{gc_heap_generation=\"gen0\"} 1\ndotnet_gc_last_collection_heap_size_bytes{gc_heap_generation=\"gen2\"} 2\n",
            Some(Runtime::DotNet),
            vec![(HeapAfterGc, 3.0)],
        ),
        (
            "tikv_allocator_stats{type=\"allocated\"} 3\ntikv_allocator_stats{type=\"resident\"} 5\ntokio_live_tasks_count 2\n",
            Some(Runtime::Native),
            vec![(HeapUsed, 3.0), (HeapCommitted, 5.0), (Tasks, 2.0)],
        ),
        (
            "ruby_rss{pid=\"1\"} 3\nruby_rss{pid=\"2\"} 4\nruby_heap_live_slots{pid=\"1\"} 5\n",
            None,
            vec![(Rss, 7.0), (Objects, 5.0)],
        ),
        (
            "erlang_vm_memory_bytes_total{kind=\"system\"} 3\nerlang_vm_memory_bytes_total{kind=\"processes\"} 4\nerlang_vm_process_count 6\n",
            None,
            vec![(HeapUsed, 7.0), (Tasks, 6.0)],
        ),
        ("target_info{service_version=\"2.0\",telemetry_sdk_language=\"python\"} 1\n", Some(Runtime::Python), vec![]),
        (
            "{\"v8js.memory.heap.used\",\"v8js.heap.space.name\"=\"old_space\"} 3\nv8js_memory_heap_used_bytes{v8js_heap_space_name=\"new_space\"} 4\n",
            Some(Runtime::Node),
            vec![(HeapUsed, 7.0)],
        ),
    ] {
        let page = text(body);
        assert_eq!((page.runtime, values(&page.own)), (runtime, want), "{body}");
    }
}

#[test]
fn process_groups_and_agents_of_the_node_make_parts() {
    let page = text(
        "namedprocess_namegroup_memory_bytes{groupname=\"cart\",memtype=\"resident\"} 5\n\
         namedprocess_namegroup_memory_bytes{groupname=\"cart\",memtype=\"virtual\"} 50\n\
         namedprocess_namegroup_num_threads{groupname=\"cart\"} 3\n\
         container_resources_memory_rss_bytes{container_id=\"/k8s/n/p/c\"} 6\n\
         container_jvm_heap_used_bytes{container_id=\"/k8s/n/p/c\",jvm=\"app.jar\"} 4\n\
         kube_pod_container_status_restarts_total{namespace=\"n\",pod=\"p\",container=\"c\"} 2\n\
         kube_pod_container_resource_limits{namespace=\"n\",pod=\"p\",container=\"c\",resource=\"memory\"} 8\n\
         kube_pod_container_resource_limits{namespace=\"n\",pod=\"p\",container=\"c\",resource=\"cpu\"} 1\n",
    );
    let parts: Vec<_> =
        page.parts.iter().map(|part| (part.name.as_str(), values(&part.readings), part.restarts)).collect();
    assert_eq!(
        parts,
        [
            ("/k8s/n/p/c", vec![(leakscope_model::Signal::AnonRss, 6.0), (HeapUsed, 4.0)], None),
            ("cart", vec![(Rss, 5.0), (Threads, 3.0)], None),
            ("n/p/c", vec![(Limit, 8.0)], Some(2.0)),
        ]
    );
    assert_eq!(
        page.parts[2].labels,
        [("container", "c"), ("namespace", "n"), ("pod", "p")].map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn expvar_is_read() {
    let page = read("application/json", fixture!("expvar.json")).unwrap();
    assert_eq!(page.runtime, Some(Runtime::Go));
    let want = [
        (HeapUsed, 1_313_544.0),
        (HeapCommitted, 8_060_928.0 - 5_521_408.0),
        (Objects, 7_917.0),
        (Requests, 1_240.0),
        (GcCount, 0.0),
    ];
    assert_eq!(values(&page.own), want);
    let later = json(Format::Expvar, r#"{"memstats":{"HeapAlloc":9,"NextGC":8,"NumGC":3},"goroutines":4}"#);
    assert_eq!(values(&later.own), [(HeapUsed, 9.0), (HeapAfterGc, 4.0), (Tasks, 4.0), (GcCount, 3.0)]);
}

#[test]
fn the_status_contract_is_read() {
    let body = r#"{"memory_usage": 5, "heap_size": "4 kB", "heap_after_gc": 3, "object_count": 2, "limit": 100, "requests_total": 7, "start_time": 1700000000.5, "version": "1.2"}"#;
    let page = read("application/json", body).unwrap();
    assert_eq!(page.version.as_deref(), Some("1.2"));
    assert_eq!(
        values(&page.own),
        [
            (Rss, 5.0),
            (HeapUsed, 4_096.0),
            (HeapAfterGc, 3.0),
            (Limit, 100.0),
            (Objects, 2.0),
            (Requests, 7.0),
            (StartTime, 1_700_000_000.5)
        ]
    );
    let missing = json(Format::Status, r#"{"memory_usage": null, "heap_size": 4}"#);
    assert_eq!((values(&missing.own), problems(&missing)), (vec![(HeapUsed, 4.0)], vec![]));
}

#[test]
fn the_memory_of_the_host_is_no_memory_of_the_process() {
    let page = read("application/json", r#"{"total": 8000, "used": 5000, "free": 3000, "percent": 62.5}"#).unwrap();
    assert!(page.own.is_empty());
    assert_eq!(problems(&page), ["the page shows the memory of the host, not of the process; it was not used"]);
}

#[test]
fn the_services_own_opinion_is_shown_and_not_read() {
    let page = read("application/json", r#"{"leak_score": 0.7, "status": "suspicious"}"#).unwrap();
    assert!(page.own.is_empty());
    assert_eq!(page.opinion, Some(Opinion { score: Some(0.7), status: Some("suspicious".to_owned()) }));
}

#[test]
fn memory_usage_of_node_is_read_where_it_stands() {
    let page = read("application/json", fixture!("node-memory-usage.json")).unwrap();
    assert_eq!(page.runtime, Some(Runtime::Node));
    let want = [(Rss, 63_684_608.0), (HeapUsed, 5_144_120.0), (HeapCommitted, 22_781_952.0), (External, 1_944_035.0)];
    assert_eq!(values(&page.own), want);
}

#[test]
fn actuator_documents_merge_to_one_page() {
    let paths = actuator::wanted_paths(fixture!("actuator/index.json")).unwrap();
    assert_eq!(
        paths,
        [
            "jvm.memory.used?tag=area:heap",
            "jvm.memory.committed?tag=area:heap",
            "jvm.memory.max?tag=area:heap",
            "jvm.gc.live.data.size",
            "jvm.gc.pause",
            "jvm.buffer.memory.used",
            "jvm.threads.live",
            "process.files.open",
            "process.start.time",
            "http.server.requests",
            "process.uptime",
        ]
    );
    let mut page = Page::default();
    for document in [
        fixture!("actuator/index.json"),
        fixture!("actuator/jvm.memory.used.json"),
        fixture!("actuator/jvm.memory.used.heap.json"),
        fixture!("actuator/jvm.gc.live.data.size.json"),
        fixture!("actuator/http.server.requests.json"),
        fixture!("actuator/process.uptime.json"),
    ] {
        page.merge(read("application/vnd.spring-boot.actuator.v3+json", document).unwrap());
    }
    assert_eq!(page.runtime, Some(Runtime::Jvm));
    assert_eq!(page.uptime, Some(Duration::from_millis(93_500)));
    assert_eq!(values(&page.own), [(HeapUsed, 62_000_128.0), (Requests, 4_711.0)]);
}

#[test]
fn jolokia_answers_are_read_single_and_in_bulk() {
    let page = read("application/json", fixture!("jolokia-bulk.json")).unwrap();
    let want = [
        (HeapUsed, 62_000_128.0),
        (HeapAfterGc, 42_467_872.0),
        (HeapCommitted, 268_435_456.0),
        (Limit, 4_294_967_296.0),
        (Threads, 23.0),
        (FileDescriptors, 101.0),
        (GcCount, 9.0),
        (StartTime, 1_699_999_000.5),
    ];
    assert_eq!(values(&page.own), want);
    assert_eq!(page.uptime, Some(Duration::from_millis(999_500)));
    assert_eq!(
        problems(&page),
        ["`java.nio:name=*,type=BufferPool` was not answered: `javax.management.InstanceNotFoundExcepti...`"]
    );
    let single = json(
        Format::Jolokia,
        r#"{"request":{"mbean":"java.lang:type=Memory","attribute":"HeapMemoryUsage","type":"read"},"value":{"max":-1,"used":5},"status":200}"#,
    );
    assert_eq!(values(&single.own), [(HeapUsed, 5.0)]);
    assert_eq!(jolokia::BULK_READ.matches("\"read\"").count(), 7);
}

#[test]
fn any_json_is_read_by_pointers() {
    let pointer =
        |signal, pointer: &str, factor| Mapping { signal, source: Source::Pointer(pointer.to_owned()), factor };
    let config = PageConfig {
        format: Format::Json,
        mappings: vec![
            pointer(Rss, "/mem/rss_mb", 1_048_576.0),
            pointer(HeapUsed, "/mem/heap", 1_048_576.0),
            pointer(Objects, "/pools/1/objects", 1.0),
            pointer(Limit, "/nothing", 1.0),
            pointer(Threads, "/mem", 1.0),
        ],
        ..PageConfig::default()
    };
    let spec = Arc::new(PageSpec::compile(&config).unwrap());
    let body = br#"{"mem":{"rss_mb":2,"heap":"512 KiB"},"pools":[{},{"objects":"1,234"}]}"#;
    let page = read_as(&spec, "application/json", Limits::default(), &[body]).unwrap();
    assert_eq!(values(&page.own), [(Rss, 2_097_152.0), (HeapUsed, 524_288.0), (Objects, 1_234.0)]);
    assert_eq!(
        problems(&page),
        ["no `limit`: `/nothing` is not there", "no `threads`: `/mem`: expected a quantity, found an object"]
    );
}

#[test]
fn html_is_read_by_selectors_and_patterns() {
    let selector = |signal, css: &str, pattern: Option<&str>| {
        mapping(signal, Source::Selector { css: css.to_owned(), pattern: pattern.map(ToOwned::to_owned) })
    };
    let config = PageConfig {
        mappings: vec![
            selector(Rss, "#mem td.rss", None),
            selector(HeapUsed, "dd", None),
            selector(Limit, "p", Some(r"of ([\d.,]+ \w+)")),
            selector(Objects, "p.none", None),
            selector(Threads, "h1", None),
            selector(Tasks, "p", Some("nothing")),
        ],
        ..PageConfig::default()
    };
    let spec = Arc::new(PageSpec::compile(&config).unwrap());
    let body = b"<!doctype html><title>Status</title><h1>Status</h1><table id=mem><tr><td class=rss>12,345 kB</table>\
        <dl><dt>Heap<dd>1.5 <b>GiB</b></dl><p>Used 300 MB of 512 MB (58%)";
    let page = read_as(&spec, "text/html", Limits::default(), &[body]).unwrap();
    assert_eq!(
        values(&page.own),
        [(Rss, 12_345.0 * 1_024.0), (HeapUsed, 1.5 * 1_073_741_824.0), (Limit, 512.0 * 1_048_576.0)]
    );
    assert_eq!(
        problems(&page),
        [
            "no `objects`: `p.none` matches no element",
            "no `threads`: the text of `h1` has no number",
            "no `tasks`: the pattern does not match the text of `p`",
        ]
    );
}

#[test]
fn specifications_that_cannot_work_are_refused() {
    let compile = |source| {
        PageSpec::compile(&PageConfig { mappings: vec![mapping(Rss, source)], ..PageConfig::default() }).unwrap_err()
    };
    let selector = |css: &str, pattern: Option<&str>| Source::Selector {
        css: css.to_owned(),
        pattern: pattern.map(ToOwned::to_owned),
    };
    assert_eq!(
        compile(Source::Pointer("mem/rss".to_owned())).to_string(),
        "expected a JSON pointer for `rss` (empty, or starting with `/`), found `mem/rss`"
    );
    assert!(matches!(compile(selector("td..x", None)), SpecError::Selector { .. }));
    assert!(matches!(compile(selector("td", Some("("))), SpecError::Pattern { .. }));
    assert!(matches!(
        compile(Source::Metric { name: String::new(), labels: Vec::new() }),
        SpecError::MetricName { signal: Rss }
    ));
}

#[test]
fn the_format_is_told_by_the_first_bytes_whatever_the_content_type() {
    let status = r#" {"memory_usage": 5}"#;
    let metrics = "process_resident_memory_bytes 5\n";
    let quoted = "{\"process.memory.usage\"} 5\n";
    for (kind, body) in [
        ("text/plain", status),
        ("text/html", status),
        ("text/html; charset=utf-8", metrics),
        ("application/json", metrics),
        ("application/octet-stream", quoted),
        ("text/plain", "\u{feff}{\"memory_usage\": 5}"),
        ("", metrics),
    ] {
        assert_eq!(values(&read(kind, body).unwrap().own), [(Rss, 5.0)], "{kind} {body}");
    }
    for (body, found) in [("<html><body>OK</body></html>", "`<html><body>OK</body></html>`"), ("[1, 2]", "`[1, 2]`")] {
        let IngestError::Shape { found: shown, .. } = read(PROMETHEUS, body).unwrap_err() else { panic!("{body}") };
        assert_eq!(shown, found);
    }
}

#[test]
fn open_metrics_ends_with_eof() {
    let line = "process_open_fds 3\n";
    assert_eq!(read(OPENMETRICS, line), Err(IngestError::Truncated { line: 1 }));
    assert_eq!(read(OPENMETRICS, format!("{line}# EOF\n{line}")), Err(IngestError::AfterEof { line: 3 }));
    assert!(read(OPENMETRICS, format!("{line}# EOF")).is_ok());
    assert!(read(OPENMETRICS, format!("{line}# EOF\r\n")).is_ok());
    assert!(read(PROMETHEUS, format!("{line}# EOF\n{line}")).is_ok());
}

#[test]
fn versions_come_from_target_info_and_build_info() {
    for (body, version) in [
        ("shop_build_info{version=\"1.4.2\",revision=\"abc\"} 1\n", Some("1.4.2")),
        ("go_build_info{version=\"(devel)\"} 1\n", None),
        ("shop_build_info{version=\"1.4.2\"} 1\ntarget_info{service_version=\"2.0\"} 1\n", Some("2.0")),
        ("go_build_info{version=\"v1.0\"} 1\nshop_build_info{version=\"1.4.2\"} 1\n", Some("1.4.2")),
    ] {
        assert_eq!(text(body).version.as_deref(), version, "{body}");
    }
}
