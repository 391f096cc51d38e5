//! Strings of a dump's symbol table: names of classes, fields, methods, files. Decoded when asked for.

use std::borrow::Cow;

use crate::hprof::bytes::{Width, u32_at};

/// All strings, by their ids.
#[derive(Debug)]
pub(crate) struct Strings<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) width: Width,
    /// Id and offset of the record's body, ascending in the id.
    pub(crate) places: Vec<(u64, u64)>,
}

impl<'a> Strings<'a> {
    /// Where the string with this id is in `places`; the last of several.
    pub(crate) fn place(&self, id: u64) -> Option<u32> {
        let at = self.places.partition_point(|place| place.0 <= id).checked_sub(1)?;
        (self.places[at].0 == id).then_some(at as u32)
    }

    /// The string at a place in `places`. What is no UTF-8 is replaced.
    pub(crate) fn at(&self, place: u32) -> Option<Cow<'a, str>> {
        let body = self.places.get(place as usize)?.1 as usize;
        let length = u32_at(self.bytes, body - 4)? as usize;
        self.bytes.get(body + self.width.bytes()..body + length).map(String::from_utf8_lossy)
    }

    /// The string with this id.
    pub(crate) fn get(&self, id: u64) -> Option<Cow<'a, str>> {
        self.at(self.place(id)?)
    }
}
