//! Input that services get wrong, and input that is meant to hurt.

use std::fmt::Write as _;
use std::sync::Arc;

use leakscope_ingest::{Format, IngestError, Limits, PageConfig, PageReader, PageSpec, Source};
use leakscope_model::Signal::{HeapUsed, Limit, Requests, Rss, Threads};

use super::{DEFAULT, JSON_PAGES, OPENMETRICS, PROMETHEUS, TEXT_PAGES, mapping, problems, read, read_as, text, values};

#[test]
fn invalid_utf_8_in_a_wanted_line_names_its_place() {
    let error = read(PROMETHEUS, b"a 1\nprocess_open_fds{x=\"\xff\"} 1\n").unwrap_err();
    assert_eq!(error.to_string(), "expected UTF-8 in a quoted string at line 2, column 21, found `\u{fffd}\\\"} 1`");
    assert!(read(PROMETHEUS, b"# HELP a \xff\na{x=\"\xff\"} 1\n").is_ok(), "unwanted lines are not read");
}

#[test]
fn bytes_that_start_no_sample_fail_the_page() {
    let error = read(PROMETHEUS, b"a 1\n<html>\n").unwrap_err();
    assert_eq!(error.to_string(), "expected a metric name, `{` or `#` at line 2, column 1, found `<html>`");
}

#[test]
fn ten_million_lines_need_no_memory() {
    let mut reader = PageReader::new(Arc::clone(&DEFAULT), Some(PROMETHEUS), Limits::default());
    let chunk = "some_metric_of_the_service_total{path=\"/\"} 1\n".repeat(10_000);
    for _ in 0..1_000 {
        reader.feed(chunk.as_bytes()).unwrap();
    }
    // What it holds shows in its debug form: no line, no series.
    let held = format!("{reader:?}").len();
    let fresh = {
        let mut reader = PageReader::new(Arc::clone(&DEFAULT), Some(PROMETHEUS), Limits::default());
        reader.feed(b"a 1\n").unwrap();
        format!("{reader:?}").len()
    };
    assert!(held < fresh + 100, "{held} against {fresh}");
    assert_eq!(reader.finish().unwrap().series, 10_000_000);
}

#[test]
fn ten_million_wanted_lines_are_held_to_the_bound() {
    let limits = Limits { sample_limit: 1_000, ..Limits::default() };
    let mut body = String::new();
    for index in 0..1_001 {
        writeln!(body, "http_requests_total{{id=\"{index}\"}} 1").unwrap();
    }
    let error = read_as(&DEFAULT, PROMETHEUS, limits, &[body.as_bytes()]).unwrap_err();
    assert_eq!(error, IngestError::TooManySamples { line: 1_001, limit: 1_000 });
    assert_eq!(read(PROMETHEUS, body).unwrap().own.get(Requests), Some(1_001.0));
}

