//! Which crate may know which: the layers of ARCHITECTURE.md as a table, held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Problem;
use crate::tree::Tree;

/// Every crate of the workspace and the siblings it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("leakscope-model", &[]),
    ("leakscope-ingest", &["leakscope-model"]),
    ("leakscope-detect", &["leakscope-model"]),
    ("leakscope-heap", &["leakscope-model"]),
    ("leakscope-store", &["leakscope-model"]),
    ("leakscope-wire", &["leakscope-model"]),
    ("leakscope-engine", &["leakscope-model", "leakscope-detect"]),
    (
        "leakscope-daemon",
        &["leakscope-model", "leakscope-ingest", "leakscope-store", "leakscope-engine", "leakscope-wire"],
    ),
    ("leakscope", &["leakscope-model", "leakscope-heap", "leakscope-engine", "leakscope-wire", "leakscope-daemon"]),
    ("leakscope-sim", &["leakscope-engine", "leakscope-detect", "leakscope-ingest", "leakscope-model"]),
    ("xtask", &[]),
    ("example-service", &[]),
];

/// What tests may know beyond `EDGES`.
const DEV_EDGES: &[(&str, &[&str])] =
    &[("leakscope-engine", &["leakscope-sim"]), ("leakscope-detect", &["leakscope-sim"])];

/// Crates that compute and do nothing else.
const PURE: &[&str] =
    &["leakscope-model", "leakscope-ingest", "leakscope-detect", "leakscope-heap", "leakscope-engine"];

/// What a pure crate must not reach at any depth: runtimes, sockets, chance, clocks.
const IMPURE: &[&str] = &["tokio", "mio", "hyper", "reqwest", "rand", "chrono"];

/// The only crates that may declare tokio.
const MAY_NAME_TOKIO: &[&str] = &["leakscope-daemon", "leakscope", "xtask", "example-service"];

/// One crate of the workspace, as cargo sees it.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Path of its Cargo.toml from the root of the repository.
    manifest: String,
    /// Declared dependencies, optional ones too.
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
    /// Every package it is built from, by name.
    reaches: BTreeSet<String>,
}

/// The crates of the workspace by name.
#[derive(Debug, Default)]
pub(super) struct Graph {
    members: BTreeMap<String, Member>,
}

impl Graph {
    pub(super) fn of_workspace(root: &Path) -> Result<Self, String> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("cargo metadata did not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("expected JSON from cargo metadata: {error}"))?;
        Ok(Self::of_metadata(&metadata))
    }

    fn of_metadata(metadata: &Value) -> Self {
        let root = text(metadata, "workspace_root");
        let packages: BTreeMap<&str, &Value> =
            list(metadata, "packages").map(|package| (text(package, "id"), package)).collect();
        let built_from: BTreeMap<&str, Vec<&str>> =
            list(&metadata["resolve"], "nodes").map(|node| (text(node, "id"), built_dependencies(node))).collect();
        let mut members = BTreeMap::new();
        for id in list(metadata, "workspace_members").filter_map(Value::as_str) {
            let Some(package) = packages.get(id) else { continue };
            let manifest = text(package, "manifest_path").strip_prefix(root).unwrap_or_default();
            let mut member = Member { manifest: manifest.trim_start_matches('/').to_owned(), ..Member::default() };
            for dependency in list(package, "dependencies") {
                let kind = if text(dependency, "kind") == "dev" { &mut member.dev } else { &mut member.normal };
                kind.insert(text(dependency, "name").to_owned());
            }
            let reached = reached_from(id, &built_from);
            member.reaches =
                reached.iter().filter_map(|id| packages.get(id)).map(|p| text(p, "name").to_owned()).collect();
            members.insert(text(package, "name").to_owned(), member);
        }
        Self { members }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// Ids of what a node of the resolve graph is built from; what only its tests use is left out.
fn built_dependencies(node: &Value) -> Vec<&str> {
    let built = |dependency: &&Value| list(dependency, "dep_kinds").any(|kind| text(kind, "kind") != "dev");
    list(node, "deps").filter(built).map(|dependency| text(dependency, "pkg")).collect()
}

fn reached_from<'a>(id: &'a str, built_from: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![id];
    while let Some(id) = waiting.pop() {
        for next in built_from.get(id).into_iter().flatten() {
            if reached.insert(*next) {
                waiting.push(next);
            }
        }
    }
    reached
}

pub(super) fn check(graph: &Graph, tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, member) in &graph.members {
        let mut add = |dependency: &str, what: String, instead: &'static str| {
            let manifest = tree.text(&member.manifest).unwrap_or_default();
            problems.push(Problem::new(&member.manifest, line_naming(manifest, dependency), what, instead));
        };
        let Some(allowed) = allowed_by(EDGES, name) else {
            add(name, format!("crate `{name}` has no layer"), "add it to `EDGES` in xtask/src/tidy/edges.rs");
            continue;
        };
        let for_tests = allowed_by(DEV_EDGES, name).unwrap_or_default();
        for other in member.normal.iter().filter(|other| graph.members.contains_key(*other)) {
            if !allowed.contains(&other.as_str()) {
                let what = format!("`{name}` depends on `{other}`; its layer allows only {allowed:?}");
                add(other, what, "move the code to the layer that may know both");
            }
        }
        for other in member.dev.iter().filter(|other| graph.members.contains_key(*other)) {
            if !allowed.contains(&other.as_str()) && !for_tests.contains(&other.as_str()) {
                let what = format!(
                    "tests of `{name}` depend on `{other}`; its layer allows only {allowed:?} and {for_tests:?}"
                );
                add(other, what, "move the test to the layer that may know both");
            }
        }
        if PURE.contains(&name.as_str()) {
            for impure in IMPURE.iter().filter(|impure| member.reaches.contains(**impure)) {
                add(impure, format!("pure crate `{name}` reaches `{impure}`"), "take the value as an argument");
            }
        }
        let names_tokio = member.normal.contains("tokio") || member.dev.contains("tokio");
        if names_tokio && !MAY_NAME_TOKIO.contains(&name.as_str()) {
            let what = format!("`{name}` names tokio; only {MAY_NAME_TOKIO:?} may");
            add("tokio", what, "return a value and let leakscope-daemon do the waiting");
        }
    }
    problems
}

