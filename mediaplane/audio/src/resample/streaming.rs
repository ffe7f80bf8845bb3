//! Sound of one sampling rate to another, packet by packet.

use super::prototype::{PROTOTYPES, Prototype};

/// Frames that are worked on at once.
const CHUNK: usize = 480;
/// Taps that are worked on at once: rows of weights are filled up with zeros to multiples of this.
const LANES: usize = 16;
/// Binary digits of a coefficient's fraction.
const FRACTION_BITS: u32 = 14;

/// Converts a stream from one sampling rate to another, of 8, 16, 24 and 48 kHz, in one or two channels.
///
/// It is a low-pass filter of finite length, of which each output sample computes only the phase that it needs. What is
/// below 42.5 % of the lower rate (3.4 kHz of 8 kHz) passes within 0.1 dB; what would come out as an image or an alias
/// of that is 60 dB down. [`Self::delay_us`] tells what it takes in time.
#[derive(Clone, Debug)]
pub struct Resampler {
    channel_count: usize,
    /// Output frames for so many input frames, in lowest terms.
    up: usize,
    down: usize,
    /// A row for each phase of an output sample between two input samples, older samples first.
    rows: Box<[i16]>,
    row_length: usize,
    delay_us: u32,
    /// The last samples of each channel that the next output needs, and room for a chunk.
    lines: [Box<[i16]>; 2],
    /// Where the next output frame lies: input frames after the first of the next input, and the phase after that.
    skip: usize,
    phase: usize,
}

impl Resampler {
    /// Between two rates in Hz; `None` unless both are 8,000, 16,000, 24,000 or 48,000, and one or two channels.
    pub fn new(from: u32, to: u32, channel_count: u8) -> Option<Self> {
        let is_known = |rate: u32| matches!(rate, 8_000 | 16_000 | 24_000 | 48_000);
        if !is_known(from) || !is_known(to) || !matches!(channel_count, 1 | 2) {
            return None;
        }
        let divisor = super::greatest_common_divisor(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        let (rows, row_length, delay_us) = match PROTOTYPES.iter().find(|prototype| prototype.ratio == up.max(down)) {
            Some(prototype) => rows(prototype, up, from),
            None => (vec![1 << FRACTION_BITS].into(), 1, 0),
        };
        let line = || vec![0; row_length - 1 + CHUNK].into_boxed_slice();
        let second_line = if channel_count == 2 { line() } else { Box::default() };
        let (channel_count, lines) = (usize::from(channel_count), [line(), second_line]);
        Some(Self { channel_count, up, down, rows, row_length, delay_us, lines, skip: 0, phase: 0 })
    }

    /// Samples that come out for so many that go in, at most; exactly that for whole packets of 10 ms.
    pub fn output_samples(&self, input_samples: usize) -> usize {
        (input_samples / self.channel_count * self.up).div_ceil(self.down) * self.channel_count
    }

    /// Microseconds from a sample going in to its coming out, for low frequencies.
    pub fn delay_us(&self) -> u32 {
        self.delay_us
    }

    /// Converts the next samples of the stream, channels interleaved, in whole frames; returns how many samples it
    /// wrote to the beginning of `output`.
    ///
    /// # Panics
    /// If `output` is shorter than [`Self::output_samples`].
    pub fn push(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        assert!(output.len() >= self.output_samples(input.len()), "room for what the resampler makes");
        let mut written = 0;
        for chunk in input.chunks(CHUNK * self.channel_count) {
            written += self.push_chunk(chunk, &mut output[written..]);
        }
        written
    }

    fn push_chunk(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let (history, frame_count) = (self.row_length - 1, input.len() / self.channel_count);
        let start = Position { frame: self.skip, phase: self.phase };
        let mut written = 0;
        for (channel, line) in self.lines.iter_mut().enumerate().take(self.channel_count) {
            let places = line[history..].iter_mut();
            places
                .zip(input[channel..].iter().step_by(self.channel_count))
                .for_each(|(place, sample)| *place = *sample);
            let work = Work {
                line: &line[..history + frame_count],
                rows: &self.rows,
                row_length: self.row_length,
                up: self.up,
                down: self.down,
            };
            let places = output[channel..].iter_mut().step_by(self.channel_count);
            let (end, count) = match self.row_length / LANES {
                1 => work.fill::<1>(start, places),
                2 => work.fill::<2>(start, places),
                3 => work.fill::<3>(start, places),
                6 => work.fill::<6>(start, places),
                _ => work.copy(start, places),
            };
            line.copy_within(frame_count..frame_count + history, 0);
            (self.skip, self.phase) = (end.frame - frame_count, end.phase);
            written = count * self.channel_count;
        }
        written
    }

    /// As new, for another stream.
    pub fn reset(&mut self) {
        self.lines.iter_mut().for_each(|line| line.fill(0));
        (self.skip, self.phase) = (0, 0);
    }
}

/// Where an output frame lies in the input.
#[derive(Clone, Copy)]
struct Position {
    frame: usize,
    phase: usize,
}

/// One channel of a chunk.
struct Work<'a> {
    line: &'a [i16],
    rows: &'a [i16],
    row_length: usize,
    up: usize,
    down: usize,
}

