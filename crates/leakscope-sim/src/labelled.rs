//! Folders of recorded series with a `labels.json`: what is known of each, and to which half of a split it belongs.

use std::path::Path;
use std::time::Duration;

use leakscope_model::{Kind, Timestamp};
use serde_json::Value;

use crate::recorded::{self, Series};

/// The half of the data in which thresholds are chosen, and the half that only judges them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// Looked at while thresholds were chosen.
    Development,
    /// Not looked at.
    Test,
}

impl Half {
    /// Both, in this order.
    pub const BOTH: [Self; 2] = [Self::Development, Self::Test];

    /// Its name in tables and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
        }
    }

    /// The half of a service, by a hash of its name: every replica and every day of it is on the same side.
    pub fn of_service(service: &str) -> Self {
        if hash(service) & 1 == 0 { Self::Development } else { Self::Test }
    }
}

/// A number that depends on the text alone: FNV-1a, with its bits mixed so that any of them may be taken.
pub fn hash(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    crate::rng::Rng::new(fnv).bits()
}

/// What is known of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// It does not leak.
    Healthy,
    /// It leaks.
    Leaks(Leaking),
    /// Nobody knows.
    Unknown,
}

/// A leak that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaking {
    /// When it begins.
    pub onset: Timestamp,
    /// Hours from the onset to the limit; NaN where there is no end to it.
    pub hours_to_oom: f64,
    /// When memory met the limit, if the series shows it.
    pub killed_at: Option<Timestamp>,
    /// When memory meets the limit, if that is known, also after the end of the series.
    pub limit_at: Option<Timestamp>,
    /// What the detector should call it.
    pub kind: Option<Kind>,
}

/// One recorded series with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// File below the folder.
    pub file: String,
    /// Where it comes from.
    pub source: String,
    /// What runs: replicas and days of one service share it.
    pub service: String,
    /// What it is an example of: a family of leaks or of look-alikes; empty where nothing is said.
    pub family: String,
    /// How fast it leaks, in words; empty for healthy ones.
    pub rate: String,
    /// Its half.
    pub half: Half,
    /// What is known.
    pub truth: Truth,
    /// Its samples, on the detector's clock.
    pub series: Series,
}

/// Reads a folder. With a `labels.json` the files it names, else every series in it as a healthy one with times multiplied by `time_scale`.
///
/// # Errors
/// When a file cannot be read, or the labels are no list of objects with a `file`.
pub fn read(folder: &Path, time_scale: f64) -> Result<Vec<Labelled>, String> {
    let path = folder.join("labels.json");
    if !path.exists() {
        return unlabelled(folder, time_scale);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let labels: Value = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    // A list, or a document that holds one.
    let list = labels.as_array().or_else(|| labels["series"].as_array());
    let list = list.ok_or_else(|| format!("expected a list of labels in `{}`, found none", path.display()))?;
    list.iter().map(|label| labelled(folder, label)).collect()
}

fn unlabelled(folder: &Path, time_scale: f64) -> Result<Vec<Labelled>, String> {
    let source = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all = Vec::new();
    for path in recorded::list(folder)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let service = service_of(&file);
        all.push(Labelled {
            half: Half::of_service(&service),
            source: source.clone(),
            service,
            family: String::new(),
            rate: String::new(),
            truth: Truth::Healthy,
            series: recorded::read(&path, time_scale)?,
            file,
        });
    }
    Ok(all)
}

fn labelled(folder: &Path, label: &Value) -> Result<Labelled, String> {
    let text = |key: &str| label[key].as_str().unwrap_or_default().to_owned();
    let file = text("file");
    if file.is_empty() {
        return Err(format!("expected a `file` in each label of `{}`, found {label}", folder.display()));
    }
    let time_scale = label["time_scale"].as_f64().unwrap_or(1.0);
    let series = recorded::read(&folder.join(&file), time_scale)?;
    let service = service_of(&file);
    let half = match label["half"].as_str() {
        Some("development" | "dev") => Half::Development,
        Some("test") => Half::Test,
        _ => Half::of_service(&service),
    };
    Ok(Labelled {
        source: if label["source"].is_string() { text("source") } else { text("runtime") },
        family: if label["negative"].is_string() { text("negative") } else { text("family") },
        rate: text("rate_class"),
        truth: truth(label, &series, time_scale),
        file,
        service,
        half,
        series,
    })
}

