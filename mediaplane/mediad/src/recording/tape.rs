//! The file of one recording: a second of samples that are still open, and everything before them on disk.

use super::track::SAMPLES_PER_MS;
use contract::RecordingLayout;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Samples of the window: what is older is in the file.
const WINDOW: usize = 8_192;
/// How long a late packet is waited for.
const DELAY: u64 = 400 * SAMPLES_PER_MS;
/// So many samples are written at once.
const STEP: u64 = 320 * SAMPLES_PER_MS;
/// Bytes before the first sample.
pub(super) const HEADER_BYTES: u64 = 44;
/// Two channels of a point of time.
type Frame = [i16; 2];

const _: () = assert!(WINDOW.is_power_of_two() && DELAY + STEP < WINDOW as u64);

pub(super) struct Tape {
    layout: RecordingLayout,
    file: Option<File>,
    window: Box<[Frame]>,
    /// Samples that are in the file.
    written: u64,
    /// Behind the last sample that was placed.
    filled: u64,
    limit: u64,
}

impl Tape {
    /// Without a file yet, at most so many samples long.
    pub(super) fn new(layout: RecordingLayout, limit: u64) -> Self {
        Self { layout, file: None, window: vec![[0; 2]; WINDOW].into(), written: 0, filled: 0, limit }
    }

    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The file that it goes into, from its beginning.
    pub(super) fn set_file(&mut self, file: File) -> io::Result<()> {
        file.set_len(0)?;
        file.write_all_at(&header(self.layout, 0), 0)?;
        self.file = Some(file);
        Ok(())
    }

    /// Samples in the file.
    pub(super) fn sample_count(&self) -> u64 {
        self.written
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        if self.file.is_some() { HEADER_BYTES + self.written * frame_bytes(self.layout) } else { 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.written == self.limit
    }

    /// Puts sound into a channel. `false`: the file is past its place.
    pub(super) fn place(
        &mut self,
        channel: usize,
        start: i64,
        sound: impl ExactSizeIterator<Item = i16>,
        scratch: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let end = start.saturating_add(sound.len() as i64);
        let (Ok(end), written) = (u64::try_from(end), self.written as i64) else { return Ok(false) };
        if end <= self.written {
            return Ok(sound.len() == 0);
        }
        if end > self.written + WINDOW as u64 {
            self.write_to(end - WINDOW as u64, scratch)?;
            if end > self.written + WINDOW as u64 {
                return Ok(true); // at its limit, or still without a file
            }
        }
        for (sample, at) in sound.zip(start..) {
            if at >= written
                && at >= self.written as i64
                && let Some(frame) = self.window.get_mut(at as usize & (WINDOW - 1))
                && let Some(place) = frame.get_mut(channel)
            {
                *place = sample;
            }
        }
        self.filled = self.filled.max(end);
        Ok(true)
    }

    /// It is so late now: writes what no packet can change any more, when it is worth a write.
    pub(super) fn advance(&mut self, now: u64, scratch: &mut Vec<u8>) -> io::Result<()> {
        let until = now.saturating_sub(DELAY);
        if until >= self.written + STEP || until >= self.limit { self.write_to(until, scratch) } else { Ok(()) }
    }

    /// Writes the rest: up to `end`, and the last packet whole.
    pub(super) fn finish(&mut self, end: u64, scratch: &mut Vec<u8>) -> io::Result<()> {
        self.write_to(end.max(self.filled.min(end + 60 * SAMPLES_PER_MS)), scratch)
    }

    /// Sound first, then the header that counts it: whatever happens to us, the file is a sound one.
    fn write_to(&mut self, until: u64, scratch: &mut Vec<u8>) -> io::Result<()> {
        let (until, began_at) = (until.min(self.limit), self.written);
        let Some(file) = &self.file else { return Ok(()) };
        while self.written < until {
            let next = until.min(self.written + WINDOW as u64);
            scratch.clear();
            for at in self.written..next {
                let frame = std::mem::take(&mut self.window[at as usize & (WINDOW - 1)]);
                match self.layout {
                    RecordingLayout::Stereo => frame.iter().for_each(|sample| scratch.extend(sample.to_le_bytes())),
                    RecordingLayout::Mono => scratch.extend(frame[0].saturating_add(frame[1]).to_le_bytes()),
                }
            }
            file.write_all_at(scratch, HEADER_BYTES + self.written * frame_bytes(self.layout))?;
            self.written = next;
        }
        if self.written > began_at { file.write_all_at(&header(self.layout, self.written), 0) } else { Ok(()) }
    }
}

fn frame_bytes(layout: RecordingLayout) -> u64 {
    2 * u64::from(layout.channel_count())
}

/// RIFF WAVE, PCM of 16 bits at 8 kHz. Limits see to it that the sizes fit.
fn header(layout: RecordingLayout, sample_count: u64) -> [u8; HEADER_BYTES as usize] {
    let (channels, frame) = (layout.channel_count(), frame_bytes(layout));
    let data_bytes = u32::try_from(sample_count * frame).unwrap_or(u32::MAX - 36);
    let mut bytes = [0; HEADER_BYTES as usize];
    let rate = audio::SAMPLE_RATE;
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + 36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * frame as u32).to_le_bytes(),
        &(frame as u16).to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(layout: RecordingLayout, limit: u64) -> (Tape, File) {
        let file = tempfile::tempfile().unwrap();
        let mut tape = Tape::new(layout, limit);
        tape.set_file(file.try_clone().unwrap()).unwrap();
        (tape, file)
    }

