//! The goals of speed and memory, each beside what was measured.

use std::fmt;

/// A goal and the figure that meets it or does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    /// What is compared: `V8 280 MB: CPU beside DevTools`.
    pub(super) what: String,
    pub(super) bound: Bound,
    /// None where one side could not be measured.
    pub(super) measured: Option<f64>,
}

/// What the measured figure must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// A ratio, at most.
    RatioMax(f64),
    /// Seconds, at most.
    SecondsMax(f64),
    /// Megabytes a second, at least.
    RateMin(f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::RatioMax(max) | Self::SecondsMax(max) => figure <= max,
            Self::RateMin(min) => figure >= min,
        }
    }

    fn shown(self, figure: f64) -> String {
        match self {
            Self::RatioMax(_) => format!("{figure:.3}"),
            Self::SecondsMax(_) => format!("{figure:.2} s"),
            Self::RateMin(_) => format!("{figure:.0} MB/s"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RatioMax(bound) | Self::SecondsMax(bound) => write!(f, "at most {}", self.shown(bound)),
            Self::RateMin(bound) => write!(f, "at least {}", self.shown(bound)),
        }
    }
}

impl Goal {
    /// At most `bound` times the other's figure.
    pub(super) fn ratio(what: String, bound: f64, ours: Option<f64>, other: Option<f64>) -> Self {
        let measured = ours.zip(other).filter(|(_, other)| *other > 0.0).map(|(ours, other)| ours / other);
        Self { what, bound: Bound::RatioMax(bound), measured }
    }

    pub(super) const HEADS: [&'static str; 4] = ["goal", "bound", "measured", "met"];

    /// A row under [`Self::HEADS`].
    pub(super) fn row(&self) -> Vec<String> {
        let measured = self.measured.map_or("-".to_owned(), |figure| self.bound.shown(figure));
        let met = match self.measured {
            None => "not measured",
            Some(figure) if self.bound.holds(figure) => "met",
            Some(_) => "NOT met",
        };
        vec![self.what.clone(), self.bound.to_string(), measured, met.to_owned()]
    }

    pub(super) fn missed(&self) -> bool {
        self.measured.is_some_and(|figure| !self.bound.holds(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(goal: &Goal) -> String {
        goal.row().pop().unwrap_or_default()
    }

    #[test]
    fn a_ratio_is_met_at_its_bound_and_missed_above() {
        let goal = |ours| Goal::ratio("x".to_owned(), 0.3, Some(ours), Some(10.0));
        assert_eq!(goal(3.0).row(), ["x", "at most 0.300", "0.300", "met"]);
        assert_eq!(met(&goal(3.1)), "NOT met");
        assert!(goal(3.1).missed());
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let goal = Goal::ratio("x".to_owned(), 0.3, Some(1.0), None);
        assert_eq!((met(&goal).as_str(), goal.missed()), ("not measured", false));
        assert_eq!(met(&Goal::ratio("x".to_owned(), 0.3, Some(1.0), Some(0.0))), "not measured");
    }

    #[test]
    fn a_rate_must_be_reached() {
        let goal = |rate| Goal { what: "x".to_owned(), bound: Bound::RateMin(500.0), measured: Some(rate) };
        assert_eq!(goal(499.0).row(), ["x", "at least 500 MB/s", "499 MB/s", "NOT met"]);
        assert_eq!(met(&goal(500.0)), "met");
    }
}
