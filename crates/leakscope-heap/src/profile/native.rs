//! Memory of a process that its interpreter knows nothing of, where the captures say how much the process has.

use leakscope_model::{Bytes, Suspect};

use super::model::Profile;
use super::tell::{DOUBTFUL, Story, identity};
use crate::findings::{Finding, Growth};

/// Part of resident memory that its growth must be to be told.
const GROWTH_SHARE_MIN: f64 = 0.1;
/// Part of the growth of resident memory that the interpreter must not know of.
const UNKNOWN_SHARE_MIN: f64 = 0.5;
/// Part of the greatest step that each must be: a process that warms up takes less and less.
const PACE_MIN: f64 = 0.4;
const NAME: &str = "native memory";

/// Growth of resident memory that neither what the interpreter allocated nor its tracer explains; none where the captures do not say.
pub(crate) fn grown(story: &Story<'_>) -> Option<Finding> {
    let profiles: Vec<&Profile> = story.stacks.captures.iter().map(|capture| capture.profile).collect();
    let all: Vec<i64> = profiles.iter().map(|profile| resident(profile)).collect::<Option<_>>()?;
    let known: Vec<i64> = story.stacks.total().iter().map(|look| look.bytes).collect();
    let steps =
        |values: &[i64]| -> Vec<i64> { values.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect() };
    let (all_steps, known_steps) = (steps(&all), steps(&known));
    let unknown: Vec<i64> =
        all_steps.iter().zip(&known_steps).map(|(all, known)| all.saturating_sub((*known).max(0))).collect();
    let sum = |steps: &[i64]| steps.iter().fold(0_i64, |sum, step| sum.saturating_add(*step));
    let (grown, bytes) = (sum(&all_steps), sum(&unknown));
    let fastest = unknown.iter().copied().max().unwrap_or(0);
    let in_every_step = fastest > 0 && unknown.iter().all(|step| *step as f64 >= PACE_MIN * fastest as f64);
    let matters = grown as f64 >= GROWTH_SHARE_MIN * *all.last()? as f64;
    if story.scale.by_count || !in_every_step || !matters || (bytes as f64) < UNKNOWN_SHARE_MIN * grown as f64 {
        return None;
    }
    let share = bytes as f64 / grown as f64;
    let growth = Growth {
        bytes,
        count: 0,
        in_every_step,
        error_bytes: None,
        bytes_per_hour: story.hours.map(|hours| bytes as f64 / hours),
        bytes_per_request: story.requests.map(|requests| bytes as f64 / requests),
    };
    let size = |bytes: i64| Bytes(bytes.max(0).unsigned_abs());
    let suspect = Suspect {
        title: "memory grows that the interpreter did not allocate".to_owned(),
        kind: "native".to_owned(),
        name: NAME.to_owned(),
        bytes: bytes.unsigned_abs(),
        count: 0,
        share,
        path: Vec::new(),
        stack: Vec::new(),
        location: None,
        confidence: DOUBTFUL * share,
        reason: format!(
            "resident memory without the tracer's own grew by {} and what the interpreter allocated by {}: the rest is native, of an \
             extension or of fragmentation, and needs a native heap profile",
            size(grown),
            size(sum(&known_steps))
        ),
    };
    Some(Finding { identity: identity("native", [NAME].into_iter()), suspect, growth: Some(growth) })
}

/// Resident bytes of the process, less those of the tracer itself.
fn resident(profile: &Profile) -> Option<i64> {
    Some(profile.fact("rss_bytes")?.saturating_sub(profile.fact("overhead_bytes").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use crate::format::Format;
    use crate::profile::builder::Builder;
    use crate::profile::model::Profile;
    use crate::profile::{Context, diff};

    const MIB: i64 = 1 << 20;

    /// Resident memory, the tracer's own and what is traced, in MiB.
    fn capture(rss: i64, overhead: i64, traced: i64) -> Profile {
        let mut builder = Builder::new(Format::Python, 0);
        builder.sample_type("size", "bytes");
        let location = builder.frame("Shop.serve", "shop.py", 7, 0);
        builder.sample(&[location], &[traced * MIB], &[]);
        for (fact, value) in [("rss_bytes", rss), ("overhead_bytes", overhead)] {
            let comment = builder.text(&format!("{fact}: {}", value * MIB));
            builder.header().comments.push(comment);
        }
        builder.finish()
    }

    #[test]
    fn growth_that_the_interpreter_does_not_know_of_is_a_doubtful_suspect() {
        let cases: [(&str, [[i64; 3]; 3], Option<u64>); 5] = [
            ("native growth", [[60, 2, 20], [100, 2, 20], [140, 2, 20]], Some(80)),
            ("that of the tracer", [[60, 2, 20], [100, 42, 20], [140, 82, 20]], None),
            ("what is traced", [[60, 2, 20], [100, 2, 58], [140, 2, 96]], None),
            ("not in every step", [[60, 2, 20], [140, 2, 20], [140, 2, 20]], None),
            ("a warm-up", [[42, 2, 5], [52, 2, 5], [55, 2, 5]], None),
        ];
        for (case, captures, expected) in cases {
            let profiles = captures.map(|[rss, overhead, traced]| capture(rss, overhead, traced));
            let all: Vec<&Profile> = profiles.iter().collect();
            let found = diff(&all, &Context::default()).unwrap().findings;
            let native = found.iter().find(|finding| finding.suspect.kind == "native").map(|finding| &finding.suspect);
            assert_eq!(native.map(|suspect| suspect.bytes), expected.map(|mib| mib << 20), "{case}");
            assert!(native.is_none_or(|suspect| suspect.confidence < 0.5 && suspect.location.is_none()), "{case}");
        }
    }
}