    /// The frames of a file, by a reader that is not ours.
    fn read(file: &File) -> (u16, Vec<i16>) {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mut reader = hound::WavReader::new(&bytes[..]).expect("a sound file");
        assert_eq!((reader.spec().sample_rate, reader.spec().bits_per_sample), (8_000, 16));
        (reader.spec().channels, reader.samples().map(Result::unwrap).collect())
    }

    #[test]
    fn sound_lies_where_it_belongs_and_the_rest_is_silence() {
        let (mut tape, file) = tape(RecordingLayout::Stereo, 1_000_000);
        let mut scratch = Vec::new();
        for at in (0..40_000_i64).step_by(160).filter(|at| at % 800 != 0) {
            assert!(tape.place(0, at, (0..160).map(|n| 1 + n as i16), &mut scratch).unwrap());
            tape.advance(at as u64, &mut scratch).unwrap();
        }
        assert!(tape.place(1, 39_000, [7; 160].into_iter(), &mut scratch).unwrap());
        assert!(!tape.place(1, 100, [7; 160].into_iter(), &mut scratch).unwrap(), "the file is past it");
        assert!(!tape.place(1, -500, [7; 160].into_iter(), &mut scratch).unwrap());
        // What is on disk is a sound file at any time.
        let (channels, so_far) = read(&file);
        assert!(channels == 2 && so_far.len() > 2 * 30_000 && so_far.len() < 2 * 37_000, "{}", so_far.len());
        tape.finish(39_900, &mut scratch).unwrap();
        let (_, samples) = read(&file);
        assert_eq!(samples.len(), 2 * 40_000, "the last packet is whole");
        for (at, frame) in samples.chunks(2).enumerate() {
            let left = if (at / 160) % 5 == 0 { 0 } else { 1 + (at % 160) as i16 };
            let right = if (39_000..39_160).contains(&at) { 7 } else { 0 };
            assert_eq!(frame, [left, right], "{at}");
        }
        assert_eq!(tape.file_bytes(), 44 + 4 * 40_000);
    }

    #[test]
    fn mono_adds_up_and_a_limit_ends_it() {
        let (mut tape, file) = tape(RecordingLayout::Mono, 10_000);
        let mut scratch = Vec::new();
        tape.place(0, 0, [30_000; 100].into_iter(), &mut scratch).unwrap();
        tape.place(1, 50, [5_000; 100].into_iter(), &mut scratch).unwrap();
        tape.place(1, 50_000, [5_000; 100].into_iter(), &mut scratch).unwrap();
        tape.advance(60_000, &mut scratch).unwrap();
        assert!(tape.is_full());
        let (channels, samples) = read(&file);
        assert_eq!((channels, samples.len()), (1, 10_000));
        assert_eq!([samples[0], samples[70], samples[120], samples[160]], [30_000, i16::MAX, 5_000, 0]);
    }

    #[test]
    fn a_file_that_takes_no_more_says_so_and_stays_sound() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
        let memory = memfd_create("small", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        let file = File::from(memory);
        let mut tape = Tape::new(RecordingLayout::Stereo, 1_000_000);
        tape.set_file(file.try_clone().unwrap()).unwrap();
        ftruncate(&file, 20_000).unwrap();
        fcntl_add_seals(&file, SealFlags::GROW).unwrap();
        let mut scratch = Vec::new();
        let error = (0..10).find_map(|n| tape.advance(n * 4_000, &mut scratch).err()).expect("it is full");
        assert!(error.raw_os_error().is_some(), "{error}");
        let mut header = [0; 44];
        file.read_exact_at(&mut header, 0).unwrap();
        let data = u32::from_le_bytes(header[40..].try_into().unwrap());
        assert!(data > 0 && data + 44 <= 20_000 && u64::from(data) == 4 * tape.sample_count(), "{data}");
    }
}
