//! The classes of a dump: names, where references are in their instances, and how big those are in the process.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use crate::hprof::bytes::{Width, wide_at};
use crate::hprof::layout::{Fields, Layout, Shape};
use crate::hprof::names;
use crate::hprof::outline::Outline;
use crate::hprof::records::{self, ClassDump, Field, Type};
use crate::hprof::strings::Strings;
use crate::hprof::survey::{Survey, Tally};

/// No class.
pub(crate) const NONE: u32 = u32::MAX;

/// One class.
#[derive(Clone, Debug)]
pub(crate) struct ClassInfo {
    /// 0 for what the dump does not list.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) above: u32,
    /// What the dump says of it; none for a class that is only named or used.
    pub(crate) dump: Option<ClassDump>,
    /// Bytes of an instance; arrays depend on their length.
    pub(crate) size: u64,
    /// Bytes of its class object.
    pub(crate) mirror: u64,
}

/// Where the references of one class's own fields are.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Into [`Classes::offsets`].
    first: u32,
    end: u32,
    /// Bytes of the values of its own fields.
    own: u32,
    /// The nearest class above that has fields.
    next: u32,
}

/// All classes. The first is not the dump's: the synthetic root's.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) infos: Vec<ClassInfo>,
    index: FxHashMap<u64, u32>,
    plans: Vec<Plan>,
    /// Offsets of references within the values of their class's own fields, and the places of the fields' names among the strings;
    /// without those that hold nothing.
    offsets: Vec<(u32, u32)>,
    /// Of arrays of primitives, in the order of [`Type::PRIMITIVES`].
    pub(crate) primitives: [u32; 8],
    /// `java.lang.Class`.
    pub(crate) mirror_class: u32,
    /// `java.lang.ref.Reference`, where the dump has it.
    reference: u32,
    pub(crate) layout: Layout,
}

/// The field of `java.lang.ref.Reference` that does not hold what it refers to, as in Eclipse MAT, which does so for soft, weak,
/// phantom and final references alike.
pub(crate) const REFERENT: &str = "referent";

/// Whether a static field does not hold what it refers to: the list of all objects that wait for their finalizer, as in Eclipse MAT.
pub(crate) fn is_weak_static(class: &str, field: &str) -> bool {
    class == "java.lang.ref.Finalizer" && field == "unfinalized"
}

impl Classes {
    pub(crate) fn of(bytes: &[u8], outline: &Outline, strings: &Strings<'_>, survey: &Survey) -> Self {
        let mut classes = Self::named(outline, strings, survey);
        classes.connect();
        match outline.width {
            Width::Four => classes.plan::<4>(bytes, strings),
            Width::Eight => classes.plan::<8>(bytes, strings),
        }
        let modern = classes.infos.iter().any(|info| info.name == "java.lang.Record");
        classes.layout = Layout::of(outline.width, &survey.evidence, modern);
        match outline.width {
            Width::Four => classes.measure::<4>(bytes, strings),
            Width::Eight => classes.measure::<8>(bytes, strings),
        }
        for (class, tally) in &survey.instances {
            let info = &mut classes.infos[classes.index[class] as usize];
            if info.dump.is_none() {
                let bytes = (tally.elements / tally.count.max(1)) as u32;
                let values = Fields { primitives: [0, 0, 0, bytes], ..Fields::default() };
                info.size = classes.layout.extended(&classes.layout.empty(), &values).size();
            }
        }
        classes
    }

