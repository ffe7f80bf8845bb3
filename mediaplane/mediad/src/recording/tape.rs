//! The file of one recording: a second of samples that are still open, and everything before them on disk.

use super::ogg_opus::OggOpus;
use clock::Duration;
use contract::{ClockRate, RecordingFormat, RecordingLayout, RecordingShape};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is held at least: what is older is in the file.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a late packet is waited for.
const DELAY: Duration = Duration::from_millis(400);
/// So much is written at once.
const STEP: Duration = Duration::from_millis(320);
/// The longest last packet that is written whole.
const LAST_PACKET: Duration = Duration::from_millis(60);
/// Bytes before the first sample.
pub(super) const HEADER_BYTES: u64 = 44;
/// Most bytes of samples: the header counts them, and those of itself but the first 8, in 32 bits.
const DATA_BYTES_MAX: u64 = u32::MAX as u64 - (HEADER_BYTES - 8);
/// Two channels of a point of time.
type Frame = [i16; 2];

const _: () = assert!(DELAY.as_millis() + STEP.as_millis() < WINDOW.as_millis());

pub(super) struct Tape {
    layout: RecordingLayout,
    format: RecordingFormat,
    /// Once it has a file, where that is to be Opus in Ogg.
    ogg: Option<OggOpus>,
    /// One rate for the life of the file.
    clock: ClockRate,
    file: Option<File>,
    /// Its length is a power of two, and [`WINDOW`] at least.
    window: Box<[Frame]>,
    /// Samples that were in the file before the recording.
    before: u64,
    /// Samples of the recording that are in the file.
    written: u64,
    /// Behind the last sample that was placed.
    filled: u64,
    limit: u64,
}

impl Tape {
    /// Without a file yet, at most so long, and no longer than a WAV header can say.
    pub(super) fn new(shape: RecordingShape, clock: ClockRate, limit: Duration) -> Self {
        let RecordingShape { layout, format, .. } = shape;
        let window = (clock.ticks(WINDOW) as usize).next_power_of_two();
        let most = match format {
            RecordingFormat::Wav => DATA_BYTES_MAX / frame_bytes(layout),
            RecordingFormat::OggOpus | RecordingFormat::Pcapng => u64::MAX,
        };
        let limit = clock.ticks(limit).min(most);
        Self {
            layout,
            format,
            ogg: None,
            clock,
            file: None,
            window: vec![[0; 2]; window].into(),
            before: 0,
            written: 0,
            filled: 0,
            limit,
        }
    }

    fn window_samples(&self) -> u64 {
        self.window.len() as u64
    }

    fn window_index(&self, at: u64) -> usize {
        at as usize & (self.window.len() - 1)
    }

    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The file that it goes into, from its beginning. `number`: another one for each recording.
    pub(super) fn set_file(&mut self, file: File, number: u64) -> io::Result<()> {
        file.set_len(0)?;
        match self.format {
            RecordingFormat::OggOpus => {
                self.ogg = Some(OggOpus::begin(&file, self.layout.channel_count(), self.clock, number)?);
            }
            _ => file.write_all_at(&header(self.layout, self.clock, 0), 0)?,
        }
        self.file = Some(file);
        Ok(())
    }

    /// The file that it goes into, behind the samples that it has already ([`samples_in`]).
    pub(super) fn continue_file(&mut self, file: File, sample_count: u64) {
        self.before = sample_count;
        let room = DATA_BYTES_MAX / frame_bytes(self.layout);
        self.limit = self.limit.min(room.saturating_sub(sample_count));
        self.file = Some(file);
    }

    /// Samples of the recording that are in the file.
    pub(super) fn sample_count(&self) -> u64 {
        self.written
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        match (&self.ogg, &self.file) {
            (Some(ogg), _) => ogg.file_bytes(),
            (None, Some(_)) => HEADER_BYTES + (self.before + self.written) * frame_bytes(self.layout),
            (None, None) => 0,
        }
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
        scratch: &mut Scratch,
    ) -> io::Result<bool> {
        let end = start.saturating_add(sound.len() as i64);
        let (Ok(end), written) = (u64::try_from(end), self.written as i64) else { return Ok(false) };
        if end <= self.written {
            return Ok(sound.len() == 0);
        }
        let window = self.window_samples();
        if end > self.written + window {
            self.write_to(end - window, scratch)?;
            if end > self.written + window {
                return Ok(true); // at its limit, or still without a file
            }
        }
        for (sample, at) in sound.zip(start..) {
            if at >= written
                && at >= self.written as i64
                && let index = self.window_index(at as u64)
                && let Some(frame) = self.window.get_mut(index)
                && let Some(place) = frame.get_mut(channel)
            {
                *place = sample;
            }
        }
        self.filled = self.filled.max(end);
        Ok(true)
    }

