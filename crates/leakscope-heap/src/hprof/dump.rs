//! One dump, as it is asked about single objects: they are found again in its bytes, so that nothing is kept of them.

use std::ops::Range;

use crate::graph::Bits;
use crate::hprof::bytes::{Width, id_at, u32_at, wide_at};
use crate::hprof::classes::Classes;
use crate::hprof::ids::Ids;
use crate::hprof::records::{self, Field, Type, Visitor};
use crate::hprof::roots::{Thread, Ways, node_of};
use crate::hprof::strings::Strings;
use crate::hprof::survey::Span;

/// What is needed to say more about a node than the graph does.
#[derive(Debug)]
pub(crate) struct Dump<'a> {
    pub(crate) strings: Strings<'a>,
    pub(crate) ids: Ids,
    pub(crate) classes: Classes,
    pub(crate) ways: Ways,
    pub(crate) spans: Vec<Span>,
    pub(crate) frames: Vec<(u64, u64)>,
    pub(crate) traces: Vec<(u32, u64)>,
    pub(crate) class_serials: Vec<(u32, u64)>,
    /// Which nodes are objects of classes.
    pub(crate) class_nodes: Bits,
    /// As [`crate::hprof::survey::Survey::duplicates`].
    pub(crate) duplicates: bool,
}

/// An object as the dump has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    Instance { class: u32, data: &'a [u8] },
    Objects { class: u32, elements: &'a [u8] },
    Primitives { of: Type, n: u32, elements: &'a [u8] },
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// The id of an object; 0 for none.
    Reference(u64),
    Boolean(bool),
    /// A char, byte, short, int or long.
    Whole(i64),
    /// A float or double.
    Real(f64),
}

impl<'a> Dump<'a> {
    /// The class whose object this node is.
    pub(crate) fn class_object(&self, node: u32) -> Option<u32> {
        if !self.class_nodes.get(node) {
            return None;
        }
        self.classes.find(self.ids.get(node.checked_sub(1)?)?)
    }

    /// The node of an object.
    pub(crate) fn node(&self, id: u64) -> Option<u32> {
        node_of(&self.ids, id)
    }

    /// An object's record, but for the objects of classes. Reads some 64 KiB of the dump.
    pub(crate) fn record(&self, node: u32) -> Option<Record<'a>> {
        self.record_of(self.ids.get(node.checked_sub(1)?)?)
    }

    /// As [`Dump::record`], by the id.
    pub(crate) fn record_of(&self, id: u64) -> Option<Record<'a>> {
        // The last of several counts.
        let mut spans = self.spans.iter().rev().filter(|span| span.low <= id && id <= span.high);
        spans.find_map(|span| self.look_up(id, span.bytes.clone()))
    }

    fn look_up(&self, id: u64, range: Range<usize>) -> Option<Record<'a>> {
        match self.strings.width {
            Width::Four => self.look_for::<4>(id, range),
            Width::Eight => self.look_for::<8>(id, range),
        }
    }

    fn look_for<const W: usize>(&self, id: u64, range: Range<usize>) -> Option<Record<'a>> {
        let mut search = Search::<W> { id, found: None };
        records::walk::<W>(self.strings.bytes, range, &mut search).ok()?;
        let place = search.found?;
        let data = &self.strings.bytes[place.data];
        Some(match place.of {
            Some((of, n)) => Record::Primitives { of, n, elements: data },
            None if place.is_array => Record::Objects { class: self.classes.find(place.class)?, elements: data },
            None => Record::Instance { class: self.classes.find(place.class)?, data },
        })
    }

    /// The fields of an instance with their values, its own class's first. `each` hears of the class that declares it.
    pub(crate) fn fields(&self, class: u32, data: &[u8], each: &mut dyn FnMut(u32, Field, Value)) {
        let mut base = 0;
        for declaring in self.classes.line(class) {
            let mut one = |field: Field| {
                let width = self.strings.width;
                let value = data.get(base..).and_then(|rest| value_of(rest, field.of, width));
                base += field.of.bytes(width.bytes());
                if let Some(value) = value {
                    each(declaring, field, value);
                }
            };
            match self.strings.width {
                Width::Four => self.classes.own_fields::<4>(self.strings.bytes, declaring).for_each(&mut one),
                Width::Eight => self.classes.own_fields::<8>(self.strings.bytes, declaring).for_each(&mut one),
            }
            if base >= data.len() {
                return;
            }
        }
    }

    /// The value of the field called `name` of an instance; that of the class nearest to its own where several have one.
    pub(crate) fn value(&self, record: &Record<'_>, name: &str) -> Option<Value> {
        let Record::Instance { class, data } = record else { return None };
        let mut found = None;
        self.fields(*class, data, &mut |_, field, value| {
            if found.is_none() && self.strings.get(field.name).as_deref() == Some(name) {
                found = Some(value);
            }
        });
        found
    }

    /// The value of a field that is a whole number.
    pub(crate) fn whole(&self, record: &Record<'_>, name: &str) -> Option<i64> {
        match self.value(record, name)? {
            Value::Whole(number) => Some(number),
            Value::Boolean(_) | Value::Real(_) | Value::Reference(_) => None,
        }
    }

    /// What a field refers to.
    pub(crate) fn referred(&self, record: &Record<'_>, name: &str) -> Option<Record<'a>> {
        match self.value(record, name)? {
            Value::Reference(id) if id != 0 => self.record_of(id),
            _ => None,
        }
    }

    /// The contents of a `java.lang.String`, at most `max` characters.
    pub(crate) fn string(&self, record: &Record<'_>, max: usize) -> Option<String> {
        let Record::Instance { class, .. } = record else { return None };
        if self.classes.infos[*class as usize].name != "java.lang.String" {
            return None;
        }
        let Some(Record::Primitives { of, elements, .. }) = self.referred(record, "value") else { return None };
        if of == Type::Byte {
            return Some(match self.whole(record, "coder") {
                Some(1) => utf16(elements.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])), max),
                _ => elements.iter().take(max).map(|&byte| char::from(byte)).collect(),
            });
        }
        let from = self.whole(record, "offset").map_or(0, |offset| offset.max(0) as usize);
        let n = self.whole(record, "count").map_or(usize::MAX, |count| count.max(0) as usize);
        let units = elements.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        Some(utf16(units.skip(from).take(n), max))
    }

    /// The name of a thread.
    pub(crate) fn thread_name(&self, record: &Record<'_>) -> Option<String> {
        let Record::Instance { class, .. } = record else { return None };
        if !self.classes.is_a(*class, "java.lang.Thread") {
            return None;
        }
        let name = self.referred(record, "name")?;
        match name {
            Record::Primitives { of: Type::Char, elements, .. } => {
                Some(utf16(elements.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])), usize::MAX))
            }
            _ => self.string(&name, usize::MAX),
        }
    }

    /// The frame of a thread at `depth` of its stack: `com.acme.Worker.run(Worker.java:31)`.
    pub(crate) fn frame(&self, thread: u32, depth: u32) -> Option<String> {
        let Thread { trace, .. } = self.ways.threads.get(&thread)?;
        let (bytes, width) = (self.strings.bytes, self.strings.width);
        let body = place(&self.traces, *trace)?;
        let id_of =
            |body: usize, skipped: usize, index: usize| id_at(bytes, body + skipped + index * width.bytes(), width);
        if depth >= u32_at(bytes, body + 8)? {
            return None;
        }
        let frame = place(&self.frames, id_of(body, 12, depth as usize)?)?;
        let class = place(&self.class_serials, u32_at(bytes, frame + 4 * width.bytes())?)
            .and_then(|name| self.strings.get(name as u64));
        let class = class.map_or_else(|| "?".to_owned(), |raw| crate::hprof::names::readable(&raw));
        let method = self.strings.get(id_of(frame, 0, 1)?)?;
        let file = self.strings.get(id_of(frame, 0, 3)?);
        let line = u32_at(bytes, frame + 4 * width.bytes() + 4)? as i32;
        let place = match (file, line) {
            (_, -3) => "native method".to_owned(),
            (Some(file), 1..) => format!("{file}:{line}"),
            (Some(file), _) => file.into_owned(),
            (None, _) => "unknown source".to_owned(),
        };
        Some(format!("{class}.{method}({place})"))
    }
}

