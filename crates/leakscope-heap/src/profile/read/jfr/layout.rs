//! The types of a chunk, as its metadata event describes them: which fields each has, in the order they are written.

use rustc_hash::FxHashMap;

use super::cursor::{Cursor, Text};
use crate::error::HeapError;

/// Types inside of types that are read; real ones have 3.
const NESTING_MAX: usize = 8;

/// How values of a type are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Byte,
    Char,
    Short,
    Int,
    Long,
    /// Its bytes.
    Float(usize),
    Text,
    /// Field after field.
    Record,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "byte" => Self::Byte,
            "char" => Self::Char,
            "short" => Self::Short,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float(4),
            "double" => Self::Float(8),
            "java.lang.String" => Self::Text,
            _ => Self::Record,
        }
    }
}

/// Index into [`Layout::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TypeAt(pub(super) u32);

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// Id of its type, as written.
    type_id: i64,
    /// None where the metadata has no such type.
    pub(super) of: Option<TypeAt>,
    /// Whether a key into the pool of its type stands for the value.
    pub(super) is_pooled: bool,
    pub(super) is_array: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Type {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) fields: Vec<Field>,
    /// Whether its values take no bytes; none where it is nested too deep to be read, or in itself.
    is_empty: Option<bool>,
}

/// All types of a chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) types: Vec<Type>,
    by_id: FxHashMap<i64, TypeAt>,
}

impl Layout {
    /// Reads the metadata event, from after its size and type on.
    pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Self, HeapError> {
        for what in ["metadata.startTime", "metadata.duration", "metadata.metadataId"] {
            cursor.long(what)?;
        }
        let n = cursor.count("metadata.strings")?;
        let mut strings = Vec::new();
        for _ in 0..n {
            let before = cursor;
            match cursor.text("metadata.strings")? {
                Text::Null => strings.push(String::new()),
                Text::Here(text) => strings.push(text),
                Text::Pooled(_) => return Err(before.unexpected("a text of the metadata", "a key of a pool")),
            }
        }
        let mut layout = Tree { cursor, strings: &strings, layout: Self::default() }.read()?;
        layout.find_types();
        layout.find_empty();
        Ok(layout)
    }

    pub(super) fn by_id(&self, id: i64) -> Option<TypeAt> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, of: TypeAt) -> &Type {
        &self.types[of.0 as usize]
    }

    fn find_types(&mut self) {
        let by_id = &self.by_id;
        for field in self.types.iter_mut().flat_map(|of| &mut of.fields) {
            field.of = by_id.get(&field.type_id).copied();
        }
    }

    /// Finds by rounds which types take bytes; what is still open after the last is nested too deep. Fields that take none go.
    fn find_empty(&mut self) {
        for _ in 0..NESTING_MAX {
            let is_empty: Vec<Option<bool>> = self.types.iter().map(|of| self.is_empty_so_far(of)).collect();
            for (of, is_empty) in self.types.iter_mut().zip(is_empty) {
                of.is_empty = is_empty;
            }
        }
        let is_empty: Vec<bool> = self.types.iter().map(|of| of.is_empty == Some(true)).collect();
        for of in &mut self.types {
            // So the work of passing over a value is bounded by its bytes.
            of.fields.retain(|field| {
                field.is_pooled || field.is_array || field.of.is_none_or(|inside| !is_empty[inside.0 as usize])
            });
        }
    }

    fn is_empty_so_far(&self, of: &Type) -> Option<bool> {
        if of.kind != Kind::Record {
            return Some(false);
        }
        let mut is_empty = true;
        for field in &of.fields {
            let takes_none = !field.is_pooled && self.get(field.of?).is_empty? && !field.is_array;
            is_empty &= takes_none;
        }
        Some(is_empty)
    }

    /// Passes over a value.
    pub(super) fn skip(&self, of: TypeAt, cursor: &mut Cursor<'_>) -> Result<(), HeapError> {
        let of = self.get(of);
        match of.kind {
            Kind::Boolean | Kind::Byte => cursor.byte(&of.name).map(drop),
            Kind::Char => cursor.char(&of.name).map(drop),
            Kind::Short => cursor.short(&of.name).map(drop),
            Kind::Int => cursor.int(&of.name).map(drop),
            Kind::Long => cursor.long(&of.name).map(drop),
            Kind::Float(width) => cursor.take(width, &of.name).map(drop),
            Kind::Text => cursor.skip_text(&of.name),
            Kind::Record => match of.is_empty {
                Some(true) => Ok(()),
                // INVARIANT: a type whose emptiness is known has known types inside, NESTING_MAX deep at most, so this ends.
                Some(false) => of.fields.iter().try_for_each(|field| self.skip_field(of, field, cursor)),
                None => Err(cursor.unexpected(
                    format!("`{}` of known types, at most {NESTING_MAX} inside of each other", of.name),
                    "others",
                )),
            },
        }
    }

    /// Passes over the value of a field.
    pub(super) fn skip_field(&self, owner: &Type, field: &Field, cursor: &mut Cursor<'_>) -> Result<(), HeapError> {
        let n = if field.is_array { cursor.count(&field.name)? } else { 1 };
        if field.is_pooled {
            return (0..n).try_for_each(|_| cursor.long(&field.name).map(drop));
        }
        let Some(of) = field.of else {
            return Err(cursor.unexpected(
                format!("a known type of `{}.{}`", owner.name, field.name),
                format!("type {}", field.type_id),
            ));
        };
        // However many there are of what takes no bytes, they are passed.
        if self.get(of).is_empty == Some(true) {
            return Ok(());
        }
        (0..n).try_for_each(|_| self.skip(of, cursor))
    }
}