    /// All classes that are listed or used, with their names.
    fn named(outline: &Outline, strings: &Strings<'_>, survey: &Survey) -> Self {
        let layout = Layout::of(outline.width, &survey.evidence, true);
        let mut classes = Self {
            infos: Vec::new(),
            index: FxHashMap::default(),
            plans: Vec::new(),
            offsets: Vec::new(),
            primitives: [0; 8],
            mirror_class: NONE,
            reference: NONE,
            layout,
        };
        classes.add(0, "(GC roots)".to_owned(), None);
        let name = |id: u64| {
            let at = outline.class_names.partition_point(|named| named.0 <= id).checked_sub(1)?;
            let (class, string) = outline.class_names[at];
            (class == id).then(|| strings.get(string)).flatten().map(|raw| names::readable(&raw))
        };
        let name = |id: u64| name(id).unwrap_or_else(|| format!("(class {id:#x})"));
        for dump in &survey.classes {
            if let Some(&index) = classes.index.get(&dump.id) {
                classes.infos[index as usize].dump = Some(dump.clone());
            } else {
                let index = classes.add(dump.id, name(dump.id), Some(dump.clone()));
                classes.index.insert(dump.id, index);
            }
        }
        for (id, _) in survey.instances.iter().chain(&survey.arrays) {
            if !classes.index.contains_key(id) {
                let index = classes.add(*id, name(*id), None);
                classes.index.insert(*id, index);
            }
        }
        classes.primitives = Type::PRIMITIVES.map(|of| classes.by_name(&format!("{}[]", of.name())));
        classes.mirror_class = classes.by_name("java.lang.Class");
        classes.reference =
            classes.infos.iter().position(|info| info.name == "java.lang.ref.Reference").map_or(NONE, |at| at as u32);
        classes
    }

    fn add(&mut self, id: u64, name: String, dump: Option<ClassDump>) -> u32 {
        self.infos.push(ClassInfo { id, name, above: NONE, dump, size: 0, mirror: 0 });
        (self.infos.len() - 1) as u32
    }

    fn by_name(&mut self, name: &str) -> u32 {
        match self.infos.iter().position(|info| info.name == name) {
            Some(at) => at as u32,
            None => self.add(0, name.to_owned(), None),
        }
    }

    fn connect(&mut self) {
        for index in 1..self.infos.len() {
            if let Some(dump) = &self.infos[index].dump {
                self.infos[index].above = self.find(dump.super_id).unwrap_or(NONE);
            }
        }
    }

    /// Notes where references are in the values of each class's own fields, and which class's values come next.
    fn plan<const W: usize>(&mut self, bytes: &[u8], strings: &Strings<'_>) {
        for index in 0..self.infos.len() {
            let first = self.offsets.len() as u32;
            let mut own = 0;
            for field in self.own_fields::<W>(bytes, index as u32) {
                let weak = index as u32 == self.reference && strings.get(field.name).as_deref() == Some(REFERENT);
                if field.of == Type::Object && !weak {
                    self.offsets.push((own, strings.place(field.name).unwrap_or(NONE)));
                }
                own += field.of.bytes(W) as u32;
            }
            self.plans.push(Plan { first, end: self.offsets.len() as u32, own, next: NONE });
        }
        for index in self.supers_first() {
            let above = self.infos[index as usize].above;
            let above_next =
                |above: u32| if self.plans[above as usize].own > 0 { above } else { self.plans[above as usize].next };
            self.plans[index as usize].next = if above == NONE { NONE } else { above_next(above) };
        }
    }

    /// All classes, each after its super class, unless they are each other's.
    fn supers_first(&self) -> Vec<u32> {
        let mut seen = vec![false; self.infos.len()];
        let mut order = Vec::with_capacity(self.infos.len());
        for index in 0..self.infos.len() as u32 {
            let below = order.len();
            let mut at = index;
            while at != NONE && !seen[at as usize] {
                seen[at as usize] = true;
                order.push(at);
                at = self.infos[at as usize].above;
            }
            order[below..].reverse();
        }
        order
    }

