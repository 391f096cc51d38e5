//! The journal of deliveries and who is told when: everything but the waiting. `now` is an argument, so that a test passes hours in no time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leakscope_engine::{Notice, Occasion};
use leakscope_model::{Incident, IncidentId, Timestamp};
use leakscope_store::{Delivery, NewDelivery, Store, StoreError};

use super::alertmanager::RESEND_EVERY;
use super::send::{Outcome, Outlet, outlets, unseen};
use super::word::{House, Word, is_news_to_alertmanager};
use crate::config::{Alerting, Config, Route};

/// Deliveries of the journal that are looked at when it is opened: what was told, and to whom.
const KNOWN_MAX: usize = 20_000;
/// Groups that are tried in one round.
const ROUND_MAX: usize = 64;
/// Time before the second try; it doubles from try to try.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest time between two tries.
const RETRY_MAX: Duration = Duration::from_mins(10);
/// A delivery that could not be made for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// What the journal says of a try under way to a receiver that would show it twice.
const UNDER_WAY: &str = "it is being sent";

/// Who is told of what: the configuration with all that is known of the past.
#[derive(Debug)]
pub(super) struct Desk {
    store: Arc<Store>,
    alerting: Arc<Alerting>,
    house: House,
    outlets: BTreeMap<String, Outlet>,
    /// Words that the journal holds, by outlet: after a restart the engine says the newest ones again.
    known: BTreeSet<(String, String)>,
    /// Outlets that were told of an incident and not that it is over.
    told: BTreeMap<IncidentId, BTreeSet<String>>,
    /// When an outlet was last told of a service.
    last: BTreeMap<(String, String), Timestamp>,
    /// Notices that the disk refused.
    unjournaled: Vec<Notice>,
    resent_at: Option<Timestamp>,
    watchdog_at: Option<Timestamp>,
}

impl Desk {
    /// Opens the journal. Tries that a killed process had under way are told apart: see docs/alerts.md.
    pub(super) fn open(store: Arc<Store>, config: &Config) -> Result<Self, StoreError> {
        let mut desk = Self {
            store,
            alerting: config.alerting.clone(),
            house: House::default(),
            outlets: BTreeMap::new(),
            known: BTreeSet::new(),
            told: BTreeMap::new(),
            last: BTreeMap::new(),
            unjournaled: Vec::new(),
            resent_at: None,
            watchdog_at: None,
        };
        desk.configure(config);
        let mut deliveries = desk.store.deliveries(KNOWN_MAX)?;
        deliveries.reverse();
        for delivery in deliveries {
            desk.take_up(&delivery)?;
        }
        Ok(desk)
    }

    /// Goes on with another configuration.
    pub(super) fn configure(&mut self, config: &Config) {
        self.alerting = config.alerting.clone();
        self.outlets = outlets(&config.alerting);
        self.house = House {
            labels: config.global.external_labels.clone(),
            url: config.web.external_url.as_deref().unwrap_or_default().trim_end_matches('/').to_owned(),
            severity: config.alerting.severity.name(),
        };
    }

    fn take_up(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        if let Ok(word) = serde_json::from_str::<Word>(&delivery.body) {
            self.known.insert((delivery.receiver.clone(), word.key));
        }
        if let Some(at) = delivery.delivered_at {
            self.last.insert((delivery.receiver.clone(), delivery.key.clone()), at);
        }
        self.note_told(&delivery.receiver, delivery.incident, delivery.firing);
        let waits = delivery.delivered_at.is_none() && !delivery.given_up;
        if waits && delivery.last_error.as_deref() == Some(UNDER_WAY) {
            self.store.delivery_failed(delivery.id, &unseen("leakscope ended meanwhile"), None)?;
        }
        Ok(())
    }

    fn note_told(&mut self, outlet: &str, incident: Option<IncidentId>, firing: bool) {
        let Some(incident) = incident else { return };
        if firing {
            self.told.entry(incident).or_default().insert(outlet.to_owned());
        } else if let Some(outlets) = self.told.get_mut(&incident) {
            outlets.remove(outlet);
            if outlets.is_empty() {
                self.told.remove(&incident);
            }
        }
    }