impl Work<'_> {
    /// Fills places with the samples that rows of `BLOCKS` times 16 taps make; returns where the next one lies, and
    /// how many were filled.
    fn fill<'p, const BLOCKS: usize>(
        &self,
        mut at: Position,
        places: impl Iterator<Item = &'p mut i16>,
    ) -> (Position, usize) {
        let (step, rest) = (self.down / self.up, self.down % self.up);
        let rows = self.rows.as_chunks::<LANES>().0.as_chunks::<BLOCKS>().0;
        let mut count = 0;
        for place in places {
            let Some(samples) = self.line.get(at.frame..at.frame + LANES * BLOCKS) else { break };
            *place = filter::<BLOCKS>(samples.as_chunks::<LANES>().0, &rows[at.phase]);
            count += 1;
            at.frame += step;
            at.phase += rest;
            if at.phase >= self.up {
                at.phase -= self.up;
                at.frame += 1;
            }
        }
        (at, count)
    }

    /// The same rate on both sides.
    fn copy<'p>(&self, at: Position, places: impl Iterator<Item = &'p mut i16>) -> (Position, usize) {
        debug_assert_eq!((self.up, self.down, self.row_length), (1, 1, 1));
        let count = places.zip(&self.line[at.frame..]).map(|(place, sample)| *place = *sample).count();
        (Position { frame: at.frame + count, ..at }, count)
    }
}

/// The rows of a filter, their length, and the delay in microseconds.
fn rows(prototype: &Prototype, up: usize, from: u32) -> (Box<[i16]>, usize, u32) {
    let taps = prototype.taps;
    let row_length = taps.len().div_ceil(up).next_multiple_of(LANES);
    let mut rows = vec![0; row_length * up].into_boxed_slice();
    let gain = f64::from(1 << FRACTION_BITS) * up as f64 / prototype.ratio as f64;
    for (phase, row) in rows.chunks_exact_mut(row_length).enumerate() {
        // An output sample of this phase weighs the newest input sample with the prototype's tap of the phase, the one
        // before with the tap `up` further on.
        for (age, weight) in taps.iter().skip(phase).step_by(up).enumerate() {
            row[row_length - 1 - age] = (weight * gain).round() as i16;
        }
    }
    let fast_rate = f64::from(from) * up as f64;
    (rows, row_length, (prototype.delay_taps * 1e6 / fast_rate).round() as u32)
}

