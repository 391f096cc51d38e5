//! Targets that answer badly: the error, or what could be read, is on the target's page; everyone else goes on; memory stays flat.

use std::fmt::Write as _;
use std::io::Write as _;

use super::alone::{alone, own_memory};
use super::house::{House, until};
use super::server::{Reply, Server, json, response, rss, text};

/// Most bytes that all of this may add to the daemon's memory.
const GROWTH_MAX: u64 = 30 << 20;

/// What the target's page has to show.
enum Shown {
    /// Up, with this resident set, and no error.
    Reads(f64),
    /// Up, with this resident set, and a problem that contains this.
    ReadsBut(f64, &'static str),
    /// Up, without any reading, and a problem that contains this.
    Nothing(&'static str),
    /// Down, with an error that contains this.
    Fails(&'static str),
}
use Shown::{Fails, Nothing, Reads, ReadsBut};

type Case = (&'static str, &'static str, Shown, Server);

const SIZE_ERROR: &str = "expected a body of at most 1048576 bytes, found more (`body_size_limit`)";

#[test]
fn bad_targets_are_told_and_harm_nobody() {
    alone("bad_input::bad_targets_are_told_and_harm_nobody", || async {
        let healthy = Server::page(rss(5_000_000)).await;
        let elsewhere = Server::page(rss(1)).await;
        let mut cases = sizes().await;
        cases.extend(connections(&elsewhere).await);
        cases.extend(heads().await);
        cases.extend(encodings().await);
        cases.extend(contents().await);
        let mut config = format!(
            "global: {{scrape_interval: 2s, scrape_timeout: 1s, body_size_limit: 1MB}}\nscrape_configs:\n- {{job_name: healthy, scrape_interval: 200ms, static_configs: [{{targets: ['{}']}}]}}\n",
            healthy.address
        );
        let house = House::start(&config).await;
        until("the healthy one is scraped", async || (healthy.n_requests() > 3).then_some(())).await;
        let before = own_memory("VmRSS");
        std::fs::write("/proc/self/clear_refs", "5").unwrap();

        for (job, more, _, server) in &cases {
            writeln!(config, "- {{job_name: {job}, {more} static_configs: [{{targets: ['{}']}}]}}", server.address)
                .unwrap();
        }
        house.write_config(&config);
        assert_eq!(house.ask("POST", "/-/reload").await.status, 200);
        for (job, _, shown, _) in &cases {
            check(&house, job, shown).await;
        }
        // Once more round, all of them at once.
        let asked: Vec<usize> = cases.iter().map(|(.., server)| server.n_connections() + server.n_requests()).collect();
        let healthy_before = healthy.n_requests();
        until("each was asked again", async || {
            let again =
                cases.iter().zip(&asked).filter(|((.., server), n)| server.n_connections() + server.n_requests() > **n);
            (again.count() == cases.len()).then_some(())
        })
        .await;
        let target = house.target_up("healthy").await;
        assert!(healthy.n_requests() > healthy_before && target.last_error.is_none(), "{target:#?}");
        assert_eq!(elsewhere.n_requests() + elsewhere.n_connections(), 0, "a redirect to another host was followed");
        let peak = own_memory("VmHWM");
        assert!(peak < before + GROWTH_MAX, "grew from {} to {} KiB", before >> 10, peak >> 10);
        house.stop().await;
    });
}

async fn check(house: &House, job: &str, shown: &Shown) {
    match shown {
        Fails(error) => {
            house.target_failing(job, error).await;
        }
        Reads(value) => {
            let target = house.target_up(job).await;
            assert_eq!((target.signals.get("rss"), &target.last_error), (Some(value), &None), "{target:#?}");
        }
        Nothing(problem) => {
            let target = house.target_up(job).await;
            assert!(target.signals.is_empty(), "{target:#?}");
            assert!(target.last_error.as_deref().is_some_and(|found| found.contains(problem)), "{target:#?}");
        }
        ReadsBut(value, problem) => {
            let target = house.target_up(job).await;
            assert_eq!(target.signals.get("rss"), Some(value), "{target:#?}");
            assert!(target.last_error.as_deref().is_some_and(|found| found.contains(problem)), "{target:#?}");
        }
    }
}

async fn sizes() -> Vec<Case> {
    let kib_64 = b"# nothing at all\n".repeat(3_855);
    let chunk = [format!("{:x}\r\n", kib_64.len()).as_bytes(), &kib_64, b"\r\n"].concat();
    let line_1000 = b"unwanted_requests_total{path=\"/a\"} 1\n".repeat(1_000);
    let end = b"process_resident_memory_bytes 4000000\n";
    let repeat = |head: &'static str, again: Vec<u8>, times: u64| {
        Server::start(move |_, _| Reply::Repeat(head.as_bytes().to_vec(), again.clone(), times))
    };
    vec![
        (
            "huge",
            "",
            Fails(SIZE_ERROR),
            repeat("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", kib_64.clone(), 163_840).await,
        ),
        (
            "endless",
            "",
            Fails(SIZE_ERROR),
            repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, u64::MAX).await,
        ),
        ("untold", "", Fails(SIZE_ERROR), repeat("HTTP/1.1 200 OK\r\n\r\n", kib_64.clone(), u64::MAX).await),
        (
            "huge_500",
            "",
            Fails("expected status 200, found 500"),
            repeat("HTTP/1.1 500 Internal Server Error\r\n\r\n", kib_64, u64::MAX).await,
        ),
        (
            "million",
            "scrape_interval: 5s, scrape_timeout: 5s, body_size_limit: 100MB, sample_limit: 0,",
            Reads(4_000_000.0),
            Server::start(move |_, _| {
                let length = line_1000.len() * 1_000 + end.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
                Reply::Repeat([head.as_bytes(), end].concat(), line_1000.clone(), 1_000)
            })
            .await,
        ),
        (
            "many",
            "",
            Fails("expected at most 50000 samples"),
            Server::page(text(&"wanted_or_not 1\n".repeat(60_000))).await,
        ),
        (
            "long_line",
            "",
            Fails("expected a line of at most 65536 bytes"),
            Server::page(text(&"x".repeat(100_000))).await,
        ),
    ]
}

async fn connections(elsewhere: &Server) -> Vec<Case> {
    let redirect = |to: String| Server::page(response("302 Found", &format!("Location: {to}\r\n"), b""));
    let bytes = |bytes: &'static [u8]| Server::start(move |_, _| Reply::Close(bytes.to_vec()));
    let drip = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    vec![
        ("silent", "", Fails("no answer within 1 s (`scrape_timeout`)"), Server::start(|_, _| Reply::Silence).await),
        (
            "slow_head",
            "",
            Fails("no answer within 1 s"),
            Server::start(|_, _| Reply::Drip(b"HTTP/1.1 200 OK\r\n".to_vec())).await,
        ),
        ("slow_body", "", Fails("no answer within 1 s"), Server::start(|_, _| Reply::Drip(drip.to_vec())).await),
        ("closes", "", Fails("expected a response, found the end of the connection after 0 bytes"), bytes(b"").await),
        (
            "cut",
            "",
            Fails("found the end of the connection"),
            bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nprocess_res").await,
        ),
        (
            "too_much",
            "",
            Fails("bytes beyond the end of the body"),
            bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nprocess_resident_memory_bytes 1\n").await,
        ),
        (
            "no_length",
            "",
            Fails("a content length of `many`"),
            bytes(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").await,
        ),
        (
            "bad_chunk",
            "",
            Fails("a chunk's size of `zz`"),
            bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await,
        ),
        (
            "ssh",
            "",
            Fails("expected an HTTP/1 response, found something else"),
            bytes(b"SSH-2.0-OpenSSH_9.2\r\n").await,
        ),
        (
            "http2",
            "",
            Fails("expected an HTTP/1 response, found something else"),
            bytes(&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3]).await,
        ),
        ("circle", "", Fails("expected at most 5 redirects, found more"), redirect("/metrics".into()).await),
        ("away", "", Fails("it was not followed"), redirect(format!("http://{}/metrics", elsewhere.address)).await),
        ("away_too", "", Fails("it was not followed"), redirect(format!("//{}/metrics", elsewhere.address)).await),
        (
            "refused",
            "",
            Fails("expected status 200, found 401"),
            Server::page(response("401 Unauthorized", "", b"who?")).await,
        ),
        ("broken", "", Fails("expected status 200, found 500"), Server::page(response("500 Oops", "", b"oops")).await),
    ]
}

async fn heads() -> Vec<Case> {
    let fields = "X-Field: y\r\n".repeat(1_000);
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000);
    vec![
        ("fields", "", Fails("too many headers"), Server::page(response("200 OK", &fields, b"")).await),
        (
            "long_field",
            "",
            Fails("a head of more than 32768 bytes"),
            Server::start(|_, _| Reply::Repeat(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"y".repeat(1 << 16), u64::MAX))
                .await,
        ),
        ("interim", "", Fails("a head of more than 32768 bytes"), Server::page(interim).await),
        ("hinted", "", Reads(3_000_000.0), {
            let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec();
            Server::page([hint, rss(3_000_000)].concat()).await
        }),
    ]
}

