//! Which columns of a profile say what is alive, and which only what was ever allocated.

use super::model::Profile;

/// What the values of a profile mean for a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What is alive at one moment: growth of it may be a leak.
    Live,
    /// What was allocated since the start or while it measured, freed or not: growth of it is work.
    Allocated,
    /// The profile does not say.
    Unknown,
}

/// The columns that are compared; one of both at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) bytes: Option<usize>,
    pub(crate) count: Option<usize>,
    /// Bytes ever allocated, beside those alive.
    pub(crate) allocated: Option<usize>,
    pub(crate) meaning: Meaning,
}

/// Names of columns that hold live bytes, those first that say most.
const LIVE_BYTES: [&str; 9] =
    ["inuse_space", "inuse_bytes", "live_bytes", "space", "bytes", "size", "memory", "retained", "heap"];
/// Likewise of live things, where they are counted.
const LIVE_COUNT: [&str; 10] = [
    "inuse_objects",
    "live_objects",
    "objects",
    "goroutineleak",
    "goroutine",
    "goroutines",
    "blocks",
    "count",
    "instances",
    "threadcreate",
];
/// Beginnings of names of columns that count allocations.
const ALLOCATED: [&str; 4] = ["alloc", "total_alloc", "churn", "freed"];

impl Columns {
    /// The columns of a profile that say most about leaks; none where no column counts bytes or things.
    pub(crate) fn of(profile: &Profile) -> Option<Self> {
        let live = Self {
            bytes: named(profile, &LIVE_BYTES, "bytes"),
            count: named(profile, &LIVE_COUNT, "count"),
            allocated: allocated(profile, "bytes"),
            meaning: Meaning::Live,
        };
        let allocated = Self {
            bytes: allocated(profile, "bytes"),
            count: allocated(profile, "count"),
            allocated: None,
            meaning: Meaning::Allocated,
        };
        let unknown = Self {
            bytes: with_unit(profile, "bytes"),
            count: with_unit(profile, "count"),
            allocated: None,
            meaning: Meaning::Unknown,
        };
        [live, allocated, unknown].into_iter().find(|columns| columns.bytes.is_some() || columns.count.is_some())
    }

    /// The names of the columns, as an error or a warning shows them.
    pub(crate) fn shown(profile: &Profile) -> String {
        let name =
            |column: &super::model::ValueType| format!("`{}/{}`", profile.text(column.kind), profile.text(column.unit));
        let names: Vec<String> = profile.sample_types.iter().map(name).collect();
        if names.is_empty() { "no columns".to_owned() } else { names.join(", ") }
    }
}

fn named(profile: &Profile, names: &[&str], unit: &str) -> Option<usize> {
    names.iter().find_map(|name| position(profile, |kind, found| kind == *name && is_unit(found, unit)))
}

fn allocated(profile: &Profile, unit: &str) -> Option<usize> {
    position(profile, |kind, found| is_unit(found, unit) && ALLOCATED.iter().any(|start| kind.starts_with(start)))
}

fn with_unit(profile: &Profile, unit: &str) -> Option<usize> {
    position(profile, |_, found| is_unit(found, unit))
}

fn position(profile: &Profile, fits: impl Fn(&str, &str) -> bool) -> Option<usize> {
    profile.sample_types.iter().position(|column| fits(profile.text(column.kind), profile.text(column.unit)))
}

/// Units are spelt as `go tool pprof` reads them, in the singular too.
fn is_unit(found: &str, unit: &str) -> bool {
    found == unit || unit.strip_suffix('s') == Some(found) || unit == "count" && found == "objects"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::profile::builder::Builder;

    #[test]
    fn live_columns_come_before_what_was_ever_allocated() {
        let found = |bytes, count, meaning| Some(Columns { bytes, count, allocated: None, meaning });
        let cases: [(&[(&str, &str)], Option<Columns>); 9] = [
            (
                &[
                    ("alloc_objects", "count"),
                    ("alloc_space", "bytes"),
                    ("inuse_objects", "count"),
                    ("inuse_space", "bytes"),
                ],
                found(Some(3), Some(2), Meaning::Live).map(|columns| Columns { allocated: Some(1), ..columns }),
            ),
            (&[("objects", "count"), ("space", "bytes")], found(Some(1), Some(0), Meaning::Live)),
            (&[("alloc_objects", "count"), ("alloc_space", "bytes")], found(Some(1), Some(0), Meaning::Allocated)),
            (&[("goroutine", "count")], found(None, Some(0), Meaning::Live)),
            (&[("goroutineleak", "count")], found(None, Some(0), Meaning::Live)),
            (&[("objects", "count"), ("bytes", "bytes")], found(Some(1), Some(0), Meaning::Live)),
            (&[("size", "bytes"), ("count", "count")], found(Some(0), Some(1), Meaning::Live)),
            (&[("samples", "count")], found(None, Some(0), Meaning::Unknown)),
            (&[("cpu", "nanoseconds")], None),
        ];
        for (columns, expected) in cases {
            let mut builder = Builder::new(Format::Pprof, 0);
            for (kind, unit) in columns {
                builder.sample_type(kind, unit);
            }
            assert_eq!(Columns::of(&builder.finish()), expected, "{columns:?}");
        }
    }
}
