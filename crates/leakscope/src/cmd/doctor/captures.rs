//! What can be captured of each target: kinds that it gives, and the one change for each that it does not.

use std::fmt::Write;

use leakscope_daemon::{Capturable, FindingStatus};
use leakscope_model::{CaptureKind, Weight};
use serde::Serialize;

use super::marked;
use crate::heap::words::clean;
use crate::output::style;

/// The published row of a target.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    service: String,
    instance: String,
    runtime: String,
    pid: Option<u32>,
    /// `ok` when it gives all that its runtime has, `limited` when some is lacking, `missing` when there is nothing of its heap.
    status: &'static str,
    gives: Vec<Given>,
    lacks: Vec<Lack>,
    #[serde(skip)]
    shown: FindingStatus,
}

#[derive(Debug, Serialize)]
struct Given {
    kind: &'static str,
    /// `light` or `heavy`: heavy evidence is off until it is configured.
    weight: &'static str,
    way: String,
}

#[derive(Debug, Serialize)]
struct Lack {
    kind: &'static str,
    reason: String,
    remedy: String,
}

impl Target {
    pub(super) fn of(target: &Capturable) -> Self {
        let (means, lacking) =
            target.survey.as_ref().map_or((&[][..], &[][..]), |survey| (&survey.means, &survey.lacking));
        let gives = means.iter().map(|means| Given {
            kind: means.kind.name(),
            weight: match means.kind.weight() {
                Weight::Light => "light",
                Weight::Heavy => "heavy",
            },
            way: clean(&means.way),
        });
        let lacks = lacking.iter().map(|lacking| Lack {
            kind: lacking.kind.name(),
            reason: clean(&lacking.reason),
            remedy: clean(&lacking.remedy),
        });
        // Mappings are had of any process, and say nothing of its heap.
        let shown = match (means.iter().any(|means| means.kind != CaptureKind::ProcessMap), lacking.is_empty()) {
            (true, true) => FindingStatus::Ok,
            (true, false) => FindingStatus::Limited,
            (false, _) => FindingStatus::Missing,
        };
        Self {
            service: clean(&target.service),
            instance: clean(&target.instance),
            runtime: target.runtime.to_string(),
            pid: target.survey.as_ref().and_then(|survey| survey.pid),
            status: shown.name(),
            gives: gives.collect(),
            lacks: lacks.collect(),
            shown,
        }
    }

    fn detail(&self) -> String {
        let pid = self.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
        let kind = |given: &Given| match given.weight {
            "heavy" => format!("{} (heavy)", given.kind),
            _ => given.kind.to_owned(),
        };
        let gives: Vec<String> = self.gives.iter().map(kind).collect();
        let gives = if gives.is_empty() { "nothing".to_owned() } else { gives.join(", ") };
        format!("{}{pid}: {gives}", self.runtime)
    }

    /// Each change once, with the kinds that it would enable.
    fn remedies(&self) -> Vec<(&str, Vec<&str>)> {
        let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
        for lack in &self.lacks {
            match remedies.iter_mut().find(|(remedy, _)| *remedy == lack.remedy) {
                Some((_, kinds)) => kinds.push(lack.kind),
                None => remedies.push((&lack.remedy, vec![lack.kind])),
            }
        }
        remedies
    }
}

pub(super) fn text(targets: &[Target]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let width = targets.iter().map(|target| target.service.chars().count()).max().unwrap_or(0);
    let mut text = "\nWhat can be captured\n".to_owned();
    for target in targets {
        let (icon, color) = marked(target.shown);
        let (status, reset) = (target.status, style::RESET);
        let _ = writeln!(text, "{color}{icon} {status:<7}{reset}  {:<width$}  {}", target.service, target.detail());
        for (remedy, kinds) in target.remedies() {
            let _ = writeln!(text, "{:11}{:width$}  -> {}: {remedy}", "", "", kinds.join(", "));
        }
    }
    text
}