/// Times in labels are seconds of the recording, as in its `t_s`.
fn truth(label: &Value, series: &Series, time_scale: f64) -> Truth {
    match label["leak"].as_bool() {
        None => Truth::Unknown,
        Some(false) => Truth::Healthy,
        Some(true) => {
            let at = |key: &str| label[key].as_f64().map(|secs| Timestamp::from_secs_f64(secs * time_scale));
            let begin = series.first().map_or(Timestamp::EPOCH, |(at, _)| *at);
            let end = series.last().map_or(begin, |(at, _)| *at);
            let onset = at("onset_s").unwrap_or(begin);
            let oom = at("oom_s");
            Truth::Leaks(Leaking {
                onset,
                hours_to_oom: oom.map_or(f64::NAN, |oom| oom.hours_since(onset)),
                // Some ends are extrapolated by who recorded; and what dies after the recording ended was not seen to die.
                killed_at: oom.filter(|oom| label["oom"] != "extrapolated" && *oom <= end.plus(Duration::from_mins(2))),
                limit_at: oom,
                kind: label["kind"].as_str().and_then(kind),
            })
        }
    }
}

fn kind(name: &str) -> Option<Kind> {
    let all = [
        Kind::Managed,
        Kind::Native,
        Kind::Tasks,
        Kind::Descriptors,
        Kind::CacheFill,
        Kind::LoadGrowth,
        Kind::Fragmentation,
        Kind::Unknown,
    ];
    all.into_iter().find(|kind| kind.name() == name)
}

/// The service in a file's name: without folder, ending, date, the sampling interval, and the two hashes that a pod's name ends in.
fn service_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.trim_end_matches(".gz").trim_end_matches(".csv");
    let interval = |end: &str| end.strip_suffix('s').is_some_and(|n| n.parse::<u32>().is_ok());
    let name = name.rsplit_once('_').filter(|(_, end)| interval(end)).map_or(name, |(name, _)| name);
    let mut words: Vec<&str> = name.split('-').collect();
    while words.len() > 1 && words[0].bytes().all(|byte| byte.is_ascii_digit()) {
        words.remove(0);
    }
    let hashed = |word: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if let [.., set, pod] = words[..]
        && words.len() > 2
        && hashed(set, 8..=10)
        && hashed(pod, 5..=5)
        && set.bytes().any(|byte| byte.is_ascii_digit())
    {
        words.truncate(words.len() - 2);
    }
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_its_name_without_day_replica_and_ending() {
        for (file, service) in [
            ("nezha/2022-08-22-adservice-5f6585d649-fnmft.csv.gz", "adservice"),
            ("2023-01-29-ts-admin-basic-info-service-5f55b6cf68-77cfw.csv.gz", "ts-admin-basic-info-service"),
            ("nezha/2023-01-29-ts-ui-dashboard-5477b965f-2chkr.csv.gz", "ts-ui-dashboard"),
            ("alibaba/m_1000.csv.gz", "m_1000"),
            ("llm-serving/opt-125m_10s.csv.gz", "opt-125m"),
            ("go-goroutine.csv", "go-goroutine"),
        ] {
            assert_eq!(service_of(file), service);
        }
    }

    #[test]
    fn halves_depend_on_the_service_alone_and_are_about_equal() {
        let n_test = (0..1_000).filter(|n| Half::of_service(&format!("m_{n}")) == Half::Test).count();
        assert!((450..550).contains(&n_test), "{n_test}");
        assert_eq!(Half::of_service("adservice"), Half::of_service("adservice"));
    }

    #[test]
    fn labels_say_what_leaks_from_when_to_when() {
        let series: Series = vec![
            (Timestamp::EPOCH, leakscope_model::Readings::default()),
            (Timestamp::from_secs_f64(36_000.0), leakscope_model::Readings::default()),
        ];
        let known = |label: &str| truth(&serde_json::from_str(label).unwrap(), &series, 60.0);
        assert_eq!(known(r#"{"leak": false}"#), Truth::Healthy);
        assert_eq!(known(r#"{"leak": null}"#), Truth::Unknown);
        let leaking =
            |oom: &str| format!(r#"{{"leak": true, "onset_s": 60, "oom_s": 540, "oom": "{oom}", "kind": "native"}}"#);
        let at = Timestamp::from_secs_f64(32_400.0);
        let met = Leaking {
            onset: Timestamp::from_secs_f64(3_600.0),
            hours_to_oom: 8.0,
            killed_at: Some(at),
            limit_at: Some(at),
            kind: Some(Kind::Native),
        };
        assert_eq!(known(&leaking("met")), Truth::Leaks(met));
        assert_eq!(known(&leaking("extrapolated")), Truth::Leaks(Leaking { killed_at: None, ..met }));
    }
}
