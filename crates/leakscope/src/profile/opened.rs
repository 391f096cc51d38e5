//! A profile as it is looked at: read, with names, without what it says itself to drop, and the part that filters chose.

use std::path::Path;
use std::{fs, io};

use leakscope_heap::profile::{self, Profile};
use leakscope_heap::{Format, HeapError};

use super::options::Options;
use super::symbols::Symbols;
use super::words::{amount, change};
use crate::exit::Failure;

/// One profile, whole and as far as it is looked at.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) whole: Profile,
    /// What filters left; none where nothing is filtered.
    filtered: Option<Profile>,
    /// The sample type that is ranked and drawn.
    pub(crate) column: usize,
    /// Whether values are growth.
    is_difference: bool,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Profile(#[from] HeapError),
    #[error("`{file}` cannot be read: {source}")]
    Maps { file: String, source: io::Error },
    #[error("expected a heap profile in text with `--maps` (pprof-text, jemalloc-heap), found {found}")]
    NoPlaceForMaps { found: &'static str },
    #[error("expected a profile without mapped libraries with `--maps`, found one that has them")]
    HasMaps,
}

/// Reads a profile, names its addresses, and cuts what it says itself to drop.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open(bytes: &[u8], options: &Options) -> Result<Profile, OpenError> {
    let mut profile = match &options.maps {
        Some(maps) => profile::read(&with_maps(bytes, maps)?)?,
        None => profile::read(bytes)?,
    };
    let mut symbols = Symbols::new(options.symbols.as_deref());
    profile::symbolize(&mut profile, &mut |path, build_id| symbols.open(path, build_id));
    Ok(profile::prune(profile))
}

/// A profile in text with `maps` where the format has them: at its end, under a heading.
fn with_maps(bytes: &[u8], maps: &Path) -> Result<Vec<u8>, OpenError> {
    const HEADING: &str = "\nMAPPED_LIBRARIES:\n";
    let format = Format::of(bytes)?;
    if !matches!(format, Format::PprofText | Format::Jemalloc) {
        return Err(OpenError::NoPlaceForMaps { found: format.name() });
    }
    if has_line(bytes, HEADING.trim_ascii()) {
        return Err(OpenError::HasMaps);
    }
    let source = |source| OpenError::Maps { file: maps.display().to_string(), source };
    let maps = fs::read(maps).map_err(source)?;
    Ok([bytes, HEADING.as_bytes(), &maps].concat())
}

fn has_line(bytes: &[u8], heading: &str) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| line.trim_ascii() == heading.as_bytes())
}

impl Opened {
    /// The part of a profile that is asked for. `file` names it in errors.
    ///
    /// # Errors
    /// When it has no such sample type, or none at all.
    pub(crate) fn new(whole: Profile, options: &Options, file: &str) -> Result<Self, Failure> {
        let column = column(&whole, options, file)?;
        let filter = options.filter();
        let filtered = (!filter.is_empty()).then(|| filter.apply(&whole));
        Ok(Self { whole, filtered, column, is_difference: false })
    }

    /// What grew in a column, of profiles that filters have cut already.
    pub(crate) fn difference(whole: Profile, column: usize) -> Self {
        Self { whole, filtered: None, column, is_difference: true }
    }

    /// `growth of ` before what values count, where they are growth.
    pub(crate) fn growth_of(&self) -> &'static str {
        if self.is_difference { "growth of " } else { "" }
    }

    /// A value as people read it, with its sign where it is growth.
    pub(crate) fn shown(&self, value: i64) -> String {
        if self.is_difference && value != 0 { change(value, self.unit()) } else { amount(value, self.unit()) }
    }

    /// What is looked at.
    pub(crate) fn part(&self) -> &Profile {
        self.filtered.as_ref().unwrap_or(&self.whole)
    }

    pub(crate) fn is_filtered(&self) -> bool {
        self.filtered.is_some()
    }

    /// What the ranked values count.
    pub(crate) fn kind(&self) -> &str {
        self.whole.text(self.whole.sample_types()[self.column].kind)
    }

    pub(crate) fn unit(&self) -> &str {
        self.whole.text(self.whole.sample_types()[self.column].unit)
    }
}

/// The sample type that is asked for, else the profile's own choice. `file` names the profile in errors.
///
/// # Errors
/// When it has no such sample type, or none at all.
pub(crate) fn column(profile: &Profile, options: &Options, file: &str) -> Result<usize, Failure> {
    let types = profile.sample_types();
    if types.is_empty() {
        return Err(Failure::usage(format!(
            "`{file}`: expected a profile with values, found one without a sample type"
        )));
    }
    let Some(wanted) = options.sample_type.as_deref() else { return Ok(profile.default_column()) };
    // Old profiles call `space` and `objects` what is `inuse_space` and `inuse_objects` today.
    let found = profile.sample_type(wanted).or_else(|| profile.sample_type(wanted.strip_prefix("inuse_")?));
    found.ok_or_else(|| {
        let known: Vec<String> = types.iter().map(|column| format!("`{}`", profile.text(column.kind))).collect();
        Failure::usage(format!("`{file}`: expected a sample type ({}), found `{wanted}`", known.join(", ")))
    })
}
