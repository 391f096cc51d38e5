//! Profiles of OpenTelemetry, where the original profile of pprof travels along: `ProfilesData`, `ExportProfilesServiceRequest`.
//!
//! The format of OpenTelemetry itself is in development, and its fields change their numbers; what it says stands in the payload as
//! well. Source: <https://github.com/open-telemetry/opentelemetry-proto>, `profiles/v1development/profiles.proto`, 1.5 to 1.10, and
//! `profiles/v1experimental/profiles.proto`.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use super::pprof;
use super::protobuf::{Broken, Field, Message};
use crate::error::HeapError;
use crate::profile::model::Profile;

/// `resource_profiles` of the file, `scope_profiles` of it, `profiles` of that.
const NESTED: [u64; 3] = [1, 2, 2];
/// Largest number of a field of the first three messages.
const OUTER_FIELD_MAX: u64 = 3;
/// `original_payload_format` and `original_payload` of a profile: from 1.8 on, before, and in `v1experimental`.
const PAYLOAD: [(u64, u64); 3] = [(9, 10), (11, 12), (6, 7)];
/// What comes out of a compressed payload: at most so many times its size and so many bytes more. Beyond: refused as a bomb.
const UNPACKED_TIMES_MAX: u64 = 200;
const UNPACKED_BYTES_MORE: u64 = 64 << 20;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Whether these are profiles of OpenTelemetry: three messages in each other with a fourth inside.
pub(super) fn knows(bytes: &[u8]) -> bool {
    profiles(bytes).is_ok_and(|profiles| !profiles.is_empty())
}

/// Reads the first profile that carries its original of pprof.
///
/// # Errors
/// [`HeapError::Invalid`] where none does, or where it unpacks to too much; else those of the payload's own reader.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let profiles = profiles(bytes).map_err(|broken| broken.of("the file"))?;
    let n_profiles = profiles.len();
    let originals = profiles.into_iter().map(original).collect::<Result<Vec<_>, _>>();
    let originals = originals.map_err(|broken| broken.of("a profile of OpenTelemetry"))?;
    let format = originals.iter().map(|(format, _)| *format).find(|format| !format.is_empty()).unwrap_or_default();
    let payload =
        originals.iter().find(|(format, _)| format.eq_ignore_ascii_case(b"pprof")).map(|(_, payload)| *payload);
    let payload = payload.ok_or_else(|| HeapError::Invalid {
        place: "original_payload_format".to_owned(),
        expected: "`pprof`: profiles of OpenTelemetry are read where they carry their original".to_owned(),
        found: if format.is_empty() { "none".to_owned() } else { format!("`{}`", format.escape_ascii()) },
    })?;
    let mut profile = pprof::read_plain(&unpacked(payload)?)?;
    if n_profiles > 1 {
        profile.warnings.push(format!("the file has {n_profiles} profiles, of which the first of pprof is read"));
    }
    Ok(profile)
}

/// All profiles of a file, whatever resource and scope they are of.
fn profiles(bytes: &[u8]) -> Result<Vec<Message<'_>>, Broken> {
    let mut messages = vec![Message::of(bytes)];
    for number in NESTED {
        let mut inner = Vec::new();
        for message in &mut messages {
            while let Some(field) = message.next()? {
                let nested = field.message()?;
                if field.number == number {
                    inner.push(nested);
                } else if field.number > OUTER_FIELD_MAX {
                    return Ok(Vec::new());
                }
            }
        }
        messages = inner;
    }
    Ok(messages)
}

/// The format and the bytes of what a profile was made from; empty where it does not have them.
fn original(mut profile: Message<'_>) -> Result<(&[u8], &[u8]), Broken> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    while let Some(field) = profile.next()? {
        fields.push(field);
    }
    let bytes_of = |number: u64| {
        let field = fields.iter().rfind(|field| field.number == number);
        field.and_then(|field| field.message().ok()).map(Message::rest).unwrap_or_default()
    };
    let pairs = PAYLOAD.map(|(format, payload)| (bytes_of(format), bytes_of(payload)));
    // Other versions have ids and messages there, which are no words.
    let is_word =
        |text: &[u8]| !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    Ok(pairs.into_iter().find(|(format, payload)| is_word(format) && !payload.is_empty()).unwrap_or_default())
}

