//! The records of a record batch (<https://kafka.apache.org/documentation/#recordbatch>).

use std::ops::Range;

use crate::batches::RecordBatch;
use crate::columns::{Columns, Span};

/// Bytes that the shortest record takes.
const SHORTEST: usize = 7;

/// Add those records of a record batch that are in the range to columns; they are all that is at `content`.
pub fn read(
    batch: &RecordBatch,
    bytes: &[u8],
    content: Range<usize>,
    range: &Range<i128>,
    columns: &mut Columns,
) -> Option<()> {
    let records = usize::try_from(batch.records()).ok()?;
    if batch.says != records as i32 || records > content.len() / SHORTEST {
        return None;
    }
    let next_offset = i64::try_from(batch.next_offset).ok()?;
    let (first_timestamp, brokers_time) = (batch.first_timestamp(), batch.timestamp());
    columns.reserve(records)?;
    let mut reader = Reader {
        bytes: bytes.get(..content.end)?,
        at: content.start,
    };
    for _ in 0..records {
        let length = usize::try_from(reader.varint()?).ok()?;
        let end = reader.at.checked_add(length)?;
        if reader.byte()? >= 0x80 {
            return None; // attributes, which are unused, in more than a byte
        }
        let timestamp = reader.varint()?;
        let timestamp = match brokers_time {
            Some(timestamp) => timestamp,
            None => first_timestamp.checked_add(timestamp)?,
        };
        let offset = batch.base_offset.checked_add(reader.varint()?)?;
        if !(batch.base_offset..next_offset).contains(&offset) {
            return None;
        }
        let key = reader.span()?;
        let value = reader.span()?;
        let headers = usize::try_from(reader.varint()?).ok()?;
        let is_inside = range.contains(&offset.into());
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
