//! HPROF dumps.

use crate::error::HeapError;
use crate::heap::{Heap, Phase};

pub(crate) fn is_hprof(_bytes: &[u8]) -> bool {
    false
}

pub(crate) fn analyse<'a>(bytes: &'a [u8], _progress: &(dyn Fn(Phase) + Sync)) -> Result<Heap<'a>, HeapError> {
    Err(HeapError::TooMany { what: "snapshots", max: 0, found: bytes.len() as u64 })
}

pub(crate) fn normalised(name: &str) -> std::borrow::Cow<'_, str> {
    name.into()
}