/// What stands by `key`; the last of several.
fn place<K: Ord + Copy>(all: &[(K, u64)], key: K) -> Option<usize> {
    let (found, at) = all[all.partition_point(|one| one.0 <= key).checked_sub(1)?];
    (found == key).then_some(at as usize)
}

fn utf16(units: impl Iterator<Item = u16>, max: usize) -> String {
    char::decode_utf16(units).take(max).map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The value at the start of `bytes`.
pub(crate) fn value_of(bytes: &[u8], of: Type, width: Width) -> Option<Value> {
    let whole =
        |n: usize| bytes.get(..n).map(|bytes| bytes.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)));
    Some(match of {
        Type::Object => Value::Reference(id_at(bytes, 0, width)?),
        Type::Boolean => Value::Boolean(whole(1)? != 0),
        Type::Char => Value::Whole(whole(2)? as i64),
        Type::Byte => Value::Whole(i64::from(whole(1)? as i8)),
        Type::Short => Value::Whole(i64::from(whole(2)? as i16)),
        Type::Int => Value::Whole(i64::from(whole(4)? as i32)),
        Type::Long => Value::Whole(whole(8)? as i64),
        Type::Float => Value::Real(f64::from(f32::from_bits(whole(4)? as u32))),
        Type::Double => Value::Real(f64::from_bits(whole(8)?)),
    })
}

/// References in an array, with their index; those to nothing left out.
pub(crate) fn elements_of(elements: &[u8], width: Width) -> impl Iterator<Item = (usize, u64)> + '_ {
    let read = move |element: &[u8]| match width {
        Width::Four => wide_at::<4>(element, 0),
        Width::Eight => wide_at::<8>(element, 0),
    };
    elements
        .chunks_exact(width.bytes())
        .enumerate()
        .filter_map(move |(index, element)| Some((index, read(element).filter(|&id| id != 0)?)))
}

/// Where an object's values are.
struct Place {
    class: u64,
    is_array: bool,
    of: Option<(Type, u32)>,
    data: Range<usize>,
}

/// Looks for one object; the last of several counts.
struct Search<const W: usize> {
    id: u64,
    found: Option<Place>,
}

impl<const W: usize> Visitor for Search<W> {
    #[inline]
    fn instance(&mut self, at: usize, id: u64, class: u64, data: &[u8]) {
        if id == self.id {
            self.found =
                Some(Place { class, is_array: false, of: None, data: at + 9 + 2 * W..at + 9 + 2 * W + data.len() });
        }
    }

    #[inline]
    fn objects(&mut self, at: usize, id: u64, class: u64, elements: &[u8]) {
        if id == self.id {
            self.found =
                Some(Place { class, is_array: true, of: None, data: at + 9 + 2 * W..at + 9 + 2 * W + elements.len() });
        }
    }

    #[inline]
    fn primitives(&mut self, at: usize, id: u64, of: Type, n: u32, elements: &[u8]) {
        if id == self.id {
            self.found = Some(Place {
                class: 0,
                is_array: false,
                of: Some((of, n)),
                data: at + 10 + W..at + 10 + W + elements.len(),
            });
        }
    }
}
