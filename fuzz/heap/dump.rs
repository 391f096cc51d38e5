//! HPROF dumps out of any bytes: whole records with small ids, and what is left of the bytes behind them as it is.

use crate::snapshot::Taken;

/// Classes that are always there: name, super class, fields with their codes.
const CLASSES: [(&str, u8, &[(&str, u8)]); 8] = [
    ("java/lang/Object", 0, &[]),
    ("java/lang/String", 1, &[("value", 2), ("coder", 8), ("hash", 10)]),
    ("java/lang/ref/WeakReference", 1, &[("referent", 2), ("queue", 2)]),
    ("java/util/HashMap", 1, &[("table", 2), ("size", 10)]),
    ("java/util/HashMap$Node", 1, &[("key", 2), ("value", 2), ("next", 2), ("hash", 10)]),
    ("java/lang/Thread", 1, &[("name", 2), ("threadLocals", 2), ("tid", 11)]),
    ("[Ljava/lang/Object;", 1, &[]),
    ("com/acme/Session$$Lambda$14/0x0000000800c03000", 5, &[("user", 2), ("age", 10), ("ok", 4), ("rate", 7)]),
];

/// Ids of classes begin here; those of other objects are one byte.
const CLASS_IDS: u32 = 0x1000;

fn class_id(class: u8) -> u32 {
    if class == 0 { 0 } else { CLASS_IDS + u32::from(class) }
}

fn record(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &[0; 4][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

fn name_id(class: usize, field: usize) -> [u8; 4] {
    (0x7000_0000 + (class * 16 + field) as u32).to_be_bytes()
}

/// Bytes of a value by its code; ids take 4.
fn width(code: u8) -> usize {
    match code {
        4 | 8 => 1,
        5 | 9 => 2,
        7 | 11 => 8,
        _ => 4,
    }
}

/// A dump with ids of 4 bytes.
pub fn of(bytes: &mut Taken<'_>) -> Vec<u8> {
    let mut dump = b"JAVA PROFILE 1.0.2\0".to_vec();
    dump.extend([4_u32.to_be_bytes(), [0; 4], [0; 4]].concat());
    let mut heap = Vec::new();
    for (index, (name, super_class, fields)) in CLASSES.iter().enumerate() {
        let id = class_id(index as u8 + 1).to_be_bytes();
        dump.extend(record(0x01, &[&name_id(index, 0), name.as_bytes()].concat()));
        dump.extend(record(0x02, &[[0, 0, 0, index as u8 + 1], id, [0; 4], name_id(index, 0)].concat()));
        heap.push(0x20);
        heap.extend([id, [0; 4], class_id(*super_class).to_be_bytes()].concat());
        // Loader, signers, domain, two reserved ids, the size; no constants; one static field, which refers to anything.
        heap.extend([0; 24]);
        heap.extend([0, 0, 0, 1]);
        heap.extend(name_id(index, 0));
        heap.push(2);
        heap.extend([0, 0, 0, bytes.next() % 64]);
        heap.extend((fields.len() as u16).to_be_bytes());
        for (field, (name, code)) in fields.iter().enumerate() {
            dump.extend(record(0x01, &[&name_id(index, field + 1), name.as_bytes()].concat()));
            heap.extend(name_id(index, field + 1));
            heap.push(*code);
        }
    }
    for _ in 0..bytes.next() % 64 {
        object(&mut heap, bytes);
    }
    // What stands in a dump where nothing was expected.
    heap.extend(bytes.0);
    dump.extend(record(0x1c, &heap));
    dump.extend(record(0x2c, &[]));
    dump
}

/// One record of the heap: an instance, an array or a root.
fn object(heap: &mut Vec<u8>, bytes: &mut Taken<'_>) {
    let (tag, id, what) = (bytes.next(), bytes.next() % 64, bytes.next());
    let id = [0, 0, 0, id];
    match tag % 8 {
        0..=2 => {
            let class = usize::from(what) % CLASSES.len();
            let mut values = Vec::new();
            let mut at = class + 1;
            while at != 0 {
                let (_, super_class, fields) = CLASSES[at - 1];
                for (_, code) in fields {
                    let value = bytes.next() % 64;
                    values.extend(std::iter::repeat_n(0, width(*code) - 1).chain([value]));
                }
                at = usize::from(super_class);
            }
            heap.push(0x21);
            heap.extend(
                [id, [0; 4], class_id(class as u8 + 1).to_be_bytes(), (values.len() as u32).to_be_bytes()].concat(),
            );
            heap.extend(values);
        }
        3 => {
            heap.push(0x22);
            heap.extend([id, [0; 4], [0, 0, 0, what % 8], class_id(7).to_be_bytes()].concat());
            (0..what % 8).for_each(|_| heap.extend([0, 0, 0, bytes.next() % 64]));
        }
        4 | 5 => {
            let code = if tag % 8 == 4 { 8 } else { 4 + what / 8 % 8 };
            heap.push(0x23);
            heap.extend([id, [0; 4], [0, 0, 0, what % 8]].concat());
            heap.push(code);
            (0..usize::from(what % 8) * width(code)).for_each(|_| heap.push(bytes.next()));
        }
        6 => {
            heap.push(0x05);
            heap.extend(id);
        }
        // A thread, its frame, its stack, a JNI reference.
        _ => {
            let (tag, n_rest) = [(0x08, 8), (0x03, 8), (0x04, 4), (0x01, 4)][usize::from(what) % 4];
            heap.push(tag);
            heap.extend(id);
            heap.extend(std::iter::repeat_n(0, n_rest - 1).chain([what / 4]));
        }
    }
}
