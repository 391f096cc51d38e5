//! One recording: a service under its load, looked at once a second, until its end. Times are measured, never assumed:
//! what a busy machine delays is written down as it happened.

use std::thread;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::http;
use super::recording::{Flavour, Leaky, Recording};
use super::sample::Sample;
use super::service::{Programs, Service};
use super::shape::{Demand, Holder, Moment};
use crate::clock;

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) samples: Vec<Sample>,
    /// When the first request leaked.
    pub(crate) onset_s: Option<f64>,
    /// When the limit was met, or the process ended by itself for want of memory.
    pub(crate) met_s: Option<f64>,
}

/// Users that ask in turn.
const N_USERS: u64 = 97;
const SECOND: f64 = 1.0;
/// Work that is later than this is given up: a machine that stood still does not get it all at once.
const LATE_MAX_S: f64 = 3.0;
/// Share of the greatest heap above which a JVM's live heap has met its limit: the rest is for the young.
const HEAP_FULL: f64 = 0.88;

/// Records from the start of the process on.
///
/// # Errors
/// When a healthy service ends by itself, or does not answer.
pub(crate) fn record(recording: &Recording, programs: &Programs, seed: u64) -> Result<Recorded, String> {
    let began = clock::now();
    let mut session = Session::start(recording, programs, seed, began)?;
    let ended = session.run();
    if session.recorded.met_s.is_none() {
        ended?;
    }
    let mut recorded = session.recorded;
    let peak = recorded.samples.iter().filter_map(|sample| sample.rss).fold(0.0, f64::max);
    for sample in &mut recorded.samples {
        sample.limit = recording.limit_bytes_above(peak);
    }
    Ok(recorded)
}

struct Session<'a> {
    recording: &'a Recording,
    programs: &'a Programs,
    began: Instant,
    service: Service,
    /// When this process was started.
    life_s: f64,
    dice: Dice,
    holders: Vec<Holder>,
    /// Held more since a restart.
    more_bytes: f64,
    held: Demand,
    n_requests: u64,
    /// Since the last moment of the holders.
    n_served: u64,
    leaked: f64,
    next_request_s: f64,
    recorded: Recorded,
}

impl<'a> Session<'a> {
    fn start(recording: &'a Recording, programs: &'a Programs, seed: u64, began: Instant) -> Result<Self, String> {
        let mut dice = Dice::of_name(seed, &recording.name);
        let holders = recording.holds.iter().map(|hold| Holder::new(hold.clone(), Dice::new(dice.whole()))).collect();
        let service = programs.start(recording)?;
        Ok(Self {
            recording,
            programs,
            began,
            service,
            life_s: 0.0,
            dice,
            holders,
            more_bytes: 0.0,
            held: Demand::default(),
            n_requests: 0,
            n_served: 0,
            leaked: 0.0,
            next_request_s: 0.0,
            recorded: Recorded::default(),
        })
    }

    fn now_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Does what is due, in order of time: a look and a demand each second, and the requests of the load.
    fn run(&mut self) -> Result<(), String> {
        let mut next_look_s = self.now_s();
        let mut next_hold_s = next_look_s + 0.5 * SECOND;
        self.next_request_s = next_look_s;
        let mut restarts = self.recording.restarts.iter();
        let mut restart = restarts.next();
        loop {
            let due_s = next_look_s.min(next_hold_s).min(self.next_request_s);
            if due_s > self.recording.length_s {
                return Ok(());
            }
            self.sleep_until(due_s);
            if let Some((_, more)) = restart.filter(|(at_s, _)| due_s >= *at_s) {
                self.restart(*more)?;
                restart = restarts.next();
                next_look_s = self.now_s();
            } else if due_s == next_look_s {
                if self.look()? {
                    return Ok(());
                }
                next_look_s = following(next_look_s, SECOND, self.now_s());
            } else if due_s == next_hold_s {
                self.hold()?;
                next_hold_s = following(next_hold_s, SECOND, self.now_s());
            } else {
                self.request()?;
                let gap = self.dice.gap() / self.recording.load.rate(due_s).max(0.01);
                self.next_request_s = (due_s + gap).max(self.now_s() - LATE_MAX_S);
            }
        }
    }

    fn sleep_until(&self, due_s: f64) {
        let wait = due_s - self.now_s();
        if wait > 0.0 {
            thread::sleep(Duration::from_secs_f64(wait));
        }
    }

