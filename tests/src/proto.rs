//! Protocol buffers read by the wire format alone, without any code that the daemon uses.

/// One field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Wire {
    /// Wire type 0.
    Number(u64),
    /// Wire type 1.
    Eight([u8; 8]),
    /// Wire type 2: text, bytes or a message.
    Bytes(Vec<u8>),
    /// Wire type 5.
    Four([u8; 4]),
}

/// A message: its fields in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Proto(pub Vec<(u32, Wire)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first().expect("a number that ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn cut<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("a value that is there");
    *bytes = rest;
    *head
}

impl Proto {
    /// Reads a message; panics at what is none.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Wire::Number(varint(&mut bytes)),
                1 => Wire::Eight(cut(&mut bytes)),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Wire::Bytes(value.to_vec())
                }
                5 => Wire::Four(cut(&mut bytes)),
                other => panic!("wire type {other}"),
            };
            fields.push((u32::try_from(key >> 3).unwrap(), value));
        }
        Self(fields)
    }

    /// The value of a field; 0 where it is not there.
    pub fn number(&self, field: u32) -> u64 {
        match self.0.iter().find(|(number, _)| *number == field) {
            None => 0,
            Some((_, Wire::Number(value))) => *value,
            Some((_, other)) => panic!("{field} is {other:?}"),
        }
    }

    /// The bytes of a field; none where it is not there.
    pub fn bytes(&self, field: u32) -> Vec<u8> {
        self.all(field).into_iter().next().unwrap_or_default()
    }

    /// The bytes of all fields with this number.
    pub fn all(&self, field: u32) -> Vec<Vec<u8>> {
        let fitting = self.0.iter().filter(|(number, _)| *number == field);
        fitting
            .map(|(_, value)| match value {
                Wire::Bytes(bytes) => bytes.clone(),
                other => panic!("{field} is {other:?}"),
            })
            .collect()
    }

    /// The text of a field.
    pub fn text(&self, field: u32) -> String {
        String::from_utf8(self.bytes(field)).unwrap()
    }

    /// The message in a field.
    pub fn message(&self, field: u32) -> Self {
        Self::read(&self.bytes(field))
    }

    /// The `float` in a field; 0 where it is not there.
    pub fn float(&self, field: u32) -> f32 {
        match self.0.iter().find(|(number, _)| *number == field) {
            None => 0.0,
            Some((_, Wire::Four(bytes))) => f32::from_le_bytes(*bytes),
            Some((_, other)) => panic!("{field} is {other:?}"),
        }
    }

    /// A message of fields: numbers as varints, bytes with their length.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, value) in &self.0 {
            let key = |kind: u64| u64::from(*field) << 3 | kind;
            match value {
                Wire::Number(number) => {
                    put(&mut out, key(0));
                    put(&mut out, *number);
                }
                Wire::Eight(bytes) => {
                    put(&mut out, key(1));
                    out.extend(bytes);
                }
                Wire::Bytes(bytes) => {
                    put(&mut out, key(2));
                    put(&mut out, bytes.len() as u64);
                    out.extend(bytes);
                }
                Wire::Four(bytes) => {
                    put(&mut out, key(5));
                    out.extend(bytes);
                }
            }
        }
        out
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}
