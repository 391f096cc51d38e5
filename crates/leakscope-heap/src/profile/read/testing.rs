//! Profiles as texts, so that tests compare the whole of them.

use std::fmt::Write as _;

use crate::error::HeapError;
use crate::profile::model::{LabelValue, Profile};

/// All that a profile says: a line for its columns, one a sample (`values | frames, leaf first | labels`), its warnings.
pub(super) fn written(profile: &Profile) -> String {
    let columns = profile.sample_types().iter().map(|column| {
        let (kind, unit) = (profile.text(column.kind), profile.text(column.unit));
        format!("{kind}/{unit}")
    });
    let mut text = columns.collect::<Vec<_>>().join(" ");
    for sample in 0..profile.n_samples() {
        let values = profile.values(sample).iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
        let frames = profile.stack(sample).iter().flat_map(|location| profile.lines(*location)).map(|line| {
            let function = line.function.map(|function| profile.functions()[function as usize]).unwrap_or_default();
            let (name, file) = (profile.text(function.name), profile.text(function.file));
            let mut frame = if file.is_empty() { name.to_owned() } else { format!("{name}@{file}") };
            for number in [line.line, line.column].into_iter().filter(|number| *number != 0) {
                let _ = write!(frame, ":{number}");
            }
            frame
        });
        let _ = write!(text, "\n{values} | {}", frames.collect::<Vec<_>>().join(" < "));
        let labels = profile.labels(sample).iter().map(|label| {
            let value = match label.value {
                LabelValue::Text(value) => profile.text(value).to_owned(),
                LabelValue::Number { value, unit } => format!("{value} {}", profile.text(unit)).trim_end().to_owned(),
            };
            format!("{}={value}", profile.text(label.key))
        });
        let labels = labels.collect::<Vec<_>>().join(", ");
        if !labels.is_empty() {
            let _ = write!(text, " | {labels}");
        }
    }
    for warning in profile.warnings() {
        let _ = write!(text, "\nwarning: {warning}");
    }
    text
}

/// The profile as a text, or its error as one.
pub(super) fn outcome(read: Result<Profile, HeapError>) -> String {
    read.map_or_else(|error| error.to_string(), |profile| written(&profile))
}
