//! Processes and containers that a page describes besides its own: each is a target of its own for as long as it shows.

use leakscope_model::{Target, TargetId, Timestamp};

use super::Engine;
use crate::effect::Effect;
use crate::event::{Part, Scrape};
use crate::watch::Watch;

/// A part of a page that did not show for this many intervals of its page is gone.
const PART_GONE_AFTER: u32 = 20;
/// Further processes or containers on one page. More are left out and the page's target says so.
const PARTS_MAX: usize = 5_000;

impl Engine {
    pub(super) fn scraped_parts(&mut self, now: Timestamp, scrape: &Scrape, effects: &mut Vec<Effect>) {
        let Some(page) = self.watches.get_mut(&scrape.target) else { return };
        if scrape.parts.len() > PARTS_MAX {
            page.health.last_error =
                Some(format!("expected at most {PARTS_MAX} containers on one page, found {}", scrape.parts.len()));
        }
        let page = page.target.clone();
        for part in scrape.parts.iter().take(PARTS_MAX) {
            let target = target_of_part(&page, part);
            let id = target.id;
            if !self.watches.contains_key(&id) {
                self.begin(now, target, true, effects);
            }
            let Some(watch) = self.watches.get_mut(&id) else { continue };
            watch.revision = self.revision;
            let news = Scrape { target: id, duration: scrape.duration, readings: part.readings, ..Scrape::default() };
            let changed = watch.scraped(now, &news);
            effects.push(Effect::Append { target: id, at: now, readings: part.readings });
            if changed {
                self.detector_changed(now, id, effects);
            }
        }
    }

    pub(super) fn forget_lost_parts(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let lost = |watch: &Watch| {
            let last = watch.health.last_scrape_at.unwrap_or(now);
            watch.part && now.since(last) > watch.target.interval * PART_GONE_AFTER
        };
        let gone: Vec<TargetId> = self.watches.iter().filter(|(_, watch)| lost(watch)).map(|(id, _)| *id).collect();
        for id in gone {
            self.forget(now, id, effects);
        }
    }
}

/// A part becomes a target of its own: it keeps its page's job and instance, and takes its service from its labels.
fn target_of_part(page: &Target, part: &Part) -> Target {
    let label = |names: &[&str]| names.iter().find_map(|name| part.labels.get(*name)).cloned();
    Target {
        id: TargetId::of(&page.job, &page.instance, &part.name),
        job: page.job.clone(),
        instance: page.instance.clone(),
        service: label(&["service", "container", "groupname"]).unwrap_or_else(|| part.name.clone()),
        version: label(&["version", "image"]),
        labels: part.labels.clone(),
        runtime: leakscope_model::Runtime::Unknown,
        interval: page.interval,
        timeout: page.timeout,
    }
}
