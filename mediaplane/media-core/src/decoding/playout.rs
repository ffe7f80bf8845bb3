//! Samples of a stream, without a gap: the player asks for as many as it wants, whenever it wants.
//!
//! Packets wait in the jitter buffer, are decoded, and leave in blocks of any length. What is missing is repaired from the
//! packet that follows (in-band FEC), made up by the codec or the concealer, or filled with comfort noise (RFC 3389). Where
//! the stream is played earlier or later than the network makes necessary, a period of sound is put in or taken out.

use super::jitter::{Arrival, Inserted, JitterBuffer, JitterCounts, Next, Slack};
use audio::codec::{CodecFormat, Decoder, PTIME_MS_MAX};
use audio::{ComfortNoise, Concealer, Stretcher, stereo_to_mono};
use clock::{Duration, Instant};

/// Sound is taken out where packets wait for this longer than they have to, and than one of them is long.
const LATE: Duration = Duration::from_millis(10);
/// Later than this, each packet is shortened; otherwise one within [`CALM`].
const MUCH_TOO_LATE: Duration = Duration::from_millis(80);
const CALM: Duration = Duration::from_millis(100);
/// What a stretcher may put in, in milliseconds.
const LONGER_MS: u32 = 15;
/// Milliseconds of a packet until one has come.
const FIRST_PACKET_MS: u32 = 20;

/// What became of the packets of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlayoutCounts {
    /// What the jitter buffer counted.
    pub jitter: JitterCounts,
    /// Samples that were made up in the place of lost ones.
    pub concealed_samples: u64,
    /// Packets that were repaired from the one that followed.
    pub repaired: u64,
    /// Payloads that the codec refused.
    pub bad_payloads: u64,
    /// Times that a period of sound was taken out.
    pub shortened: u64,
    /// Times that a period of sound was put in.
    pub lengthened: u64,
}

/// The sound of one stream, mono.
#[derive(Debug)]
pub struct Playout {
    jitter: JitterBuffer,
    decoder: Decoder,
    /// Payload type of comfort noise (RFC 3389).
    noise_type: Option<u8>,
    concealer: Concealer,
    stretcher: Stretcher,
    noise: ComfortNoise,
    /// The sender has told its noise, and is silent since.
    is_noise: bool,
    /// A packet of the stream has been played.
    has_begun: bool,
    /// A packet as the decoder makes it, with all its channels.
    decoded: Box<[i16]>,
    /// Samples that wait for the player.
    ready: Ready,
    /// Samples of the last packet.
    packet_samples: usize,
    /// No period is taken out before.
    calm_until: Instant,
    counts: PlayoutCounts,
}

/// Samples in one piece, first in first out.
#[derive(Debug)]
struct Ready {
    samples: Box<[i16]>,
    start: usize,
    end: usize,
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn count(&self) -> usize {
        self.end - self.start
    }

    /// Empties it, and gives all its room.
    fn begin(&mut self) -> &mut [i16] {
        (self.start, self.end) = (0, 0);
        &mut self.samples
    }

    fn take(&mut self, out: &mut [i16]) -> usize {
        let count = out.len().min(self.count());
        out[..count].copy_from_slice(&self.samples[self.start..self.start + count]);
        self.start += count;
        count
    }
}

impl Playout {
    /// For streams of a format. `noise_type` is the payload type of comfort noise, where one was agreed on; `seed` makes its
    /// noise another one than that of other legs.
    pub fn new(format: CodecFormat, noise_type: Option<u8>, seed: u32) -> Self {
        let (rate, per_ms) = (format.sample_rate(), format.sample_rate() as usize / 1_000);
        let ready = vec![0; (PTIME_MS_MAX + LONGER_MS) as usize * per_ms].into_boxed_slice();
        Self {
            jitter: JitterBuffer::new(format.clock_rate()),
            decoder: Decoder::new(format),
            noise_type,
            concealer: Concealer::new(rate),
            stretcher: Stretcher::new(rate),
            noise: ComfortNoise::new(rate, seed),
            is_noise: false,
            has_begun: false,
            decoded: vec![0; format.samples_in_ms(PTIME_MS_MAX)].into_boxed_slice(),
            ready: Ready { samples: ready, start: 0, end: 0 },
            packet_samples: FIRST_PACKET_MS as usize * per_ms,
            calm_until: Instant::ZERO,
            counts: PlayoutCounts::default(),
        }
    }

    /// As new, for another stream of the same format.
    pub fn reset(&mut self) {
        self.jitter.reset(self.format().clock_rate());
        self.decoder.reset();
        self.concealer.reset();
        self.ready.begin();
        (self.is_noise, self.has_begun) = (false, false);
        self.packet_samples = FIRST_PACKET_MS as usize * (self.format().sample_rate() / 1_000) as usize;
        (self.calm_until, self.counts) = (Instant::ZERO, PlayoutCounts::default());
    }

    /// What it decodes.
    pub fn format(&self) -> CodecFormat {
        self.decoder.format()
    }

    /// What has been counted since the beginning.
    pub fn counts(&self) -> PlayoutCounts {
        PlayoutCounts { jitter: self.jitter.counts(), ..self.counts }
    }

    /// How long packets wait, beside the fastest one.
    pub fn delay(&self) -> Duration {
        self.jitter.delay()
    }

    /// Takes a packet of the stream.
    pub fn insert(&mut self, arrival: &Arrival<'_>) -> Inserted {
        let inserted = self.jitter.insert(arrival);
        if inserted == Inserted::Begun && self.has_begun {
            // Another stream: what its codec remembered is wrong now. What waits is played, and blended into the new one.
            self.decoder.reset();
            self.is_noise = false;
        }
        inserted
    }

