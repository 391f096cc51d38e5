//! The records within a heap dump: roots, classes, instances, arrays. Walked in order, each told to a visitor.

use std::ops::Range;

use crate::hprof::bytes::{u16_at, u32_at, wide_at};

/// The type of a field or element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Boolean,
    Char,
    Float,
    Double,
    Byte,
    Short,
    Int,
    Long,
}

impl Type {
    /// All types of arrays that hold no references, in the order of their codes from 4.
    pub(crate) const PRIMITIVES: [Self; 8] =
        [Self::Boolean, Self::Char, Self::Float, Self::Double, Self::Byte, Self::Short, Self::Int, Self::Long];

    pub(crate) fn of(code: u8) -> Option<Self> {
        match code {
            1 | 2 => Some(Self::Object),
            4..=11 => Some(Self::PRIMITIVES[usize::from(code - 4)]),
            _ => None,
        }
    }

    /// Bytes in the dump, where references take `width`.
    #[inline]
    pub(crate) fn bytes(self, width: usize) -> usize {
        match self {
            Self::Object => width,
            Self::Boolean | Self::Byte => 1,
            Self::Char | Self::Short => 2,
            Self::Float | Self::Int => 4,
            Self::Double | Self::Long => 8,
        }
    }

    /// As the language spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "java.lang.Object",
            Self::Boolean => "boolean",
            Self::Char => "char",
            Self::Float => "float",
            Self::Double => "double",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
        }
    }
}

/// Why an object is alive by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RootKind {
    JniGlobal,
    JniLocal,
    JavaFrame,
    NativeStack,
    StickyClass,
    ThreadBlock,
    Monitor,
    Thread,
    Interned,
    Finalizing,
    Debugger,
    ReferenceCleanup,
    VmInternal,
    JniMonitor,
    Unknown,
    /// Not in the dump: a class of its own right, so that what its static fields hold is said to be held by it.
    Class,
}

impl RootKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JniGlobal => "JNI global",
            Self::JniLocal => "JNI local",
            Self::JavaFrame => "local variable",
            Self::NativeStack => "native stack",
            Self::StickyClass => "system class",
            Self::ThreadBlock => "thread block",
            Self::Monitor => "busy monitor",
            Self::Thread => "thread",
            Self::Interned => "interned string",
            Self::Finalizing => "finalizing",
            Self::Debugger => "debugger",
            Self::ReferenceCleanup => "reference cleanup",
            Self::VmInternal => "VM internal",
            Self::JniMonitor => "JNI monitor",
            Self::Unknown => "unknown root",
            Self::Class => "class",
        }
    }
}

/// One root, as the dump lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) kind: RootKind,
    pub(crate) id: u64,
    /// Serial number of its thread; 0 where there is none.
    pub(crate) thread: u32,
    /// Depth of its frame in the thread's stack, for a thread the serial number of its stack trace; `u32::MAX` where there is none.
    pub(crate) frame: u32,
}

/// One class, as the dump describes it.
#[derive(Clone, Debug)]
pub(crate) struct ClassDump {
    pub(crate) id: u64,
    pub(crate) super_id: u64,
    pub(crate) loader: u64,
    pub(crate) signers: u64,
    pub(crate) domain: u64,
    /// Static fields: name, type, value each.
    pub(crate) statics: Range<usize>,
    /// Instance fields of its own: name and type each.
    pub(crate) fields: Range<usize>,
}

/// Hears of each record. `at` is the offset of its tag.
pub(crate) trait Visitor {
    fn root(&mut self, _root: Root) {}
    fn class(&mut self, _class: ClassDump) {}
    /// `data`: values of its own class's fields, then of its super class's, and so on.
    fn instance(&mut self, _at: usize, _id: u64, _class: u64, _data: &[u8]) {}
    fn objects(&mut self, _at: usize, _id: u64, _class: u64, _elements: &[u8]) {}
    /// `elements` is empty where the dump leaves the values out.
    fn primitives(&mut self, _at: usize, _id: u64, _of: Type, _n: u32, _elements: &[u8]) {}
}

/// Tells `visitor` every record in `range`, which ends where a record does. The offset of the first that cannot be read, if any.
pub(crate) fn walk<const W: usize>(bytes: &[u8], range: Range<usize>, visitor: &mut impl Visitor) -> Result<(), usize> {
    let bytes = &bytes[..range.end];
    let mut at = range.start;
    while at < bytes.len() {
        at = step::<W>(bytes, at, visitor).ok_or(at)?;
    }
    Ok(())
}

