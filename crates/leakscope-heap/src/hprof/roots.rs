//! What is alive by itself, and what objects hold beyond their own fields: threads the locals of their frames, classes their static
//! fields.

use rustc_hash::FxHashMap;

use crate::hprof::bytes::{Width, wide_at};
use crate::hprof::classes::{Classes, is_weak_static};
use crate::hprof::ids::Ids;
use crate::hprof::records::{self, RootKind, Type};
use crate::hprof::strings::Strings;
use crate::hprof::survey::Survey;

/// The node of the synthetic root.
pub(crate) const ROOT: u32 = 0;

/// The node of an object.
#[inline]
pub(crate) fn node_of(ids: &Ids, id: u64) -> Option<u32> {
    ids.find(id).map(|number| number + 1)
}

/// A way in: from the synthetic root, or from the thread whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: RootKind,
    /// Serial number of its thread; 0 where there is none.
    pub(crate) thread: u32,
    /// Depth of the frame in the thread's stack; `u32::MAX` where there is none.
    pub(crate) frame: u32,
}

/// A thread: its object and its stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) node: u32,
    /// Serial number of its stack trace.
    pub(crate) trace: u32,
}

/// All ways in.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Ascending; one for each kind between two nodes.
    pub(crate) all: Vec<Way>,
    pub(crate) threads: FxHashMap<u32, Thread>,
    /// Roots that are no objects of the dump.
    pub(crate) n_unknown: u64,
}

impl Ways {
    /// What a thread's frames hold hangs on the thread, as in Eclipse MAT; every class is a root of its own, so that what static
    /// fields hold is said to be held by their class and not by a class loader.
    pub(crate) fn of(survey: &Survey, classes: &Classes) -> Self {
        let ids = &survey.ids;
        let of_threads = survey.roots.iter().filter(|root| root.kind == RootKind::Thread);
        let threads: FxHashMap<u32, Thread> = of_threads
            .filter_map(|root| Some((root.thread, Thread { node: node_of(ids, root.id)?, trace: root.frame })))
            .collect();
        let mut all = Vec::with_capacity(survey.roots.len() + classes.infos.len());
        let mut n_unknown = 0;
        for root in &survey.roots {
            let Some(to) = node_of(ids, root.id) else {
                n_unknown += 1;
                continue;
            };
            let local = matches!(
                root.kind,
                RootKind::JavaFrame | RootKind::JniLocal | RootKind::NativeStack | RootKind::ThreadBlock
            );
            let holder = threads.get(&root.thread).map(|thread| thread.node).filter(|&node| local && node != to);
            all.push(Way { from: holder.unwrap_or(ROOT), to, kind: root.kind, thread: root.thread, frame: root.frame });
        }
        let dumped = classes.infos.iter().filter(|info| info.dump.is_some());
        all.extend(dumped.filter_map(|info| {
            Some(Way { from: ROOT, to: node_of(ids, info.id)?, kind: RootKind::Class, thread: 0, frame: u32::MAX })
        }));
        all.sort_unstable();
        all.dedup_by_key(|way| (way.from, way.to, way.kind));
        // A class that is a root anyway is not one again.
        all.dedup_by(|later, way| later.kind == RootKind::Class && (way.from, way.to) == (later.from, later.to));
        Self { all, threads, n_unknown }
    }

    /// Those from `node`.
    pub(crate) fn from(&self, node: u32) -> &[Way] {
        let first = self.all.partition_point(|way| way.from < node);
        let end = self.all.partition_point(|way| way.from <= node);
        &self.all[first..end]
    }
}

/// How a class object holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassLink {
    /// By a static field, which the string names.
    Static(u64),
    Loader,
    Signers,
    ProtectionDomain,
}

/// What the object of `class` refers to: static fields in the order of the dump, then what the VM links it to. `each` hears of the
/// link, the id and whether it holds it.
pub(crate) fn class_links(
    strings: &Strings<'_>,
    classes: &Classes,
    class: u32,
    each: &mut dyn FnMut(ClassLink, u64, bool),
) {
    let info = &classes.infos[class as usize];
    let Some(dump) = &info.dump else { return };
    let mut field = |field: records::Field, value: Option<u64>| {
        if let Some(id) = value.filter(|&id| id != 0 && field.of == Type::Object) {
            let weak = info.name == "java.lang.ref.Finalizer"
                && strings.get(field.name).is_some_and(|name| is_weak_static(&info.name, &name));
            each(ClassLink::Static(field.name), id, !weak);
        }
    };
    match strings.width {
        Width::Four => records::statics::<4>(strings.bytes, dump.statics.clone())
            .for_each(|one| field(one, wide_at::<4>(strings.bytes, one.value_at))),
        Width::Eight => records::statics::<8>(strings.bytes, dump.statics.clone())
            .for_each(|one| field(one, wide_at::<8>(strings.bytes, one.value_at))),
    }
    let links = [
        (ClassLink::Loader, dump.loader),
        (ClassLink::Signers, dump.signers),
        (ClassLink::ProtectionDomain, dump.domain),
    ];
    links.into_iter().filter(|link| link.1 != 0).for_each(|(link, id)| each(link, id, true));
}