    /// Takes a notice into the journal; what the disk refuses is kept and tried again at the next round.
    pub(super) fn notice(&mut self, now: Timestamp, notice: Notice) {
        if let Err(error) = self.journal(now, &notice) {
            tracing::error!(incident = notice.incident.id.0, %error, "an alert could not be kept; it will be tried again");
            self.unjournaled.push(notice);
        }
    }

    fn journal(&mut self, now: Timestamp, notice: &Notice) -> Result<(), StoreError> {
        let plain = Word::of(notice, &self.house);
        let group = format!("service/{}", notice.incident.service);
        let mut new = Vec::new();
        for (name, route) in self.addressees(notice, &plain) {
            let Some(outlet) = self.outlets.get(&name) else { continue };
            if self.known.contains(&(name.clone(), plain.key.clone())) {
                continue;
            }
            let one = &outlet.integration;
            let title = one.title.as_ref().or(self.alerting.title.as_ref());
            let word = plain.clone().worded(title, one.text.as_ref().or(self.alerting.text.as_ref()));
            let next_try_at = self.first_try(now, &name, &group, outlet, route.as_ref())?;
            new.push(NewDelivery {
                receiver: name,
                key: group.clone(),
                incident: Some(notice.incident.id),
                firing: notice.firing,
                body: serde_json::to_string(&word).unwrap_or_default(),
                created_at: now,
                next_try_at,
            });
        }
        if new.is_empty() {
            return Ok(());
        }
        self.store.enqueue(&new)?;
        for delivery in new {
            self.note_told(&delivery.receiver, delivery.incident, delivery.firing);
            self.known.insert((delivery.receiver, plain.key.clone()));
        }
        Ok(())
    }

    /// The outlets that a notice is for, each with its route; the end of an incident also goes to whoever was told of it.
    fn addressees(&self, notice: &Notice, word: &Word) -> BTreeMap<String, Option<Route>> {
        let mut addressees = BTreeMap::new();
        let takers = self.alerting.route.as_ref().map(|root| root.takers(&word.story.labels)).unwrap_or_default();
        for route in takers {
            if notice.occasion == Occasion::Repeated && !self.repeats(route, notice) {
                continue;
            }
            for (name, outlet) in self.outlets.iter().filter(|(_, outlet)| outlet.receiver == route.receiver) {
                let heard = notice.firing || outlet.integration.send_resolved;
                let news = !outlet.is_alertmanager() || is_news_to_alertmanager(notice.occasion);
                if heard && news {
                    addressees.insert(name.clone(), Some(route.clone()));
                }
            }
        }
        if !notice.firing {
            for name in self.told.get(&notice.incident.id).into_iter().flatten() {
                if self.outlets.get(name).is_some_and(|outlet| outlet.integration.send_resolved) {
                    addressees.entry(name.clone()).or_insert(None);
                }
            }
        }
        addressees
    }

    /// The engine repeats at the least interval of all routes; a route hears of the first after each of its own.
    fn repeats(&self, route: &Route, notice: &Notice) -> bool {
        let opened = notice.incident.opened_at;
        let step = |at: Timestamp| at.since(opened).as_millis() / route.repeat_interval.as_millis().max(1);
        step(notice.at) != step(notice.at.minus(self.alerting.repeat_interval()))
    }

    fn first_try(
        &self,
        now: Timestamp,
        name: &str,
        group: &str,
        outlet: &Outlet,
        route: Option<&Route>,
    ) -> Result<Timestamp, StoreError> {
        let Some(route) = route.filter(|_| !outlet.is_alertmanager()) else { return Ok(now) };
        // What already waits takes this word along.
        if let Some(waiting) = self.store.waiting_deliveries(name, group)?.first() {
            return Ok(waiting.next_try_at);
        }
        let last = self.last.get(&(name.to_owned(), group.to_owned()));
        let free_at = last.map_or(Timestamp::EPOCH, |last| last.plus(route.group_interval));
        Ok(now.plus(route.group_wait).max(free_at))
    }

