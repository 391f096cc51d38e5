//! What several pieces of evidence say together: one list of suspects, strongest first, each with the comparisons that confirm it.

use std::cmp::Ordering;

use leakscope_model::{CaptureId, CaptureKind, Finding, Location};

/// Suspects of one incident.
const SUSPECTS_MAX: usize = 10;
/// From here on a finding is called a leak.
pub(crate) const LEAK: f64 = 0.5;
/// From here on light evidence has said enough.
pub(crate) const NAMED: f64 = 0.6;
/// Comparisons, one after the other, that make a site confirmed.
pub(crate) const CONFIRMED: u32 = 2;
/// The least part of the growth by which a suspect is weighed.
const PART_MIN: f64 = 0.01;
/// A suspect that a later comparison of the same kind does not show is believed half as much; below this it is left out.
const CONFIDENCE_MIN: f64 = 0.05;

/// Adds what one analysis found in `captures`, all of one `kind`; `kind_of` says what earlier captures were.
pub(crate) fn merge(
    known: &[Finding],
    found: Vec<Finding>,
    captures: &[CaptureId],
    kind: CaptureKind,
    kind_of: impl Fn(CaptureId) -> Option<CaptureKind>,
) -> Vec<Finding> {
    let origin = |finding: &Finding| finding.captures.last().and_then(|id| kind_of(*id));
    let mut merged: Vec<Finding> = known.to_vec();
    if captures.len() > 1 {
        for known in merged.iter_mut().filter(|known| origin(known) == Some(kind)) {
            if !found.iter().any(|found| same(known, found) && grew(found)) {
                known.confirmations = 0;
                known.suspect.confidence /= 2.0;
            }
        }
    }
    for mut finding in found {
        finding.captures = captures.to_vec();
        let grew = captures.len() > 1 && grew(&finding);
        match merged.iter_mut().find(|known| same(known, &finding)) {
            Some(known) => {
                let same_kind = origin(known) == Some(kind);
                join(known, finding, same_kind, grew);
            }
            None => merged.push(Finding { confirmations: u32::from(grew), ..finding }),
        }
    }
    let is_map = |finding: &Finding| origin(finding).or(Some(kind)) == Some(CaptureKind::ProcessMap);
    merged.retain(|finding| finding.suspect.confidence >= CONFIDENCE_MIN);
    let most = merged.iter().filter(|finding| !is_map(finding)).map(growth).max().unwrap_or(0);
    merged.sort_by(|a, b| rank(a, is_map(a)).cmp(&rank(b, is_map(b))).then_with(|| stronger(a, b, most)));
    merged.truncate(SUSPECTS_MAX);
    merged
}

/// Puts new evidence of a known suspect in its place. A single capture does not replace a comparison.
fn join(known: &mut Finding, found: Finding, same_kind: bool, grew: bool) {
    let newer = found.captures.last() > known.captures.last();
    let confirmations = match (grew, newer) {
        (true, true) => known.confirmations + 1,
        (true, false) => known.confirmations.max(1),
        (false, _) => known.confirmations,
    };
    let replaces = match (found.captures.len() > 1, known.captures.len() > 1) {
        (false, true) => false,
        (true, false) => true,
        _ => same_kind || found.suspect.confidence > known.suspect.confidence,
    };
    let other = if replaces { std::mem::replace(known, found) } else { found };
    known.confirmations = confirmations;
    let suspect = &mut known.suspect;
    if suspect.location.is_none() {
        suspect.location = other.suspect.location;
    }
    if suspect.path.is_empty() {
        suspect.path = other.suspect.path;
    }
    if suspect.stack.is_empty() {
        suspect.stack = other.suspect.stack;
    }
}

/// Whether two findings are of one site: by identity, else by place and name.
pub(crate) fn same(a: &Finding, b: &Finding) -> bool {
    if a.identity.is_some() && a.identity == b.identity {
        return true;
    }
    let place = |location: &Option<Location>| location.as_ref().map(|place| (place.file.clone(), place.line));
    match (place(&a.suspect.location), place(&b.suspect.location)) {
        (Some(one), Some(other)) => one == other && a.suspect.name == b.suspect.name,
        (None, None) => {
            let unnamed = a.identity.is_none() || b.identity.is_none();
            unnamed && a.suspect.name == b.suspect.name && a.suspect.kind == b.suspect.kind
        }
        _ => false,
    }
}

fn grew(finding: &Finding) -> bool {
    finding.growth_bytes.is_some_and(|bytes| bytes > 0) || finding.growth_count.is_some_and(|count| count > 0)
}

