//! The records of a record batch (<https://kafka.apache.org/documentation/#recordbatch>).

use std::ops::Range;

use crate::columns::{Columns, Span};

const HEADER: usize = 61;
const COMPRESSION: i16 = 0x07;
const BROKERS_TIME: i16 = 0x08;

/// Bytes that the shortest record takes.
const SHORTEST: usize = 7;

/// What the header of a record batch says that its records are read by.
pub struct Header {
    pub compression: u8,
    base_offset: i64,
    next_offset: i64,
    first_timestamp: i64,
    /// The timestamp of all of its records, where the broker has set it.
    timestamp: Option<i64>,
    records: usize,
}

impl Header {
    /// The header of a record batch, and what follows it.
    pub fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let (header, compressed) = data.split_first_chunk::<HEADER>()?;
        let base_offset = i64::from_be_bytes(field(header, 0));
        let attributes = i16::from_be_bytes(field(header, 21));
        let last_delta = i32::from_be_bytes(field(header, 23));
        let max_timestamp = i64::from_be_bytes(field(header, 35));
        let records = i32::from_be_bytes(field(header, 57));
        if records < 1 || i64::from(records) > i64::from(last_delta) + 1 {
            return None;
        }
        let header = Self {
            compression: (attributes & COMPRESSION) as u8,
            base_offset,
            next_offset: base_offset.checked_add(i64::from(last_delta) + 1)?,
            first_timestamp: i64::from_be_bytes(field(header, 27)),
            timestamp: (attributes & BROKERS_TIME != 0).then_some(max_timestamp),
            records: records as usize,
        };
        Some((header, compressed))
    }

    /// Add those of its records that are in [first, next) to columns; they are all that is at `content`.
    pub fn read(
        &self,
        bytes: &[u8],
        content: Range<usize>,
        first: i64,
        next: i64,
        columns: &mut Columns,
    ) -> Option<()> {
        if self.records > content.len() / SHORTEST {
            return None;
        }
        columns.reserve(self.records)?;
        let mut reader = Reader {
            bytes: bytes.get(..content.end)?,
            at: content.start,
        };
        for _ in 0..self.records {
            let length = usize::try_from(reader.varint()?).ok()?;
            let end = reader.at.checked_add(length)?;
            if reader.byte()? >= 0x80 {
                return None; // attributes, which are unused, in more than a byte
            }
            let timestamp = reader.varint()?;
            let timestamp = match self.timestamp {
                Some(timestamp) => timestamp,
                None => self.first_timestamp.checked_add(timestamp)?,
            };
            let offset = self.base_offset.checked_add(reader.varint()?)?;
            if !(self.base_offset..self.next_offset).contains(&offset) {
                return None;
            }
            let key = reader.span()?;
            let value = reader.span()?;
            let headers = usize::try_from(reader.varint()?).ok()?;
            let is_inside = (first..next).contains(&offset);
            for _ in 0..headers {
                let name = reader.span()?;
                std::str::from_utf8(name.bytes(bytes)?).ok()?;
                let value = reader.span()?;
                if is_inside {
                    columns.push_header(name, value)?;
                }
            }
            if reader.at != end {
                return None;
            }
            if is_inside {
                columns.push(offset, timestamp, key, value);
            }
        }
        (reader.at == content.end).then_some(())
    }
}

fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number of at most 64 bits, as records have it: seven a byte, the sign last.
    #[inline]
    fn varint(&mut self) -> Option<i64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                let is_whole = shift < 63 || byte < 2;
                return is_whole.then_some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        None
    }

    /// A field of bytes that its length precedes, -1 for none.
    #[inline]
    fn span(&mut self) -> Option<Span> {
        let length = self.varint()?;
        let begin = self.at;
        if length == -1 {
            return Some(Span::NONE);
        }
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        if end > self.bytes.len() {
            return None;
        }
        self.at = end;
        Span::new(begin, end)
    }
}
