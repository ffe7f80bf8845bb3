//! The voice processing of one leg.

use super::SoundPacket;
use super::timeline::Timeline;
use crate::decoding::CHANGE_TIME;
use crate::decoding::coders::{format_at, format_of, settings_of};
use audio::codec::opus::OpusSettings;
use audio::codec::{Decoder, Encoder};
use audio::{Resampler, VoiceParts, VoiceProcessor};
use clock::{Duration, Instant};
use contract::{Codec, Event, LegRef, OpusParameters, VoiceProcessing};

/// Speech that begins or ends sooner after it was last told waits.
const TELL_AFTER: Duration = Duration::from_millis(333);
/// Bit/s of Opus that is encoded anew, where the receiver wants nothing else: transparent for one voice.
const OPUS_BITRATE: u32 = 40_000;
/// Samples of the longest frame of what a leg is sent, at the highest rate, after resampling: 120 ms.
const SENT_SAMPLES_MAX: usize = 48 * 120;

/// What is done to the sound of a leg's peer.
#[derive(Debug)]
pub(super) struct LegVoice<P = VoiceProcessor> {
    leg: LegRef,
    wish: VoiceProcessing,
    /// By what codec the peer sends; none before its first packet.
    received: Option<Received<P>>,
    /// By what codec the peer is sent, as long as its echo is taken out.
    sent: Option<Sent>,
    is_speech: bool,
    told: (bool, Instant),
    /// Until when the sound lasts that has been processed: a peer that sends more than there is time for is not processed.
    busy_until: Instant,
}

/// Sound that a peer may be ahead of the clock: what a path with much jitter delivers at once.
const AHEAD_MAX: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Received<P> {
    /// A [`Codec`] as number.
    codec: u8,
    since: Instant,
    decoder: Decoder,
    encoder: Encoder,
    opus: Option<OpusParameters>,
    timeline: Timeline,
    processor: P,
}

#[derive(Debug)]
struct Sent {
    codec: u8,
    since: Instant,
    decoder: Decoder,
    resampler: Option<(Resampler, Box<[i16]>)>,
    timeline: Timeline,
}

fn parts_of(wish: VoiceProcessing) -> VoiceParts {
    VoiceParts { echo: wish.echo(), noise: wish.noise(), gain: wish.gain() }
}

impl<P> LegVoice<P> {
    /// The same with the processor in another shape.
    pub(super) fn with_processor<Q>(self, change: impl FnOnce(P) -> Q) -> LegVoice<Q> {
        let Self { leg, wish, received, sent, is_speech, told, busy_until } = self;
        let received = received.map(|received| {
            let Received { codec, since, decoder, encoder, opus, timeline, processor } = received;
            Received { codec, since, decoder, encoder, opus, timeline, processor: change(processor) }
        });
        LegVoice { leg, wish, received, sent, is_speech, told, busy_until }
    }
}

impl LegVoice {
    pub(super) fn new(leg: LegRef, wish: VoiceProcessing) -> Self {
        Self {
            leg,
            wish,
            received: None,
            sent: None,
            is_speech: false,
            told: (false, Instant::ZERO),
            busy_until: Instant::ZERO,
        }
    }

    pub(super) fn set_wish(&mut self, wish: VoiceProcessing) {
        self.wish = wish;
        if let Some(received) = &mut self.received {
            received.processor.set_parts(parts_of(wish));
        }
        if !wish.echo() {
            self.sent = None;
        }
    }

    /// Processes a packet of the peer; gives the bytes of its new payload. `None`: it goes on as it is.
    pub(super) fn process(
        &mut self,
        packet: &SoundPacket<'_>,
        opus: OpusParameters,
        old: &[u8],
        samples: &mut [i16],
        new: &mut [u8],
    ) -> Option<usize> {
        if self.busy_until > packet.at + AHEAD_MAX {
            return None;
        }
        let Some(received) = self.receive(packet) else {
            // Comfort noise, or what is only relayed.
            self.is_speech = false;
            return None;
        };
        let count = received.decoder.format().samples_in(old).ok().filter(|count| *count > 0)?;
        let timeline = &mut received.timeline;
        let due = timeline.position_of(packet.at) - count as i64;
        let placed = timeline.place(packet.header, packet.clock.hz(), count, due)?;
        if let Some(lost) = samples.get_mut(..placed.missing).filter(|lost| !lost.is_empty()) {
            received.decoder.decode_lost(lost);
        }
        let count = received.decoder.decode(old, samples).ok()?;
        let samples = &mut samples[..count];
        let rate = u64::from(timeline.rate());
        let time = Duration::from_micros((count + placed.missing) as u64 * 1_000_000 / rate.max(1));
        let is_speech = received.processor.process(placed.position, samples);
        received.follow_receiver(opus);
        let bytes = received.encoder.encode(samples, new);
        self.is_speech = is_speech;
        self.busy_until = self.busy_until.max(packet.at) + time;
        (bytes > 0).then_some(bytes)
    }

