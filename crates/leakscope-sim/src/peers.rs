//! What others use to find leaks, written anew from their published rules, so that they can be run on the same series.
//!
//! Each sees resident memory (its anonymous part where shown) and the limit, which is what its users give it, a scrape at a time.
//! A rule that compares with a limit is silent where there is none.

mod alert;
mod coroot;
mod mann_kendall;
mod precog;
mod predict_linear;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use leakscope_model::{Readings, Timestamp};

pub use coroot::Coroot;
pub use mann_kendall::MannKendall;
pub use precog::{Lbr, Precog};
pub use predict_linear::PredictLinear;

/// A detector that looks at one target.
pub trait Peer {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Takes one scrape, ascending in time; whether it alarms now.
    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool;

    /// Bytes of samples that it keeps at this moment.
    fn state_bytes(&self) -> usize;
}

/// Every peer, new.
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(Coroot::default()),
        Box::new(PredictLinear::over_one_hour()),
        Box::new(PredictLinear::over_six_hours()),
        Box::new(Lbr::default()),
        Box::new(Precog::default()),
        Box::new(MannKendall::default()),
    ]
}

/// How often rules are evaluated; samples that come more often are only kept.
const EVALUATED: Duration = Duration::from_mins(1);