fn allowed_by(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed)
}

/// The line of a manifest that declares `dependency`, else its first.
fn line_naming(manifest: &str, dependency: &str) -> usize {
    let declares = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(declares).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, dependencies, dependencies of tests, all packages reached.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

    fn found(members: &[Case<'_>]) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let member = |normal, dev, reaches| Member { manifest: "Cargo.toml".into(), normal, dev, reaches };
        let members = members.iter().map(|(name, normal, dev, reaches)| {
            ((*name).to_owned(), member(names(normal), names(dev), names(reaches)))
        });
        let graph = Graph { members: members.collect() };
        check(&graph, &Tree::default()).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn an_edge_against_the_layers_is_named() {
        assert_eq!(
            found(&[("leakscope-model", &[], &[], &[]), ("leakscope-detect", &["leakscope-model"], &[], &[])]),
            [""; 0]
        );
        assert_eq!(
            found(&[("leakscope-store", &[], &[], &[]), ("leakscope-detect", &["leakscope-store"], &[], &[])]),
            ["`leakscope-detect` depends on `leakscope-store`; its layer allows only [\"leakscope-model\"]"]
        );
    }

    #[test]
    fn only_tests_of_engine_and_detect_know_the_simulator() {
        let sim = ("leakscope-sim", &[][..], &[][..], &[][..]);
        assert_eq!(found(&[sim, ("leakscope-engine", &[], &["leakscope-sim"], &[])]), [""; 0]);
        assert_eq!(found(&[sim, ("leakscope-store", &[], &["leakscope-sim"], &[])]).len(), 1);
        assert_eq!(found(&[sim, ("leakscope-engine", &["leakscope-sim"], &[], &[])]).len(), 1);
    }

    #[test]
    fn a_pure_crate_reaches_no_runtime_at_any_depth() {
        assert_eq!(
            found(&[("leakscope-ingest", &["scraper"], &[], &["scraper", "rand"])]),
            ["pure crate `leakscope-ingest` reaches `rand`"]
        );
        assert_eq!(found(&[("leakscope-store", &["x"], &[], &["x", "rand"])]), [""; 0]);
    }

    #[test]
    fn only_the_rim_names_tokio() {
        assert_eq!(found(&[("leakscope-daemon", &["tokio"], &[], &["tokio"])]), [""; 0]);
        assert_eq!(found(&[("leakscope-wire", &["tokio"], &[], &["tokio"])]).len(), 1);
        assert_eq!(found(&[("leakscope-store", &[], &["tokio"], &[])]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        assert_eq!(found(&[("leakscope-utils", &[], &[], &[])]), ["crate `leakscope-utils` has no layer"]);
    }

    #[test]
    fn what_only_tests_use_is_not_reached() {
        let metadata = serde_json::json!({
            "workspace_root": "/r", "workspace_members": ["a"],
            "packages": [
                { "id": "a", "name": "a", "manifest_path": "/r/crates/a/Cargo.toml",
                  "dependencies": [{ "name": "b", "kind": null }, { "name": "d", "kind": "dev" }] },
                { "id": "b", "name": "b" }, { "id": "c", "name": "c" }, { "id": "d", "name": "d" }],
            "resolve": { "nodes": [
                { "id": "a", "deps": [{ "pkg": "b", "dep_kinds": [{ "kind": null }] }, { "pkg": "d", "dep_kinds": [{ "kind": "dev" }] }] },
                { "id": "b", "deps": [{ "pkg": "c", "dep_kinds": [{ "kind": "build" }] }] }] }
        });
        let graph = Graph::of_metadata(&metadata);
        let member = &graph.members["a"];
        assert_eq!(member.manifest, "crates/a/Cargo.toml");
        assert_eq!(member.reaches, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
        assert_eq!(member.dev, BTreeSet::from(["d".to_owned()]));
    }

    #[test]
    fn the_line_of_a_dependency_is_found() {
        let manifest = "[dependencies]\ntokio-rustls.workspace = true\ntokio.workspace = true\n";
        assert_eq!(line_naming(manifest, "tokio"), 3);
        assert_eq!(line_naming(manifest, "rand"), 1);
    }
}