    fn restart(&mut self, more_bytes: f64) -> Result<(), String> {
        self.life_s = self.now_s();
        self.service = self.programs.start(self.recording)?;
        self.more_bytes = more_bytes;
        self.held = Demand::default();
        self.leaked = 0.0;
        Ok(())
    }

    /// Takes a sample; `true` when the limit is met.
    fn look(&mut self) -> Result<bool, String> {
        let looked = Sample::of(self.recording, self.service.address, self.service.id());
        let t_s = self.now_s();
        let sample = looked.or_else(|error| self.failed("look", &error))?;
        let limit = self.recording.limit_bytes();
        let sample = Sample { t_s, limit, start_s: Some(self.life_s), leaked: self.leaked, ..sample };
        self.recorded.samples.push(sample);
        let met =
            self.recording.leak().is_some() && limit.is_some_and(|limit| full(self.recording.flavour, &sample, limit));
        if met {
            self.recorded.met_s = Some(t_s);
        }
        Ok(met)
    }

    fn hold(&mut self) -> Result<(), String> {
        let t_s = self.now_s();
        let moment = Moment { t_s, age_s: t_s - self.life_s, served: self.n_served as f64 };
        self.n_served = 0;
        let mut wanted = Demand { bytes: self.more_bytes, ..Demand::default() };
        for holder in &mut self.holders {
            wanted.add(&holder.demand(moment));
        }
        if wanted == self.held && wanted.renew == 0.0 {
            return Ok(());
        }
        self.held = wanted;
        let path = format!("/hold?{}", wanted.query(self.recording.native));
        http::post(self.service.address, &path).or_else(|error| self.failed("hold", &error))?;
        Ok(())
    }

    fn request(&mut self) -> Result<(), String> {
        let t_s = self.now_s();
        let leaks = self.leaks(t_s);
        let user = self.n_requests % N_USERS;
        let path = format!("/work?user=user-{user}{}", if leaks { "" } else { "&leak=off" });
        http::get(self.service.address, &path).or_else(|error| self.failed("work", &error))?;
        self.n_requests += 1;
        self.n_served += 1;
        if leaks {
            self.leaked += f64::from(self.recording.rate_bytes());
            self.recorded.onset_s.get_or_insert(t_s);
        }
        Ok(())
    }

    fn leaks(&mut self, t_s: f64) -> bool {
        let Some(leak) = self.recording.leak().filter(|leak| t_s >= leak.onset_s) else { return false };
        match leak.leaky {
            Leaky::Every => true,
            Leaky::OneIn(n) => self.dice.unit() < 1.0 / f64::from(n),
            Leaky::InSpells { length_s, period_s } => t_s % period_s < length_s,
        }
    }

    /// A leaking process that ended by itself has met its limit; all else is a failed recording.
    fn failed<T>(&mut self, what: &str, error: &std::io::Error) -> Result<T, String> {
        if !self.service.runs() && self.recording.leak().is_some() {
            self.recorded.met_s = Some(self.now_s());
        }
        Err(format!("`{}` at {:.1} s: {what}: {error}", self.recording.name, self.now_s()))
    }
}

/// The next time of something regular; what a stall made too late is left out.
fn following(last_s: f64, every_s: f64, now_s: f64) -> f64 {
    let next = last_s + every_s;
    if now_s > next { next + ((now_s - next) / every_s).ceil() * every_s } else { next }
}

/// Whether the process is at its limit: by its resident set, or by its live heap where the heap is what is limited.
fn full(flavour: Flavour, sample: &Sample, limit: f64) -> bool {
    match flavour {
        Flavour::JavaSized => sample.heap_after_gc.is_some_and(|bytes| bytes >= HEAP_FULL * limit),
        _ => sample.rss.is_some_and(|bytes| bytes >= limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stall_made_late_is_left_out_and_the_rhythm_stays() {
        assert_eq!(following(1.5, 1.0, 1.6), 2.5);
        assert_eq!(following(1.5, 1.0, 4.7), 5.5);
    }

    #[test]
    fn a_sized_heap_is_full_before_its_last_byte_and_a_container_at_it() {
        let rss = Sample { rss: Some(100.0), ..Sample::default() };
        assert!(full(Flavour::Go, &rss, 100.0) && !full(Flavour::JavaSized, &rss, 100.0));
        let heap = Sample { heap_after_gc: Some(89.0), ..Sample::default() };
        assert!(full(Flavour::JavaSized, &heap, 100.0));
    }
}