fn unpacked(payload: &[u8]) -> Result<Cow<'_, [u8]>, HeapError> {
    if !payload.starts_with(GZIP) {
        return Ok(Cow::Borrowed(payload));
    }
    let invalid =
        |expected: String, found: String| HeapError::Invalid { place: "original_payload".to_owned(), expected, found };
    let max = (payload.len() as u64).saturating_mul(UNPACKED_TIMES_MAX).saturating_add(UNPACKED_BYTES_MORE);
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(payload).take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| invalid("gzip".to_owned(), error.to_string()))?;
    if bytes.len() as u64 > max {
        return Err(invalid(format!("at most {max} bytes unpacked"), "more".to_owned()));
    }
    Ok(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::knows;
    use crate::format::Format;
    use crate::profile::read;
    use crate::profile::read::testing::outcome;
    use crate::profile::testing::profile;
    use crate::profile::write::Fields;
    use crate::profile::write_pprof;

    fn nested(message: &mut Fields) {
        for number in [2, 2, 1] {
            let mut outer = Fields::default();
            outer.bytes(1, b"");
            outer.message(number, message);
            *message = outer;
        }
    }

    /// A file whose profiles have these payloads, with the fields of one version.
    fn file((format, payload): (u64, u64), originals: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Fields::default();
        for (name, bytes) in originals {
            let mut one = Fields::default();
            one.bytes(format, name.as_bytes());
            one.bytes(payload, bytes);
            for number in [2, 2] {
                let mut outer = Fields::default();
                outer.message(number, &mut one);
                one = outer;
            }
            file.message(1, &mut one);
        }
        file.finish()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_original_of_pprof_is_read_from_any_version() {
        let original = write_pprof(&profile(&[("space", "bytes")], &[("main;put", &[12])]));
        let expected = "space/bytes\n12 | put < main";
        for version in super::PAYLOAD {
            for payload in [&original, &gzip(&original)] {
                let file = file(version, &[("pprof", payload)]);
                assert_eq!(
                    (Format::of(&file), outcome(read(&file)).as_str()),
                    (Ok(Format::Pprof), expected),
                    "{version:?}"
                );
            }
        }
        let several = outcome(read(&file((9, 10), &[("jfr", b"FLR"), ("pprof", &original)])));
        assert_eq!(
            several,
            format!("{expected}\nwarning: the file has 2 profiles, of which the first of pprof is read")
        );
    }

    #[test]
    fn a_file_without_such_a_payload_is_refused_with_what_is_supported() {
        let expected = "original_payload_format: expected `pprof`: profiles of OpenTelemetry are read where they carry their original, found";
        let mut none = Fields::default();
        none.number(4, 77);
        nested(&mut none);
        let cases = [
            (none.finish(), format!("{expected} none")),
            (file((9, 10), &[("jfr", b"FLR")]), format!("{expected} `jfr`")),
            (file((11, 12), &[("pprof", &[0x1f, 0x8b, 9])]), "original_payload: expected gzip, found ".to_owned()),
        ];
        for (file, expected) in cases {
            let found = outcome(read(&file));
            assert!(knows(&file) && found.starts_with(&expected), "{found}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_its_bound() {
        let bomb = gzip(&vec![0; 96 << 20]);
        let max = bomb.len() as u64 * super::UNPACKED_TIMES_MAX + super::UNPACKED_BYTES_MORE;
        let expected = format!("original_payload: expected at most {max} bytes unpacked, found more");
        assert_eq!(outcome(read(&file((9, 10), &[("pprof", &bomb)]))), expected);
    }
}
