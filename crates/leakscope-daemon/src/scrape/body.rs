//! The body of a response: framing (RFC 9112), content encoding, limits. Nothing is held but what a decoder needs.

use std::io::Write;

use super::error::ScrapeError;

/// Where the body ends.
#[derive(Debug)]
pub(crate) enum Framing {
    /// After so many further bytes.
    Length(u64),
    /// Where the chunks say.
    Chunked(Chunks),
    /// Where the connection ends.
    UntilClose,
}

/// Progress within a chunked body.
#[derive(Debug)]
pub(crate) enum Chunks {
    /// In a chunk's size line or the line end before it; its bytes so far.
    Size(Vec<u8>),
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// In the trailer; bytes of its current line.
    Trailer(u32),
    Done,
}

/// Bytes of a chunk's size line, extensions included. Beyond: refused.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Bytes of a trailer's line. Beyond: refused.
const TRAILER_LINE_BYTES_MAX: u32 = 8 << 10;

impl Framing {
    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunks::Size(Vec::new()))
    }

    /// Whether the whole body has been seen.
    pub(crate) fn complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }

    /// Hands the body's bytes in `received` to `take`, in order. Bytes beyond the body are an error: no request was sent for them.
    pub(crate) fn feed(
        &mut self,
        received: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>,
    ) -> Result<(), ScrapeError> {
        match self {
            Self::UntilClose => take(received),
            Self::Length(left) => {
                if received.len() as u64 > *left {
                    return Err(beyond());
                }
                *left -= received.len() as u64;
                take(received)
            }
            Self::Chunked(chunks) => {
                let mut rest = received;
                while !rest.is_empty() {
                    rest = chunks.step(rest, take)?;
                }
                Ok(())
            }
        }
    }
}

impl Chunks {
    /// Takes some bytes and returns what is left.
    fn step<'a>(
        &mut self,
        bytes: &'a [u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>,
    ) -> Result<&'a [u8], ScrapeError> {
        match self {
            Self::Size(line) => {
                let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |place| place + 1);
                line.extend_from_slice(&bytes[..end]);
                if line.len() > SIZE_LINE_BYTES_MAX {
                    return Err(not_http(format!("a chunk's size of more than {SIZE_LINE_BYTES_MAX} bytes")));
                }
                if line.last() == Some(&b'\n') && line.as_slice() != b"\r\n" {
                    *self = Self::sized(line)?;
                }
                Ok(&bytes[end..])
            }
            Self::Data(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                take(&bytes[..n])?;
                *left -= n as u64;
                if *left == 0 {
                    *self = Self::Size(Vec::new());
                }
                Ok(&bytes[n..])
            }
            Self::Trailer(line_bytes) => {
                match bytes.first() {
                    Some(b'\n') if *line_bytes == 0 => *self = Self::Done,
                    Some(b'\n') => *line_bytes = 0,
                    Some(b'\r') => {}
                    _ => *line_bytes += 1,
                }
                if matches!(self, Self::Trailer(n) if *n > TRAILER_LINE_BYTES_MAX) {
                    return Err(not_http(format!("a trailer's line of more than {TRAILER_LINE_BYTES_MAX} bytes")));
                }
                Ok(&bytes[1..])
            }
            Self::Done => Err(beyond()),
        }
    }

    /// The state after a size line, which may follow the line end of the chunk before.
    fn sized(line: &[u8]) -> Result<Self, ScrapeError> {
        let line = line.strip_prefix(b"\r\n").unwrap_or(line);
        match httparse::parse_chunk_size(line) {
            Ok(httparse::Status::Complete((_, 0))) => Ok(Self::Trailer(0)),
            Ok(httparse::Status::Complete((_, size))) => Ok(Self::Data(size)),
            Ok(httparse::Status::Partial) | Err(_) => {
                Err(not_http(format!("a chunk's size of `{}`", String::from_utf8_lossy(line).trim_end())))
            }
        }
    }
}

fn not_http(reason: String) -> ScrapeError {
    ScrapeError::NotHttp { reason }
}

fn beyond() -> ScrapeError {
    not_http("bytes beyond the end of the body".into())
}