    /// One round: what is due is tried, in parallel, and the journal is told what became of it. Returns how many were tried.
    pub(super) async fn round(&mut self, now: Timestamp) -> usize {
        for notice in std::mem::take(&mut self.unjournaled) {
            self.notice(now, notice);
        }
        let batches = match self.due(now) {
            Ok(batches) => batches,
            Err(error) => {
                tracing::error!(%error, "the journal of deliveries could not be read");
                return 0;
            }
        };
        let url = self.house.url.clone();
        let tries = batches.iter().map(|batch| batch.attempt(&url, now));
        let outcomes = join_all(tries).await;
        let n_tried = outcomes.len();
        for (batch, outcome) in batches.into_iter().zip(outcomes) {
            if let Err(error) = self.settle(now, &batch, &outcome) {
                tracing::error!(receiver = batch.name, %error, "the journal of deliveries could not be written");
            }
        }
        n_tried
    }

    fn due(&mut self, now: Timestamp) -> Result<Vec<Batch>, StoreError> {
        let mut batches = Vec::new();
        for head in self.store.due_deliveries(now, ROUND_MAX)? {
            let Some(outlet) = self.outlets.get(&head.receiver).cloned() else {
                self.store.delivery_failed(head.id, "the receiver is no longer in the configuration", None)?;
                continue;
            };
            let mut members = self.store.waiting_deliveries(&head.receiver, &head.key)?;
            // Words that were tried together stay together, so that another try is the same message.
            members.retain(|member| member.attempts == head.attempts);
            let words = newest(&members);
            if words.is_empty() {
                self.store.delivery_failed(
                    head.id,
                    "expected a word of this version in the journal, found another",
                    None,
                )?;
                continue;
            }
            if !outlet.deduplicates() {
                // ORDER: on the disk before the first byte leaves, so that a killed process does not send it again.
                for member in &members {
                    self.store.delivery_under_way(member.id, UNDER_WAY)?;
                }
            }
            batches.push(Batch { name: head.receiver, group: head.key, outlet, members, words });
        }
        Ok(batches)
    }

    fn settle(&mut self, now: Timestamp, batch: &Batch, outcome: &Outcome) -> Result<(), StoreError> {
        let head = batch.members.first();
        match outcome {
            Outcome::Taken(_) => {
                self.last.insert((batch.name.clone(), batch.group.clone()), now);
                tracing::info!(receiver = batch.name, n_alerts = batch.words.len(), "a receiver was told");
            }
            Outcome::Later(reason, _) | Outcome::Never(reason) | Outcome::Unseen(reason) => {
                tracing::warn!(receiver = batch.name, reason, "a receiver could not be told");
            }
        }
        let next = head.and_then(|head| next_try(now, head, outcome));
        for member in &batch.members {
            match outcome {
                Outcome::Taken(_) => self.store.delivery_done(member.id, now)?,
                Outcome::Later(reason, _) => self.store.delivery_failed(member.id, reason, next)?,
                Outcome::Never(reason) | Outcome::Unseen(reason) => {
                    self.store.delivery_failed(member.id, reason, None)?;
                }
            }
        }
        Ok(())
    }

    /// Tells every Alertmanager again what fires, and whoever hears the watchdog that we live. Not in the journal: the next time comes soon.
    pub(super) async fn resend(&mut self, now: Timestamp, firing: &[Incident]) {
        if elapsed(self.resent_at, now, RESEND_EVERY) {
            self.resent_at = Some(now);
            let mut tries = Vec::new();
            for (name, words) in self.standing(firing) {
                tries.extend(self.outlets.get(&name).cloned().map(|outlet| (name, outlet, words)));
            }
            tell(&tries, &self.house.url, now).await;
        }
        let Some(watchdog) = &self.alerting.watchdog else { return };
        if elapsed(self.watchdog_at, now, watchdog.interval) {
            self.watchdog_at = Some(now);
            let outlets = self.outlets.iter();
            let hearing = outlets.filter(|(_, outlet)| outlet.receiver == watchdog.receiver && outlet.hears_watchdog());
            let word = Word::watchdog(&self.house, now);
            let tries: Vec<_> =
                hearing.map(|(name, outlet)| (name.clone(), outlet.clone(), vec![word.clone()])).collect();
            tell(&tries, &self.house.url, now).await;
        }
    }

