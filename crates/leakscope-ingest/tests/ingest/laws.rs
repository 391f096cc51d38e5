//! Laws that hold for every page.

use std::fmt::Write as _;
use std::sync::Arc;

use leakscope_ingest::{Limits, PageReader};
use leakscope_model::{Readings, Signal};
use proptest::prelude::*;

use super::{DEFAULT, JSON_PAGES, PROMETHEUS, TEXT_PAGES, read, read_as, values};

/// A page and two places to cut it.
fn cut_pages() -> impl Strategy<Value = (usize, usize, usize)> {
    (0..TEXT_PAGES.len() + JSON_PAGES.len(), any::<usize>(), any::<usize>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_a_page_anywhere_changes_nothing((which, first, second) in cut_pages()) {
        let (kind, body) = match TEXT_PAGES.get(which) {
            Some(page) => *page,
            None => ("application/json", JSON_PAGES[which - TEXT_PAGES.len()]),
        };
        let (first, second) = (first % (body.len() + 1), second % (body.len() + 1));
        let (first, second) = (first.min(second), first.max(second));
        let chunks = [&body[..first], &body[first..second], &body[second..]];
        // Debug forms, for an absent value is NaN and equals nothing.
        prop_assert_eq!(format!("{:?}", read_as(&DEFAULT, kind, Limits::default(), &chunks)), format!("{:?}", read(kind, body)));
    }

    #[test]
    fn splitting_any_bytes_into_single_bytes_changes_nothing(body in "[ -~\n\"{}#\\\\]{0,80}") {
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        prop_assert_eq!(format!("{:?}", read_as(&DEFAULT, PROMETHEUS, Limits::default(), &chunks)), format!("{:?}", read(PROMETHEUS, &body)));
    }

    #[test]
    fn a_printed_page_reads_as_the_values_it_was_printed_from(
        values_in in proptest::collection::vec(0.0..1e15_f64, 5),
        noise in proptest::collection::vec(("[a-z_]{3,30}", any::<f64>()), 0..20),
        label in "\\PC{0,20}",
    ) {
        const NAMES: [(&str, Signal); 5] = [
            ("process_resident_memory_bytes", Signal::Rss),
            ("nodejs_heap_size_used_bytes", Signal::HeapUsed),
            ("process_open_fds", Signal::FileDescriptors),
            ("nodejs_external_memory_bytes", Signal::External),
            ("process_threads", Signal::Threads),
        ];
        let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut page = String::new();
        for (index, (name, _)) in NAMES.iter().enumerate() {
            for (noise, value) in noise.iter().skip(index * 4).take(4) {
                writeln!(page, "zz_{noise} {value}").unwrap();
            }
            writeln!(page, "{name}{{x=\"{escaped}\"}} {}", values_in[index]).unwrap();
        }
        let want: Readings = NAMES.iter().zip(&values_in).map(|((_, signal), value)| (*signal, *value)).collect();
        prop_assert_eq!(values(&read(PROMETHEUS, &page).unwrap().own), values(&want));
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
        let mut reader = PageReader::new(Arc::clone(&DEFAULT), None, Limits { line_bytes: 100, buffered_bytes: 200, sample_limit: 5 });
        let (head, tail) = body.split_at(cut.min(body.len()));
        if reader.feed(head).is_ok() && reader.feed(tail).is_ok() {
            drop(reader.finish());
        }
    }
}
