//! Ten ways in which names and labels of exporters mislead.

use leakscope_model::Signal::{
    AnonRss, GcCount, HeapAfterGc, HeapUsed, Limit, OomKills, PageCache, Requests, Rss, StartTime,
};

use super::{PROMETHEUS, fixture, read, text, values};

const MICROMETER: &str = "jvm_memory_used_bytes{area=\"heap\",id=\"G1 Eden Space\"} 10\n\
    jvm_memory_used_bytes{area=\"heap\",id=\"G1 Old Gen\"} 30\n\
    jvm_memory_used_bytes{area=\"nonheap\",id=\"Metaspace\"} 1000\n";
const CLIENT_JAVA: &str = "jvm_memory_used_bytes{area=\"heap\"} 41\njvm_memory_used_bytes{area=\"nonheap\"} 1000\n";
const OTEL: &str = "jvm_memory_used_bytes{jvm_memory_type=\"heap\",jvm_memory_pool_name=\"G1 Eden Space\"} 12\n\
    jvm_memory_used_bytes{jvm_memory_type=\"heap\",jvm_memory_pool_name=\"G1 Old Gen\"} 30\n\
    jvm_memory_used_bytes{jvm_memory_type=\"non_heap\",jvm_memory_pool_name=\"Metaspace\"} 1000\n";
const OTEL_DOTTED: &str = "{\"jvm.memory.used\",\"jvm.memory.type\"=\"heap\",\"jvm.memory.pool.name\"=\"G1 Old Gen\"} 30\n\
    {\"jvm.memory.used_bytes\",\"jvm.memory.type\"=\"heap\",\"jvm.memory.pool.name\"=\"G1 Eden Space\"} 12\n";

#[test]
fn trap_1_jvm_memory_used_has_three_shapes_and_two_agents_do_not_add_up() {
    for (pages, heap) in [
        (&[CLIENT_JAVA][..], 41.0),
        (&[MICROMETER], 40.0),
        (&[OTEL], 42.0),
        (&[OTEL_DOTTED], 42.0),
        (&[MICROMETER, OTEL], 40.0),
        (&[OTEL, MICROMETER], 40.0),
        (&[CLIENT_JAVA, OTEL], 41.0),
        (&[OTEL, MICROMETER, CLIENT_JAVA], 41.0),
    ] {
        assert_eq!(values(&text(&pages.concat()).own), [(HeapUsed, heap)], "{pages:?}");
    }
}

#[test]
fn trap_2_containers_of_two_agents_count_once_and_pods_and_pause_containers_not_at_all() {
    let page = read(PROMETHEUS, fixture!("cadvisor.prom")).unwrap();
    assert!(page.own.is_empty());
    let parts: Vec<_> = page.parts.iter().map(|part| (part.name.as_str(), values(&part.readings))).collect();
    let cart =
        vec![(AnonRss, 210e6), (Limit, 1_073_741_824.0), (StartTime, 1.69999e9), (OomKills, 1.0), (PageCache, 800e6)];
    assert_eq!(parts, [("shop/cart-7d4f/cart", cart), ("shop/cart-7d4f/proxy", vec![(AnonRss, 1e6)])]);
}

#[test]
fn trap_3_the_working_set_counts_page_cache_and_stands_in_only_where_nothing_better_is() {
    let labels = "{namespace=\"n\",pod=\"p\",container=\"c\"}";
    let working_set = format!("container_memory_working_set_bytes{labels} 960\n");
    let usage = format!("container_memory_usage_bytes{labels} 1000\ncontainer_memory_cache{labels} 700\n");
    let rss = format!("container_memory_rss{labels} 250\n");
    for (body, want) in [
        (working_set.clone(), vec![(Rss, 960.0)]),
        (format!("{working_set}{usage}"), vec![(Rss, 300.0), (PageCache, 700.0)]),
        (format!("{working_set}{usage}{rss}"), vec![(AnonRss, 250.0), (PageCache, 700.0)]),
        (format!("{rss}{working_set}"), vec![(AnonRss, 250.0)]),
    ] {
        assert_eq!(values(&text(&body).parts[0].readings), want, "{body}");
    }
}

