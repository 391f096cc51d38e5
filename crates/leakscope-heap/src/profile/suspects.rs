//! Suspects of a single capture: what is large and asked for in one place, and what proves itself a leak without a second look.

use leakscope_model::{Bytes, Suspect};
use regex::Regex;

use super::blame::{Site, Tree};
use super::columns::Meaning;
use super::diff::Shape;
use super::growth::{Capture, Scale, Stacks};
use super::model::Profile;
use super::origin::Origin;
use super::tell::Story;
use super::{objects, types, waits};
use crate::findings::Finding;

/// What is known beside the profiles.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What is the user's own, by the name of a function or its file; by rules where nothing is said.
    pub own: Option<Regex>,
    /// Requests served until each capture, in order; where empty, what the captures themselves say of it.
    pub requests: Vec<u64>,
}

/// Part of all that is alive which one place must hold to be told.
pub(crate) const HELD_SHARE_MIN: f64 = 0.05;

/// What looks wrong in one profile, most suspicious first, at most `max`. Weaker than what [`super::diff`] says: much is large and does
/// not grow. Of profiles that count allocations and not what is alive there are none.
pub fn suspects(profile: &Profile, context: &Context, max: usize) -> Vec<Finding> {
    let Some(capture) = Capture::of(profile) else { return Vec::new() };
    let meaning = capture.columns.meaning;
    if meaning == Meaning::Allocated {
        return Vec::new();
    }
    let shape = Shape::of(profile, capture.columns);
    let stacks = Stacks::of(vec![capture], context.own.as_ref());
    let scale = Scale::new(&stacks.captures, Vec::new(), 0.0);
    let growth = stacks.total().first().map_or(0.0, |look| scale.weight(look));
    let story = Story {
        stacks: &stacks,
        scale: &scale,
        meaning,
        growth,
        held: growth,
        hours: None,
        requests: None,
        own: context.own.as_ref(),
    };
    let mut findings = match shape {
        Shape::Types => types::held(&story),
        Shape::Goroutines => waits::held(&story),
        Shape::Objects => objects::held(&story),
        // One look at a process says what it has, not what is wrong.
        Shape::Stacks | Shape::Process => Vec::new(),
    };
    if findings.is_empty() && matches!(shape, Shape::Stacks | Shape::Objects) {
        findings = large(&story);
    }
    findings.sort_by(|a, b| b.suspect.confidence.total_cmp(&a.suspect.confidence));
    findings.truncate(max);
    findings
}

/// Own functions that asked for much of what is alive.
fn large(story: &Story<'_>) -> Vec<Finding> {
    let sites = Tree::flat(story.stacks, story.scale).largest(story.growth * HELD_SHARE_MIN);
    sites.iter().map(|site| held(story, site)).collect()
}

fn held(story: &Story<'_>, site: &Site) -> Finding {
    let look = site.looks.first().copied().unwrap_or_default();
    let share = (story.scale.weight(&look) / story.growth.max(1.0)).clamp(0.0, 1.0);
    let chain = story.shown_chain(site);
    let (stack, location) = story.stack_and_place(site);
    let frame = &story.stacks.frames[site.frame as usize];
    let each = if look.count > 0 {
        format!("{} objects of {} each", look.count, Bytes((look.bytes / look.count).unsigned_abs()))
    } else {
        "its memory".to_owned()
    };
    let reason = format!(
        "{each} are {} % of what is alive; one capture cannot show growth: take another and compare",
        (share * 100.0).round()
    );
    let own = if frame.origin == Origin::Own { 0.3 } else { 0.1 };
    let suspect = Suspect {
        title: format!("{} are alive that `{chain}` allocated", Bytes(look.bytes.unsigned_abs())),
        kind: "allocation".to_owned(),
        name: frame.name.clone(),
        bytes: look.bytes.unsigned_abs(),
        count: look.count.unsigned_abs(),
        share,
        path: Vec::new(),
        stack,
        location,
        confidence: 0.1 + own * share,
        reason,
    };
    Finding { identity: story.identity_of("allocation", &site.chain), suspect, growth: None }
}
