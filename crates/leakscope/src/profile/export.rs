//! Profiles as files for other tools; the form follows the name.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use leakscope_heap::profile::{self, CallTree, Profile};

use super::flame;
use crate::exit::Failure;
use crate::heap::write_private;

/// What is written.
#[derive(Debug)]
pub(crate) struct Export<'a> {
    pub(crate) profile: &'a Profile,
    /// The sample type that is drawn or listed, where the form holds one alone.
    pub(crate) column: usize,
    pub(crate) title: &'a str,
}

/// Forms by the ends of names.
const FORMS: [(&str, Form); 11] = [
    (".pb.gz", Form::PprofPacked),
    (".pprof.gz", Form::PprofPacked),
    (".pprof", Form::PprofPacked),
    (".pb", Form::Pprof),
    (".speedscope.json", Form::Speedscope),
    (".folded", Form::Collapsed),
    (".collapsed", Form::Collapsed),
    (".txt", Form::Collapsed),
    (".svg", Form::Svg),
    (".html", Form::Html),
    (".htm", Form::Html),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    PprofPacked,
    Pprof,
    Speedscope,
    Collapsed,
    Svg,
    Html,
}

/// Refuses a name whose end says no form, before anything is read. `flame`: whether it must be a flame graph.
///
/// # Errors
/// Lists what is known.
pub(super) fn check_name(path: &Path, flame: bool) -> Result<(), Failure> {
    form(path, flame).map(|_| ())
}

fn form(path: &Path, flame: bool) -> Result<Form, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_known = |form: &Form| !flame || matches!(form, Form::Svg | Form::Html);
    let found = FORMS.iter().find(|(end, form)| is_known(form) && name.ends_with(end));
    found.map(|(_, form)| *form).ok_or_else(|| {
        let known: Vec<&str> = FORMS.iter().filter(|(_, form)| is_known(form)).map(|(end, _)| *end).collect();
        Failure::usage(format!("expected a name that ends in one of {}, found `{}`", known.join(", "), path.display()))
    })
}

/// Writes a profile into a file that only its owner can read. `tree` joins the stacks of flame graphs.
///
/// # Errors
/// When the name says no form, there is nothing to draw, or the file cannot be written.
pub(crate) fn export(path: &Path, export: &Export<'_>, tree: impl FnOnce() -> CallTree) -> Result<(), Failure> {
    let Export { profile, column, title } = *export;
    let unit = profile.text(profile.sample_types()[column].unit);
    let bytes = match form(path, false)? {
        Form::PprofPacked => packed(&profile::write_pprof(profile))?,
        Form::Pprof => profile::write_pprof(profile),
        Form::Speedscope => profile::write_speedscope(profile, title).into_bytes(),
        Form::Collapsed => profile::write_collapsed(profile, column).into_bytes(),
        Form::Svg => flame::picture(tree(), title, unit)?.svg.into_bytes(),
        Form::Html => flame::page(&flame::picture(tree(), title, unit)?).into_bytes(),
    };
    write_private(path, &bytes)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|error| Failure::inconclusive(format!("the profile cannot be packed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_the_name() {
        for (name, expected) in [
            ("a.pb.gz", Form::PprofPacked),
            ("a/b.PPROF", Form::PprofPacked),
            ("a.pb", Form::Pprof),
            ("a.speedscope.json", Form::Speedscope),
            ("a.folded", Form::Collapsed),
            ("a.txt", Form::Collapsed),
            ("a.svg", Form::Svg),
            ("a.html", Form::Html),
        ] {
            assert_eq!(form(Path::new(name), false).ok(), Some(expected), "{name}");
        }
        for (name, flame) in [("a.json", false), ("a.pb.gz", true), ("a", false)] {
            assert!(form(Path::new(name), flame).is_err(), "{name}");
        }
    }
}