    /// What fires, by outlet of an Alertmanager.
    fn standing(&self, firing: &[Incident]) -> BTreeMap<String, Vec<Word>> {
        let mut standing: BTreeMap<String, Vec<Word>> = BTreeMap::new();
        for incident in firing {
            let at = incident.transitions.last().map_or(incident.opened_at, |last| last.at);
            let occasion = if incident.suspects.is_empty() { Occasion::Opened } else { Occasion::Explained };
            let notice = Notice { incident: incident.clone(), firing: true, occasion, at, key: String::new() };
            let word = Word::of(&notice, &self.house);
            for name in self.addressees(&notice, &word).into_keys() {
                let Some(outlet) = self.outlets.get(&name).filter(|outlet| outlet.is_alertmanager()) else { continue };
                let one = &outlet.integration;
                let title = one.title.as_ref().or(self.alerting.title.as_ref());
                let text = one.text.as_ref().or(self.alerting.text.as_ref());
                standing.entry(name).or_default().push(word.clone().worded(title, text));
            }
        }
        standing
    }
}

/// Words for one outlet that are sent as one message.
struct Batch {
    name: String,
    group: String,
    outlet: Outlet,
    members: Vec<Delivery>,
    words: Vec<Word>,
}

impl Batch {
    async fn attempt(&self, url: &str, now: Timestamp) -> Outcome {
        let last = self.members.last();
        let id = last.map(|last| format!("leakscope-{}-{}", last.created_at.as_millis(), last.id)).unwrap_or_default();
        self.outlet.send(&self.words, &id, url, now).await
    }
}

/// The newest word of each incident, in the order of the incidents' first.
fn newest(members: &[Delivery]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for member in members {
        let Ok(word) = serde_json::from_str::<Word>(&member.body) else { continue };
        match words.iter_mut().find(|other| other.dedup == word.dedup) {
            Some(other) => *other = word,
            None => words.push(word),
        }
    }
    words
}

/// When a delivery is tried again: 5 s, 10 s, 20 s, ... 10 min after a try, or when the receiver asks for it; `None` gives it up.
fn next_try(now: Timestamp, head: &Delivery, outcome: &Outcome) -> Option<Timestamp> {
    let Outcome::Later(_, wait) = outcome else { return None };
    let backoff = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(head.attempts.min(20))).min(RETRY_MAX);
    // A receiver may ask for patience, but not beyond the end.
    let next = now.plus(wait.unwrap_or_default().max(backoff).min(GIVE_UP_AFTER));
    (next.since(head.created_at) < GIVE_UP_AFTER).then_some(next)
}

fn elapsed(last: Option<Timestamp>, now: Timestamp, interval: Duration) -> bool {
    last.is_none_or(|last| now.since(last) >= interval || now < last)
}

async fn tell(tries: &[(String, Outlet, Vec<Word>)], url: &str, now: Timestamp) {
    let id = format!("leakscope-{}", now.as_millis());
    let sends = tries.iter().map(|(_, outlet, words)| outlet.send(words, &id, url, now));
    for ((name, ..), outcome) in tries.iter().zip(join_all(sends).await) {
        if let Outcome::Later(reason, _) | Outcome::Never(reason) | Outcome::Unseen(reason) = outcome {
            tracing::warn!(receiver = name, reason, "a receiver could not be told again");
        }
    }
}

#[cfg(test)]
mod tests;
