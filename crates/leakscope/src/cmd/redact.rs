//! `leakscope redact`: a copy of a capture that can be given away.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use leakscope_heap::{RedactError, Redacted};
use tempfile::NamedTempFile;

use super::analyze::{read, unreadable};
use crate::exit::{self, Exit, Failure};
use crate::heap::Steps;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  leakscope redact heap.heapsnapshot -o heap.redacted.heapsnapshot
  leakscope redact heap.hprof.gz -o - | zstd > heap.redacted.hprof.zst";

const LONG_ABOUT: &str = "\
Writes a copy of a heap capture without its contents: what strings say and what numbers are is replaced, types, names of properties \
and fields, sizes and references stay. The analysis of the copy gives the same figures, and other tools open it.

Names are the shape: a secret that is the name of a property, as in an object that is used as a table, stays.";

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes a copy of a heap capture without the contents of its strings and numbers
#[derive(Debug, clap::Args)]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The capture: `.heapsnapshot` or `.hprof`, also `.gz` and `.zst`; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where the copy goes, not packed; `-` for standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Replaces a file that is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let to_file = args.output != Path::new("-");
    if to_file && !args.force && args.output.symlink_metadata().is_ok() {
        return Err(taken(&args.output));
    }
    let steps = Steps::new();
    let input = read(&args.file, &steps)?;
    input.warning.iter().for_each(|warning| output::warning(warning));
    steps.begin("redacting");
    let redacted = if to_file {
        into_file(args, &input.bytes)?
    } else {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        redact(args, &input.bytes, &mut out)?
    };
    steps.end();
    let Redacted { bytes, strings, values } = redacted;
    output::note(&format!("{bytes} bytes: the contents of {strings} strings and {values} values were replaced"));
    Ok(Exit::Done)
}

/// Writes beside the place and moves it there at the end, so that nobody finds half a copy. Only the owner may read it.
fn into_file(args: &Args, capture: &[u8]) -> Result<Redacted, Failure> {
    let path = &args.output;
    let unwritable = |error: io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(unwritable)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file.as_file_mut());
    let redacted = redact(args, capture, &mut out)?;
    out.flush().map_err(unwritable)?;
    drop(out);
    let moved: Result<File, _> = if args.force { file.persist(path) } else { file.persist_noclobber(path) };
    match moved {
        Ok(_) => Ok(redacted),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(unwritable(error.error)),
    }
}

fn redact(args: &Args, capture: &[u8], out: &mut dyn Write) -> Result<Redacted, Failure> {
    let redacted = leakscope_heap::redact(capture, out).and_then(|redacted| {
        out.flush().map_err(RedactError::Unwritable)?;
        Ok(redacted)
    });
    redacted.map_err(|error| match error {
        RedactError::Unreadable(error) => unreadable(&args.file, &error),
        RedactError::Unwritable(error) => {
            Failure::usage(format!("`{}` cannot be written: {error}", args.output.display()))
        }
    })
}

fn taken(path: &Path) -> Failure {
    Failure::usage(format!("`{}` is there already", path.display())).hint("`--force` replaces it")
}
