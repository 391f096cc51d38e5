//! What earlier lives tell of this one: the level that healthy ones live at, and growth that comes back in each.

use crate::evidence::Evidence;

/// Lives that must have grown alike, this one not counted.
const LIVES: u32 = 3;
/// Evidence of all of them together, over what one life would have to show alone.
const MORE: f64 = 1.5;
/// Slopes of one leak differ by less than this factor from life to life.
const ALIKE: f64 = 2.0;
/// Least pace of a life that grew: what bends in each life is how each life warms up.
const PACE: f64 = 0.75;
/// Most pace of it.
const PACE_MOST: f64 = 1.6;
/// Hours that a life must last to tell anything.
const HOURS: f64 = 1.0;
/// The most evidence that one life can add: none decides alone.
const MOST: f64 = 4.0;

/// What is kept of the lives before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Past {
    /// The highest level that a life which did not grow, or a healthy replica, lived at; 0 when none is known.
    pub(crate) settled: f64,
    /// Lives in a row that grew alike, without an alarm.
    pub(crate) n_grew: u32,
    /// Their e-values, multiplied, as a power of ten. Lives are independent, so the product is one e-value.
    pub(crate) log10_e: f64,
    /// Their mean slope an hour.
    pub(crate) slope: f64,
}

impl Past {
    /// Takes a life that ended without an alarm: its hours, its last level, and all of it as one window, where that can be judged.
    pub(crate) fn add(&mut self, hours: f64, level: f64, whole: Option<&Evidence>) {
        if hours < HOURS {
            return;
        }
        match whole.filter(|whole| grew(whole)) {
            Some(whole) => {
                if !self.alike(whole.slope) {
                    *self = Self { settled: self.settled, ..Self::default() };
                }
                self.slope = (self.slope * f64::from(self.n_grew) + whole.slope) / f64::from(self.n_grew + 1);
                self.n_grew = self.n_grew.saturating_add(1);
                self.log10_e += whole.e_value.max(1.0).log10().min(MOST);
            }
            None => *self = Self { settled: self.settled.max(level), ..Self::default() },
        }
    }

    /// Whether a life that grows as `whole` does continues what the ones before it did, with evidence over `log10_e`.
    pub(crate) fn recurs(&self, whole: &Evidence, log10_e: f64) -> bool {
        self.n_grew >= LIVES
            && grew(whole)
            && self.alike(whole.slope)
            && self.log10_e + whole.e_value.max(1.0).log10().min(MOST) >= MORE * log10_e
    }

    fn alike(&self, slope: f64) -> bool {
        self.n_grew == 0 || (slope < self.slope * ALIKE && slope * ALIKE > self.slope)
    }
}

fn grew(whole: &Evidence) -> bool {
    whole.e_value >= 10.0
        && whole.slope_low > 0.0
        && whole.growth() >= whole.least
        && (PACE..=PACE_MOST).contains(&whole.pace)
        && whole.load_share < 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(slope: f64, pace: f64) -> Evidence {
        Evidence {
            e_value: 1e4,
            slope,
            slope_low: slope / 2.0,
            pace,
            least: 1.0,
            to_ms: 5 * 3_600_000,
            ..Evidence::default()
        }
    }

    #[test]
    fn lives_that_grow_alike_add_up_and_others_begin_anew() {
        let straight = |slope| Some(life(slope, 1.0));
        let cases = [
            (vec![straight(2.0), straight(2.2), straight(1.8)], true),
            (vec![straight(2.0), straight(2.2)], false),
            (vec![straight(2.0), straight(2.2), None, straight(1.8)], false),
            (vec![straight(2.0), straight(8.0), straight(2.0)], false),
            (vec![Some(life(2.0, 0.5)), Some(life(2.0, 0.5)), Some(life(2.0, 0.5))], false),
        ];
        for (lives, expect) in cases {
            let mut past = Past::default();
            for whole in &lives {
                past.add(6.0, 100.0, whole.as_ref());
            }
            assert_eq!(past.recurs(&life(2.0, 1.0), 7.0), expect, "{lives:?}");
        }
    }

    #[test]
    fn the_settled_level_is_that_of_lives_that_did_not_grow() {
        let mut past = Past::default();
        past.add(0.5, 900.0, None);
        past.add(2.0, 100.0, None);
        past.add(2.0, 500.0, Some(&life(2.0, 1.0)));
        past.add(2.0, 90.0, None);
        assert_eq!(past.settled, 100.0);
    }
}