/// The tree of elements with attributes that the metadata is.
struct Tree<'a> {
    cursor: Cursor<'a>,
    strings: &'a [String],
    layout: Layout,
}

impl<'a> Tree<'a> {
    /// Reads all elements, without recursion: how deep they lie in each other does not matter.
    fn read(mut self) -> Result<Layout, HeapError> {
        // Children still to come of each element above, and the type that it describes.
        let mut above: Vec<(usize, Option<TypeAt>)> = vec![(1, None)];
        while let Some((left, owner)) = above.last_mut() {
            if *left == 0 {
                above.pop();
                continue;
            }
            *left -= 1;
            let owner = *owner;
            let describes = self.element(owner)?;
            let n = self.cursor.count("metadata.children")?;
            above.push((n, describes));
        }
        Ok(self.layout)
    }

    /// Reads one element with its attributes, in the type that is described above it; gives the type that it describes itself.
    fn element(&mut self, owner: Option<TypeAt>) -> Result<Option<TypeAt>, HeapError> {
        let start = self.cursor;
        let name = self.string()?;
        let n = self.cursor.count("metadata.attributes")?;
        let (mut id, mut class, mut called, mut is_pooled, mut dimension) = (None, None, "", false, "");
        for _ in 0..n {
            let (key, value) = (self.string()?, self.string()?);
            match key {
                "id" => id = value.parse::<i64>().ok(),
                "class" => class = value.parse::<i64>().ok(),
                "name" => called = value,
                "constantPool" => is_pooled = value == "true",
                "dimension" => dimension = value,
                _ => {}
            }
        }
        match name {
            "class" => {
                let Some(id) = id else {
                    return Err(start.unexpected("a number as the id of a class", format!("class `{called}`")));
                };
                let of = TypeAt(self.layout.types.len() as u32);
                let (name, kind) = (called.to_owned(), Kind::of(called));
                self.layout.types.push(Type { name, kind, fields: Vec::new(), is_empty: None });
                self.layout.by_id.insert(id, of);
                Ok(Some(of))
            }
            "field" => {
                let (Some(owner), Some(type_id)) = (owner, class) else {
                    return Err(start.unexpected("a field in a class, of a numbered class", format!("`{called}`")));
                };
                let is_array = !matches!(dimension, "" | "0");
                let field = Field { name: called.to_owned(), type_id, of: None, is_pooled, is_array };
                self.layout.types[owner.0 as usize].fields.push(field);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn string(&mut self) -> Result<&'a str, HeapError> {
        let before = self.cursor;
        let index = self.cursor.int("metadata.string")?;
        let string = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        string.map(String::as_str).ok_or_else(|| {
            before.unexpected(format!("one of {} strings of the metadata", self.strings.len()), index.to_string())
        })
    }
}
