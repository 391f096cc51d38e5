//! Any bytes as a recording for `leakscope backtest`, packed or plain: rows whose times and values are ones, or an error. No panic, and
//! no more memory than a line takes. The reader is that of the binary, which is no library. Seeds: `fixtures/series/demo`.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the binary opens files and lists columns")]
#[path = "../../crates/leakscope/src/backtest/rows.rs"]
mod rows;

/// Rows of one input. A packed one may hold more than anyone waits for.
const ROWS_MAX: usize = 100_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut rows) = rows::Rows::unpacked(Cursor::new(bytes.to_vec()), 60.0) else { return };
    for _ in 0..ROWS_MAX {
        match rows.next() {
            Ok(Some((time_s, readings))) => {
                assert!(time_s.is_finite());
                assert!(readings.iter().all(|(_, value)| value.is_finite() && value >= 0.0));
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().len() < 1_000);
                break;
            }
        }
    }
});
