//! Locks that outlive a panic: one bad request must not stop the daemon.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a value that a panicking thread left behind is taken as it is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