#[inline(always)]
fn filter<const BLOCKS: usize>(samples: &[[i16; LANES]], row: &[[i16; LANES]; BLOCKS]) -> i16 {
    let sum = samples.iter().zip(row).map(|(samples, weights)| sum_of_products(samples, weights)).sum::<i32>();
    let rounded = (sum + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Written so that the compiler multiplies and adds pairs in one instruction.
#[inline(always)]
fn sum_of_products(samples: &[i16; LANES], weights: &[i16; LANES]) -> i32 {
    let mut sums = [0_i32; 4];
    for half in [0, 8] {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let at = half + 2 * lane;
            *sum += i32::from(samples[at]) * i32::from(weights[at])
                + i32::from(samples[at + 1]) * i32::from(weights[at + 1]);
        }
    }
    sums.iter().sum()
}

/// Two channels to their mean, rounded down; returns the number of samples.
pub fn stereo_to_mono(stereo: &[i16], mono: &mut [i16]) -> usize {
    let frames = stereo.as_chunks::<2>().0;
    for (sample, [left, right]) in mono.iter_mut().zip(frames) {
        *sample = ((i32::from(*left) + i32::from(*right)) >> 1) as i16;
    }
    frames.len().min(mono.len())
}

/// One channel to two equal ones; returns the number of samples.
pub fn mono_to_stereo(mono: &[i16], stereo: &mut [i16]) -> usize {
    let frames = stereo.as_chunks_mut::<2>().0;
    let count = 2 * mono.len().min(frames.len());
    for (frame, sample) in frames.iter_mut().zip(mono) {
        *frame = [*sample; 2];
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

    fn tone(hertz: f64, rate: u32, amplitude: f64) -> Vec<i16> {
        (0..rate).map(|n| (amplitude * (TAU * hertz * f64::from(n) / f64::from(rate)).sin()).round() as i16).collect()
    }

    /// Amplitude of a frequency in the last half of a second.
    fn amplitude(samples: &[i16], hertz: f64, rate: u32) -> f64 {
        let settled = &samples[samples.len() / 2..];
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in settled.iter().enumerate() {
            let angle = TAU * hertz * n as f64 / f64::from(rate);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        2.0 * re.hypot(im) / settled.len() as f64
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.max(1e-9).log10()
    }

    /// In packets of 20 ms.
    fn resampled(resampler: &mut Resampler, samples: &[i16], packet_samples: usize) -> Vec<i16> {
        let (mut out, mut room) = (Vec::new(), vec![0; resampler.output_samples(packet_samples)]);
        for packet in samples.chunks(packet_samples) {
            let count = resampler.push(packet, &mut room);
            out.extend_from_slice(&room[..count]);
        }
        out
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        RATES.into_iter().flat_map(|from| RATES.map(|to| (from, to))).filter(|(from, to)| from != to)
    }

    #[test]
    fn speech_passes_and_images_do_not() {
        for (from, to) in pairs() {
            let (lower, mut flattest) = (f64::from(from.min(to)), 0.0_f64);
            for step in 1..=17 {
                let hertz = 0.025 * f64::from(step) * lower;
                let sound = tone(hertz, from, 16_000.0);
                let out = resampled(&mut Resampler::new(from, to, 1).unwrap(), &sound, from as usize / 50);
                assert_eq!(out.len(), to as usize, "one second stays one second");
                let passed = db(amplitude(&out, hertz, to) / 16_000.0);
                assert!(passed.abs() < 0.1, "{hertz} Hz from {from} to {to} Hz: {passed:.3} dB");
                flattest = flattest.max(passed.abs());
                // An image of the tone stands at either side of each multiple of the input's rate.
                for image in (1..=to / from)
                    .map(f64::from)
                    .flat_map(|n| [n * f64::from(from) - hertz, n * f64::from(from) + hertz])
                {
                    if image < f64::from(to) / 2.0 {
                        let left = db(amplitude(&out, image, to) / 16_000.0);
                        assert!(
                            left < -60.0,
                            "{hertz} Hz from {from} to {to} Hz has an image at {image}: {left:.1} dB"
                        );
                    }
                }
            }
            println!("{from} to {to} Hz: passband within {flattest:.3} dB");
        }
    }

    #[test]
    fn what_would_fold_back_goes() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            for step in 0..40 {
                let hertz = f64::from(to) * (0.575 + 0.025 * f64::from(step));
                if hertz >= 0.5 * f64::from(from) {
                    break;
                }
                let sound = tone(hertz, from, 16_000.0);
                let out = resampled(&mut Resampler::new(from, to, 1).unwrap(), &sound, from as usize / 50);
                let folded = (hertz - (hertz / f64::from(to)).round() * f64::from(to)).abs();
                let left = db(amplitude(&out, folded, to) / 16_000.0);
                assert!(left < -60.0, "{hertz} Hz from {from} to {to} Hz folds back to {folded}: {left:.1} dB");
            }
        }
    }

    #[test]
    fn packets_of_any_length_make_one_stream() {
        let sound = tone(1_000.0, 24_000, 12_000.0);
        for to in RATES {
            let mut whole = vec![0; to as usize];
            assert_eq!(Resampler::new(24_000, to, 1).unwrap().push(&sound, &mut whole), to as usize);
            for packet in [1, 7, 240, 479, 481, 5_000] {
                let pieces = resampled(&mut Resampler::new(24_000, to, 1).unwrap(), &sound, packet);
                assert!(pieces == whole, "{packet} samples at a time to {to} Hz");
            }
        }
    }

    #[test]
    fn channels_stay_apart() {
        let (left, right) = (tone(700.0, 16_000, 9_000.0), tone(1_900.0, 16_000, 9_000.0));
        let stereo: Vec<i16> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
        let out = resampled(&mut Resampler::new(16_000, 48_000, 2).unwrap(), &stereo, 640);
        for (channel, sound) in [left, right].iter().enumerate() {
            let alone = resampled(&mut Resampler::new(16_000, 48_000, 1).unwrap(), sound, 320);
            assert!(out.iter().skip(channel).step_by(2).eq(&alone), "channel {channel}");
        }
    }

    #[test]
    fn a_step_of_full_scale_is_clipped_and_not_wrapped() {
        let square: Vec<i16> = (0..8_000).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = resampled(&mut Resampler::new(8_000, 48_000, 1).unwrap(), &square, 160);
        let wrong = out.windows(2).filter(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs() > 40_000).count();
        assert_eq!(wrong, 0);
        assert!(out.iter().filter(|sample| sample.unsigned_abs() > 32_000).count() > 20_000);
    }

    #[test]
    fn it_delays_as_much_as_it_says_and_starts_anew() {
        for (from, to) in pairs() {
            let mut resampler = Resampler::new(from, to, 1).unwrap();
            let sound = tone(100.0, from, 16_000.0);
            let out = resampled(&mut resampler, &sound, from as usize / 50);
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in out[out.len() / 2..].iter().enumerate() {
                let angle = TAU * 100.0 * n as f64 / f64::from(to);
                re += f64::from(*sample) * angle.sin();
                im += f64::from(*sample) * angle.cos();
            }
            let delay_us = -im.atan2(re) / TAU / 100.0 * 1e6;
            println!("{from} to {to} Hz: {delay_us:.0} us");
            assert!((delay_us - f64::from(resampler.delay_us())).abs() < 30.0, "{from} to {to}: {delay_us} us");
            assert!(delay_us < 8_000.0 / f64::from(from.min(to)) * 1_000.0, "{from} to {to}: {delay_us} us");
            resampler.reset();
            assert!(resampled(&mut resampler, &sound, from as usize / 50) == out);
        }
    }

    #[test]
    fn the_same_rate_passes_through() {
        let sound = tone(440.0, 8_000, 20_000.0);
        let mut resampler = Resampler::new(8_000, 8_000, 1).unwrap();
        assert!(resampled(&mut resampler, &sound, 160) == sound);
        assert_eq!(resampler.delay_us(), 0);
        for (from, to, channels) in [(44_100, 8_000, 1), (8_000, 0, 1), (8_000, 16_000, 3), (8_000, 16_000, 0)] {
            assert!(Resampler::new(from, to, channels).is_none());
        }
    }

    #[test]
    fn channels_are_mixed_down_and_doubled() {
        let (mut mono, mut stereo) = ([0; 3], [0; 5]);
        assert_eq!(stereo_to_mono(&[i16::MAX, i16::MAX, i16::MIN, i16::MIN, 5, -4], &mut mono), 3);
        assert_eq!(mono, [i16::MAX, i16::MIN, 0]);
        assert_eq!(mono_to_stereo(&[1, -2, 3], &mut stereo), 4);
        assert_eq!(stereo, [1, 1, -2, -2, 0]);
    }
}
