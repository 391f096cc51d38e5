//! When evidence may be taken, of whom and of which kind.

use std::collections::BTreeMap;

use leakscope_model::{Capture, CaptureId};

/// When evidence may be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapturePolicy {
    /// Whether light evidence is taken.
    pub light: bool,
    /// Whether evidence is taken that stops a process for seconds or multiplies its memory.
    pub heavy: bool,
}

impl Default for CapturePolicy {
    fn default() -> Self {
        Self { light: true, heavy: false }
    }
}

/// Every attempt to take evidence.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureDesk {
    captures: BTreeMap<CaptureId, Capture>,
}

impl CaptureDesk {
    pub(crate) fn restore(captures: Vec<Capture>) -> Self {
        Self { captures: captures.into_iter().map(|capture| (capture.id, capture)).collect() }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Capture> {
        self.captures.values()
    }

    pub(crate) fn get(&self, id: CaptureId) -> Option<&Capture> {
        self.captures.get(&id)
    }
}
