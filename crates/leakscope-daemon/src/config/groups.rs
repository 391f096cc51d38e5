//! Lists of targets as files and HTTP servers give them: `[{"targets": ["host:port"], "labels": {}}]`, JSON or YAML. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::scrape::check_address;
use super::{Problem, TargetGroup, read_groups};

/// Most targets of one list. Beyond: the list is refused.
const TARGETS_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// The groups of a file's text; JSON when its name says so, else YAML.
///
/// # Errors
/// The first problem; the list is then not used at all.
pub(crate) fn parse_target_file(text: &str, file_name: &str) -> Result<Vec<TargetGroup>, Box<Problem>> {
    let is_json = std::path::Path::new(file_name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    if is_json {
        parse_json(text.as_bytes(), file_name)
    } else {
        read_groups(text, file_name).and_then(|groups| bounded(groups, file_name))
    }
}

/// The groups of a JSON list; `name` is for messages.
///
/// # Errors
/// The first problem.
pub(crate) fn parse_json(body: &[u8], name: &str) -> Result<Vec<TargetGroup>, Box<Problem>> {
    let groups: Vec<Group> = serde_json::from_slice(body).map_err(|error| {
        let problem = Problem::of_file(name, format!("expected a JSON list of `{{targets, labels}}`: {error}"));
        Box::new(Problem { line: error.line(), column: error.column(), width: 1, ..problem })
    })?;
    let groups: Vec<TargetGroup> = groups
        .into_iter()
        .map(|group| TargetGroup { targets: group.targets, labels: group.labels.unwrap_or_default() })
        .collect();
    for (index, group) in groups.iter().enumerate() {
        for target in &group.targets {
            if let Err(hint) = check_address(target) {
                let problem = Problem::of_file(
                    name,
                    format!("expected `host:port` in group {index}, found `{}`", target.escape_debug()),
                );
                return Err(Box::new(Problem { hint: Some(hint.to_owned()), ..problem }));
            }
        }
    }
    bounded(groups, name)
}

fn bounded(groups: Vec<TargetGroup>, name: &str) -> Result<Vec<TargetGroup>, Box<Problem>> {
    let n_targets: usize = groups.iter().map(|group| group.targets.len()).sum();
    if n_targets <= TARGETS_MAX {
        return Ok(groups);
    }
    Err(Box::new(Problem::of_file(name, format!("expected at most {TARGETS_MAX} targets, found {n_targets}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_lists_mean_the_same() {
        let json = parse_target_file(
            r#"[{"targets": ["a:1", "b:2"], "labels": {"service": "shop"}}, {"targets": []}]"#,
            "x.json",
        )
        .unwrap();
        let yaml = parse_target_file("- targets: ['a:1', 'b:2']\n  labels: {service: shop}\n- targets: []\n", "x.yml")
            .unwrap();
        assert_eq!(json, yaml);
        assert_eq!(json[0].targets, ["a:1", "b:2"]);
        assert_eq!(parse_target_file("", "x.yml").unwrap(), []);
    }

    #[test]
    fn a_bad_list_says_what_and_where() {
        for (text, name, message) in [
            (
                r#"{"targets": []}"#,
                "x.json",
                "expected a JSON list of `{targets, labels}`: invalid type: map, expected a sequence at line 1 column 0",
            ),
            (
                r#"[{"targets": ["http://a:1/metrics"]}]"#,
                "x.json",
                "expected `host:port` in group 0, found `http://a:1/metrics`",
            ),
            ("- target: [a]", "x.yml", "`[0]` needs `targets`"),
            ("targets: [a]", "x.yml", "expected a list of `{targets, labels}`, found a mapping"),
        ] {
            assert_eq!(parse_target_file(text, name).unwrap_err().message, message);
        }
    }
}
