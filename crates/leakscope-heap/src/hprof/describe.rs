//! The class and the size of each object: one pass over the pieces, after dominators are known, so that not all is in memory at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

use crate::graph::{ClassOf, Sizes};
use crate::heap::Class;
use crate::hprof::bytes::Width;
use crate::hprof::classes::Classes;
use crate::hprof::edges::{atomics, class_number, over_pieces};
use crate::hprof::ids::Ids;
use crate::hprof::outline::Outline;
use crate::hprof::records::{Type, Visitor};
use crate::hprof::roots::node_of;
use crate::hprof::survey::Survey;

/// The classes with how many objects each has and their bytes. Nothing is known of what they retain.
pub(crate) fn histogram(survey: &Survey, classes: &Classes) -> Vec<Class> {
    let mut all: Vec<Class> = classes
        .infos
        .iter()
        .map(|info| Class { name: info.name.clone(), location: None, count: 0, self_bytes: 0, retained_bytes: 0 })
        .collect();
    let mut add = |class: u32, count: u64, bytes: u64| {
        all[class as usize].count += count;
        all[class as usize].self_bytes += bytes;
    };
    for (id, tally) in &survey.instances {
        let class = classes.find(*id).unwrap_or(0);
        add(class, tally.count, tally.count * classes.infos[class as usize].size);
    }
    for (id, tally) in &survey.arrays {
        add(classes.find(*id).unwrap_or(0), tally.count, classes.arrays_bytes(tally, None));
    }
    for ((of, class), tally) in Type::PRIMITIVES.iter().zip(classes.primitives).zip(&survey.primitives) {
        add(class, tally.count, classes.arrays_bytes(tally, Some(of.bytes(0) as u64)));
    }
    let dumped = || classes.infos.iter().filter(|info| info.dump.is_some());
    add(classes.mirror_class, dumped().count() as u64, dumped().map(|info| info.mirror).sum());
    all
}

/// The class and the own bytes of each node.
pub(crate) fn describe(bytes: &[u8], outline: &Outline, survey: &Survey, classes: &Classes) -> (ClassOf, Sizes) {
    let n_nodes = survey.ids.len() as usize + 1;
    let class_of = if u16::try_from(classes.infos.len()).is_ok() {
        // Zeroed by the system, as `atomics` are.
        Numbers::Few(vec![0_u16; n_nodes].into_iter().map(AtomicU16::new).collect())
    } else {
        Numbers::Many(atomics(n_nodes))
    };
    let mut sizes = atomics(n_nodes);
    let large = Mutex::new(Vec::new());
    let (class_slots, size_slots) = (&class_of, &sizes[..]);
    over_pieces(bytes, outline.width, &outline.pieces, !survey.duplicates, || Describe {
        ids: &survey.ids,
        classes,
        class: (0, 0),
        width: outline.width,
        class_of: class_slots,
        sizes: size_slots,
        large: &large,
    });
    let mut large = large.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for info in &classes.infos {
        if let Some(node) = node_of(&survey.ids, info.id).filter(|_| info.dump.is_some()) {
            class_of.store(node, classes.mirror_class);
            *sizes[node as usize].get_mut() = info.mirror as u32;
            large.retain(|(other, _)| *other != node);
        }
    }
    let mut sizes = Sizes::from_small(sizes.into_iter().map(AtomicU32::into_inner).collect());
    for (node, size) in large {
        sizes.set(node, size);
    }
    let class_of = match class_of {
        Numbers::Few(few) => ClassOf::Few(few.into_iter().map(AtomicU16::into_inner).collect()),
        Numbers::Many(many) => ClassOf::Many(many.into_iter().map(AtomicU32::into_inner).collect()),
    };
    (class_of, sizes)
}

/// A [`ClassOf`] that tasks fill at once.
enum Numbers {
    Few(Vec<AtomicU16>),
    Many(Vec<AtomicU32>),
}

impl Numbers {
    #[inline]
    fn store(&self, node: u32, class: u32) {
        match self {
            Self::Few(few) => few[node as usize].store(class as u16, Relaxed),
            Self::Many(many) => many[node as usize].store(class, Relaxed),
        }
    }
}

struct Describe<'s> {
    ids: &'s Ids,
    classes: &'s Classes,
    class: (u64, u32),
    width: Width,
    class_of: &'s Numbers,
    sizes: &'s [AtomicU32],
    /// Objects of 4 GiB and more.
    large: &'s Mutex<Vec<(u32, u64)>>,
}

impl Describe<'_> {
    #[inline]
    fn set(&self, id: u64, class: u32, size: u64) {
        let Some(node) = node_of(self.ids, id) else { return };
        self.class_of.store(node, class);
        if size < u64::from(u32::MAX) {
            self.sizes[node as usize].store(size as u32, Relaxed);
        } else if let Ok(mut large) = self.large.lock() {
            large.push((node, size));
        }
    }
}

impl Visitor for Describe<'_> {
    #[inline]
    fn instance(&mut self, _at: usize, id: u64, class: u64, _data: &[u8]) {
        let class = class_number(self.classes, &mut self.class, class);
        self.set(id, class, self.classes.infos[class as usize].size);
    }

    #[inline]
    fn objects(&mut self, _at: usize, id: u64, class: u64, elements: &[u8]) {
        let class = class_number(self.classes, &mut self.class, class);
        let n = (elements.len() / self.width.bytes()) as u64;
        self.set(id, class, self.classes.layout.array_of_references(n));
    }

    #[inline]
    fn primitives(&mut self, _at: usize, id: u64, of: Type, n: u32, _elements: &[u8]) {
        self.set(
            id,
            self.classes.primitives[of as usize - 1],
            self.classes.layout.array(of.bytes(0) as u64, u64::from(n)),
        );
    }
}
