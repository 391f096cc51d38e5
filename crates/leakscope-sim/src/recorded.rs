//! Recorded series: CSV with `t_s` and a column for each signal, an empty cell where nothing was read.

use std::io::Read;
use std::path::Path;

use leakscope_model::{Readings, Signal, Timestamp};

/// Columns and what they mean.
const COLUMNS: [(&str, Signal); 10] = [
    ("rss_bytes", Signal::Rss),
    ("anon_bytes", Signal::AnonRss),
    ("heap_bytes", Signal::HeapUsed),
    ("heap_after_gc_bytes", Signal::HeapAfterGc),
    ("external_bytes", Signal::External),
    ("requests_total", Signal::Requests),
    ("limit_bytes", Signal::Limit),
    ("start_s", Signal::StartTime),
    ("tasks", Signal::Tasks),
    ("fds", Signal::FileDescriptors),
];

/// One recorded series, ascending in time.
pub type Series = Vec<(Timestamp, Readings)>;

/// Reads one series, puts it in the order of time, and multiplies times by `time_scale`. Files that end in `.gz` are gunzipped.
///
/// # Errors
/// When the file cannot be read, or has no `t_s`, or a row without a time.
pub fn read(path: &Path, time_scale: f64) -> Result<Series, String> {
    let explain = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| explain(&error))?;
    let bytes: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(|error| explain(&error))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let time = place("t_s").ok_or_else(|| explain(&"expected a column `t_s`, found none"))?;
    let columns: Vec<(usize, Signal)> =
        COLUMNS.iter().filter_map(|(name, signal)| Some((place(name)?, *signal))).collect();
    let mut series = Series::new();
    for row in reader.records() {
        let row = row.map_err(|error| explain(&error))?;
        let cell = |place: usize| row.get(place).and_then(|cell| cell.parse::<f64>().ok());
        let t_s = cell(time).ok_or_else(|| explain(&format!("expected seconds in `t_s`, found none in {row:?}")))?;
        let readings = columns.iter().filter_map(|(place, signal)| Some((*signal, cell(*place)?))).collect();
        series.push((Timestamp::from_secs_f64(t_s * time_scale), readings));
    }
    // One public file has rows whose time is wrong by minutes: a scraper would not have seen them in this order.
    series.sort_by_key(|(at, _)| *at);
    series.dedup_by_key(|(at, _)| *at);
    Ok(series)
}

/// Every `.csv` and `.csv.gz` in a folder, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".csv") || name.ends_with(".csv.gz")
        })
        .collect();
    paths.sort();
    Ok(paths)
}
