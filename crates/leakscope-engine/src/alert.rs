//! When receivers are told of an incident: once it opens, when it is explained, again after a while, and when it is over.
//!
//! What is due follows from the incident's transitions alone, so a restart needs no memory: it says the newest word of each
//! incident again, under the key that it had, and whoever delivers drops a key that it knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leakscope_model::{Incident, IncidentId, IncidentState, Timestamp};

use crate::effect::{Effect, Notice, Occasion};
use crate::incident::IncidentBook;

/// When receivers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// How long after the last word receivers are told again of what still leaks. Nobody who acknowledged is told again.
    pub repeat_interval: Duration,
    /// Openings within `flap_window` that are told one by one. From the next on the incident flaps, which is told once.
    pub flap_openings: u32,
    /// In which openings are counted.
    pub flap_window: Duration,
    /// How long an incident that flaps has to be quiet before it is told to be over.
    pub flap_quiet: Duration,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self {
            repeat_interval: Duration::from_hours(4),
            flap_openings: 3,
            flap_window: Duration::from_hours(6),
            flap_quiet: Duration::from_hours(1),
        }
    }
}

/// A word older than this when leakscope starts is taken for told: deliveries are known for longer than that.
const STALE_AFTER: Duration = Duration::from_hours(7 * 24);

/// What receivers were told last, by incident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    told: BTreeMap<IncidentId, Told>,
}

/// What receivers know of one incident.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Whether it is of an earlier run, and what was told is not known.
    restored: bool,
    firing: bool,
    word: Option<(Occasion, Timestamp)>,
    repeated_at: Option<Timestamp>,
    /// Sites that were named since the last word that began or ended it.
    sites: BTreeSet<String>,
    /// When time alone brings the next word.
    due: Option<Timestamp>,
}

impl Alerts {
    /// Goes on with incidents of an earlier run; the first tick says what is not known to be told.
    pub(crate) fn restore(incidents: &[Incident]) -> Self {
        let living = incidents.iter().filter(|incident| incident.state != IncidentState::Closed);
        let told = Told { restored: true, due: Some(Timestamp::EPOCH), ..Told::default() };
        Self { told: living.map(|incident| (incident.id, told.clone())).collect() }
    }

    /// Whether receivers believe that it goes on.
    pub(crate) fn is_firing(&self, id: IncidentId) -> bool {
        self.told.get(&id).is_some_and(|told| told.firing)
    }

    /// Says what an incident's change makes due. Every change of its suspects comes with a transition.
    pub(crate) fn incident_changed(
        &mut self,
        now: Timestamp,
        incident: &Incident,
        policy: &AlertPolicy,
        effects: &mut Vec<Effect>,
    ) {
        let told = self.told.entry(incident.id).or_default();
        let words =
            if told.restored { told.newest_word(now, incident, policy) } else { told.new_words(now, incident, policy) };
        let firing = told.firing;
        effects.extend(words.into_iter().map(|(occasion, at, key)| {
            let firing = firing && occasion != Occasion::Resolved;
            Effect::Notify(Box::new(Notice { incident: incident.clone(), firing, occasion, at, key }))
        }));
        if incident.state == IncidentState::Closed {
            self.told.remove(&incident.id);
        }
    }

    /// Says what time alone makes due.
    pub(crate) fn tick(
        &mut self,
        now: Timestamp,
        book: &IncidentBook,
        policy: &AlertPolicy,
        effects: &mut Vec<Effect>,
    ) {
        let due = |told: &Told| told.due.is_some_and(|due| due <= now);
        let ids: Vec<IncidentId> = self.told.iter().filter(|(_, told)| due(told)).map(|(id, _)| *id).collect();
        for id in ids {
            match book.get(id) {
                Some(incident) => self.incident_changed(now, incident, policy, effects),
                None => drop(self.told.remove(&id)),
            }
        }
    }
}

/// Why, since when, and the key that is the same for the same word at any time.
type Word = (Occasion, Timestamp, String);

impl Told {
    fn new_words(&mut self, now: Timestamp, incident: &Incident, policy: &AlertPolicy) -> Vec<Word> {
        let standing = Standing::of(incident, policy, now);
        let mut words = Vec::new();
        if self.word != standing.word {
            words.extend(standing.word.map(|word| begin_or_end(incident.id, word)));
            if standing.firing {
                self.sites.clear();
            }
        }
        if standing.firing
            && let Some((site, at, key)) = standing.naming(incident)
            && self.sites.insert(site)
        {
            words.push((Occasion::Explained, at, key));
        }
        if let Some(at) = standing.repeated_at.filter(|at| self.repeated_at != Some(*at)) {
            words.push((Occasion::Repeated, at, key(incident.id, Occasion::Repeated, at)));
        }
        self.take(&standing);
        words
    }

    /// Of an incident of an earlier run only the newest word, which holds all that earlier ones said.
    fn newest_word(&mut self, now: Timestamp, incident: &Incident, policy: &AlertPolicy) -> Vec<Word> {
        self.restored = false;
        let words = self.new_words(now, incident, policy);
        if incident.state == IncidentState::Acknowledged {
            return Vec::new();
        }
        let newest = words.into_iter().max_by_key(|(_, at, _)| *at);
        newest.filter(|(_, at, _)| now.since(*at) < STALE_AFTER).into_iter().collect()
    }