/// Tells `visitor` the record at `at` and returns where the next one is; nothing for an unknown tag or one that is not all there.
#[inline]
pub(crate) fn step<const W: usize>(bytes: &[u8], at: usize, visitor: &mut impl Visitor) -> Option<usize> {
    match bytes[at] {
        0x21 => {
            let head = bytes.get(at + 1..at + 9 + 2 * W)?;
            let start = at + 9 + 2 * W;
            let end = start + u32_at(head, 4 + 2 * W)? as usize;
            visitor.instance(at, wide_at::<W>(head, 0)?, wide_at::<W>(head, 4 + W)?, bytes.get(start..end)?);
            Some(end)
        }
        0x22 => {
            let head = bytes.get(at + 1..at + 9 + 2 * W)?;
            let start = at + 9 + 2 * W;
            let end = start + u32_at(head, 4 + W)? as usize * W;
            visitor.objects(at, wide_at::<W>(head, 0)?, wide_at::<W>(head, 8 + W)?, bytes.get(start..end)?);
            Some(end)
        }
        tag @ (0x23 | 0xc3) => {
            let head = bytes.get(at + 1..at + 10 + W)?;
            let start = at + 10 + W;
            let n = u32_at(head, 4 + W)?;
            let of = Type::of(head[8 + W]).filter(|of| *of != Type::Object)?;
            let end = if tag == 0x23 { start + n as usize * of.bytes(W) } else { start };
            visitor.primitives(at, wide_at::<W>(head, 0)?, of, n, bytes.get(start..end)?);
            Some(end)
        }
        0x20 => {
            let (class, end) = class_dump::<W>(bytes, at)?;
            visitor.class(class);
            Some(end)
        }
        // Android: which heap follows; and what is not reachable, which is no root.
        0xfe => (at + 5 + W <= bytes.len()).then_some(at + 5 + W),
        0x90 => (at + 1 + W <= bytes.len()).then_some(at + 1 + W),
        _ => root::<W>(bytes, at, visitor),
    }
}

fn root<const W: usize>(bytes: &[u8], at: usize, visitor: &mut impl Visitor) -> Option<usize> {
    use RootKind::{
        Debugger, Finalizing, Interned, JavaFrame, JniGlobal, JniLocal, JniMonitor, Monitor, NativeStack,
        ReferenceCleanup, StickyClass, Thread, ThreadBlock, Unknown, VmInternal,
    };
    let (kind, words) = match bytes[at] {
        0xff => (Unknown, 0),
        0x01 => (JniGlobal, 0),
        0x02 => (JniLocal, 2),
        0x03 => (JavaFrame, 2),
        0x04 => (NativeStack, 1),
        0x05 => (StickyClass, 0),
        0x06 => (ThreadBlock, 1),
        0x07 => (Monitor, 0),
        0x08 => (Thread, 2),
        0x89 => (Interned, 0),
        0x8a => (Finalizing, 0),
        0x8b => (Debugger, 0),
        0x8c => (ReferenceCleanup, 0),
        0x8d => (VmInternal, 0),
        0x8e => (JniMonitor, 2),
        _ => return None,
    };
    let id = wide_at::<W>(bytes, at + 1)?;
    let thread = if words > 0 { u32_at(bytes, at + 1 + W)? } else { 0 };
    let frame = if words > 1 { u32_at(bytes, at + 5 + W)? } else { u32::MAX };
    let end = at + 1 + W + 4 * words + if kind == JniGlobal { W } else { 0 };
    if end > bytes.len() {
        return None;
    }
    visitor.root(Root { kind, id, thread, frame });
    Some(end)
}

fn class_dump<const W: usize>(bytes: &[u8], at: usize) -> Option<(ClassDump, usize)> {
    let id_of = |index: usize| wide_at::<W>(bytes, at + 5 + W * index);
    // id, serial of a stack trace, super class, loader, signers, domain, two reserved, size of an instance
    let mut end = at + 5 + 7 * W + 4;
    let n_constants = u16_at(bytes, end)?;
    end += 2;
    for _ in 0..n_constants {
        end += 3 + Type::of(*bytes.get(end + 2)?)?.bytes(W);
    }
    let n_statics = u16_at(bytes, end)?;
    end += 2;
    let statics = end;
    for _ in 0..n_statics {
        end += W + 1 + Type::of(*bytes.get(end + W)?)?.bytes(W);
    }
    let statics = statics..end;
    let n_fields = usize::from(u16_at(bytes, end)?);
    end += 2;
    let fields = end..end + n_fields * (W + 1);
    let types = bytes.get(fields.clone())?;
    if !types.chunks_exact(W + 1).all(|field| Type::of(field[W]).is_some()) {
        return None;
    }
    let class = ClassDump {
        id: wide_at::<W>(bytes, at + 1)?,
        super_id: id_of(1)?,
        loader: id_of(2)?,
        signers: id_of(3)?,
        domain: id_of(4)?,
        statics,
        fields: fields.clone(),
    };
    Some((class, fields.end))
}

/// A field of a class: the string that names it, its type, and for a static one where its value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: u64,
    pub(crate) of: Type,
    pub(crate) value_at: usize,
}

/// The static fields in `range` of [`ClassDump::statics`].
pub(crate) fn statics<const W: usize>(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Field> + '_ {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let field = (at < range.end).then(|| field_at::<W>(bytes, at)).flatten()?;
        at = field.value_at + field.of.bytes(W);
        Some(field)
    })
}

/// The instance fields in `range` of [`ClassDump::fields`], in the order of their values in an instance.
pub(crate) fn fields<const W: usize>(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Field> + '_ {
    range.step_by(W + 1).map_while(|at| field_at::<W>(bytes, at))
}

fn field_at<const W: usize>(bytes: &[u8], at: usize) -> Option<Field> {
    Some(Field { name: wide_at::<W>(bytes, at)?, of: Type::of(*bytes.get(at + W)?)?, value_at: at + W + 1 })
}
