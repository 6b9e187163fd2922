//! What record batches hold, decompressed.

use std::io::{Chain, Read};
use std::mem;
use std::ops::Range;
use std::sync::Mutex;

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::DCtx;

const XERIAL: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Snappy cannot make more bytes than this of one; who says so would have us allocate them.
const MOST_OF_SNAPPY: usize = 32;

/// Lz4's frames of before they had a header, which nobody but this library reads.
const LEGACY_LZ4: [u8; 4] = [0x02, 0x21, 0x4C, 0x18];

/// What follows a frame of lz4, so that it shows whether more was read: of one without its end, which would be
/// taken for whole.
const PAST_END: &[u8] = &[0; 4];

/// Memory of contents that are not needed any more. To give it back to the system and take it again
/// with every slice may cost as much as decoding.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
const MOST_SPARE: usize = 16 << 20;

/// Keep the memory of contents for those of another slice.
pub fn spare(mut bytes: Vec<u8>) {
    if bytes.capacity() > MOST_SPARE {
        return;
    }
    if let Ok(mut spare) = SPARE.try_lock() {
        bytes.clear();
        *spare = bytes;
    }
}

/// The contents of record batches, one after another, at most `most` bytes.
pub struct Contents<'a> {
    bytes: Vec<u8>,
    most: usize,
    // Kept from one record batch to the next, as they have buffers of their own.
    lz4: FrameDecoder<Chain<&'a [u8], &'static [u8]>>,
    zstd: Option<DCtx<'static>>,
    snappy: snap::raw::Decoder,
}

impl<'a> Contents<'a> {
    pub fn new(most: usize) -> Self {
        Self {
            bytes: SPARE
                .try_lock()
                .map_or_else(|_| Vec::new(), |mut spare| mem::take(&mut *spare)),
            most,
            lz4: FrameDecoder::new(Read::chain(&[], PAST_END)),
            zstd: None,
            snappy: snap::raw::Decoder::new(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Add what was compressed so, and say where it is.
    pub fn append(&mut self, compression: u8, compressed: &'a [u8]) -> Option<Range<usize>> {
        let begin = self.bytes.len();
        match compression {
            0 => {
                self.reserve(compressed.len())?;
                self.bytes.extend_from_slice(compressed);
            }
            1 => self.read(MultiGzDecoder::new(compressed))?,
            2 => self.append_snappy(compressed)?,
            3 => self.append_lz4(compressed)?,
            4 => self.append_zstd(compressed)?,
            _ => return None,
        }
        Some(begin..self.bytes.len())
    }

    fn append_lz4(&mut self, compressed: &'a [u8]) -> Option<()> {
        if compressed.starts_with(&LEGACY_LZ4) {
            return None;
        }
        *self.lz4.get_mut() = compressed.chain(PAST_END);
        let room = self.room();
        (&mut self.lz4)
            .take(room + 1)
            .read_to_end(&mut self.bytes)
            .ok()?;
        let (rest, past_end) = self.lz4.get_ref().get_ref();
        let is_whole = rest.is_empty() && past_end.len() == PAST_END.len();
        (is_whole && self.bytes.len() <= self.most).then_some(())
    }

    fn append_zstd(&mut self, compressed: &[u8]) -> Option<()> {
        let mut context = self.zstd.take().or_else(DCtx::try_create)?;
        self.read(Decoder::with_context(compressed, &mut context))?;
        self.zstd = Some(context);
        Some(())
    }

    fn append_snappy(&mut self, compressed: &[u8]) -> Option<()> {
        let Some(mut rest) = compressed.strip_prefix(&XERIAL) else {
            return self.append_snappy_block(compressed);
        };
        while !rest.is_empty() {
            let (length, blocks) = rest.split_first_chunk()?;
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            self.append_snappy_block(blocks.get(..length)?)?;
            rest = &blocks[length..];
        }
        Some(())
    }

    fn append_snappy_block(&mut self, block: &[u8]) -> Option<()> {
        let length = snap::raw::decompress_len(block).ok()?;
        if length / MOST_OF_SNAPPY > block.len() {
            return None;
        }
        self.reserve(length)?;
        let begin = self.bytes.len();
        self.bytes.resize(begin + length, 0);
        let made = self.snappy.decompress(block, &mut self.bytes[begin..]);
        (made.ok()? == length).then_some(())
    }

    fn read(&mut self, from: impl Read) -> Option<()> {
        let room = self.room();
        from.take(room + 1).read_to_end(&mut self.bytes).ok()?;
        (self.bytes.len() <= self.most).then_some(())
    }

    fn room(&self) -> u64 {
        (self.most - self.bytes.len()) as u64
    }

    fn reserve(&mut self, length: usize) -> Option<()> {
        (length as u64 <= self.room()).then_some(())?;
        self.bytes.try_reserve(length).ok()
    }
}
