//! What record batches hold, decompressed.

use std::io::Read;
use std::mem;
use std::ops::Range;
use std::sync::Mutex;

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::zstd_safe::{DCtx, get_frame_content_size};

use crate::lz4_frame::Frame;

const XERIAL: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Snappy cannot make more bytes than this of one; who says so would have us allocate them.
const MOST_OF_SNAPPY: usize = 32;

/// Room that decoders find, which is what the largest block of theirs takes that producers make.
const ROOM: usize = 128 << 10;

/// Memory of contents that are not needed any more. To give it back to the system and take it again
/// with every slice may cost as much as decoding.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
const MOST_SPARE: usize = 16 << 20;

/// Keep the memory of contents for those of another slice.
pub fn spare(bytes: Vec<u8>) {
    if bytes.capacity() > MOST_SPARE {
        return;
    }
    if let Ok(mut spare) = SPARE.try_lock() {
        *spare = bytes;
    }
}

/// The contents of record batches, one after another, fewer than `most` bytes.
pub struct Contents {
    /// The contents, and after `end` what may be overwritten.
    bytes: Vec<u8>,
    end: usize,
    most: usize,
    // Kept from one record batch to the next, as it has buffers of its own.
    zstd: Option<DCtx<'static>>,
}

impl Contents {
    pub fn new(most: usize) -> Self {
        Self {
            bytes: SPARE
                .try_lock()
                .map_or_else(|_| Vec::new(), |mut spare| mem::take(&mut *spare)),
            end: 0,
            most,
            zstd: None,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// The memory that begins with the contents.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Add what was compressed so, and say where it is.
    pub fn append(&mut self, compression: u8, compressed: &[u8]) -> Option<Range<usize>> {
        let begin = self.end;
        match compression {
            0 => self.append_plain(compressed)?,
            1 => self.read(&mut MultiGzDecoder::new(compressed))?,
            2 => self.append_snappy(compressed)?,
            3 => self.append_lz4(compressed)?,
            4 => self.append_zstd(compressed)?,
            _ => return None,
        }
        Some(begin..self.end)
    }

    fn append_plain(&mut self, content: &[u8]) -> Option<()> {
        self.room(content.len())?[..content.len()].copy_from_slice(content);
        self.end += content.len();
        Some(())
    }

    /// Add a frame of lz4, as the library that Python's decoder has reads it.
    fn append_lz4(&mut self, compressed: &[u8]) -> Option<()> {
        let begin = self.end;
        if self.append_lz4_blocks(compressed).is_some() {
            return Some(());
        }
        self.end = begin;
        let mut decoder = lz4::Decoder::new(compressed).ok()?;
        self.read(&mut decoder)?;
        let (rest, is_whole) = decoder.finish();
        (is_whole.is_ok() && rest.is_empty()).then_some(())
    }

    /// Add a frame as most producers make it, by its blocks alone: to prepare the library for a frame takes
    /// longer than a block of one record. None, and who knows what is added, where it is another one.
    fn append_lz4_blocks(&mut self, compressed: &[u8]) -> Option<()> {
        let mut frame = Frame::begin(compressed)?;
        while let Some(block) = frame.block()? {
            let room = self.room(frame.most)?;
            self.end += block.read(&mut room[..frame.most])?;
        }
        Some(())
    }

    /// Add a frame of zstd. Whether the library refuses one that has not the size that it says depends on the
    /// room that it is given, and on what follows.
    fn append_zstd(&mut self, compressed: &[u8]) -> Option<()> {
        let size = get_frame_content_size(compressed).ok()?;
        let mut context = self.zstd.take().or_else(DCtx::try_create)?;
        let begin = self.end;
        let mut decoder = ZstdDecoder::with_context(compressed, &mut context).single_frame();
        self.read(&mut decoder)?;
        let is_whole = decoder.finish().is_empty();
        self.zstd = Some(context);
        let has_size = size.is_none_or(|size| size == (self.end - begin) as u64);
        (is_whole && has_size).then_some(())
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
        let room = &mut self.room(length)?[..length];
        let made = snap::raw::Decoder::new().decompress(block, room);
        self.end += length;
        (made.ok()? == length).then_some(())
    }

    /// Add all that a decoder makes.
    fn read(&mut self, from: &mut impl Read) -> Option<()> {
        loop {
            match from.read(self.room(1)?) {
                Ok(0) => return Some(()),
                Ok(length) => self.end += length,
                Err(_) => return None,
            }
        }
    }

    /// Where to write what follows: at least so many bytes, if there may be so many.
    fn room(&mut self, least: usize) -> Option<&mut [u8]> {
        if least >= self.most - self.end {
            return None;
        }
        let wanted = self.most.min(self.end + least.max(ROOM));
        let held = self.bytes.len();
        if wanted > held {
            let size = self.most.min(wanted.max(2 * held));
            self.bytes.try_reserve_exact(size - held).ok()?;
            self.bytes.resize(size, 0);
        }
        let held = self.bytes.len().min(self.most);
        Some(&mut self.bytes[self.end..held])
    }
}