#[test]
fn trap_4_limits_that_mean_unlimited_are_no_limits() {
    for line in [
        "container_spec_memory_limit_bytes{container=\"c\"} 0",
        "container_spec_memory_limit_bytes{container=\"c\"} 9.223372036854771712e+18",
        "container_spec_memory_limit_bytes{container=\"c\"} 1.8446744073709552e+19",
        "jvm_memory_max_bytes{area=\"heap\"} -1.0",
        "go_gc_gomemlimit_bytes 9.223372036854776e+18",
    ] {
        let page = text(&format!("{line}\n"));
        assert!(page.own.is_empty() && page.parts.iter().all(|part| part.readings.is_empty()), "{line}");
        assert!(page.problems.is_empty(), "{line}");
    }
    let pools = "jvm_memory_max_bytes{area=\"heap\",id=\"G1 Eden Space\"} -1\n\
        jvm_memory_max_bytes{area=\"heap\",id=\"G1 Old Gen\"} 512\n";
    assert_eq!(values(&text(pools).own), [(Limit, 512.0)]);
    assert_eq!(values(&text("go_gc_gomemlimit_bytes 1024\n").own), [(Limit, 1_024.0)]);
}

#[test]
fn trap_5_process_heap_bytes_is_address_space_and_no_heap() {
    assert!(text("process_heap_bytes 73019392\n").own.is_empty());
}

#[test]
fn trap_6_dotnet_monitor_repeats_series_with_time_stamps_and_counts_collections_per_interval() {
    let page = text(
        "systemruntime_working_set_bytes 100 1700000001000\n\
         systemruntime_working_set_bytes 300 1700000003000\n\
         systemruntime_working_set_bytes 200 1700000002000\n\
         systemruntime_gen_2_gc_count 1 1700000001000\n",
    );
    assert_eq!(values(&page.own), [(Rss, 300.0)]);
    assert!(page.problems.is_empty());
    let summed = text(
        "dotnet_collection_count_total{generation=\"0\"} 5 1000\n\
         dotnet_collection_count_total{generation=\"1\"} 2 1000\n\
         dotnet_collection_count_total{generation=\"0\"} 7 2000\n",
    );
    assert_eq!(values(&summed.own), [(GcCount, 9.0)]);
}

#[test]
fn trap_7_a_python_page_in_multiprocess_mode_has_no_memory_and_does_not_invent_any() {
    let page = text(
        "http_requests_total{path=\"/\"} 10\n\
         python_gc_objects_collected_total{generation=\"0\"} 485\n\
         worker_memory_bytes{pid=\"17\"} 5\n",
    );
    assert_eq!(values(&page.own), [(Requests, 10.0)]);
}

#[test]
fn trap_8_labels_that_churn_do_not_make_another_part() {
    let at = |id: &str, image: &str| {
        let page = text(&format!(
            "container_memory_rss{{namespace=\"n\",pod=\"p\",container=\"c\",id=\"{id}\",image=\"{image}\",instance=\"{id}\"}} 1\n"
        ));
        page.parts[0].name.clone()
    };
    assert_eq!(at("/kubepods/1", "cart:1"), "n/p/c");
    assert_eq!(at("/kubepods/2", "cart:2"), "n/p/c");
}

#[test]
fn trap_9_created_time_stamps_are_no_counts_and_the_start_is_read_as_written() {
    let page = text(
        "http_requests_total{code=\"200\"} 40\n\
         http_requests_created{code=\"200\"} 1.7951757027665544e+09\n\
         http_request_duration_seconds_created 1.7951757027665753e+09\n\
         process_start_time_seconds 1.79517570229e+09\n",
    );
    assert_eq!(values(&page.own), [(Requests, 40.0), (StartTime, 1_795_175_702.29)]);
}

#[test]
fn trap_10_settings_of_the_collector_do_not_move_the_live_heap() {
    for (settings, live) in [
        ("go_memstats_next_gc_bytes 200\n", Some(100.0)),
        ("go_memstats_next_gc_bytes 200\ngo_gc_gogc_percent 100\n", Some(100.0)),
        ("go_memstats_next_gc_bytes 300\ngo_gc_gogc_percent 200\n", Some(100.0)),
        ("go_memstats_next_gc_bytes 150\ngo_gc_gogc_percent 50\n", Some(100.0)),
        // Off, or pressed down by GOMEMLIMIT: the goal tells nothing.
        ("go_memstats_next_gc_bytes 200\ngo_gc_gogc_percent 1.8446744073709552e+19\n", None),
        ("go_memstats_next_gc_bytes 200\ngo_gc_gomemlimit_bytes 210\n", None),
        ("go_memstats_next_gc_bytes 200\ngo_gc_heap_live_bytes 90\n", Some(90.0)),
    ] {
        assert_eq!(text(settings).own.get(HeapAfterGc), live, "{settings}");
    }
}
