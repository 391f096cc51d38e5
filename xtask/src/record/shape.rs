//! Shapes over time: how many requests come, and how much memory a service is asked to hold. Pure functions of the time
//! and of a seed; nothing here starts or asks anything. All times are real seconds of the recording.

use super::dice::Dice;

/// Mebibytes as bytes.
pub(crate) const MIB: f64 = 1_048_576.0;

/// Work requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    Steady(f64),
    /// A wave between `low` and `high` that begins at its low.
    Daily {
        low: f64,
        high: f64,
        period_s: f64,
    },
    Step {
        before: f64,
        after: f64,
        at_s: f64,
    },
    Ramp {
        from: f64,
        to: f64,
        from_s: f64,
        to_s: f64,
    },
}

impl Load {
    pub(crate) fn rate(&self, t_s: f64) -> f64 {
        match *self {
            Self::Steady(rate) => rate,
            Self::Daily { low, high, period_s } => {
                low + (high - low) * 0.5 * (1.0 - (std::f64::consts::TAU * t_s / period_s).cos())
            }
            Self::Step { before, after, at_s } => {
                if t_s < at_s {
                    before
                } else {
                    after
                }
            }
            Self::Ramp { from, to, from_s, to_s } => {
                from + (to - from) * ((t_s - from_s) / (to_s - from_s)).clamp(0.0, 1.0)
            }
        }
    }

    /// Requests expected between two times.
    pub(crate) fn expected(&self, from_s: f64, to_s: f64) -> f64 {
        let n_steps = ((to_s - from_s).ceil() as usize).clamp(1, 100_000);
        let step = (to_s - from_s) / n_steps as f64;
        (0..n_steps).map(|index| self.rate(from_s + (index as f64 + 0.5) * step) * step).sum()
    }
}

/// What a service is asked to hold, of one cause.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Hold {
    /// So much from the start of each process on, of which `renewed` of each thousand is replaced every second.
    Level { bytes: f64, renewed: f64 },
    /// A cache with an end: `bytes` are approached exponentially from the start of each process.
    Fill { bytes: f64, tau_s: f64 },
    /// Sessions: `bytes` for each request, kept for `ttl_s` on average.
    Sessions { bytes: f64, ttl_s: f64 },
    /// A data set that is loaded anew at these times, the new one beside the old for three seconds.
    Dataset { bytes: f64, loads: Vec<(f64, f64)> },
    /// Autoregressive around a mean, one step a second.
    Noise { mean: f64, deviation: f64, memory: f64 },
    /// Work in batches: `peak` for `length_s` about every `every_s`.
    Batches { peak: f64, every_s: f64, length_s: f64 },
    /// Bursts of random size above a base, released in any order: an allocator keeps the highest of them.
    Bursts { base: f64, peak: f64, every_s: f64 },
    /// A constant amount in blocks whose size wanders, replaced in any order.
    Ragged { bytes: f64, renewed: f64 },
    /// A mapped file that grows to `bytes` at `to_s` and is cut back at `cut_s`, if ever.
    Mapped { bytes: f64, to_s: f64, cut_s: Option<f64> },
    /// A pool of connections that is opened one by one, each with 32 KiB of buffers.
    Pool { connections: f64, tau_s: f64 },
}

/// What is asked of the service at once.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Demand {
    pub(crate) bytes: f64,
    pub(crate) renew: f64,
    /// Size of new blocks; 0 leaves it to the service.
    pub(crate) block: f64,
    pub(crate) any_order: bool,
    pub(crate) descriptors: f64,
    pub(crate) mapped: f64,
}

impl Demand {
    /// What two causes ask for together.
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.renew += other.renew;
        self.block = self.block.max(other.block);
        self.any_order |= other.any_order;
        self.descriptors += other.descriptors;
        self.mapped += other.mapped;
    }

    /// The query of `POST /hold`.
    pub(crate) fn query(&self, native: bool) -> String {
        let mut query = format!("bytes={:.0}&descriptors={:.0}", self.bytes.max(0.0), self.descriptors);
        let mut add = |name: &str, value: f64| {
            if value > 0.0 {
                query.extend(["&", name, "=", &format!("{value:.0}")]);
            }
        };
        add("renew", self.renew);
        add("block", self.block);
        add("mapped", self.mapped);
        if self.any_order {
            query.push_str("&order=random");
        }
        if native {
            query.push_str("&where=native");
        }
        query
    }
}

