//! A value with fields, read where it stands when it is asked for.

use std::cell::Cell;

use super::chunk::Chunk;
use super::cursor::{Cursor, Text};
use super::layout::{Field, Kind, TypeAt};
use super::pools::Pools;
use crate::error::HeapError;

/// A chunk with its pools, and what may yet be read of it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) chunk: &'a Chunk<'a>,
    pub(super) pools: Pools,
    /// Bytes that may yet be read or kept.
    ///
    /// Values are shared: a small file can name a big one again and again.
    budget: Cell<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(chunk: &'a Chunk<'a>, pools: Pools, budget: usize) -> Self {
        Self { chunk, pools, budget: Cell::new(budget) }
    }

    /// Takes so many bytes from the budget.
    pub(super) fn spend(&self, bytes: usize) {
        self.budget.set(self.budget.get().saturating_sub(bytes));
    }

    pub(super) fn is_spent(&self) -> bool {
        self.budget.get() == 0
    }

    /// A pooled value; none where the pools have no such key.
    fn pooled(&'a self, of: TypeAt, key: i64) -> Option<Record<'a>> {
        let at = self.pools.place(of, key)?;
        Some(Record { source: self, of, cursor: self.chunk.cursor(at) })
    }
}

/// A value with fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) of: TypeAt,
    pub(super) cursor: Cursor<'a>,
}

impl<'a> Record<'a> {
    /// Where it stands, which is its identity in the chunk.
    pub(super) fn at(self) -> usize {
        self.cursor.at
    }

    /// The field of this name, and the place of its value; none where the type has no such field.
    fn field(self, name: &str) -> Result<Option<(&'a Field, Cursor<'a>)>, HeapError> {
        let layout = &self.source.chunk.layout;
        let of = layout.get(self.of);
        let mut cursor = self.cursor;
        for field in &of.fields {
            if field.name == name {
                self.source.spend(cursor.at - self.at());
                return Ok(Some((field, cursor)));
            }
            layout.skip_field(of, field, &mut cursor)?;
        }
        Ok(None)
    }

    fn error(self, name: &str, expected: &str, cursor: Cursor<'_>) -> HeapError {
        let owner = &self.source.chunk.layout.get(self.of).name;
        cursor.unexpected(format!("{expected} as `{owner}.{name}`"), "a value of another type")
    }

    /// A whole number or a boolean.
    pub(super) fn number(self, name: &str) -> Result<Option<i64>, HeapError> {
        let Some((field, mut cursor)) = self.field(name)? else { return Ok(None) };
        let kind = field.of.map(|of| self.source.chunk.layout.get(of).kind);
        let number = match kind.filter(|_| !field.is_pooled && !field.is_array) {
            Some(Kind::Boolean | Kind::Byte) => i64::from(cursor.byte(name)? as i8),
            Some(Kind::Char) => i64::from(cursor.char(name)?),
            Some(Kind::Short) => i64::from(cursor.short(name)?),
            Some(Kind::Int) => i64::from(cursor.int(name)?),
            Some(Kind::Long) => cursor.long(name)?,
            _ => return Err(self.error(name, "a number", cursor)),
        };
        Ok(Some(number))
    }

    /// A value with fields of its own; none where it is null.
    pub(super) fn record(self, name: &str) -> Result<Option<Self>, HeapError> {
        let Some((field, mut cursor)) = self.field(name)? else { return Ok(None) };
        let Some(of) = field.of.filter(|_| !field.is_array) else {
            return Err(self.error(name, "a value with fields", cursor));
        };
        if field.is_pooled {
            return Ok(self.source.pooled(of, cursor.long(name)?));
        }
        Ok(Some(Self { of, cursor, ..self }))
    }

    /// Whether a field has a key, which 0 is not.
    pub(super) fn is_set(self, name: &str) -> Result<bool, HeapError> {
        let Some((field, mut cursor)) = self.field(name)? else { return Ok(false) };
        Ok(field.is_pooled && !field.is_array && cursor.long(name)? != 0)
    }

    /// The elements of an array of values with fields, at most `max`, and whether there are more.
    pub(super) fn records(self, name: &str, max: usize) -> Result<(Vec<Self>, bool), HeapError> {
        let Some((field, mut cursor)) = self.field(name)? else { return Ok((Vec::new(), false)) };
        let Some(of) = field.of.filter(|_| field.is_array) else {
            return Err(self.error(name, "an array", cursor));
        };
        let n = cursor.count(name)?;
        let mut elements = Vec::new();
        for _ in 0..n.min(max) {
            if field.is_pooled {
                elements.extend(self.source.pooled(of, cursor.long(name)?));
            } else {
                elements.push(Self { of, cursor, ..self });
                self.source.chunk.layout.skip(of, &mut cursor)?;
            }
        }
        Ok((elements, n > max))
    }

    /// A text, or the text that a value with a single one stands for, as symbols and names of kinds do; none where it is null.
    pub(super) fn text(self, name: &str) -> Result<Option<String>, HeapError> {
        let Some((field, mut cursor)) = self.field(name)? else { return Ok(None) };
        let Some(of) = field.of.filter(|_| !field.is_array) else {
            return Err(self.error(name, "a text", cursor));
        };
        let value = if field.is_pooled {
            let Some(value) = self.source.pooled(of, cursor.long(name)?) else { return Ok(None) };
            value
        } else {
            Self { of, cursor, ..self }
        };
        match self.source.chunk.layout.get(of).kind {
            Kind::Text => value.own_text(name),
            Kind::Record => value.single_text(),
            _ => Err(self.error(name, "a text", cursor)),
        }
    }

    /// The text of a value whose only field is one.
    fn single_text(self) -> Result<Option<String>, HeapError> {
        let layout = &self.source.chunk.layout;
        let of = layout.get(self.of);
        match &of.fields[..] {
            [field] if !field.is_array && !field.is_pooled => match field.of {
                Some(text) if layout.get(text).kind == Kind::Text => Self { of: text, ..self }.own_text(&field.name),
                _ => Err(self.error(&field.name, "a text", self.cursor)),
            },
            _ => Err(self.cursor.unexpected(format!("a text, for which `{}` stands", of.name), "other fields")),
        }
    }

    /// The text that stands here, or in the pool of texts.
    fn own_text(self, what: &str) -> Result<Option<String>, HeapError> {
        let mut cursor = self.cursor;
        let mut text = cursor.text(what)?;
        if let Text::Pooled(key) = text {
            let Some(pooled) = self.source.pooled(self.of, key) else { return Ok(None) };
            cursor = pooled.cursor;
            text = cursor.text(what)?;
        }
        match text {
            Text::Null => Ok(None),
            Text::Here(text) => {
                self.source.spend(text.len());
                Ok(Some(text))
            }
            Text::Pooled(_) => Err(self.cursor.unexpected(format!("the text of {what}"), "a key to another key")),
        }
    }
}