    fn measure<const W: usize>(&mut self, bytes: &[u8], strings: &Strings<'_>) {
        let mut shapes: Vec<Option<Shape>> = vec![None; self.infos.len()];
        for index in self.supers_first() {
            let info = &self.infos[index as usize];
            let mut fields = Fields::default();
            for field in self.own_fields::<W>(bytes, index) {
                fields.add_named(&info.name, || strings.get(field.name).map(Cow::into_owned), field.of);
            }
            fields.add_injected(&info.name);
            let above = shapes.get(info.above as usize).and_then(Option::as_ref);
            let empty = self.layout.empty();
            let shape = self.layout.extended(above.unwrap_or(&empty), &fields);
            self.infos[index as usize].size = shape.size();
            shapes[index as usize] = Some(shape);
        }
        let object = self.infos[self.mirror_class as usize].size;
        for index in 1..self.infos.len() {
            let Some(dump) = self.infos[index].dump.clone() else { continue };
            let mut fields = Fields::default();
            // `<resolved_references>` and the like are not in the class object.
            let own = |field: &Field| strings.get(field.name).is_none_or(|name| !name.starts_with('<'));
            records::statics::<W>(bytes, dump.statics).filter(own).for_each(|field| fields.add(field.of));
            self.infos[index].mirror = object + self.layout.statics(&fields);
        }
    }

    /// The fields that a class itself declares, in the order of their values.
    pub(crate) fn own_fields<'b, const W: usize>(
        &self,
        bytes: &'b [u8],
        class: u32,
    ) -> impl Iterator<Item = Field> + use<'b, W> {
        let range = self.infos[class as usize].dump.as_ref().map_or(0..0, |dump| dump.fields.clone());
        records::fields::<W>(bytes, range)
    }

    /// Its number, by its id.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        self.index.get(&id).copied()
    }

    /// The class and those above it. Ends also where they go in a circle.
    pub(crate) fn line(&self, class: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(class), |&at| Some(self.infos[at as usize].above).filter(|&above| above != NONE))
            .take(self.infos.len())
    }

    /// Whether `class` is the one called `name` or below it.
    pub(crate) fn is_a(&self, class: u32, name: &str) -> bool {
        self.line(class).any(|at| self.infos[at as usize].name == name)
    }

    /// Tells `each` the references in an instance's values that hold what they refer to, in the order of the dump.
    #[inline]
    pub(crate) fn references<const W: usize>(&self, class: u32, data: &[u8], mut each: impl FnMut(u64)) {
        self.named_references::<W>(class, data, |id, _| each(id));
    }

    /// As [`Classes::references`], with the place of the field's name among the strings, or [`NONE`].
    #[inline]
    pub(crate) fn named_references<const W: usize>(&self, class: u32, data: &[u8], mut each: impl FnMut(u64, u32)) {
        let mut base = 0;
        let mut at = class;
        loop {
            let plan = self.plans[at as usize];
            for &(offset, name) in &self.offsets[plan.first as usize..plan.end as usize] {
                if let Some(id) = wide_at::<W>(data, base + offset as usize).filter(|&id| id != 0) {
                    each(id, name);
                }
            }
            base += plan.own as usize;
            if plan.next == NONE || base >= data.len() {
                return;
            }
            at = plan.next;
        }
    }

    /// Whether `field` of `class` does not hold what it refers to.
    pub(crate) fn is_weak(&self, class: u32, field: &str) -> bool {
        class == self.reference && field == REFERENT
    }

    /// The size of all arrays of `tally`, whose elements have `element` bytes, or are references.
    pub(crate) fn arrays_bytes(&self, tally: &Tally, element: Option<u64>) -> u64 {
        let size = |n: u64| {
            element.map_or_else(|| self.layout.array_of_references(n), |element| self.layout.array(element, n))
        };
        // Arrays whose lengths differ by 8 differ by 8 elements: padding depends on the rest only.
        let step = size(8) - size(0);
        let whole = (tally.elements - (0..8).zip(tally.rest).map(|(rest, n)| rest * n).sum::<u64>()) / 8;
        whole * step + (0..8).zip(tally.rest).map(|(rest, n)| n * size(rest)).sum::<u64>()
    }
}
