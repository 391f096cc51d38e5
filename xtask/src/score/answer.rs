//! What `leakscope diff` answers, and the parts of it that are judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The JSON of `leakscope diff` of these files.
pub(super) fn diff(binary: &Path, paths: &[PathBuf]) -> Result<Value, String> {
    let output = Command::new(binary)
        .arg("diff")
        .args(paths)
        .args(["--format", "json"])
        .output()
        .map_err(|error| format!("`{}` did not start: {error}", binary.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("no JSON ({}): {}", output.status, said.lines().next().unwrap_or_default())
    })
}

/// Whether `--format` asks for JSON.
pub(super) fn as_json(given: Option<&str>) -> Result<bool, String> {
    match given {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(format!("expected `text` or `json` after `--format`, found `{other}`")),
    }
}

/// Title, name and path of a suspect: the words that name who holds it.
pub(super) fn said(suspect: &Value) -> String {
    let steps = suspect["path"].as_array().into_iter().flatten().flat_map(|step| [&step["edge"], &step["name"]]);
    let words = [&suspect["title"], &suspect["name"]].into_iter().chain(steps);
    words.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// The file's name without its folders, and the line from 1.
pub(super) fn location(suspect: &Value) -> Option<(String, u32)> {
    let file = suspect["location"]["file"].as_str()?;
    let line = suspect["location"]["line"].as_u64()?.try_into().ok()?;
    Some((file.rsplit('/').next().unwrap_or(file).to_owned(), line))
}