    fn take(&mut self, standing: &Standing) {
        self.firing = standing.firing;
        self.word = standing.word;
        self.repeated_at = standing.repeated_at;
        self.due = standing.due;
    }
}

/// What an incident's transitions say that receivers should know.
#[derive(Debug, Default)]
struct Standing {
    firing: bool,
    /// The last beginning or end.
    word: Option<(Occasion, Timestamp)>,
    repeated_at: Option<Timestamp>,
    due: Option<Timestamp>,
    /// Until when the end of an incident that flaps is held back.
    held_until: Option<Timestamp>,
}

impl Standing {
    /// `now` may lie before the last transition, when the clock was set back. O(transitions).
    fn of(incident: &Incident, policy: &AlertPolicy, now: Timestamp) -> Self {
        let mut standing = Self::default();
        let mut openings: Vec<Timestamp> = Vec::new();
        let mut leaks = false;
        for transition in &incident.transitions {
            let at = transition.at;
            // What is closed is over, however short it was quiet.
            standing.release(if transition.to == IncidentState::Closed {
                Timestamp::from_millis(i64::MAX)
            } else {
                at
            });
            if transition.to.is_open() && !leaks {
                openings.retain(|opened| at.since(*opened) < policy.flap_window);
                openings.push(at);
                standing.opened(at, openings.len() > policy.flap_openings as usize);
            } else if leaks && !transition.to.is_open() {
                standing.recovered(at, policy.flap_quiet);
            }
            leaks = transition.to.is_open();
        }
        standing.release(now);
        standing.due = standing.held_until;
        if standing.firing {
            standing.repeat(incident, policy.repeat_interval, now);
        }
        standing
    }

    /// Lets an end go that was held back until a moment not after `at`.
    fn release(&mut self, at: Timestamp) {
        if let Some(until) = self.held_until.filter(|until| *until <= at) {
            *self = Self { word: Some((Occasion::Resolved, until)), ..Self::default() };
        }
    }

    fn opened(&mut self, at: Timestamp, flaps: bool) {
        let known = self.firing && self.flaps();
        self.held_until = None;
        self.firing = true;
        if !known {
            self.word = Some((if flaps { Occasion::Flapping } else { Occasion::Opened }, at));
        }
    }

    fn recovered(&mut self, at: Timestamp, quiet: Duration) {
        if self.flaps() {
            self.held_until = Some(at.plus(quiet));
        } else {
            self.firing = false;
            self.word = Some((Occasion::Resolved, at));
        }
    }

    fn flaps(&self) -> bool {
        matches!(self.word, Some((Occasion::Flapping, _)))
    }

    /// Repeats lie on a grid from the beginning, or from the first explanation when that comes before the first repeat.
    fn repeat(&mut self, incident: &Incident, interval: Duration, now: Timestamp) {
        let Some((_, began)) = self.word.filter(|_| !interval.is_zero()) else { return };
        let explained = incident.transitions.iter().find(|t| t.to == IncidentState::Explained && t.at >= began);
        let from = explained.map(|t| t.at).filter(|at| at.since(began) < interval).unwrap_or(began);
        let n = u32::try_from(now.since(from).as_millis() / interval.as_millis().max(1)).unwrap_or(u32::MAX - 1);
        let at = |n: u32| from.plus(interval.saturating_mul(n));
        let told_then = |at: Timestamp| {
            let state = incident.transitions.iter().rev().find(|t| t.at <= at).map(|t| t.to);
            state.is_some_and(|state| state.is_open() && state != IncidentState::Acknowledged)
        };
        self.repeated_at = Some(at(n)).filter(|at| n > 0 && told_then(*at));
        let next = at(n + 1);
        self.due = Some(self.held_until.map_or(next, |held| held.min(next)));
    }

    /// The site that the evidence names since this beginning, when it was named, and the key of that word.
    fn naming(&self, incident: &Incident) -> Option<(String, Timestamp, String)> {
        let (_, began) = self.word?;
        let named = |t: &&leakscope_model::Transition| t.to == IncidentState::Explained && t.at >= began;
        let at = incident.transitions.iter().rev().find(named)?.at;
        let finding = incident.suspects.first()?;
        let site = finding.identity.clone().unwrap_or_else(|| finding.suspect.name.clone());
        // Named twice since one beginning, it is the same word: two sites that change places are not told each time.
        let key = format!("{}/{site}", key(incident.id, Occasion::Explained, began));
        Some((site, at, key))
    }
}

fn begin_or_end(id: IncidentId, (occasion, at): (Occasion, Timestamp)) -> Word {
    (occasion, at, key(id, occasion, at))
}

fn key(id: IncidentId, occasion: Occasion, at: Timestamp) -> String {
    format!("{id}/{}/{}", occasion.name(), at.as_millis())
}

#[cfg(test)]
mod tests;