/// When a demand is made, and what has been served since the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) t_s: f64,
    /// Since the start of this process.
    pub(crate) age_s: f64,
    /// Work requests since the last moment.
    pub(crate) served: f64,
}

/// A hold with what it remembers between moments, which are about a second apart.
#[derive(Debug)]
pub(crate) struct Holder {
    hold: Hold,
    dice: Dice,
    /// Noise, sessions or block size, in units of its own.
    state: f64,
    /// The next batch or burst and the size of the present one.
    next_s: f64,
    size: f64,
}

const POOLED_BUFFER_BYTES: f64 = 32.0 * 1024.0;
/// How long a data set lies in memory twice while it is loaded.
const LOADING_S: f64 = 3.0;

impl Holder {
    pub(crate) fn new(hold: Hold, dice: Dice) -> Self {
        Self { hold, dice, state: 0.0, next_s: 0.0, size: 0.0 }
    }

    pub(crate) fn demand(&mut self, now: Moment) -> Demand {
        let bytes_only = |bytes: f64| Demand { bytes, ..Demand::default() };
        match self.hold.clone() {
            Hold::Level { bytes, renewed } => Demand { renew: bytes * renewed / 1_000.0, ..bytes_only(bytes) },
            Hold::Fill { bytes, tau_s } => bytes_only(bytes * (1.0 - (-now.age_s / tau_s).exp())),
            Hold::Sessions { bytes, ttl_s } => {
                self.state = self.state * (-1.0 / ttl_s).exp() + now.served;
                bytes_only(bytes * self.state)
            }
            Hold::Dataset { bytes, loads } => bytes_only(dataset(bytes, &loads, now.t_s)),
            Hold::Noise { mean, deviation, memory } => {
                self.state = memory * self.state + (1.0 - memory * memory).sqrt() * self.dice.normal();
                bytes_only((mean + deviation * self.state).max(0.2 * mean))
            }
            Hold::Batches { peak, every_s, length_s } => {
                if now.t_s >= self.next_s + length_s {
                    self.next_s = now.t_s + every_s * self.dice.between(0.7, 1.3);
                    self.size = peak * self.dice.between(0.7, 1.0);
                }
                bytes_only(if now.t_s >= self.next_s { self.size } else { 0.0 })
            }
            Hold::Bursts { base, peak, every_s } => {
                let bursts = now.t_s >= self.next_s;
                if bursts {
                    self.next_s = now.t_s + every_s * self.dice.gap().clamp(0.3, 3.0);
                    self.size = peak * (0.25 + 0.25 * self.dice.gap()).min(1.0);
                }
                let block = [1.0, 2.0, 4.0, 8.0][(self.dice.whole() % 4) as usize] * 1_024.0;
                let bytes = base + if bursts { self.size } else { 0.0 };
                Demand { bytes, renew: 0.02 * base, block, any_order: true, ..Demand::default() }
            }
            Hold::Ragged { bytes, renewed } => {
                self.state = 0.98 * self.state + 0.2 * self.dice.normal();
                let block = 600.0 * (self.state + 0.6 * self.dice.normal()).exp();
                let renew = bytes * renewed / 1_000.0;
                Demand { bytes, renew, block: block.clamp(64.0, 60_000.0), any_order: true, ..Demand::default() }
            }
            Hold::Mapped { bytes, to_s, cut_s } => {
                let cut = cut_s.is_some_and(|cut_s| now.t_s >= cut_s);
                let share = if cut { 0.1 } else { (now.t_s / to_s).min(1.0) };
                Demand { mapped: bytes * share, ..Demand::default() }
            }
            Hold::Pool { connections, tau_s } => {
                let descriptors = (connections * (1.0 - (-now.age_s / tau_s).exp())).round();
                Demand { descriptors, ..bytes_only(descriptors * POOLED_BUFFER_BYTES) }
            }
        }
    }
}