/// Whether it says where: a place in the source, a stack of a program, or what holds it. Classes of mappings are no place.
pub(crate) fn names_site(finding: &Finding) -> bool {
    let suspect = &finding.suspect;
    let placed = suspect.stack.iter().any(|frame| frame.file.is_some() || frame.line.is_some());
    suspect.location.is_some() || placed || !suspect.path.is_empty()
}

/// Whether it is a leak of two or more captures with a site.
pub(crate) fn explains(finding: &Finding) -> bool {
    finding.captures.len() > 1 && finding.suspect.confidence >= LEAK && names_site(finding)
}

/// Comparisons before single captures, and what only sees the process from outside after all that names a place.
fn rank(finding: &Finding, is_map: bool) -> u8 {
    let compared = finding.captures.len() > 1;
    let placed = finding.suspect.location.is_some();
    match (is_map, compared, placed) {
        (true, _, _) => 2,
        (false, true, true) => 0,
        (false, true, false) if finding.suspect.confidence >= LEAK => 0,
        (false, false, true) => 1,
        (false, _, false) => 3,
    }
}

/// Bytes that it grew by, or has.
fn growth(finding: &Finding) -> i64 {
    finding.growth_bytes.unwrap_or(finding.suspect.bytes.min(i64::MAX as u64) as i64)
}

/// By confidence, and by how much of what grew it explains beside the one that explains `most`: one kind of evidence may be sure of
/// the little that it sees. What is counted and has no bytes stands by its confidence alone.
fn stronger(a: &Finding, b: &Finding, most: i64) -> Ordering {
    let weight = |finding: &Finding| {
        let grown = growth(finding);
        let part = if grown > 0 && most > 0 { (grown as f64 / most as f64).max(PART_MIN) } else { 1.0 };
        finding.suspect.confidence * part.sqrt()
    };
    weight(b)
        .total_cmp(&weight(a))
        .then_with(|| growth(b).cmp(&growth(a)))
        .then_with(|| a.suspect.title.cmp(&b.suspect.title))
}

/// What is known of the strongest suspect, as a sentence: "`remember` (server.js:41) holds 84 % of what grew; it grew in 2 comparisons".
pub(crate) fn sentence(finding: &Finding) -> String {
    let suspect = &finding.suspect;
    let place = suspect.location.as_ref().map_or_else(String::new, |place| {
        let file = place.file.rsplit(['/', '\\']).next().unwrap_or(&place.file);
        format!(" ({file}:{})", place.line)
    });
    let share = suspect.share.clamp(0.0, 1.0) * 100.0;
    let (whole, told) = match (finding.captures.len() > 1, finding.confirmations) {
        (false, _) => ("is there", "seen in one capture".to_owned()),
        (true, 0 | 1) => ("grew", "it grew in 1 comparison".to_owned()),
        (true, times) => ("grew", format!("it grew in {times} comparisons")),
    };
    format!("`{}`{place} holds {share:.0} % of what {whole}; {told}", suspect.name)
}

#[cfg(test)]
mod tests {
    use leakscope_model::Suspect;

    use super::*;

    fn finding(name: &str, line: Option<u32>, confidence: f64, growth: i64) -> Finding {
        Finding {
            suspect: Suspect {
                title: name.into(),
                kind: "allocation".into(),
                name: name.into(),
                bytes: growth.unsigned_abs(),
                count: 1,
                share: 0.84,
                path: Vec::new(),
                stack: Vec::new(),
                location: line.map(|line| Location { file: "src/server.js".into(), line, column: None }),
                confidence,
                reason: String::new(),
            },
            identity: Some(name.into()),
            growth_bytes: Some(growth),
            growth_count: None,
            grew_in_every_step: None,
            captures: Vec::new(),
            confirmations: 0,
        }
    }

    fn ids(captures: &[u64]) -> Vec<CaptureId> {
        captures.iter().copied().map(CaptureId).collect()
    }

    /// Captures below 100 are heap profiles, those below 200 process maps, others snapshots.
    fn kind_of(id: CaptureId) -> CaptureKind {
        match id.0 {
            0..100 => CaptureKind::V8Sampling,
            100..200 => CaptureKind::ProcessMap,
            _ => CaptureKind::V8Snapshot,
        }
    }

    /// Merges each step's findings; names with confirmations in their order.
    fn told(steps: Vec<(Vec<Finding>, &[u64])>) -> Vec<(String, u32)> {
        let mut known = Vec::new();
        for (found, captures) in steps {
            let kind = kind_of(CaptureId(captures[0]));
            known = merge(&known, found, &ids(captures), kind, |id| Some(kind_of(id)));
        }
        known.into_iter().map(|finding| (finding.suspect.name, finding.confirmations)).collect()
    }

