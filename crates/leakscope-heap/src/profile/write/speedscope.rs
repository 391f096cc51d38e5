//! A profile in speedscope's JSON: a sampled profile of each column.
//!
//! Source: <https://www.speedscope.app/file-format-schema.json>.

use serde_json::{Value, json};

use super::super::model::Profile;
use super::super::nodes::{Binaries, Granularity, Nodes};

/// All columns of a profile as one file of speedscope. `name` is what it shows as title.
///
/// The format knows no negative weights: what shrank is left out of a difference.
pub fn write_speedscope(profile: &Profile, name: &str) -> String {
    let nodes = Nodes::of(profile, Granularity::Lines, Binaries::Merged);
    let frames: Vec<Value> = nodes
        .keys
        .iter()
        .map(|key| {
            let mut frame = json!({ "name": nodes.short_name(profile, key) });
            if !nodes.file(key).is_empty() {
                frame["file"] = nodes.file(key).into();
            }
            if key.line > 0 {
                frame["line"] = key.line.into();
            }
            frame
        })
        .collect();
    let profiles: Vec<Value> = (0..profile.sample_types.len()).map(|column| sampled(profile, &nodes, column)).collect();
    let file = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": "leakscope",
        "name": name,
        "activeProfileIndex": profile.default_column(),
        "shared": { "frames": frames },
        "profiles": profiles,
    });
    file.to_string()
}

fn sampled(profile: &Profile, nodes: &Nodes, column: usize) -> Value {
    let mut samples: Vec<Vec<u32>> = Vec::new();
    let mut weights: Vec<i64> = Vec::new();
    for sample in 0..profile.n_samples() {
        let value = profile.values(sample)[column];
        if value > 0 {
            let stack = profile.stack(sample).iter().rev();
            samples.push(stack.flat_map(|location| nodes.at(*location).iter().rev().copied()).collect());
            weights.push(value);
        }
    }
    let column = profile.sample_types[column];
    json!({
        "type": "sampled",
        "name": profile.text(column.kind),
        "unit": unit(profile.text(column.unit)),
        "startValue": 0,
        "endValue": weights.iter().fold(0_i64, |sum, weight| sum.saturating_add(*weight)),
        "samples": samples,
        "weights": weights,
    })
}

/// The units that the format knows.
fn unit(unit: &str) -> &str {
    match unit {
        "bytes" | "nanoseconds" | "microseconds" | "milliseconds" | "seconds" => unit,
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::profile;
    use super::*;

    #[test]
    fn stacks_are_written_from_the_root_down_with_a_profile_a_column() {
        let stacks: &[(&str, &[i64])] = &[("main;put:4>grow", &[1, 10]), ("main", &[0, -5])];
        let of = profile(&[("inuse_objects", "count"), ("inuse_space", "bytes")], stacks);
        let file: Value = serde_json::from_str(&write_speedscope(&of, "heap")).unwrap();
        let frames = json!([{"name": "grow"}, {"name": "put", "file": "put.c", "line": 4}, {"name": "main"}]);
        assert_eq!(file["shared"]["frames"], frames);
        let sampled = |name: &str, unit: &str, weight: i64| {
            json!({"type": "sampled", "name": name, "unit": unit, "startValue": 0, "endValue": weight,
                "samples": [[2, 1, 0]], "weights": [weight]})
        };
        assert_eq!(file["profiles"], json!([sampled("inuse_objects", "none", 1), sampled("inuse_space", "bytes", 10)]));
        assert_eq!(file["activeProfileIndex"], 1);
    }
}
