//! What a line of a heap profile counts: `OBJECTS: BYTES [OBJECTS: BYTES]`, in use and ever allocated.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) objects: i64,
    pub(super) bytes: i64,
    pub(super) allocated_objects: i64,
    pub(super) allocated_bytes: i64,
}

impl Counts {
    /// The counts at the beginning of a line, and what follows them. What is in use may be below 0 in a difference.
    pub(super) fn of(line: &[u8]) -> Option<(Self, &[u8])> {
        let (objects, rest) = number(line)?;
        let (bytes, rest) = number(after(rest, b':')?)?;
        let (allocated_objects, rest) = number(after(rest, b'[')?)?;
        let (allocated_bytes, rest) = number(after(rest, b':')?)?;
        let rest = after(rest, b']')?;
        (allocated_objects >= 0 && allocated_bytes >= 0)
            .then_some((Self { objects, bytes, allocated_objects, allocated_bytes }, rest))
    }
}

fn after(text: &[u8], sign: u8) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(&[sign])
}

fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = text.trim_ascii_start();
    let is_of_number = |(at, byte): (usize, &u8)| byte.is_ascii_digit() || (at == 0 && *byte == b'-');
    let end = text.iter().enumerate().position(|at| !is_of_number(at)).unwrap_or(text.len());
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn four_numbers_are_read_and_nothing_else() {
        let counts = |text: &str| {
            let (counts, rest) = Counts::of(text.as_bytes())?;
            let Counts { objects, bytes, allocated_objects, allocated_bytes } = counts;
            Some(([objects, bytes, allocated_objects, allocated_bytes], rest.escape_ascii().to_string()))
        };
        let cases = [
            ("3: 2048 [5: 4096] @ 0x1", Some(([3, 2048, 5, 4096], " @ 0x1".to_owned()))),
            ("  3:2048[5:4096]", Some(([3, 2048, 5, 4096], String::new()))),
            ("-3: -2048 [ 5 : 4096 ]", Some(([-3, -2048, 5, 4096], String::new()))),
            ("3: 2048 [-5: 4096]", None),
            ("3: 2048", None),
            ("-: 2048 [5: 4096]", None),
            ("9223372036854775808: 1 [1: 1]", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(counts(text), expected, "{text}");
        }
    }
}
