//! When evidence may be taken, of whom and of which kind: the policy, what it knows of costs, and what is under way.

mod admit;
mod book;
mod cost;
mod desk;
mod ladder;
mod plan;
mod policy;

pub(crate) use admit::{Asking, Budget, Question, Refusal, admit};
pub(crate) use book::{CaptureBook, Draft, same_process};
pub(crate) use cost::{CostModel, DIED, Measure};
pub(crate) use desk::{Ask, CaptureDesk, Comparison, GRACE, Round, Stage};
pub(crate) use ladder::{heavy, light, next_of};
pub(crate) use plan::{Pace, REAL_GAP_MIN, Situation, Step, step};
pub use policy::CapturePolicy;
