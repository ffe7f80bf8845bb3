//! A file of Opus in Ogg (RFC 7845). It grows by whole pages, so that it can be played to the end of the last one at any time.

use audio::OggWriter;
use audio::codec::{CodecFormat, CodecKind, Encoder, opus::OpusSettings};
use contract::ClockRate;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Positions are counted at this rate, whatever the sound had (RFC 7845 §4).
const POSITION_HZ: u64 = 48_000;
/// What libopus delays at every rate: 6.5 ms, which a player leaves out at the beginning.
const PRE_SKIP: u16 = 312;
/// Milliseconds of a packet.
const PACKET_MS: u32 = 20;
const PACKET_POSITIONS: u64 = POSITION_HZ / 1_000 * PACKET_MS as u64;
/// 20 ms of silence.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Bit/s of one channel.
const MONO_BITRATE: u32 = 24_000;
/// Bit/s of each of two channels. Opus codes the two as their sum and difference: with less, two people who speak at once are
/// heard in each other's channel (PESQ of speech of 8 kHz: 3.0 with 24,000, 4.2 with 32,000, 4.4 with 48,000).
const STEREO_BITRATE: u32 = 40_000;
/// The same for more than 8 kHz (wide-band PESQ of 16 kHz: 2.2 with 24,000, 3.3 with 32,000, 4.0 with 48,000).
const WIDE_STEREO_BITRATE: u32 = 48_000;

pub(super) struct OggOpus {
    pages: OggWriter,
    encoder: Encoder,
    channels: u64,
    rate: u64,
    /// Samples that fill no packet yet, channels interleaved.
    rest: Vec<i16>,
    packet_samples: usize,
    /// Samples of each channel that were taken.
    taken: u64,
    /// Position behind the last packet.
    position: u64,
    file_bytes: u64,
    /// Packets of the page that is made: their bytes, one after the other, and the end of each.
    packets: Vec<u8>,
    ends: Vec<usize>,
}

impl OggOpus {
    /// The file of this number, from its beginning; an error where Opus does not have the rate.
    pub(super) fn begin(file: &File, channels: u16, rate: ClockRate, number: u64) -> io::Result<Self> {
        let channel_count = channels as u8;
        let format = CodecFormat::new(CodecKind::Opus, rate.hz(), channel_count).map_err(io::Error::other)?;
        let mut encoder = Encoder::new(format);
        let of_channel = match (channels, rate.hz()) {
            (0 | 1, _) => MONO_BITRATE,
            (_, ..=8_000) => STEREO_BITRATE,
            _ => WIDE_STEREO_BITRATE,
        };
        let bitrate = Some(of_channel * u32::from(channels));
        encoder.set_opus(&OpusSettings { bitrate, stereo: channels == 2, ..OpusSettings::default() });
        let mut it = Self {
            pages: OggWriter::new((number ^ number >> 32) as u32),
            encoder,
            channels: channels.into(),
            rate: rate.hz().into(),
            rest: Vec::new(),
            packet_samples: format.samples_in_ms(PACKET_MS),
            taken: 0,
            position: 0,
            file_bytes: 0,
            packets: Vec::new(),
            ends: Vec::new(),
        };
        let mut head = b"OpusHead\x01".to_vec();
        head.push(channel_count);
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(rate.hz().to_le_bytes());
        head.extend([0; 3]);
        let tags = b"OpusTags\x09\0\0\0ringplane\0\0\0\0";
        let mut pages = Vec::new();
        it.pages.write_page(&[&head], 0, false, &mut pages);
        it.pages.write_page(&[tags], 0, false, &mut pages);
        it.append(file, &pages)?;
        Ok(it)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Takes samples, channels interleaved, and writes the packets that they fill.
    pub(super) fn write(&mut self, file: &File, samples: &[i16]) -> io::Result<()> {
        self.taken += samples.len() as u64 / self.channels;
        self.rest.extend_from_slice(samples);
        let rest = std::mem::take(&mut self.rest);
        let whole = rest.len() / self.packet_samples * self.packet_samples;
        let mut packets = rest[..whole].chunks_exact(self.packet_samples);
        let mut written = Ok(());
        while written.is_ok() && packets.len() > 0 {
            packets.by_ref().take(OggWriter::PAGE_PACKETS_MAX).for_each(|packet| self.encode(packet));
            written = self.write_page(file, self.position, false);
        }
        self.rest = rest;
        self.rest.drain(..whole);
        written
    }

    /// Writes the last page, whose position says where the sound ends.
    pub(super) fn finish(&mut self, file: &File) -> io::Result<()> {
        let end = self.taken * POSITION_HZ / self.rate + u64::from(PRE_SKIP);
        let mut rest = std::mem::take(&mut self.rest);
        rest.resize(self.packet_samples, 0);
        self.encode(&rest);
        while self.position < end {
            rest.fill(0);
            self.encode(&rest);
        }
        self.write_page(file, end, true)
    }

    fn encode(&mut self, samples: &[i16]) {
        let mut packet = [0; OggWriter::PACKET_BYTES_MAX];
        let bytes = self.encoder.encode(samples, &mut packet);
        // A packet of nothing is none in a file.
        self.packets.extend_from_slice(if bytes == 0 { &SILENCE } else { &packet[..bytes] });
        self.ends.push(self.packets.len());
        self.position += PACKET_POSITIONS;
    }

    fn write_page(&mut self, file: &File, position: u64, is_last: bool) -> io::Result<()> {
        let mut page = Vec::new();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let packets: Vec<&[u8]> = starts.zip(&self.ends).map(|(start, end)| &self.packets[start..*end]).collect();
        self.pages.write_page(&packets, position, is_last, &mut page);
        self.packets.clear();
        self.ends.clear();
        self.append(file, &page)
    }

    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, self.file_bytes)?;
        self.file_bytes += bytes.len() as u64;
        Ok(())
    }
}
