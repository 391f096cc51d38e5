//! Dumps made by hand, for tests.

/// Writes a dump record by record. Ids take 8 bytes, or 4.
pub(crate) struct DumpBuilder {
    pub(crate) wide: bool,
    outer: Vec<u8>,
    heap: Vec<u8>,
    names: u64,
}

/// A field of a class: name, code of its type, for static ones the value.
pub(crate) type FieldOf<'n> = (&'n str, u8, u64);

pub(crate) const OBJECT: u8 = 2;
pub(crate) const CHAR: u8 = 5;
pub(crate) const BYTE: u8 = 8;
pub(crate) const INT: u8 = 10;

impl DumpBuilder {
    pub(crate) fn new(wide: bool) -> Self {
        let mut outer = b"JAVA PROFILE 1.0.2\0".to_vec();
        outer.extend(if wide { 8_u32 } else { 4 }.to_be_bytes());
        outer.extend(1_700_000_000_000_u64.to_be_bytes());
        Self { wide, outer, heap: Vec::new(), names: 0 }
    }

    fn id(&self, id: u64) -> Vec<u8> {
        if self.wide { id.to_be_bytes().to_vec() } else { (id as u32).to_be_bytes().to_vec() }
    }

    pub(crate) fn outer(&mut self, tag: u8, body: &[u8]) {
        self.outer.push(tag);
        self.outer.extend([0; 4]);
        self.outer.extend((body.len() as u32).to_be_bytes());
        self.outer.extend(body);
    }

    /// A string of the symbol table; returns its id.
    pub(crate) fn string(&mut self, text: &str) -> u64 {
        self.names += 1;
        let id = 0x7000_0000 + self.names;
        let body = [self.id(id), text.as_bytes().to_vec()].concat();
        self.outer(0x01, &body);
        id
    }

    /// Names a class, without a dump of it.
    pub(crate) fn named(&mut self, id: u64, name: &str, serial: u32) {
        let name = self.string(name);
        let body = [serial.to_be_bytes().to_vec(), self.id(id), vec![0; 4], self.id(name)].concat();
        self.outer(0x02, &body);
    }

    pub(crate) fn class(
        &mut self,
        id: u64,
        name: &str,
        super_id: u64,
        statics: &[FieldOf<'_>],
        fields: &[FieldOf<'_>],
    ) {
        self.named(id, name, 0);
        let ids: Vec<u8> = [super_id, 0, 0, 0, 0, 0].iter().flat_map(|&id| self.id(id)).collect();
        let mut record = [vec![0x20], self.id(id), vec![0; 4], ids, vec![0; 4], vec![0; 2]].concat();
        record.extend((statics.len() as u16).to_be_bytes());
        for (name, of, value) in statics {
            let name = self.string(name);
            record.extend(self.id(name));
            record.push(*of);
            record.extend(self.value(*of, *value));
        }
        record.extend((fields.len() as u16).to_be_bytes());
        for (name, of, _) in fields {
            let name = self.string(name);
            record.extend(self.id(name));
            record.push(*of);
        }
        self.heap.extend(record);
    }

    pub(crate) fn value(&self, of: u8, value: u64) -> Vec<u8> {
        match of {
            OBJECT => self.id(value),
            CHAR => (value as u16).to_be_bytes().to_vec(),
            BYTE => vec![value as u8],
            INT => (value as u32).to_be_bytes().to_vec(),
            _ => value.to_be_bytes().to_vec(),
        }
    }

    /// An instance with these values, code of the type and value each.
    pub(crate) fn instance(&mut self, id: u64, class: u64, values: &[(u8, u64)]) {
        let data: Vec<u8> = values.iter().flat_map(|(of, value)| self.value(*of, *value)).collect();
        let record =
            [vec![0x21], self.id(id), vec![0; 4], self.id(class), (data.len() as u32).to_be_bytes().to_vec(), data];
        self.heap.extend(record.concat());
    }

    pub(crate) fn objects(&mut self, id: u64, class: u64, elements: &[u64]) {
        let elements_bytes: Vec<u8> = elements.iter().flat_map(|&element| self.id(element)).collect();
        let n = (elements.len() as u32).to_be_bytes().to_vec();
        self.heap.extend([vec![0x22], self.id(id), vec![0; 4], n, self.id(class), elements_bytes].concat());
    }

    pub(crate) fn bytes(&mut self, id: u64, elements: &[u8]) {
        let n = (elements.len() as u32).to_be_bytes().to_vec();
        self.heap.extend([vec![0x23], self.id(id), vec![0; 4], n, vec![BYTE], elements.to_vec()].concat());
    }

    /// A record of the heap as it is, after its tag and id.
    pub(crate) fn record(&mut self, tag: u8, id: u64, rest: &[u8]) {
        self.heap.extend([vec![tag], self.id(id), rest.to_vec()].concat());
    }

    /// Ends a heap dump record, with the length that is claimed instead of the true one, if any.
    pub(crate) fn segment(&mut self, tag: u8, claimed: Option<u32>) {
        let heap = std::mem::take(&mut self.heap);
        self.outer.push(tag);
        self.outer.extend([0; 4]);
        self.outer.extend(claimed.unwrap_or(heap.len() as u32).to_be_bytes());
        self.outer.extend(heap);
    }

    /// The dump, with what is not yet in a heap dump record in one, and the end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if !self.heap.is_empty() {
            self.segment(0x1c, None);
        }
        self.outer(0x2c, &[]);
        self.outer
    }
}

pub(crate) const OBJECT_CLASS: u64 = 0x1000;
pub(crate) const STRING_CLASS: u64 = 0x1100;
pub(crate) const THREAD_CLASS: u64 = 0x1200;
pub(crate) const REFERENCE_CLASS: u64 = 0x1300;
pub(crate) const WEAK_CLASS: u64 = 0x1400;
pub(crate) const OBJECTS_CLASS: u64 = 0x1500;
pub(crate) const REGISTRY_CLASS: u64 = 0x1600;
pub(crate) const SESSION_CLASS: u64 = 0x1700;

/// The classes that most tests need; a registry with a static field `SESSIONS`.
pub(crate) fn with_classes(wide: bool, sessions: u64) -> DumpBuilder {
    let mut dump = DumpBuilder::new(wide);
    dump.class(OBJECT_CLASS, "java/lang/Object", 0, &[], &[]);
    dump.class(STRING_CLASS, "java/lang/String", OBJECT_CLASS, &[], &[("value", OBJECT, 0), ("coder", BYTE, 0)]);
    dump.class(THREAD_CLASS, "java/lang/Thread", OBJECT_CLASS, &[], &[("name", OBJECT, 0)]);
    dump.class(
        REFERENCE_CLASS,
        "java/lang/ref/Reference",
        OBJECT_CLASS,
        &[],
        &[("referent", OBJECT, 0), ("queue", OBJECT, 0)],
    );
    dump.class(WEAK_CLASS, "java/lang/ref/WeakReference", REFERENCE_CLASS, &[], &[]);
    dump.class(OBJECTS_CLASS, "[Ljava/lang/Object;", OBJECT_CLASS, &[], &[]);
    dump.class(
        REGISTRY_CLASS,
        "com/acme/SessionRegistry",
        OBJECT_CLASS,
        &[("LIMIT", INT, 7), ("SESSIONS", OBJECT, sessions)],
        &[],
    );
    dump.class(
        SESSION_CLASS,
        "com/acme/Session",
        OBJECT_CLASS,
        &[],
        &[("next", OBJECT, 0), ("age", INT, 0), ("user", OBJECT, 0)],
    );
    dump
}