    /// It is so late now: writes what no packet can change any more, when it is worth a write.
    pub(super) fn advance(&mut self, now: u64, scratch: &mut Scratch) -> io::Result<()> {
        let until = now.saturating_sub(self.clock.ticks(DELAY));
        if until >= self.written + self.clock.ticks(STEP) || until >= self.limit {
            self.write_to(until, scratch)
        } else {
            Ok(())
        }
    }

    /// Writes the rest: up to `end`, and the last packet whole.
    pub(super) fn finish(&mut self, end: u64, scratch: &mut Scratch) -> io::Result<()> {
        self.write_to(end.max(self.filled.min(end + self.clock.ticks(LAST_PACKET))), scratch)?;
        match (&mut self.ogg, &self.file) {
            (Some(ogg), Some(file)) => ogg.finish(file),
            _ => Ok(()),
        }
    }

    /// Sound first, then the header that counts it: whatever happens to us, the file is a sound one.
    fn write_to(&mut self, until: u64, scratch: &mut Scratch) -> io::Result<()> {
        let (until, began_at) = (until.min(self.limit), self.written);
        let Some(file) = &self.file else { return Ok(()) };
        while self.written < until {
            let next = until.min(self.written + self.window_samples());
            scratch.samples.clear();
            for at in self.written..next {
                let index = at as usize & (self.window.len() - 1);
                let frame = std::mem::take(&mut self.window[index]);
                match self.layout {
                    RecordingLayout::Stereo => scratch.samples.extend(frame),
                    RecordingLayout::Mono => scratch.samples.push(frame[0].saturating_add(frame[1])),
                    RecordingLayout::Received => scratch.samples.push(frame[0]),
                    RecordingLayout::Sent | RecordingLayout::Room => scratch.samples.push(frame[1]),
                    RecordingLayout::Reversed => scratch.samples.extend([frame[1], frame[0]]),
                }
            }
            match &mut self.ogg {
                Some(ogg) => ogg.write(file, &scratch.samples)?,
                None => {
                    scratch.bytes.clear();
                    scratch.bytes.extend(scratch.samples.iter().flat_map(|sample| sample.to_le_bytes()));
                    let start = HEADER_BYTES + (self.before + self.written) * frame_bytes(self.layout);
                    file.write_all_at(&scratch.bytes, start)?;
                }
            }
            self.written = next;
        }
        if self.written > began_at && self.ogg.is_none() {
            file.write_all_at(&header(self.layout, self.clock, self.before + self.written), 0)
        } else {
            Ok(())
        }
    }
}

/// Room that all recordings share.
#[derive(Default)]
pub(super) struct Scratch {
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

fn frame_bytes(layout: RecordingLayout) -> u64 {
    2 * u64::from(layout.channel_count())
}

/// The rate of a file that [`header`] has begun in this layout, and how many samples it has; `None`: it is another file, or has
/// a rate that no format has.
pub(super) fn samples_in(file: &File, layout: RecordingLayout) -> Option<(ClockRate, u64)> {
    let mut found = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut found, 0).ok()?;
    let number = |at: usize| Some(u32::from_le_bytes(found.get(at..at + 4)?.try_into().ok()?));
    let (rate, data_bytes) = (ClockRate::from_hz(number(24)?)?, u64::from(number(40)?));
    let sample_count = data_bytes / frame_bytes(layout);
    (found == header(layout, rate, sample_count)).then_some((rate, sample_count))
}