/// Undoes the content encoding. Output goes to a sink as it comes, so a bomb is met by the limit long before it is whole.
pub(crate) enum Decoder {
    Identity,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

/// Encoded bytes that are decoded at once: bounds what one step can blow up to.
const STEP_BYTES: usize = 4 << 10;
/// Largest window of a zstd stream as a power of two: 8 MiB, what RFC 8878 recommends every decoder to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Decoder {
    pub(crate) fn of(encoding: &str) -> Result<Self, ScrapeError> {
        match encoding.trim() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))),
            "zstd" => {
                let failed = |source| ScrapeError::Decode { encoding: "zstd", source };
                let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).map_err(failed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
                Ok(Self::Zstd(Box::new(decoder)))
            }
            other => Err(ScrapeError::Encoding { found: other.into() }),
        }
    }

    pub(crate) fn feed(
        &mut self,
        encoded: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>,
    ) -> Result<(), ScrapeError> {
        match self {
            Self::Identity => take(encoded),
            Self::Gzip(decoder) => {
                for step in encoded.chunks(STEP_BYTES) {
                    decoder.write_all(step).map_err(|source| ScrapeError::Decode { encoding: "gzip", source })?;
                    drain(decoder.get_mut(), take)?;
                }
                Ok(())
            }
            Self::Zstd(decoder) => {
                for step in encoded.chunks(STEP_BYTES) {
                    decoder.write_all(step).map_err(|source| ScrapeError::Decode { encoding: "zstd", source })?;
                    drain(decoder.get_mut(), take)?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn finish(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>,
    ) -> Result<(), ScrapeError> {
        match self {
            Self::Identity => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|source| ScrapeError::Decode { encoding: "gzip", source })?;
                drain(decoder.get_mut(), take)
            }
            Self::Zstd(decoder) => {
                decoder.flush().map_err(|source| ScrapeError::Decode { encoding: "zstd", source })?;
                drain(decoder.get_mut(), take)
            }
        }
    }
}

fn drain(out: &mut Vec<u8>, take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>) -> Result<(), ScrapeError> {
    let outcome = take(out);
    out.clear();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `wire` in pieces of every size and expects the same body each time.
    fn chunked(wire: &[u8]) -> Result<String, String> {
        let mut outcomes = Vec::new();
        for size in 1..=wire.len() {
            let mut framing = Framing::chunked();
            let mut body = Vec::new();
            let fed = wire.chunks(size).try_for_each(|piece| {
                framing.feed(piece, &mut |bytes| {
                    body.extend_from_slice(bytes);
                    Ok(())
                })
            });
            outcomes.push(match fed {
                Ok(()) if framing.complete() => Ok(String::from_utf8(body).unwrap()),
                Ok(()) => Err("incomplete".to_owned()),
                Err(error) => Err(error.to_string()),
            });
        }
        outcomes.dedup();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0)
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        assert_eq!(chunked(b"4\r\nWiki\r\n6;a=b\r\npedia.\r\n0\r\n\r\n"), Ok("Wikipedia.".into()));
        assert_eq!(chunked(b"1\r\na\r\n0\r\nTrailer: x\r\n\r\n"), Ok("a".into()));
        assert_eq!(chunked(b"4\r\nWi"), Err("incomplete".into()));
        assert!(chunked(b"zz\r\n").unwrap_err().contains("a chunk's size of `zz`"));
        assert!(chunked(b"0\r\n\r\nmore").unwrap_err().contains("beyond"));
    }

    #[test]
    fn a_bomb_meets_the_limit_before_it_is_whole() {
        let zeros = vec![0; 10 << 20];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&zeros).unwrap();
        let bomb = encoder.finish().unwrap();
        let mut seen = 0;
        let outcome = Decoder::of("gzip").unwrap().feed(&bomb, &mut |bytes| {
            seen += bytes.len();
            if seen > 1 << 20 { Err(ScrapeError::TooLarge { limit: 1 << 20 }) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(ScrapeError::TooLarge { .. })));
        assert!(seen < 8 << 20, "{seen}");
    }
}