    /// Whether speech has begun or ended, not told too often.
    pub(super) fn activity(&mut self, now: Instant) -> Option<Event> {
        let (told, told_at) = self.told;
        if !self.wish.activity()
            || told == self.is_speech
            || (told_at != Instant::ZERO && now.since(told_at) < TELL_AFTER)
        {
            return None;
        }
        self.told = (self.is_speech, now);
        Some(Event::VoiceActivity { leg: self.leg, is_speech: self.is_speech })
    }

    /// Takes a packet that the peer is sent.
    pub(super) fn hear_sent(&mut self, packet: &SoundPacket<'_>, payload: &[u8], samples: &mut [i16]) {
        let (true, Some(received)) = (self.wish.echo(), &mut self.received) else { return };
        let rate = received.processor.rate();
        let is_other = self.sent.as_ref().is_none_or(|sent| sent.codec != packet.codec || sent.timeline.rate() != rate);
        if is_other {
            if self.sent.as_ref().is_some_and(|sent| packet.at.since(sent.since) < CHANGE_TIME) {
                return;
            }
            self.sent = Sent::new(packet, rate);
        }
        let Some(sent) = &mut self.sent else { return };
        let Ok(count) = sent.decoder.decode(payload, samples) else { return };
        let sound = match &mut sent.resampler {
            None => &samples[..count],
            Some((resampler, resampled)) if resampler.output_samples(count) <= resampled.len() => {
                let count = resampler.push(&samples[..count], resampled);
                &resampled[..count]
            }
            Some(_) => return,
        };
        let due = sent.timeline.position_of(packet.at);
        if let Some(placed) = sent.timeline.place(packet.header, packet.clock.hz(), sound.len(), due) {
            received.processor.hear_sent(placed.position, sound);
        }
    }

    /// What the codec of a packet needs; another one than before gets it at most every [`CHANGE_TIME`].
    fn receive(&mut self, packet: &SoundPacket<'_>) -> Option<&mut Received<VoiceProcessor>> {
        let is_same = self.received.as_ref().is_some_and(|received| received.codec == packet.codec);
        if !is_same {
            let format = format_of(Codec::from_number(packet.codec)?)?;
            if self.received.as_ref().is_some_and(|received| packet.at.since(received.since) < CHANGE_TIME) {
                return None;
            }
            let rate = format.sample_rate();
            let processor = match self.received.take() {
                Some(before) if before.processor.rate() == rate => before.processor,
                Some(before) => before.processor.at_rate(rate)?,
                None => VoiceProcessor::new(rate, parts_of(self.wish))?,
            };
            self.received = Some(Received {
                codec: packet.codec,
                since: packet.at,
                decoder: Decoder::new(format),
                encoder: Encoder::new(format),
                opus: None,
                timeline: Timeline::new(rate),
                processor,
            });
        }
        self.received.as_mut()
    }
}

impl Received<VoiceProcessor> {
    /// Encodes as the peer that hears this one wants its Opus.
    fn follow_receiver(&mut self, opus: OpusParameters) {
        if self.opus != Some(opus) {
            self.opus = Some(opus);
            let settings = settings_of(opus);
            let bitrate = settings.bitrate.or(Some(OPUS_BITRATE));
            // Each packet that came has to leave.
            self.encoder.set_opus(&OpusSettings { bitrate, dtx: false, ..settings });
        }
    }
}

impl Sent {
    fn new(packet: &SoundPacket<'_>, rate: u32) -> Option<Self> {
        let format = format_at(Codec::from_number(packet.codec)?, rate)?;
        let resampler = match format.sample_rate() == rate {
            true => None,
            false => Some((Resampler::new(format.sample_rate(), rate, 1)?, vec![0; SENT_SAMPLES_MAX].into())),
        };
        let (decoder, timeline) = (Decoder::new(format), Timeline::new(rate));
        Some(Self { codec: packet.codec, since: packet.at, decoder, resampler, timeline })
    }
}
