//! The wire format of protocol buffers, written.

/// Fields of one message, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    /// Room for packed numbers, whose length comes before them.
    packed: Vec<u8>,
}

impl Fields {
    /// A number; left out when it is 0, which is what a reader takes it for then.
    pub(crate) fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            put(&mut self.bytes, field << 3);
            put(&mut self.bytes, number);
        }
    }

    /// Numbers of a repeated field.
    pub(crate) fn numbers(&mut self, field: u64, numbers: impl Iterator<Item = u64>) {
        self.packed.clear();
        for number in numbers {
            put(&mut self.packed, number);
        }
        if !self.packed.is_empty() {
            put(&mut self.bytes, (field << 3) | 2);
            put(&mut self.bytes, self.packed.len() as u64);
            self.bytes.extend_from_slice(&self.packed);
        }
    }

    /// A text.
    pub(crate) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        put(&mut self.bytes, (field << 3) | 2);
        put(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the fields of `message`, and empties it for the next.
    pub(crate) fn message(&mut self, field: u64, message: &mut Self) {
        self.bytes(field, &message.bytes);
        message.bytes.clear();
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[inline]
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