impl Hold {
    /// The most that it asks for, which decides a limit that is far enough away.
    pub(crate) fn bytes_max(&self, load: &Load, length_s: f64) -> f64 {
        match self {
            Self::Level { bytes, .. }
            | Self::Fill { bytes, .. }
            | Self::Ragged { bytes, .. }
            | Self::Mapped { bytes, .. } => *bytes,
            Self::Sessions { bytes, ttl_s } => {
                let rates = (0..200).map(|index| load.rate(length_s * f64::from(index) / 200.0));
                bytes * ttl_s * rates.fold(0.0, f64::max)
            }
            Self::Dataset { bytes, loads } => {
                let last = loads.iter().map(|(_, bytes)| *bytes).fold(*bytes, f64::max);
                2.0 * last
            }
            Self::Noise { mean, deviation, .. } => mean + 3.0 * deviation,
            Self::Batches { peak, .. } => *peak,
            Self::Bursts { base, peak, .. } => base + peak,
            Self::Pool { connections, .. } => connections * POOLED_BUFFER_BYTES,
        }
    }
}

/// The data set of that time; while it is loaded the old one is still there.
fn dataset(first: f64, loads: &[(f64, f64)], t_s: f64) -> f64 {
    let mut held = first;
    for (at_s, bytes) in loads {
        if t_s >= at_s + LOADING_S {
            held = *bytes;
        } else if t_s >= *at_s {
            held += bytes;
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(hold: Hold, seconds: u32) -> Vec<Demand> {
        let mut holder = Holder::new(hold, Dice::new(3));
        let moment = |t: u32| Moment { t_s: f64::from(t), age_s: f64::from(t), served: 4.0 };
        (0..seconds).map(|t| holder.demand(moment(t))).collect()
    }

    #[test]
    fn a_daily_load_begins_at_its_low_and_peaks_half_a_period_later() {
        let load = Load::Daily { low: 1.0, high: 4.0, period_s: 1_440.0 };
        assert!((load.rate(0.0) - 1.0).abs() < 1e-9);
        assert!((load.rate(720.0) - 4.0).abs() < 1e-9);
        assert!((load.expected(0.0, 1_440.0) - 3_600.0).abs() < 1.0);
    }

    #[test]
    fn a_ramp_is_flat_before_and_after() {
        let load = Load::Ramp { from: 1.0, to: 3.0, from_s: 10.0, to_s: 20.0 };
        assert_eq!([0.0, 15.0, 99.0].map(|t| load.rate(t)), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_cache_fills_to_its_end_and_no_further() {
        let filled = course(Hold::Fill { bytes: 100.0, tau_s: 10.0 }, 100);
        assert!((filled[10].bytes - 63.2).abs() < 0.1);
        assert!(filled.iter().all(|demand| demand.bytes <= 100.0) && filled[99].bytes > 99.9);
    }

    #[test]
    fn sessions_follow_the_load_and_end() {
        let sessions = course(Hold::Sessions { bytes: 10.0, ttl_s: 20.0 }, 200);
        let expected = 10.0 * 4.0 * 20.0;
        assert!((sessions[199].bytes / expected - 1.0).abs() < 0.05, "{}", sessions[199].bytes);
    }

    #[test]
    fn a_data_set_lies_in_memory_twice_while_it_is_loaded() {
        let loads = [(10.0, 130.0)];
        assert_eq!([0.0, 11.0, 14.0].map(|t| dataset(100.0, &loads, t)), [100.0, 230.0, 130.0]);
    }

    #[test]
    fn batches_come_and_go() {
        let batches = course(Hold::Batches { peak: 50.0, every_s: 30.0, length_s: 5.0 }, 300);
        let n_busy = batches.iter().filter(|demand| demand.bytes > 0.0).count();
        assert!((25..80).contains(&n_busy), "{n_busy}");
        assert!(batches.iter().all(|demand| demand.bytes <= 50.0));
    }

    #[test]
    fn noise_has_the_deviation_it_says() {
        let noise = course(Hold::Noise { mean: 1_000.0, deviation: 50.0, memory: 0.9 }, 5_000);
        let mean = noise.iter().map(|demand| demand.bytes).sum::<f64>() / 5_000.0;
        let variance = noise.iter().map(|demand| (demand.bytes - mean).powi(2)).sum::<f64>() / 5_000.0;
        assert!((mean - 1_000.0).abs() < 15.0, "{mean}");
        assert!((variance.sqrt() - 50.0).abs() < 8.0, "{variance}");
    }

    #[test]
    fn a_demand_spells_only_what_it_asks_for() {
        let demand = Demand { bytes: 10.4, renew: 2.0, any_order: true, ..Demand::default() };
        assert_eq!(demand.query(false), "bytes=10&descriptors=0&renew=2&order=random");
        assert_eq!(Demand::default().query(true), "bytes=0&descriptors=0&where=native");
    }
}