#[test]
fn values_that_no_memory_has_are_refused_and_noted() {
    let page = text(
        "process_resident_memory_bytes NaN\nnodejs_heap_size_used_bytes -5\nprocess_threads +Inf\nprocess_open_fds 3\n",
    );
    assert_eq!(values(&page.own).len(), 1);
    assert_eq!(
        problems(&page),
        [
            "expected a finite value of at least 0 for `process_resident_memory_bytes` at line 1, found NaN",
            "expected a finite value of at least 0 for `nodejs_heap_size_used_bytes` at line 2, found -5",
            "expected a finite value of at least 0 for `process_threads` at line 3, found inf",
        ]
    );
    let page = read("application/json", r#"{"memory_usage": -1, "heap_size": 2}"#).unwrap();
    assert_eq!(values(&page.own), [(HeapUsed, 2.0)]);
    assert_eq!(problems(&page), ["expected a finite value of at least 0 for `memory_usage`, found -1"]);
}

#[test]
fn of_duplicate_series_the_first_is_kept_and_the_rest_noted() {
    let page = text(
        "process_open_fds 3\nhttp_requests_total{a=\"1\",b=\"2\"} 5\nprocess_open_fds 4\nhttp_requests_total{b=\"2\",a=\"1\"} 6\nhttp_requests_total{a=\"2\",b=\"1\"} 1\n",
    );
    assert_eq!(values(&page.own).iter().map(|(_, value)| *value).collect::<Vec<_>>(), [3.0, 6.0]);
    assert_eq!(
        problems(&page),
        [
            "`process_open_fds` at line 3 repeats an earlier series; the first value was kept",
            "`http_requests_total` at line 4 repeats an earlier series; the first value was kept",
        ]
    );
}

#[test]
fn of_many_problems_eight_are_kept_and_all_counted() {
    let page = text(&"process_open_fds 3\n".repeat(1_000));
    assert_eq!((page.problems.first().len(), page.problems.count()), (8, 999));
}

#[test]
fn an_endless_line_fails_at_the_limit() {
    let limits = Limits { line_bytes: 1_000, ..Limits::default() };
    let mut reader = PageReader::new(Arc::clone(&DEFAULT), Some(PROMETHEUS), limits);
    reader.feed(b"a 1\n").unwrap();
    let error = (0..11).find_map(|_| reader.feed(&[b'x'; 100]).err());
    assert_eq!(error, Some(IngestError::LineTooLong { line: 2, limit: 1_000 }));
    let whole = [b"a 1\n".as_slice(), &[b'x'; 1_100], b"\n"].concat();
    let error = read_as(&DEFAULT, PROMETHEUS, limits, &[&whole]).unwrap_err();
    assert_eq!(error, IngestError::LineTooLong { line: 2, limit: 1_000 });
}

#[test]
fn a_body_that_is_read_whole_fails_at_the_limit() {
    let limits = Limits { buffered_bytes: 1_000, ..Limits::default() };
    for (start, format) in [("{\"a\": \"", "JSON"), ("<p>", "HTML")] {
        let mut reader = PageReader::new(Arc::clone(&DEFAULT), None, limits);
        reader.feed(start.as_bytes()).unwrap();
        let error = (0..10).find_map(|_| reader.feed(&[b'x'; 100]).err());
        assert_eq!(error, Some(IngestError::BodyTooLarge { format, limit: 1_000 }));
    }
}

#[test]
fn nested_json_is_refused_by_depth() {
    for body in ["[".repeat(1_000_000), "{\"a\":".repeat(500_000), format!("{}1{}", "[".repeat(200), "]".repeat(200))] {
        let error = read("application/json", body).unwrap_err();
        assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
    }
}

#[test]
fn nested_html_is_refused_by_depth() {
    let source = Source::Selector { css: "body div p b".to_owned(), pattern: None };
    let config = PageConfig { mappings: vec![mapping(Rss, source)], ..PageConfig::default() };
    let spec = Arc::new(PageSpec::compile(&config).unwrap());
    let error = read_as(&spec, "text/html", Limits::default(), &["<div>".repeat(500_000).as_bytes()]).unwrap_err();
    assert_eq!(error, IngestError::Markup { what: "elements within each other", limit: 512 });
}

#[test]
fn a_target_may_flip_its_format_between_scrapes() {
    let scrape = |body: &str| read_as(&DEFAULT, PROMETHEUS, Limits::default(), &[body.as_bytes()]);
    assert_eq!(values(&scrape("process_open_fds 3\n").unwrap().own).len(), 1);
    assert_eq!(values(&scrape("{\"memory_usage\": 3}").unwrap().own), [(Rss, 3.0)]);
    assert!(scrape("<html>502 Bad Gateway</html>").is_err());
    assert!(scrape("Bad Gateway\n").unwrap().is_empty());
    let fixed = PageSpec::compile(&PageConfig { format: Format::Prometheus, ..PageConfig::default() }).unwrap();
    let fixed = Arc::new(fixed);
    assert!(read_as(&fixed, PROMETHEUS, Limits::default(), &[b"<html>502 Bad Gateway</html>"]).is_err());
    assert!(read_as(&fixed, PROMETHEUS, Limits::default(), &[b"{\"memory_usage\": 3}"]).is_err());
}

#[test]
fn text_and_objects_in_place_of_numbers_are_noted() {
    let page = read("application/json", r#"{"memory_usage": "lots", "heap_size": [1], "limit": true}"#).unwrap();
    assert!(page.is_empty());
    assert_eq!(
        problems(&page),
        [
            "no `rss`: `memory_usage`: expected a number, found `lots`",
            "no `heap_used`: `heap_size`: expected a quantity, found an array",
            "no `limit`: `limit`: expected a quantity, found a truth value",
        ]
    );
    assert_eq!(page.own.get(Limit), None);
}

/// A page that ends anywhere is an error or says nothing that the whole page does not say, but for the line that was cut.
#[test]
fn every_prefix_of_every_captured_page_is_an_error_or_part_of_the_page() {
    for (kind, body) in TEXT_PAGES {
        let lines = |end: usize| &body[..body[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)];
        // Long pages repeat themselves; their first part and every hundredth place will do.
        for end in (0..body.len()).filter(|end| *end < 4_000 || end % 97 == 0) {
            let cut = read(kind, &body[..end]);
            if *kind == OPENMETRICS && end + 1 < body.len() {
                assert!(cut.is_err(), "at {end}");
                continue;
            }
            let Ok(cut) = cut else { continue };
            let whole_lines = read(PROMETHEUS, lines(end)).unwrap();
            for (signal, value) in values(&whole_lines.own) {
                let kept = cut.own.get(signal);
                assert!(kept.is_some(), "at {end}: {signal:?} {value}");
            }
        }
    }
    for body in JSON_PAGES {
        let trimmed = body.trim_ascii_end();
        for end in 1..trimmed.len() {
            assert!(read("application/json", &trimmed[..end]).is_err(), "at {end}");
        }
    }
}

#[test]
fn an_empty_page_is_an_empty_page() {
    for body in ["", "\n\n", "# nothing\n"] {
        let page = read(PROMETHEUS, body).unwrap();
        assert_eq!((page.series, page.is_empty()), (0, true));
    }
    assert!(read(OPENMETRICS, "").is_err());
    assert!(read("application/json", "   ").unwrap().is_empty());
    assert_eq!(text("process_threads 1").own.get(Threads), Some(1.0));
}
