//! Frames of lz4 as producers of Kafka make them, of blocks that do not depend on each other
//! (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>).

use twox_hash::XxHash32;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const INDEPENDENT_BLOCKS: u8 = 0x60; // of version 1, and nothing else
const CHECKSUMS: u8 = 0x10; // one after each block
const PLAIN: u32 = 1 << 31;

/// What there is of a frame after the blocks that were taken.
pub struct Frame<'a> {
    rest: &'a [u8],
    has_checksums: bool,
    /// The bytes that a block may have once it is decompressed.
    pub most: usize,
}

impl<'a> Frame<'a> {
    /// The frame that `bytes` begin with. None where it is another one.
    pub fn begin(bytes: &'a [u8]) -> Option<Self> {
        let (&[flags, size, checksum], rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let is_known =
            flags & !CHECKSUMS == INDEPENDENT_BLOCKS && matches!(size, 0x40 | 0x50 | 0x60 | 0x70);
        (is_known && checksum == (hash(&[flags, size]) >> 8) as u8).then_some(Self {
            rest,
            has_checksums: flags & CHECKSUMS != 0,
            most: 1 << (8 + 2 * (size >> 4)),
        })
    }

    /// The next block; Some(None) where the frame ends, and nothing follows it.
    pub fn block(&mut self) -> Option<Option<Block<'a>>> {
        let size = self.number()?;
        if size == 0 {
            return self.rest.is_empty().then_some(None);
        }
        let length = (size & !PLAIN) as usize;
        if length == 0 || length > self.most {
            return None;
        }
        let (content, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        if self.has_checksums && self.number()? != hash(content) {
            return None;
        }
        Some(Some(Block {
            is_plain: size & PLAIN != 0,
            content,
        }))
    }

    fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*bytes))
    }
}

pub struct Block<'a> {
    is_plain: bool,
    content: &'a [u8],
}

impl Block<'_> {
    /// Write what it holds to the room that the largest block of its frame takes, and say how much that is.
    pub fn read(&self, room: &mut [u8]) -> Option<usize> {
        if self.is_plain {
            room.get_mut(..self.content.len())?
                .copy_from_slice(self.content);
            return Some(self.content.len());
        }
        let most = i32::try_from(room.len()).ok()?;
        lz4::block::decompress_to_buffer(self.content, Some(most), room).ok()
    }
}

fn hash(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}
