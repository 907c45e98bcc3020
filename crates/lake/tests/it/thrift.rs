//! Thrift's compact protocol as a tree of values, in which a footer or a page's header can be forged.

/// A value with its type as a field has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    /// A number of 16, 32 or 64 bits: 4, 5 or 6.
    Number(u8, i64),
    Bytes(Vec<u8>),
    /// The type of the elements, and these.
    List(u8, Vec<Self>),
    Struct(Vec<(i64, Self)>),
}

pub(crate) const I32: u8 = 5;
pub(crate) const I64: u8 = 6;
pub(crate) const BYTES: u8 = 8;
pub(crate) const STRUCT: u8 = 12;

pub(crate) fn text(text: &str) -> Value {
    Value::Bytes(text.into())
}

impl Value {
    /// Takes a struct off the front.
    pub(crate) fn read(bytes: &mut &[u8]) -> Self {
        let (mut fields, mut last) = (Vec::new(), 0);
        loop {
            let head = byte(bytes);
            if head == 0 {
                return Self::Struct(fields);
            }
            last = if head >> 4 == 0 { number(bytes) } else { last + i64::from(head >> 4) };
            fields.push((last, Self::of(head & 15, bytes)));
        }
    }

    fn of(kind: u8, bytes: &mut &[u8]) -> Self {
        match kind {
            1 | 2 => Self::Flag(kind == 1),
            4..=6 => Self::Number(kind, number(bytes)),
            BYTES => {
                let length = varint(bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                *bytes = rest;
                Self::Bytes(value.to_vec())
            }
            9 => {
                let head = byte(bytes);
                let count = if head >> 4 == 15 { varint(bytes) } else { u64::from(head >> 4) };
                Self::List(head & 15, (0..count).map(|_| Self::of(head & 15, bytes)).collect())
            }
            STRUCT => Self::read(bytes),
            _ => panic!("type {kind} is in no footer"),
        }
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        match self {
            Self::Flag(_) => Vec::new(),
            Self::Number(_, number) => varint_of(((number << 1) ^ (number >> 63)) as u64),
            Self::Bytes(bytes) => [varint_of(bytes.len() as u64), bytes.clone()].concat(),
            Self::List(kind, values) => {
                let (few, many) = (vec![(values.len() as u8) << 4 | kind], vec![0xf0 | kind]);
                let count = values.len() as u64;
                let head = if count < 15 { few } else { [many, varint_of(count)].concat() };
                values.iter().fold(head, |written, value| [written, value.written()].concat())
            }
            Self::Struct(fields) => Self::fields(fields),
        }
    }

    fn fields(fields: &[(i64, Self)]) -> Vec<u8> {
        let (mut written, mut last) = (Vec::new(), 0);
        for (id, value) in fields {
            written.push(((id - last) as u8) << 4 | value.kind());
            written.extend(value.written());
            last = *id;
        }
        written.push(0);
        written
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Flag(flag) => 2 - u8::from(*flag),
            Self::Number(kind, _) => *kind,
            Self::Bytes(_) => BYTES,
            Self::List(..) => 9,
            Self::Struct(_) => STRUCT,
        }
    }

    /// The field of this number.
    pub(crate) fn field(&mut self, id: i64) -> &mut Self {
        let Self::Struct(fields) = self else { panic!("no struct: {self:?}") };
        &mut fields.iter_mut().find(|(at, _)| *at == id).unwrap().1
    }

    /// Sets a field, which need not be there.
    pub(crate) fn put(&mut self, id: i64, value: Self) {
        self.remove(id);
        let Self::Struct(fields) = self else { panic!("no struct: {self:?}") };
        fields.push((id, value));
        fields.sort_by_key(|(id, _)| *id);
    }

    pub(crate) fn remove(&mut self, id: i64) {
        let Self::Struct(fields) = self else { panic!("no struct: {self:?}") };
        fields.retain(|(at, _)| *at != id);
    }

    pub(crate) fn list(&mut self) -> &mut Vec<Self> {
        let Self::List(_, values) = self else { panic!("no list: {self:?}") };
        values
    }

    pub(crate) fn number(&mut self) -> &mut i64 {
        let Self::Number(_, number) = self else { panic!("no number: {self:?}") };
        number
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let Self::Bytes(bytes) = self else { panic!("no bytes: {self:?}") };
        bytes
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Self> {
        let Self::Struct(fields) = self else { return None };
        Some(&fields.iter().find(|(at, _)| *at == id)?.1)
    }
}

fn byte(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().unwrap();
    *bytes = rest;
    *first
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let next = byte(bytes);
    if next < 0x80 { u64::from(next) } else { u64::from(next & 0x7f) | varint(bytes) << 7 }
}

fn number(bytes: &mut &[u8]) -> i64 {
    let number = varint(bytes);
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn varint_of(number: u64) -> Vec<u8> {
    if number < 0x80 { vec![number as u8] } else { [vec![number as u8 | 0x80], varint_of(number >> 7)].concat() }
}