async fn encodings() -> Vec<Case> {
    let page = b"process_resident_memory_bytes 6000000\n";
    let encoded = |encoding: &str, body: &[u8]| {
        Server::page(response("200 OK", &format!("Content-Encoding: {encoding}\r\n"), body))
    };
    vec![
        ("gzip", "", Reads(6_000_000.0), encoded("gzip", &gzip(page)).await),
        ("zstd", "", Reads(6_000_000.0), encoded("zstd", &zstd::encode_all(&page[..], 3).unwrap()).await),
        ("gzip_bomb", "", Fails(SIZE_ERROR), encoded("gzip", &gzip_of_lines()).await),
        ("zstd_bomb", "", Fails(SIZE_ERROR), encoded("zstd", &zstd_of_lines()).await),
        ("gzip_cut", "", Fails("expected gzip data"), encoded("gzip", &gzip(page)[..30]).await),
        (
            "zstd_cut",
            "",
            Fails("expected zstd data"),
            encoded("zstd", &zstd::encode_all(&page[..], 3).unwrap()[..20]).await,
        ),
        ("no_gzip", "", Fails("expected gzip data"), encoded("gzip", page).await),
        ("brotli", "", Fails("expected encoding `identity`, `gzip` or `zstd`, found `br`"), encoded("br", page).await),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 256 MiB of empty lines in as many KiB: members follow each other.
fn gzip_of_lines() -> Vec<u8> {
    gzip(&b"\n".repeat(1 << 20)).repeat(256)
}

/// 64 MiB of empty lines in some KiB.
fn zstd_of_lines() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let lines = b"\n".repeat(1 << 20);
    for _ in 0..64 {
        encoder.write_all(&lines).unwrap();
    }
    encoder.finish().unwrap()
}

async fn contents() -> Vec<Case> {
    let body = |body: &[u8]| Server::page(response("200 OK", "Content-Type: text/plain\r\n", body));
    vec![
        ("no_text", "", Fails("expected"), body(&[0xff, 0xfe, 0x80, 0x00, 0x0a].repeat(1_000)).await),
        (
            "latin1",
            "",
            Reads(2_000_000.0),
            body(b"# HELP a caf\xe9\nx{a=\"\xe9\"} 1\nprocess_resident_memory_bytes 2000000\n").await,
        ),
        (
            "lies",
            "",
            ReadsBut(2_000_000.0, "of at least 0 for `go_goroutines` at line 1, found -5 (and 1 more)"),
            body(b"go_goroutines -5\nprocess_resident_memory_bytes 2000000\nprocess_open_fds NaN\n").await,
        ),
        (
            "twice",
            "",
            ReadsBut(2_000_000.0, "repeats an earlier series"),
            body(b"process_resident_memory_bytes 2000000\nprocess_resident_memory_bytes 3000000\n").await,
        ),
        ("back", "", Reads(2_000_000.0), {
            Server::start(|_, n| {
                Reply::Keep(text(&format!(
                    "process_resident_memory_bytes 2000000 {}\n",
                    1_700_000_000_000 - 60_000 * n as u64
                )))
            })
            .await
        }),
        ("not_json", "", Fails("expected JSON"), Server::page(json("{\"memory_usage\": 5,")).await),
        ("deep", "", Fails("expected JSON"), Server::page(json(&"[".repeat(100_000))).await),
        ("empty", "", Nothing("expected readings of memory, found none among 0 samples"), Server::page(text("")).await),
        ("other", "", Nothing("found none among 1 samples"), Server::page(text("orders_total 5\n")).await),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changes_its_format_at_every_scrape_is_read_in_each() {
    let server = Server::start(|_, n| {
        Reply::Keep(match n % 3 {
            0 => rss(1_000_000),
            1 => json(r#"{"memory_usage": 2000000}"#),
            _ => response("200 OK", "Content-Type: text/html\r\n", b"<html><b id=rss>3 MB</b></html>"),
        })
    })
    .await;
    let house = House::start(&format!(
        "scrape_configs:\n- {{job_name: flipping, scrape_interval: 100ms, signals: {{rss: {{selector: '#rss'}}}}, static_configs: [{{targets: ['{}']}}]}}\n",
        server.address
    ))
    .await;
    let target = house.target_up("flipping").await;
    until("all three formats were read", async || {
        let points = house.series(&target.id, "rss", "").await;
        let has = |value: f64| points.iter().any(|point| point.1 == value);
        (has(1_000_000.0) && has(2_000_000.0) && has(3.0 * 1_048_576.0)).then_some(())
    })
    .await;
    house.stop().await;
}
