//! Ogg pages (RFC 3533): the packets of the first stream of a file, and the pages of a new one.

/// Bytes of a page before its table of segments.
const HEAD_BYTES: usize = 27;
/// A packet is longer than anything that Vorbis or Opus have to say.
const PACKET_BYTES_MAX: usize = 1 << 20;
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Why Ogg cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum OggError {
    #[error("a page is broken")]
    Page,
    #[error("a page has another checksum than it says")]
    Checksum,
    #[error("a packet is longer than {PACKET_BYTES_MAX} bytes")]
    Packet,
}

/// A packet of the first stream.
#[derive(Debug)]
pub(crate) struct OggPacket {
    pub(crate) data: Vec<u8>,
    /// The position that its page tells, where it is the last one that ends there.
    pub(crate) granule: Option<u64>,
    pub(crate) ends_stream: bool,
}

/// The packets of the first stream in a file, until that ends.
pub(crate) struct OggPackets<'a> {
    rest: &'a [u8],
    serial: Option<u32>,
    page: Page<'a>,
    /// The begin of a packet that goes on in the next page.
    begun: Vec<u8>,
    is_over: bool,
}

#[derive(Default)]
struct Page<'a> {
    segments: &'a [u8],
    body: &'a [u8],
    granule: u64,
    flags: u8,
}

impl<'a> OggPackets<'a> {
    pub(crate) fn new(file: &'a [u8]) -> Self {
        Self { rest: file, serial: None, page: Page::default(), begun: Vec::new(), is_over: false }
    }

    /// The next packet that ends in the page at hand.
    fn next_in_page(&mut self) -> Result<Option<OggPacket>, OggError> {
        while let Some((length, segments)) = self.page.segments.split_first() {
            let (part, body) = self.page.body.split_at(usize::from(*length));
            (self.page.segments, self.page.body) = (segments, body);
            self.begun.extend_from_slice(part);
            if self.begun.len() > PACKET_BYTES_MAX {
                return Err(OggError::Packet);
            }
            if *length < 255 {
                let is_last = segments.iter().all(|length| *length == 255);
                let granule = (is_last && self.page.granule != u64::MAX).then_some(self.page.granule);
                let ends_stream = segments.is_empty() && self.page.flags & LAST != 0;
                return Ok(Some(OggPacket { data: std::mem::take(&mut self.begun), granule, ends_stream }));
            }
        }
        Ok(None)
    }

    /// Takes the next page of the stream; `false` at its end.
    fn turn_page(&mut self) -> Result<bool, OggError> {
        loop {
            if self.rest.is_empty() || self.page.flags & LAST != 0 {
                return Ok(false);
            }
            let (bytes, rest) = split_page(self.rest).ok_or(OggError::Page)?;
            self.rest = rest;
            let number = |at: usize, count: usize| {
                bytes[at..at + count].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
            };
            let (flags, serial) = (bytes[5], number(14, 4) as u32);
            if checksum(bytes) != number(22, 4) as u32 {
                return Err(OggError::Checksum);
            }
            if *self.serial.get_or_insert(serial) != serial {
                continue;
            }
            let (segments, body) = bytes[HEAD_BYTES..].split_at(usize::from(bytes[26]));
            if flags & CONTINUED == 0 {
                self.begun.clear();
            }
            self.page = Page { segments, body, granule: number(6, 8), flags };
            return Ok(true);
        }
    }
}

