//! Recordings for tests, made by hand: types, pools and events as a JVM writes them.

/// A type: id, name, fields.
pub(super) type TypeOf<'t> = (i64, &'t str, &'t [FieldOf<'t>]);
/// A field: name, type, whether a key stands for it, whether it is an array.
pub(super) type FieldOf<'t> = (&'t str, i64, bool, bool);

pub(super) const LONG: i64 = 10;
pub(super) const INT: i64 = 11;
pub(super) const BOOLEAN: i64 = 12;
pub(super) const TEXT: i64 = 13;
pub(super) const CLASS: i64 = 20;
pub(super) const SYMBOL: i64 = 21;
pub(super) const OBJECT: i64 = 22;
pub(super) const REFERENCE: i64 = 23;
pub(super) const FIELD: i64 = 24;
pub(super) const ROOT: i64 = 25;
pub(super) const METHOD: i64 = 26;
pub(super) const FRAME: i64 = 27;
pub(super) const STACK: i64 = 28;
pub(super) const OLD_OBJECT: i64 = 100;

/// The types that an old object leads to, as in JDK 25, with what is not read of them left out.
pub(super) const TYPES: [TypeOf<'static>; 14] = [
    (LONG, "long", &[]),
    (INT, "int", &[]),
    (BOOLEAN, "boolean", &[]),
    (TEXT, "java.lang.String", &[]),
    (CLASS, "java.lang.Class", &[("name", SYMBOL, true, false)]),
    (SYMBOL, "jdk.types.Symbol", &[("string", TEXT, false, false)]),
    (
        OBJECT,
        "jdk.types.OldObject",
        &[
            ("address", LONG, false, false),
            ("type", CLASS, true, false),
            ("description", TEXT, false, false),
            ("referrer", REFERENCE, true, false),
        ],
    ),
    (
        REFERENCE,
        "jdk.types.Reference",
        &[("field", FIELD, true, false), ("object", OBJECT, true, false), ("skip", INT, false, false)],
    ),
    (FIELD, "jdk.types.OldObjectField", &[("name", TEXT, false, false)]),
    (ROOT, "jdk.types.OldObjectGcRoot", &[("system", TEXT, false, false), ("type", TEXT, false, false)]),
    (METHOD, "jdk.types.Method", &[("type", CLASS, true, false), ("name", SYMBOL, true, false)]),
    (FRAME, "jdk.types.StackFrame", &[("method", METHOD, true, false), ("lineNumber", INT, false, false)]),
    (STACK, "jdk.types.StackTrace", &[("truncated", BOOLEAN, false, false), ("frames", FRAME, false, true)]),
    (
        OLD_OBJECT,
        "jdk.OldObjectSample",
        &[
            ("startTime", LONG, false, false),
            ("stackTrace", STACK, true, false),
            ("allocationTime", LONG, false, false),
            ("objectSize", LONG, false, false),
            ("object", OBJECT, true, false),
            ("root", ROOT, true, false),
        ],
    ),
];

/// A value in the making.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    is_compressed: bool,
}