    /// Fills `out` with the sound that is due at `now`. The player asks at the pace of its own clock.
    pub fn pull(&mut self, now: Instant, out: &mut [i16]) {
        let mut filled = 0;
        while filled < out.len() {
            if self.ready.is_empty() {
                self.make(now, out.len() - filled);
            }
            filled += self.ready.take(&mut out[filled..]);
        }
    }

    /// Makes at least one sample ready: the next packet, or what takes its place.
    fn make(&mut self, now: Instant, wanted: usize) {
        let ticks = self.ticks(self.packet_samples);
        loop {
            return match self.jitter.next(now, ticks, ticks_of(self.decoder.format(), wanted)) {
                Next::Packet { payload_type, payload, .. } if Some(payload_type) == self.noise_type => {
                    // It has no length of its own: noise lasts until the next packet.
                    self.is_noise |= self.noise.receive(payload);
                    self.has_begun = true;
                    continue;
                }
                Next::Packet { payload, slack, .. } => {
                    let decoded = self.decoder.decode(payload, &mut self.decoded);
                    self.play(now, decoded.ok().filter(|count| *count > 0), slack, wanted);
                }
                Next::Lost { following } => {
                    let channels = usize::from(self.decoder.format().channel_count());
                    let place = &mut self.decoded[..self.packet_samples * channels];
                    let repaired = following.map_or(0, |next| self.decoder.decode_fec(next, place).unwrap_or(0));
                    self.counts.repaired += u64::from(repaired > 0);
                    self.fill_in(repaired);
                }
                Next::Silence | Next::Nothing if self.is_noise => {
                    let packet = &mut self.ready.begin()[..self.packet_samples];
                    self.noise.fill(packet);
                    self.concealer.hear(packet);
                    self.ready.end = self.packet_samples;
                }
                Next::Silence | Next::Nothing if self.has_begun => self.fill_in(0),
                Next::Silence | Next::Nothing => {
                    self.ready.begin()[..self.packet_samples].fill(0);
                    self.ready.end = self.packet_samples;
                }
            };
        }
    }

    /// Makes a packet ready that was decoded into so many samples of all channels; `None`: the codec refused it.
    fn play(&mut self, now: Instant, decoded: Option<usize>, slack: Slack, wanted: usize) {
        let Some(decoded) = decoded else {
            self.counts.bad_payloads += 1;
            self.jitter.played(self.ticks(self.packet_samples));
            return self.fill_in(0);
        };
        let count = self.take_decoded(decoded);
        self.packet_samples = count;
        (self.has_begun, self.is_noise) = (true, false);
        self.jitter.played(self.ticks(count));
        self.concealer.hear(&mut self.ready.samples[..count]);
        self.put_right(now, slack, wanted);
    }

    /// Makes a packet ready in the place of one that is missing, of which the first `repaired` samples are known.
    fn fill_in(&mut self, repaired: usize) {
        let channels = usize::from(self.decoder.format().channel_count());
        let known = match repaired {
            0 => self.decoder.decode_lost(&mut self.decoded[..self.packet_samples * channels]),
            known => known,
        };
        if known > 0 {
            let count = self.take_decoded(known);
            self.concealer.hear(&mut self.ready.samples[..count]);
        } else {
            let packet = &mut self.ready.begin()[..self.packet_samples];
            self.concealer.conceal(packet);
            self.ready.end = self.packet_samples;
        }
        if repaired == 0 {
            self.counts.concealed_samples += self.ready.count() as u64;
        }
    }

    /// Makes the first `decoded` samples of all channels ready as mono.
    fn take_decoded(&mut self, decoded: usize) -> usize {
        let decoded = &self.decoded[..decoded];
        let ready = self.ready.begin();
        let count = if self.decoder.format().channel_count() == 2 {
            stereo_to_mono(decoded, ready)
        } else {
            ready[..decoded.len()].copy_from_slice(decoded);
            decoded.len()
        };
        self.ready.end = count;
        count
    }

    /// Takes a period of sound out of what is ready, or puts one in, where packets come too early or too late for it.
    fn put_right(&mut self, now: Instant, Slack(slack): Slack, wanted: usize) {
        let count = self.ready.count();
        let ticks = |time: Duration| time.as_micros() as i64 * i64::from(self.format().clock_rate()) / 1_000_000;
        // With less sound in the player one more packet is needed now; and those of the rest of its block are in any case.
        let needed = i64::from(self.ticks(count.max(wanted)));
        if slack < 0 {
            self.ready.end = self.stretcher.lengthen(&mut self.ready.samples, count).sample_count;
            self.counts.lengthened += u64::from(self.ready.end > count);
        } else if slack > needed + ticks(LATE) && (now >= self.calm_until || slack > needed + ticks(MUCH_TOO_LATE)) {
            self.ready.end = self.stretcher.shorten(&mut self.ready.samples[..count]).sample_count;
            if self.ready.end < count {
                self.counts.shortened += 1;
                self.calm_until = now + CALM;
            }
        }
    }

    /// RTP ticks of so many samples of one channel.
    fn ticks(&self, samples: usize) -> u32 {
        ticks_of(self.format(), samples)
    }
}

fn ticks_of(format: CodecFormat, samples: usize) -> u32 {
    (samples as u64 * u64::from(format.clock_rate()) / u64::from(format.sample_rate())) as u32
}

#[cfg(test)]
mod tests;