impl Iterator for OggPackets<'_> {
    type Item = Result<OggPacket, OggError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.next_in_page() {
                Ok(Some(packet)) => return Some(Ok(packet)),
                Ok(None) => match self.turn_page() {
                    Ok(is_there) => self.is_over = !is_there,
                    Err(error) => {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                },
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The page at the beginning, and what follows it.
fn split_page(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = bytes.get(..HEAD_BYTES).filter(|head| head.starts_with(b"OggS\0"))?;
    let segments = bytes.get(HEAD_BYTES..HEAD_BYTES + usize::from(head[26]))?;
    let body: usize = segments.iter().map(|length| usize::from(*length)).sum();
    bytes.split_at_checked(HEAD_BYTES + segments.len() + body)
}

const CRC_TABLE: [u32; 256] = {
    let (mut table, mut index) = ([0; 256], 0);
    while index < 256 {
        let (mut value, mut bit) = ((index as u32) << 24, 0);
        while bit < 8 {
            value = if value >> 31 == 1 { value << 1 ^ 0x04c1_1db7 } else { value << 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// Over the whole page, with zeros in place of the checksum (RFC 3533 §6).
fn checksum(page: &[u8]) -> u32 {
    page.iter().enumerate().fold(0, |crc, (at, byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        crc << 8 ^ CRC_TABLE[(crc >> 24 ^ u32::from(byte)) as usize & 0xff]
    })
}

/// Writes the pages of a file with one stream. A file that ends behind any page is whole up to there.
#[derive(Clone, Debug)]
pub struct OggWriter {
    serial: u32,
    page_count: u32,
}

/// Most packets that [`OggWriter::write_page`] takes, each of at most [`OggWriter::PACKET_BYTES_MAX`] bytes.
const PAGE_PACKETS_MAX: usize = 50;

impl OggWriter {
    /// Most packets of a page.
    pub const PAGE_PACKETS_MAX: usize = PAGE_PACKETS_MAX;
    /// Longest packet that is written: 50 of them have room in the table of a page.
    pub const PACKET_BYTES_MAX: usize = 1_274;

    /// For a stream of this number, any.
    pub fn new(serial: u32) -> Self {
        Self { serial, page_count: 0 }
    }

    /// Appends a page with whole packets to `file`. `granule` is the position behind its last packet.
    ///
    /// # Panics
    /// With more or longer packets than a page takes.
    pub fn write_page(&mut self, packets: &[&[u8]], granule: u64, is_last: bool, file: &mut Vec<u8>) {
        assert!(packets.len() <= PAGE_PACKETS_MAX && packets.iter().all(|it| it.len() <= Self::PACKET_BYTES_MAX));
        let start = file.len();
        file.extend_from_slice(b"OggS\0");
        file.push(if self.page_count == 0 { FIRST } else { 0 } | if is_last { LAST } else { 0 });
        file.extend_from_slice(&granule.to_le_bytes());
        file.extend_from_slice(&self.serial.to_le_bytes());
        file.extend_from_slice(&self.page_count.to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        let segments: usize = packets.iter().map(|packet| packet.len() / 255 + 1).sum();
        file.push(segments as u8);
        for packet in packets {
            file.extend(std::iter::repeat_n(255, packet.len() / 255));
            file.push((packet.len() % 255) as u8);
        }
        packets.iter().for_each(|packet| file.extend_from_slice(packet));
        seal(&mut file[start..]);
        self.page_count += 1;
    }
}

/// Puts the checksum into a page.
pub(crate) fn seal(page: &mut [u8]) {
    let sum = checksum(page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
}

/// The length of the page at the beginning, if it is a whole one.
#[cfg(test)]
pub(crate) fn page_bytes(bytes: &[u8]) -> Option<usize> {
    split_page(bytes).map(|(page, _)| page.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were_written() {
        let (mut file, mut writer) = (Vec::new(), OggWriter::new(7));
        let packets: Vec<Vec<u8>> = [0, 1, 254, 255, 256, 510, 1_274].map(|bytes| vec![bytes as u8; bytes]).into();
        let parts: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        writer.write_page(&parts[..3], 960, false, &mut file);
        writer.write_page(&parts[3..], 1_920, true, &mut file);
        let read: Vec<OggPacket> = OggPackets::new(&file).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|packet| &packet.data).collect::<Vec<_>>(), packets.iter().collect::<Vec<_>>());
        assert_eq!(
            read.iter().map(|packet| packet.granule).collect::<Vec<_>>()[2..],
            [Some(960), None, None, None, Some(1_920)]
        );
        assert!(read[6].ends_stream && !read[5].ends_stream);
        file[40] ^= 1;
        assert_eq!(OggPackets::new(&file).next().unwrap().unwrap_err(), OggError::Checksum);
        assert_eq!(OggPackets::new(&file[..60]).next().unwrap().unwrap_err(), OggError::Page);
    }
}