    fn names(expect: &[(&str, u32)]) -> Vec<(String, u32)> {
        expect.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect()
    }

    #[test]
    fn each_comparison_in_which_a_site_grew_confirms_it_and_one_in_which_it_did_not_takes_that_back() {
        let leak = || finding("remember", Some(41), 0.8, 1_000);
        let flat = || Finding { growth_bytes: Some(0), ..leak() };
        for (steps, expect) in [
            (vec![(vec![leak()], &[1, 2][..])], names(&[("remember", 1)])),
            (vec![(vec![leak()], &[1, 2]), (vec![leak()], &[1, 2, 3])], names(&[("remember", 2)])),
            (vec![(vec![leak()], &[1, 2]), (vec![leak()], &[1, 2])], names(&[("remember", 1)])),
            (vec![(vec![leak()], &[1, 2]), (vec![flat()], &[1, 2, 3])], names(&[("remember", 0)])),
            (vec![(vec![leak()], &[1, 2]), (vec![], &[1, 2, 3])], names(&[("remember", 0)])),
            (vec![(vec![leak()], &[1])], names(&[("remember", 0)])),
            (vec![(vec![leak()], &[1, 2]), (vec![leak()], &[201, 202])], names(&[("remember", 2)])),
        ] {
            assert_eq!(told(steps), expect);
        }
    }

    #[test]
    fn comparisons_rank_before_single_captures_and_the_process_map_after_every_place() {
        let place = |name: &str, confidence| finding(name, Some(41), confidence, 1_000);
        let map = |confidence| finding("[heap]", None, confidence, 9_000_000);
        for (steps, expect) in [
            (vec![(vec![place("one", 0.9)], &[1][..]), (vec![place("two", 0.5)], &[201, 202])], ["two", "one"]),
            (vec![(vec![map(0.99)], &[101, 102]), (vec![place("weak", 0.1)], &[1, 2])], ["weak", "[heap]"]),
            (vec![(vec![place("weak", 0.1)], &[1]), (vec![map(0.99)], &[101, 102])], ["weak", "[heap]"]),
            (vec![(vec![finding("type", None, 0.2, 5)], &[1, 2]), (vec![map(0.9)], &[101, 102])], ["[heap]", "type"]),
            (vec![(vec![finding("type", None, 0.7, 1_000), place("site", 0.6)], &[1, 2])], ["type", "site"]),
            // What is sure of a hundredth of the growth stands behind what is fairly sure of all.
            (vec![(vec![finding("much", Some(7), 0.6, 100_000), place("little", 0.9)], &[1, 2])], ["much", "little"]),
        ] {
            let told = told(steps);
            assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expect);
        }
    }

    #[test]
    fn kinds_that_know_of_one_site_complete_each_other() {
        let stack = finding("remember", Some(41), 0.6, 10);
        let graph = Finding { identity: None, ..finding("remember", Some(41), 0.9, 20) };
        let merged = merge(&[], vec![stack], &ids(&[1, 2]), CaptureKind::V8Sampling, |id| Some(kind_of(id)));
        let merged = merge(&merged, vec![graph], &ids(&[201, 202]), CaptureKind::V8Snapshot, |id| Some(kind_of(id)));
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].growth_bytes, merged[0].confirmations), (Some(20), 2));
    }

    #[test]
    fn there_are_ten_suspects_at_most_the_strongest() {
        let many = (0..30).map(|n| finding(&n.to_string(), Some(n), f64::from(n) / 30.0, 1)).collect();
        let merged = merge(&[], many, &ids(&[1, 2]), CaptureKind::GoHeap, |id| Some(kind_of(id)));
        assert_eq!(merged.len(), 10);
        assert_eq!(merged[0].suspect.name, "29");
    }

    #[test]
    fn the_sentence_names_the_site_its_share_and_how_often_it_grew() {
        let mut leak = finding("rememberRecommendation", Some(41), 0.9, 10);
        leak.captures = ids(&[1, 2, 3]);
        leak.confirmations = 2;
        assert_eq!(
            sentence(&leak),
            "`rememberRecommendation` (server.js:41) holds 84 % of what grew; it grew in 2 comparisons"
        );
        leak.captures.truncate(1);
        leak.suspect.location = None;
        assert_eq!(sentence(&leak), "`rememberRecommendation` holds 84 % of what is there; seen in one capture");
    }
}