/// RIFF WAVE, PCM of 16 bits. The tape's limit sees to it that the sizes fit.
fn header(layout: RecordingLayout, clock: ClockRate, sample_count: u64) -> [u8; HEADER_BYTES as usize] {
    let (channels, frame) = (layout.channel_count(), frame_bytes(layout));
    let data_bytes = u32::try_from(sample_count * frame).unwrap_or(DATA_BYTES_MAX as u32);
    let mut bytes = [0; HEADER_BYTES as usize];
    let rate = clock.hz();
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

    fn clock(hz: u32) -> ClockRate {
        ClockRate::from_hz(hz).unwrap()
    }

    /// Longer than any test.
    const DAY: Duration = Duration::from_secs(86_400);

    fn tape(layout: RecordingLayout, clock: ClockRate, limit: Duration) -> (Tape, File) {
        let file = tempfile::tempfile().unwrap();
        let mut tape = Tape::new(layout.into(), clock, limit);
        tape.set_file(file.try_clone().unwrap(), 1).unwrap();
        (tape, file)
    }

    /// The frames of a file, by a reader that is not ours.
    fn read(file: &File, clock: ClockRate) -> (u16, Vec<i16>) {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mut reader = hound::WavReader::new(&bytes[..]).expect("a sound file");
        assert_eq!((reader.spec().sample_rate, reader.spec().bits_per_sample), (clock.hz(), 16));
        (reader.spec().channels, reader.samples().map(Result::unwrap).collect())
    }

    #[test]
    fn sound_lies_where_it_belongs_and_the_rest_is_silence() {
        for clock in [8_000, 16_000, 48_000].map(clock) {
            let (mut tape, file) = tape(RecordingLayout::Stereo, clock, DAY);
            let mut scratch = Scratch::default();
            let ms = |ms: u64| clock.ticks(Duration::from_millis(ms));
            let packet = ms(20);
            for at in (0..5_000).step_by(20).filter(|at| at % 100 != 0).map(ms) {
                let sound = (0..packet as usize).map(|n| 1 + n as i16);
                assert!(tape.place(0, at as i64, sound, &mut scratch).unwrap());
                tape.advance(at, &mut scratch).unwrap();
            }
            let late = ms(4_875);
            let mut other = |at: i64| tape.place(1, at, vec![7; packet as usize].into_iter(), &mut scratch).unwrap();
            assert!(other(late as i64));
            assert!(!other(ms(12) as i64), "the file is past it");
            assert!(!other(-(ms(62) as i64)));
            // What is on disk is a sound file at any time.
            let (channels, so_far) = read(&file, clock);
            let written = so_far.len() as u64 / 2;
            assert!(channels == 2 && (ms(3_750)..ms(4_625)).contains(&written), "{written}");
            tape.finish(ms(4_987), &mut scratch).unwrap();
            let (_, samples) = read(&file, clock);
            assert_eq!(samples.len() as u64, 2 * ms(5_000), "the last packet is whole");
            for (at, frame) in (0..).zip(samples.chunks(2)) {
                let left = if (at / packet).is_multiple_of(5) { 0 } else { 1 + (at % packet) as i16 };
                let right = if (late..late + packet).contains(&at) { 7 } else { 0 };
                assert_eq!(frame, [left, right], "{at} of {clock:?}");
            }
            assert_eq!(tape.file_bytes(), 44 + 4 * ms(5_000));
        }
    }

    #[test]
    fn a_limit_is_in_time_and_the_file_stays_below_what_its_header_can_say() {
        let second = Duration::from_secs(1);
        for (hz, layout, limit) in [(8_000, RecordingLayout::Stereo, 8_000), (16_000, RecordingLayout::Mono, 16_000)] {
            assert_eq!(Tape::new(layout.into(), clock(hz), second).limit, limit);
        }
        let longest = Tape::new(RecordingLayout::Stereo.into(), clock(48_000), DAY).limit;
        assert_eq!(longest, DATA_BYTES_MAX / 4);
        let bytes = header(RecordingLayout::Stereo, clock(48_000), longest);
        let [riff, data] = [4, 40].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        assert_eq!((u64::from(data), riff), (longest * 4, data + 36));
    }

    #[test]
    fn mono_adds_up_and_a_limit_ends_it() {
        let clock = clock(8_000);
        let (mut tape, file) = tape(RecordingLayout::Mono, clock, Duration::from_millis(1_250));
        let mut scratch = Scratch::default();
        tape.place(0, 0, [30_000; 100].into_iter(), &mut scratch).unwrap();
        tape.place(1, 50, [5_000; 100].into_iter(), &mut scratch).unwrap();
        tape.place(1, 50_000, [5_000; 100].into_iter(), &mut scratch).unwrap();
        tape.advance(60_000, &mut scratch).unwrap();
        assert!(tape.is_full());
        let (channels, samples) = read(&file, clock);
        assert_eq!((channels, samples.len()), (1, 10_000));
        assert_eq!([samples[0], samples[70], samples[120], samples[160]], [30_000, i16::MAX, 5_000, 0]);
    }

    #[test]
    fn a_file_that_takes_no_more_says_so_and_stays_sound() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
        let memory = memfd_create("small", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        let file = File::from(memory);
        let mut tape = Tape::new(RecordingLayout::Stereo.into(), clock(8_000), DAY);
        tape.set_file(file.try_clone().unwrap(), 1).unwrap();
        ftruncate(&file, 20_000).unwrap();
        fcntl_add_seals(&file, SealFlags::GROW).unwrap();
        let mut scratch = Scratch::default();
        let error = (0..10).find_map(|n| tape.advance(n * 4_000, &mut scratch).err()).expect("it is full");
        assert!(error.raw_os_error().is_some(), "{error}");
        let mut header = [0; 44];
        file.read_exact_at(&mut header, 0).unwrap();
        let data = u32::from_le_bytes(header[40..].try_into().unwrap());
        assert!(data > 0 && data + 44 <= 20_000 && u64::from(data) == 4 * tape.sample_count(), "{data}");
    }
}
