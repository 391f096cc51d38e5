//! By which field each object is held by its dominator: one pass over the instances of a dump.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::graph::Graph;
use crate::hprof::bytes::Width;
use crate::hprof::classes::NONE;
use crate::hprof::dump::Dump;
use crate::hprof::edges::{atomics, class_number, over_pieces};
use crate::hprof::records::Visitor;
use crate::hprof::roots::{ClassLink, class_links};

/// The place among the strings of the name of the field by which the dominator of each node holds it, the first of several; [`NONE`]
/// where it holds it by index, or only by way of others.
pub(crate) fn holds(dump: &Dump<'_>, graph: &Graph, dominators: &[u32]) -> Vec<u32> {
    // One more than the place, so that 0 is none.
    let mut slots = atomics(graph.n_nodes());
    let pieces: Vec<Range<usize>> = dump.spans.iter().map(|span| span.bytes.clone()).collect();
    match dump.strings.width {
        Width::Four => over_pieces(dump.strings.bytes, dump.strings.width, &pieces, !dump.duplicates, || Holds::<4> {
            dump,
            graph,
            dominators,
            class: (0, 0),
            slots: &slots,
        }),
        Width::Eight => over_pieces(dump.strings.bytes, dump.strings.width, &pieces, !dump.duplicates, || Holds::<8> {
            dump,
            graph,
            dominators,
            class: (0, 0),
            slots: &slots,
        }),
    }
    for class in 1..dump.classes.infos.len() as u32 {
        let Some(from) = dump.node(dump.classes.infos[class as usize].id) else { continue };
        class_links(&dump.strings, &dump.classes, class, &mut |link, id, holds| {
            let place = if let ClassLink::Static(name) = link { dump.strings.place(name) } else { None };
            let (true, Some(place), Some(to)) = (holds, place, dump.node(id)) else { return };
            let slot = slots[to as usize].get_mut();
            if dominators[to as usize] == from && *slot == 0 {
                *slot = place + 1;
            }
        });
    }
    slots.into_iter().map(|slot| slot.into_inner().wrapping_sub(1)).collect()
}

struct Holds<'s, 'a, const W: usize> {
    dump: &'s Dump<'a>,
    graph: &'s Graph,
    dominators: &'s [u32],
    class: (u64, u32),
    slots: &'s [AtomicU32],
}

impl<const W: usize> Visitor for Holds<'_, '_, W> {
    #[inline]
    fn instance(&mut self, _at: usize, id: u64, class: u64, data: &[u8]) {
        let Some(from) = self.dump.node(id) else { return };
        let class = class_number(&self.dump.classes, &mut self.class, class);
        let mut n = 0;
        self.dump.classes.references::<W>(class, data, |_| n += 1);
        // The graph has them in the same order, if all are in the dump and there are no others.
        let known = Some(self.graph.targets(from)).filter(|targets| targets.len() == n);
        let mut known = known.map(|targets| targets.iter());
        self.dump.classes.named_references::<W>(class, data, |id, name| {
            let to = match &mut known {
                Some(targets) => targets.next().copied(),
                None => self.dump.node(id),
            };
            let Some(to) = to else { return };
            if self.dominators[to as usize] == from && name != NONE {
                let slot = &self.slots[to as usize];
                if slot.load(Relaxed) == 0 {
                    slot.store(name + 1, Relaxed);
                }
            }
        });
    }
}
