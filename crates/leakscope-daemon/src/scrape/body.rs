//! The body of a response: framing (RFC 9112), content encoding, limits. Nothing is held but what a decoder needs.

use std::io::{self, Write};

use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

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
    Zstd(Box<ZstdDecoder>),
}

/// Largest window of a zstd stream as a power of two: 8 MiB, what RFC 8878 recommends every decoder to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Decoder {
    pub(crate) fn of(encoding: &str) -> Result<Self, ScrapeError> {
        match encoding.trim() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))),
            "zstd" => Ok(Self::Zstd(Box::new(ZstdDecoder::new()?))),
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
                let mut left = encoded;
                while !left.is_empty() {
                    let n = gunzip(decoder, left).map_err(|source| ScrapeError::Decode { encoding: "gzip", source })?;
                    left = &left[n..];
                    drain(decoder.get_mut(), take)?;
                }
                Ok(())
            }
            Self::Zstd(decoder) => decoder.feed(encoded, take),
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
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}

/// Decodes as much as fills the decoder's own buffer of some KiB, and returns how many bytes that took. All at once would be held whole.
fn gunzip(decoder: &mut impl Write, encoded: &[u8]) -> io::Result<usize> {
    match decoder.write(encoded)? {
        0 => Err(io::Error::new(io::ErrorKind::InvalidData, "bytes beyond its end")),
        n => Ok(n),
    }
}

fn drain(out: &mut Vec<u8>, take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>) -> Result<(), ScrapeError> {
    let outcome = take(out);
    out.clear();
    outcome
}

/// Frames of zstd, decoded through one buffer: four bytes of it can become 128 KiB.
pub(crate) struct ZstdDecoder {
    raw: zstd::stream::raw::Decoder<'static>,
    out: Vec<u8>,
    /// At the end of a frame.
    complete: bool,
}

/// Decoded bytes that are handed on at once.
const ZSTD_OUT_BYTES: usize = 32 << 10;

impl ZstdDecoder {
    fn new() -> Result<Self, ScrapeError> {
        let mut raw = zstd::stream::raw::Decoder::new().map_err(not_zstd)?;
        raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(not_zstd)?;
        Ok(Self { raw, out: Vec::with_capacity(ZSTD_OUT_BYTES), complete: false })
    }

    fn feed(
        &mut self,
        encoded: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), ScrapeError>,
    ) -> Result<(), ScrapeError> {
        let mut input = InBuffer::around(encoded);
        while input.pos < encoded.len() {
            if std::mem::take(&mut self.complete) {
                self.raw.reinit().map_err(not_zstd)?;
            }
            // Until the input is used up and nothing of it waits for room.
            loop {
                self.out.clear();
                let hint = self.raw.run(&mut input, &mut OutBuffer::around(&mut self.out)).map_err(not_zstd)?;
                take(&self.out)?;
                self.complete = hint == 0;
                if self.complete || (input.pos == encoded.len() && self.out.len() < self.out.capacity()) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), ScrapeError> {
        if self.complete {
            return Ok(());
        }
        Err(not_zstd(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a frame")))
    }
}

fn not_zstd(source: io::Error) -> ScrapeError {
    ScrapeError::Decode { encoding: "zstd", source }
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
    fn frames_of_zstd_are_joined_however_they_arrive_and_a_cut_one_is_told() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let frames =
            [zstd::encode_all(text.as_slice(), 3).unwrap(), zstd::encode_all(&b"end"[..], 3).unwrap()].concat();
        for size in [1, 7, 1_000, frames.len()] {
            let mut decoder = Decoder::of("zstd").unwrap();
            let mut seen = Vec::new();
            let mut take = |bytes: &[u8]| {
                seen.extend_from_slice(bytes);
                Ok(())
            };
            frames.chunks(size).try_for_each(|piece| decoder.feed(piece, &mut take)).unwrap();
            decoder.finish(&mut take).unwrap();
            assert_eq!(seen, [text.as_slice(), b"end"].concat());
        }
        let mut decoder = Decoder::of("zstd").unwrap();
        decoder.feed(&frames[..frames.len() - 1], &mut |_| Ok(())).unwrap();
        assert!(decoder.finish(&mut |_| Ok(())).unwrap_err().to_string().contains("it ends within a frame"));
    }

    #[test]
    fn a_bomb_meets_the_limit_before_it_is_whole() {
        let zeros = vec![0; 10 << 20];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&zeros).unwrap();
        for (encoding, bomb) in
            [("gzip", encoder.finish().unwrap()), ("zstd", zstd::encode_all(zeros.as_slice(), 19).unwrap())]
        {
            let mut seen = 0;
            let mut largest = 0;
            let outcome = Decoder::of(encoding).unwrap().feed(&bomb, &mut |bytes| {
                seen += bytes.len();
                largest = largest.max(bytes.len());
                if seen > 1 << 20 { Err(ScrapeError::TooLarge { limit: 1 << 20 }) } else { Ok(()) }
            });
            assert!(matches!(outcome, Err(ScrapeError::TooLarge { .. })), "{encoding}");
            assert!(largest <= 256 << 10, "{encoding}: {largest} bytes at once");
        }
    }
}
