//! The profiles that are measured, kept between runs: made ones of `generate.rs`, and a real one of a test of Go's own library.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::generate::{self, Shape};
use crate::record::service::done;

/// Bytes between two samples of the real profile; Go's own default of 512 KiB sees little of a test of seconds.
const REAL_RATE: &str = "512";
/// What is profiled: in the library of every Go.
const REAL_PACKAGE: &str = "encoding/json";

/// Two profiles of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// `r 100,000`.
    pub(super) name: String,
    pub(super) shape: Option<Shape>,
    /// Of a made one.
    pub(super) n_samples: u64,
    pub(super) base: PathBuf,
    pub(super) later: PathBuf,
}

/// Profiles of so many samples, made unless they are there.
pub(super) fn made(folder: &Path, shape: Shape, n_samples: u64) -> Result<Pair, String> {
    let path = |which: &str| folder.join(format!("{}{n_samples}-{which}.pb.gz", shape.letter()));
    let pair = Pair {
        name: format!("{} {}", shape.letter(), in_thousands(n_samples)),
        shape: Some(shape),
        n_samples,
        base: path("base"),
        later: path("later"),
    };
    for (path, later) in [(&pair.base, false), (&pair.later, true)] {
        if !path.is_file() {
            eprintln!("making {}", path.display());
            let unfinished = path.with_extension("unfinished");
            generate::write(&unfinished, shape, n_samples, later)
                .and_then(|()| std::fs::rename(&unfinished, path))
                .map_err(|error| format!("`{}` not writable: {error}", path.display()))?;
        }
    }
    Ok(pair)
}

/// Allocation profiles of two runs of one test.
pub(super) fn real(folder: &Path) -> Result<Pair, String> {
    let path = |which: &str| folder.join(format!("real-{which}.pb.gz"));
    let pair = Pair { name: "real".to_owned(), shape: None, n_samples: 0, base: path("base"), later: path("later") };
    for path in [&pair.base, &pair.later] {
        if !path.is_file() {
            let mut command = Command::new("go");
            command.args(["test", "-count=1", "-memprofilerate", REAL_RATE, "-o"]).arg(folder.join("real.test"));
            done(command.arg("-memprofile").arg(path).arg(REAL_PACKAGE))?;
        }
    }
    Ok(pair)
}

/// `5,000,000`.
fn in_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_cut_in_thousands() {
        assert_eq!([5, 1_000, 100_000, 5_000_000].map(in_thousands), ["5", "1,000", "100,000", "5,000,000"]);
    }
}
