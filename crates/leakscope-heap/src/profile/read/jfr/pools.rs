//! Values that events name by a key: where each stands. What cannot be reached from an old object is passed over.

use rustc_hash::{FxHashMap, FxHashSet};

use super::chunk::Chunk;
use super::cursor::Cursor;
use super::layout::{Kind, Layout, TypeAt};
use crate::error::HeapError;

/// Places of pooled values by their type and key.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    places: FxHashMap<(TypeAt, i64), usize>,
}

impl Pools {
    /// Finds the values that are reached from `root` by fields of these names, and all texts.
    pub(super) fn read(chunk: &Chunk<'_>, root: TypeAt, fields: &[&str]) -> Result<Self, HeapError> {
        let kept = reached(&chunk.layout, root, fields);
        let mut pools = Self::default();
        for checkpoint in &chunk.checkpoints {
            pools.add(&chunk.layout, *checkpoint, &kept)?;
        }
        Ok(pools)
    }

    pub(super) fn place(&self, of: TypeAt, key: i64) -> Option<usize> {
        self.places.get(&(of, key)).copied()
    }

    /// Adds the values of one checkpoint.
    fn add(&mut self, layout: &Layout, mut cursor: Cursor<'_>, kept: &FxHashSet<TypeAt>) -> Result<(), HeapError> {
        // The distance to the checkpoint before is not needed: all events were walked.
        for what in ["checkpoint.startTime", "checkpoint.duration", "checkpoint.delta"] {
            cursor.long(what)?;
        }
        cursor.byte("checkpoint.flags")?;
        for _ in 0..cursor.count("checkpoint.pools")? {
            let before = cursor;
            let id = cursor.long("checkpoint.pool.type")?;
            let Some(of) = layout.by_id(id) else {
                return Err(before.unexpected("a pool of a type that the metadata describes", format!("type {id}")));
            };
            let is_kept = kept.contains(&of);
            for _ in 0..cursor.count("checkpoint.pool.values")? {
                let key = cursor.long("checkpoint.pool.key")?;
                if is_kept {
                    self.places.insert((of, key), cursor.at);
                }
                layout.skip(of, &mut cursor)?;
            }
        }
        Ok(())
    }
}

/// The types reached from `root` by fields of these names, and that of texts.
fn reached(layout: &Layout, root: TypeAt, fields: &[&str]) -> FxHashSet<TypeAt> {
    let texts = (0..layout.types.len() as u32).map(TypeAt).filter(|of| layout.get(*of).kind == Kind::Text);
    let mut reached: FxHashSet<TypeAt> = texts.collect();
    let mut open = vec![root];
    while let Some(of) = open.pop() {
        if reached.insert(of) {
            let read = layout.get(of).fields.iter().filter(|field| fields.contains(&field.name.as_str()));
            open.extend(read.filter_map(|field| field.of));
        }
    }
    reached
}
