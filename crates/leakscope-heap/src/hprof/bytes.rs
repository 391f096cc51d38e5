//! Numbers in a dump: big-endian, ids in 4 or 8 bytes.

/// How many bytes an id takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Four,
    Eight,
}

impl Width {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The id of `W` bytes, 4 or 8, at `at`.
#[inline]
pub(crate) fn wide_at<const W: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    if W == 4 { u32_at(bytes, at).map(u64::from) } else { u64_at(bytes, at) }
}

pub(crate) fn id_at(bytes: &[u8], at: usize, width: Width) -> Option<u64> {
    match width {
        Width::Four => wide_at::<4>(bytes, at),
        Width::Eight => wide_at::<8>(bytes, at),
    }
}
