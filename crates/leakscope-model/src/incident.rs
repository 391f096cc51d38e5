//! The life of one finding on one service.

use crate::{CaptureId, Finding, IncidentId, Kind, TargetId, Timestamp};

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentState {
    /// The service leaks.
    Open,
    /// It leaks, and evidence was taken.
    Gathered,
    /// It leaks, and the evidence names a site.
    Explained,
    /// It leaks, and a person knows.
    Acknowledged,
    /// The growth stopped or the process was replaced; watched for a relapse.
    Recovered,
    /// A process that replaced the leaking one, or the one that stopped growing, was watched long enough to say that it is over.
    Verified,
    /// Over.
    Closed,
}

impl IncidentState {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Gathered => "gathered",
            Self::Explained => "explained",
            Self::Acknowledged => "acknowledged",
            Self::Recovered => "recovered",
            Self::Verified => "verified",
            Self::Closed => "closed",
        }
    }

    /// The state of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Gathered, Self::Explained, Self::Acknowledged, Self::Recovered, Self::Verified, Self::Closed]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether the service leaks as far as we know.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Gathered | Self::Explained | Self::Acknowledged)
    }
}

/// One change of an incident, appended and never changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// The state it came to.
    pub to: IncidentState,
    /// Why, as a sentence.
    pub cause: String,
}

/// The life of one finding on one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// The service that leaks.
    pub service: String,
    /// The replicas that leak, ascending.
    pub targets: Vec<TargetId>,
    /// Where it stands: the last transition's state.
    pub state: IncidentState,
    /// What kind of growth it is.
    pub kind: Kind,
    /// The highest score it reached.
    pub score: f64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Its history, ascending in time; never empty.
    pub transitions: Vec<Transition>,
    /// Evidence of it: attempts of every kind and outcome, in their order.
    pub captures: Vec<CaptureId>,
    /// What the evidence says, strongest first.
    pub suspects: Vec<Finding>,
}