impl Writer {
    fn number(mut self, number: u64, width: usize) -> Self {
        if !self.is_compressed {
            self.bytes.extend(&number.to_be_bytes()[8 - width..]);
            return self;
        }
        let mut rest = number;
        for _ in 0..8 {
            if rest < 0x80 {
                break;
            }
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    pub(super) fn long(self, number: i64) -> Self {
        self.number(number as u64, 8)
    }

    pub(super) fn int(self, number: i32) -> Self {
        self.number(u64::from(number as u32), 4)
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        let mut with_length = self.byte(3).int(text.len() as i32);
        with_length.bytes.extend(text.as_bytes());
        with_length
    }
}

/// A chunk in the making.
#[derive(Clone, Debug)]
pub(super) struct ChunkBuilder {
    is_compressed: bool,
    events: Vec<u8>,
    /// Pools of the checkpoint to come: type, number of values, keys with values.
    pools: Vec<(i64, i32, Vec<u8>)>,
    /// Texts and elements of the metadata.
    strings: Vec<String>,
    classes: Vec<u8>,
    n_classes: i32,
    /// In place of the true number of texts.
    pub(super) claimed_strings: Option<i32>,
}

impl ChunkBuilder {
    pub(super) fn new(is_compressed: bool, types: &[TypeOf<'_>]) -> Self {
        let mut chunk = Self {
            is_compressed,
            events: Vec::new(),
            pools: Vec::new(),
            strings: Vec::new(),
            classes: Vec::new(),
            n_classes: 0,
            claimed_strings: None,
        };
        for of in types {
            chunk.class(of);
        }
        chunk
    }

    pub(super) fn value(&self) -> Writer {
        Writer { bytes: Vec::new(), is_compressed: self.is_compressed }
    }

    fn string(&mut self, text: &str) -> i32 {
        let known = self.strings.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        }) as i32
    }

    fn element(&mut self, name: &str, attributes: &[(&str, String)], n_children: i32) {
        let name = self.string(name);
        let mut element = self.value().int(name).int(attributes.len() as i32);
        for (key, value) in attributes {
            let (key, value) = (self.string(key), self.string(value));
            element = element.int(key).int(value);
        }
        self.classes.extend(element.int(n_children).bytes);
    }

    fn class(&mut self, (id, name, fields): &TypeOf<'_>) {
        let attributes = [("name", (*name).to_owned()), ("id", id.to_string())];
        self.element("class", &attributes, fields.len() as i32);
        for (name, of, is_pooled, is_array) in *fields {
            let mut attributes = vec![("name", (*name).to_owned()), ("class", of.to_string())];
            attributes.extend(is_pooled.then(|| ("constantPool", "true".to_owned())));
            attributes.extend(is_array.then(|| ("dimension", "1".to_owned())));
            self.element("field", &attributes, 0);
        }
        self.n_classes += 1;
    }

    /// Adds a value to the pool of its type.
    pub(super) fn pooled(&mut self, of: i64, key: i64, value: Writer) {
        let keyed = [self.value().long(key).bytes, value.bytes].concat();
        self.pools.push((of, 1, keyed));
    }

    /// Adds a pool that claims to have so many values.
    pub(super) fn pool(&mut self, of: i64, n: i32, values: Writer) {
        self.pools.push((of, n, values.bytes));
    }

    pub(super) fn event(&mut self, of: i64, fields: Writer) {
        let body = [self.value().long(of).bytes, fields.bytes].concat();
        // The size counts itself: in its full width, as a JVM pads it.
        let size = body.len() as u32 + 4;
        if self.is_compressed {
            self.events
                .extend((0..4).map(|group| (size >> (7 * group)) as u8 & 0x7f | if group < 3 { 0x80 } else { 0 }));
        } else {
            self.events.extend(size.to_be_bytes());
        }
        self.events.extend(body);
    }

    /// Adds a class, by the key of its name too.
    pub(super) fn add_class(&mut self, key: i64, name: &str) {
        self.pooled(SYMBOL, key, self.value().text(name));
        self.pooled(CLASS, key, self.value().long(key));
    }

    /// Adds an object that a reference of this key holds.
    pub(super) fn add_object(&mut self, key: i64, class: i64, referrer: i64) {
        self.pooled(OBJECT, key, self.value().long(key * 8).long(class).byte(0).long(referrer));
    }

    /// Adds the event of an object that was allocated at `allocated`.
    pub(super) fn add_sample(&mut self, allocated: i64, object: i64, stack: i64, root: i64) {
        let fields = self.value().long(2_000).long(stack).long(allocated).long(48).long(object).long(root);
        self.event(OLD_OBJECT, fields);
    }

    /// The chunk, with its pools in one checkpoint and its types at the end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut checkpoint = self.value().long(0).long(0).long(0).byte(0).int(self.pools.len() as i32);
        for (of, n, values) in std::mem::take(&mut self.pools) {
            checkpoint = checkpoint.long(of).int(n);
            checkpoint.bytes.extend(values);
        }
        self.event(1, checkpoint);
        let root = self.string("root");
        let n_strings = self.claimed_strings.unwrap_or(self.strings.len() as i32);
        let mut metadata = self.value().long(0).long(0).long(1).int(n_strings);
        for text in &self.strings {
            metadata = metadata.text(text);
        }
        let mut metadata = metadata.int(root).int(0).int(self.n_classes);
        metadata.bytes.extend(&self.classes);
        self.event(0, metadata);
        header(self.events.len() as u64 + 68, self.is_compressed).into_iter().chain(self.events).collect()
    }
}

/// The header of a finished chunk of so many bytes; a tick is a nanosecond, the first at 1000.
pub(super) fn header(size: u64, is_compressed: bool) -> Vec<u8> {
    let mut header = b"FLR\0\0\x02\0\x01".to_vec();
    for number in [size, 0, 0, 1_000_000, 5_000, 1_000, 1_000_000_000] {
        header.extend(number.to_be_bytes());
    }
    header.extend([0, 0, 0, u8::from(is_compressed)]);
    header
}
