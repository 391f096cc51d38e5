//! A capture's bytes: from a file or standard input, plain or compressed.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use memmap2::Mmap;

use super::mapped::map;

/// Files from here on are mapped; smaller ones are read, since a map that another process cuts short ends ours.
const MAPPED_BYTES_MIN: u64 = 64 << 20;
/// What comes out of a compressed file: at most so many times its size and so many bytes more. Beyond: refused as a bomb. Heap
/// captures shrink to a fifth or a tenth.
const UNPACKED_TIMES_MAX: u64 = 200;
const UNPACKED_BYTES_MORE: u64 = 64 << 20;
/// Output that is asked for before any of it is there. More is asked for as it comes.
const UNPACKED_BYTES_FIRST: usize = 1 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The bytes of one capture, not compressed.
#[derive(Debug)]
pub(crate) enum Bytes {
    Read(Vec<u8>),
    Mapped(Mmap),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("`{file}` cannot be read: {source}")]
    Unreadable { file: String, source: io::Error },
    #[error("`{file}` is a folder, expected a heap capture")]
    Folder { file: String },
    #[error("`{file}` cannot be unpacked as {format}: {source}")]
    Broken { file: String, format: &'static str, source: io::Error },
    #[error("`{file}` unpacks to more than {max} bytes, {UNPACKED_TIMES_MAX} times its size")]
    Bomb { file: String, max: u64 },
}

/// What came of one file.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) bytes: Bytes,
    /// What was strange about it.
    pub(crate) warning: Option<String>,
}

/// The capture in `path`; `-` is standard input. Gzip and zstd are known by their first bytes, whatever the name; several members
/// or frames count as one.
///
/// # Errors
/// [`InputError`]. A compressed file that ends too soon is read as far as it goes.
pub(crate) fn read(path: &Path) -> Result<Input, InputError> {
    let file = path.display().to_string();
    let unreadable = |source| InputError::Unreadable { file: file.clone(), source };
    if path == Path::new("-") {
        let packed = read_all(io::stdin().lock()).map_err(unreadable)?;
        return unpack(Bytes::Read(packed), &file);
    }
    let opened = File::open(path).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(InputError::Folder { file });
    }
    let is_mapped = metadata.is_file() && metadata.len() >= MAPPED_BYTES_MIN;
    let packed = match is_mapped.then(|| map(&opened)) {
        Some(Ok(map)) => Bytes::Mapped(map),
        // What cannot be mapped, a pipe or a file of some network file system, is read.
        Some(Err(_)) | None => Bytes::Read(read_all(opened).map_err(unreadable)?),
    };
    unpack(packed, &file)
}

fn read_all(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unpack(packed: Bytes, file: &str) -> Result<Input, InputError> {
    let broken = |format| move |source| InputError::Broken { file: file.to_owned(), format, source };
    if packed.starts_with(GZIP) {
        return bounded(MultiGzDecoder::new(&*packed), "gzip", packed.len(), file);
    }
    if packed.starts_with(ZSTD) {
        let decoder = zstd::stream::read::Decoder::with_buffer(&*packed).map_err(broken("zstd"))?;
        return bounded(decoder, "zstd", packed.len(), file);
    }
    Ok(Input { bytes: packed, warning: None })
}

fn bounded(from: impl Read, format: &'static str, n_packed: usize, file: &str) -> Result<Input, InputError> {
    let max = (n_packed as u64).saturating_mul(UNPACKED_TIMES_MAX).saturating_add(UNPACKED_BYTES_MORE);
    let mut bytes = Vec::with_capacity(UNPACKED_BYTES_FIRST);
    let read = from.take(max + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > max {
        return Err(InputError::Bomb { file: file.to_owned(), max });
    }
    let warning = match read {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !bytes.is_empty() => Some(format!(
            "`{file}` ends within its {format} data; what came before is read, {} bytes unpacked",
            bytes.len()
        )),
        Err(source) => return Err(InputError::Broken { file: file.to_owned(), format, source }),
    };
    Ok(Input { bytes: Bytes::Read(bytes), warning })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Result<(Vec<u8>, bool), String> {
        let input = unpack(Bytes::Read(packed.to_vec()), "x").map_err(|error| error.to_string())?;
        Ok((input.bytes.to_vec(), input.warning.is_some()))
    }

    #[test]
    fn plain_gzip_and_zstd_in_several_parts_give_the_same_bytes() {
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let whole = (b"a heap".to_vec(), false);
        for packed in [
            b"a heap".to_vec(),
            gzip(b"a heap"),
            [gzip(b"a "), gzip(b"heap")].concat(),
            zstd(b"a heap"),
            [zstd(b"a "), zstd(b"heap")].concat(),
        ] {
            assert_eq!(unpacked(&packed), Ok(whole.clone()));
        }
    }

    #[test]
    fn a_packed_file_that_ends_too_soon_gives_what_it_has_and_says_so() {
        let mut seed = 1_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        let noise: Vec<u8> = (0..1_000_000).map(|_| next()).collect();
        for packed in [gzip(&noise), zstd::encode_all(&*noise, 1).unwrap()] {
            let (bytes, warned) = unpacked(&packed[..packed.len() / 2]).unwrap();
            assert!(warned && !bytes.is_empty() && noise.starts_with(&bytes));
        }
    }

    #[test]
    fn a_bomb_is_refused_at_its_bound() {
        let packed = zstd::encode_all(io::repeat(0).take(80 << 20), 1).unwrap();
        let max = packed.len() as u64 * UNPACKED_TIMES_MAX + UNPACKED_BYTES_MORE;
        assert_eq!(unpacked(&packed), Err(format!("`x` unpacks to more than {max} bytes, 200 times its size")));
    }
}
