//! The one clock of these commands.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "these commands measure how long real programs take")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
