//! Record batches as their headers describe them (<https://kafka.apache.org/documentation/#recordbatch>).

use std::iter::{from_fn, successors};
use std::ops::Range;

const HEADER: usize = 61;
const BEFORE_LENGTH: usize = 12; // bytes up to and including the length, which counts those after it
const MAGIC: usize = 16;
const CRC_FROM: usize = 21; // the checksum is of the attributes and all that follows
const COMPRESSION: i16 = 0x07;
const BROKERS_TIME: i16 = 0x08;
const CONTROL: i16 = 0x20;

/// Those that are whole, in order, from `begin` on.
pub fn record_batches(data: &[u8], begin: usize) -> impl Iterator<Item = RecordBatch<'_>> {
    successors(RecordBatch::at(data, begin), |batch| {
        RecordBatch::at(data, batch.end)
    })
}

/// Their magic, and the bytes that they have by their headers, whether all of these are there or not.
pub fn lengths(data: &[u8]) -> impl Iterator<Item = (u8, i64)> {
    let mut rest = data;
    from_fn(move || {
        let header = rest.first_chunk::<HEADER>()?;
        let length = i32::from_be_bytes(field(header, 8));
        let end = BEFORE_LENGTH.saturating_add(usize::try_from(length).unwrap_or(0));
        rest = rest.get(end..).unwrap_or(&[]);
        Some((header[MAGIC], BEFORE_LENGTH as i64 + i64::from(length)))
    })
}

/// A record batch that is whole.
pub struct RecordBatch<'a> {
    pub end: usize,
    pub base_offset: i64,
    /// Whatever the header says it is, even if it does not fit 64 bits.
    pub next_offset: i128,
    /// As many records as the header says, whatever that is.
    pub says: i32,
    bytes: &'a [u8],
    header: &'a [u8; HEADER],
}

impl<'a> RecordBatch<'a> {
    /// The one that begins at `begin`, if it is whole.
    pub fn at(data: &'a [u8], begin: usize) -> Option<Self> {
        let header = data.get(begin..)?.first_chunk::<HEADER>()?;
        let length = usize::try_from(i32::from_be_bytes(field(header, 8))).ok()?;
        let end = begin + BEFORE_LENGTH + length;
        if BEFORE_LENGTH + length < HEADER {
            return None;
        }
        let base_offset = i64::from_be_bytes(field(header, 0));
        let last_delta = i32::from_be_bytes(field(header, 23));
        Some(Self {
            end,
            base_offset,
            next_offset: i128::from(base_offset) + i128::from(last_delta) + 1,
            says: i32::from_be_bytes(field(header, 57)),
            bytes: data.get(begin..end)?,
            header,
        })
    }

    /// No more than there are offsets.
    pub fn records(&self) -> i64 {
        let offsets = self.next_offset - i128::from(self.base_offset);
        i128::from(self.says).min(offsets).max(0) as i64
    }

    /// Whether it has records of which some may be in the range.
    pub fn reaches_into(&self, range: &Range<i128>) -> bool {
        self.records() > 0
            && i128::from(self.base_offset) < range.end
            && range.start < self.next_offset
    }

    /// How many offsets in the range its records have, as far as the header tells.
    pub fn offsets(&self, range: &Range<i128>) -> i64 {
        let base = i128::from(self.base_offset);
        let end = range.end.min(base + i128::from(self.records()));
        (end - range.start.max(base)).max(0) as i64
    }

    pub fn content(&self) -> &'a [u8] {
        &self.bytes[HEADER..]
    }

    pub fn is_undamaged(&self) -> bool {
        crc32c::crc32c(&self.bytes[CRC_FROM..]) == u32::from_be_bytes(field(self.header, 17))
    }

    pub fn compression(&self) -> u8 {
        (self.attributes() & COMPRESSION) as u8
    }

    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    pub fn first_timestamp(&self) -> i64 {
        i64::from_be_bytes(field(self.header, 27))
    }

    /// The timestamp of all of its records, where the broker has set it.
    pub fn timestamp(&self) -> Option<i64> {
        let max_timestamp = i64::from_be_bytes(field(self.header, 35));
        (self.attributes() & BROKERS_TIME != 0).then_some(max_timestamp)
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(self.header, 21))
    }
}

fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}
