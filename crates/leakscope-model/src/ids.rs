//! Identities that survive restarts of leakscope and of what it watches.

use std::fmt;
use std::str::FromStr;

/// A target's identity: a hash of job, instance and the part of the page it describes. Displays as 16 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u64);

impl TargetId {
    /// The identity of one target; `part` names a container or process on a page that describes several, else it is empty.
    ///
    /// FNV-1a, 64 bits, over the three strings with separators.
    pub fn of(job: &str, instance: &str, part: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for field in [job, instance, part] {
            for byte in field.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self(hash)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for TargetId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// An incident's number, counted up from 1 in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A capture's number, counted up from 1 in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_then_parse_is_identity() {
        let id = TargetId::of("shop", "127.0.0.1:8080", "");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(TargetId::of("ab", "c", ""), TargetId::of("a", "bc", ""));
        assert_ne!(TargetId::of("a", "b", ""), TargetId::of("a", "", "b"));
    }
}
