//! The transcoders of a worker: each belongs to the leg that sends what it makes. They are kept when their leg is done with
//! them, for the next one with the same two formats.

use super::CHANGE_TIME;
use super::jitter::Arrival;
use super::playout::PlayoutCounts;
use super::transcoder::Transcoder;
use crate::incoming::packets::Turn;
use crate::io::{Buffers, Received};
use crate::leg::{Leg, LegIndex, Payload, Sound};
use audio::codec::opus::OpusSettings;
use audio::codec::{CodecFormat, CodecKind};
use clock::{Duration, Instant};
use contract::{Codec, OpusParameters};
use rtp_wire::Header;

/// Transcoders without a leg that are kept, at most.
const IDLE_MAX: usize = 64;

/// Parts of the bit rate that Opus is sent with, in percent. Each report of much loss leads one step down, for the loss may come
/// of too much being sent; a few reports in a row of nearly none lead one up.
const BITRATE_STEPS: [u8; 3] = [100, 85, 70];
/// Loss in percent that is much, and that is nearly none.
const MUCH_LOSS: u8 = 8;
const LITTLE_LOSS: u8 = 1;
/// Reports of nearly no loss that lead up.
const CALM_REPORTS: u8 = 3;

/// A leg's place among the transcoders of its worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CoderIndex(u16);

impl CoderIndex {
    pub(crate) const NONE: Self = Self(u16::MAX);
}

/// From which format to which, as both were agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Way {
    from: CodecFormat,
    to: CodecFormat,
}

#[derive(Debug)]
struct Coder {
    way: Way,
    opus: OpusParameters,
    /// The loss that its packets are made for, in percent.
    loss_percent: u8,
    bitrate: BitrateSteps,
    transcoder: Box<Transcoder>,
    since: Instant,
}

/// How much of the bit rate is used.
#[derive(Clone, Copy, Debug, Default)]
struct BitrateSteps {
    /// Of [`BITRATE_STEPS`].
    step: usize,
    calm_reports: u8,
}

impl BitrateSteps {
    /// Takes a report of loss. `true`: another part is used from now on.
    fn follow(&mut self, loss_percent: u8) -> bool {
        let before = self.step;
        match loss_percent {
            MUCH_LOSS.. => (self.step, self.calm_reports) = ((before + 1).min(BITRATE_STEPS.len() - 1), 0),
            ..=LITTLE_LOSS if self.calm_reports + 1 >= CALM_REPORTS => {
                (self.step, self.calm_reports) = (before.saturating_sub(1), 0);
            }
            ..=LITTLE_LOSS => self.calm_reports += 1,
            _ => self.calm_reports = 0,
        }
        self.step != before
    }
}

impl Coder {
    fn set_opus(&mut self) {
        let (loss_percent, bitrate_percent) = (self.loss_percent, BITRATE_STEPS[self.bitrate.step]);
        self.transcoder.set_opus(&OpusSettings { loss_percent, bitrate_percent, ..settings_of(self.opus) });
    }
}

/// All transcoders of a worker.
#[derive(Debug)]
pub(crate) struct Coders {
    /// At work at once, at most.
    limit: usize,
    working: Vec<Option<Coder>>,
    free: Vec<CoderIndex>,
    idle: Vec<Coder>,
    /// Of a kind of random numbers that nobody has to be unable to guess.
    seed: u32,
}

/// How a codec is decoded and encoded; `None` for what is only relayed.
pub fn format_of(codec: Codec) -> Option<CodecFormat> {
    match codec {
        Codec::Pcmu => Some(CodecFormat::PCMU),
        Codec::Pcma => Some(CodecFormat::PCMA),
        Codec::G722 => Some(CodecFormat::G722),
        Codec::Opus => CodecFormat::new(CodecKind::Opus, 48_000, 1).ok(),
        Codec::L16Narrow | Codec::L16Wide | Codec::L16SuperWide => {
            CodecFormat::new(CodecKind::L16, codec.clock_rate().hz(), 1).ok()
        }
        Codec::TelephoneEvent | Codec::Other => None,
    }
}

/// The same for sound of one channel that is wanted at a rate: Opus decodes and encodes at any that it has (RFC 7587 §4.1).
pub fn format_at(codec: Codec, rate: u32) -> Option<CodecFormat> {
    let format = format_of(codec)?;
    match format.kind() {
        CodecKind::Opus => Some(CodecFormat::new(CodecKind::Opus, rate, 1).unwrap_or(format)),
        _ => Some(format),
    }
}

impl Coders {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(usize::from(u16::MAX)),
            working: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            seed: 0,
        }
    }

    /// The transcoder at a place that a leg has.
    pub(crate) fn get(&mut self, index: CoderIndex) -> Option<&mut Transcoder> {
        let coder = self.working.get_mut(usize::from(index.0))?.as_mut()?;
        Some(&mut coder.transcoder)
    }

    /// The delay of the jitter buffer of a leg's transcoder, and what became of the packets in it.
    pub(crate) fn playout(&self, index: CoderIndex) -> Option<(Duration, PlayoutCounts)> {
        let coder = self.working.get(usize::from(index.0))?.as_ref()?;
        Some((coder.transcoder.delay(), coder.transcoder.counts()))
    }

    /// At work at once, at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Transcoders at work.
    pub(crate) fn count(&self) -> usize {
        self.working.len() - self.free.len()
    }

    /// Takes a leg's transcoder away, if it has one.
    pub(crate) fn release(&mut self, index: &mut CoderIndex) {
        let taken = std::mem::replace(index, CoderIndex::NONE);
        let Some(coder) = self.working.get_mut(usize::from(taken.0)).and_then(Option::take) else { return };
        self.free.push(taken);
        if self.idle.len() == IDLE_MAX {
            self.idle.remove(0);
        }
        self.idle.push(coder);
    }

    /// Gives back the memory of those without a leg.
    pub(crate) fn give_back_memory(&mut self) {
        self.idle = Vec::new();
    }

    /// Whether a leg that sends this codec, by its number, to a peer with these wishes can go on with its transcoder, if it
    /// has one.
    pub(crate) fn suits(&mut self, index: CoderIndex, to: u8, opus: OpusParameters) -> bool {
        let Some(coder) = self.working.get_mut(usize::from(index.0)).and_then(Option::as_mut) else { return true };
        if coder.opus != opus {
            coder.opus = opus;
            coder.set_opus();
        }
        Codec::from_number(to).and_then(format_of) == Some(coder.way.to)
    }

    /// The peer has reported so much loss, in 1/256, of the packets that a transcoder made. Those to come are made for it: where
    /// the peer takes copies (in-band FEC) and the bit rate has room, they carry them as long as there is loss. Less loss is believed slowly.
    /// The bit rate, never more than the peer takes, goes down a step with each report of much loss, and up again once there is none.
    pub(crate) fn follow_loss(&mut self, index: CoderIndex, fraction_lost: u32) {
        let Some(coder) = self.working.get_mut(usize::from(index.0)).and_then(Option::as_mut) else { return };
        let reported = (fraction_lost.min(255) * 100).div_ceil(256) as u8;
        let loss_percent = reported.max(coder.loss_percent - coder.loss_percent.div_ceil(4));
        let is_other_rate = coder.bitrate.follow(reported);
        if loss_percent != coder.loss_percent || is_other_rate {
            coder.loss_percent = loss_percent;
            coder.set_opus();
        }
    }

    /// Sees to it that the leg has a transcoder from this codec to the one that it sends. `Some(true)`: a new one; `None`:
    /// there is no way between the two, no place is left, or the last change was a moment ago.
    pub(crate) fn provide(&mut self, now: Instant, index: &mut CoderIndex, from: Codec, to: &Sink) -> Option<bool> {
        let way = Way { from: format_of(from)?, to: format_of(Codec::from_number(to.codec)?)? };
        let current = self.working.get(usize::from(index.0)).and_then(Option::as_ref);
        match current {
            Some(coder) if coder.way != way && now.since(coder.since) < CHANGE_TIME => None,
            _ => self.take(now, index, way, to.opus),
        }
    }

    /// Sees to it that the leg has an encoder of what it sends, for samples of this rate: 8, 16, 24 or 48 kHz. `false`: there
    /// is no way to that codec, or no place is left.
    pub(crate) fn provide_encoder(&mut self, now: Instant, index: &mut CoderIndex, rate: u32, to: &Sink) -> bool {
        let from = match rate {
            8_000 => Some(CodecFormat::PCMU),
            rate => CodecFormat::new(CodecKind::L16, rate, 1).ok(),
        };
        let to_format = Codec::from_number(to.codec).and_then(format_of);
        let way = from.zip(to_format).map(|(from, to)| Way { from, to });
        way.is_some_and(|way| self.take(now, index, way, to.opus).is_some())
    }

    /// The rate of the samples that the leg's transcoder takes, if it has one.
    pub(crate) fn heard_rate(&self, index: CoderIndex) -> Option<u32> {
        Some(self.working.get(usize::from(index.0))?.as_ref()?.way.from.sample_rate())
    }

    fn take(&mut self, now: Instant, index: &mut CoderIndex, way: Way, opus: OpusParameters) -> Option<bool> {
        match self.working.get(usize::from(index.0)).and_then(Option::as_ref) {
            Some(coder) if coder.way == way => return Some(false),
            None if self.count() >= self.limit => return None,
            _ => {}
        }
        self.release(index);
        let transcoder = match self.idle.iter().position(|coder| coder.way == way) {
            Some(place) => {
                let mut transcoder = self.idle.remove(place).transcoder;
                transcoder.reset();
                transcoder
            }
            None => {
                let (from, to) = Transcoder::formats(way.from, way.to);
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Box::new(Transcoder::new(from, to, None, self.seed).ok()?)
            }
        };
        let mut coder = Coder { way, opus, loss_percent: 0, bitrate: BitrateSteps::default(), transcoder, since: now };
        coder.set_opus();
        *index = match self.free.pop() {
            Some(place) => {
                self.working[usize::from(place.0)] = Some(coder);
                place
            }
            None => {
                self.working.push(Some(coder));
                CoderIndex((self.working.len() - 1) as u16)
            }
        };
        Some(true)
    }
}

/// What a leg is sent: its codec, by its number, and what its peer wants of Opus.
pub(crate) struct Sink {
    pub(crate) codec: u8,
    pub(crate) opus: OpusParameters,
}

/// How a peer wants its Opus.
pub(crate) fn settings_of(opus: OpusParameters) -> OpusSettings {
    OpusSettings {
        bitrate: opus.bitrate(),
        max_playback_rate: opus.playback_rate(),
        constant_bitrate: opus.is_constant_bitrate(),
        inband_fec: opus.has_inband_fec(),
        dtx: opus.has_dtx(),
        ..OpusSettings::default()
    }
}

/// Takes a packet whose codec the legs that take from it do not have: each of them makes packets of its own of it.
#[cold]
pub(crate) fn hear<B: Buffers>(
    legs: &mut [Leg],
    source_leg: usize,
    received: &Received,
    header: &Header,
    payload: Payload,
    turn: &mut Turn<'_, B>,
) {
    if payload.is_event() {
        return; // such legs send a digit of their own
    }
    let mut next = legs[source_leg].links.first_sink;
    while let Some(place) = next.get() {
        let sink = &mut legs[place];
        next = sink.links.next_sink;
        let changed_at = sink.making.began_at;
        let goes_back =
            sink.making.sound != Sound::Transcoded && sink.making.begun && received.at.since(changed_at) < CHANGE_TIME;
        let from = Codec::from_number(payload.codec).unwrap_or(Codec::Other);
        let to = Sink { codec: sink.payloads.audio_codec, opus: sink.opus };
        let provided = match goes_back {
            true => None,
            false => turn.coders.provide(turn.now, &mut sink.links.coder, from, &to),
        };
        let Some(is_new) = provided else {
            turn.tally.dropped.no_transcoder += 1;
            continue;
        };
        if is_new || sink.making.sound != Sound::Transcoded {
            sink.making.sound = Sound::Transcoded;
            sink.making.begun = false;
            // Our own numbers, without a break to what was relayed before.
            sink.sending.take_over();
            turn.proved.push(LegIndex::new(place));
        }
        let Some(transcoder) = turn.coders.get(sink.links.coder) else { continue };
        turn.tally.transcoded += 1;
        transcoder.insert(&Arrival::of(received, header, turn.buffers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio::codec::opus::Packet;

    #[test]
    fn a_worker_transcodes_for_so_many_legs_and_for_the_next_once_one_is_done() {
        let (mut coders, now) = (Coders::new(1), Instant::ZERO);
        let to = Sink { codec: Codec::G722 as u8, opus: OpusParameters::default() };
        let (mut one, mut other) = (CoderIndex::NONE, CoderIndex::NONE);
        assert_eq!(coders.provide(now, &mut one, Codec::Pcmu, &to), Some(true));
        assert_eq!(coders.provide(now, &mut other, Codec::Pcmu, &to), None);
        assert_eq!(coders.provide(now, &mut one, Codec::Pcmu, &to), Some(false), "who has one keeps it");
        coders.release(&mut one);
        assert_eq!(coders.provide(now, &mut other, Codec::Pcmu, &to), Some(true));
        assert_eq!(coders.count(), 1);
        let mut none = CoderIndex::NONE;
        assert_eq!(Coders::new(0).provide(now, &mut none, Codec::Pcmu, &to), None);
    }

    /// Packets of 50 that carry a copy of the sound before them.
    fn copies(coders: &mut Coders, index: CoderIndex) -> usize {
        let transcoder = coders.get(index).expect("it is there");
        let sample = |at: usize| {
            let voiced: f64 = (1..9).map(|n| (at as f64 * 0.11 * f64::from(n)).sin() / f64::from(n)).sum();
            // Syllables of 200 ms with pauses of 100 ms.
            if at / 800 % 3 == 2 { 0 } else { (voiced * 6_000.0) as i16 }
        };
        let packet = |n: usize| (n * 160..(n + 1) * 160).map(sample).collect::<Vec<_>>();
        let carries = |n: &usize| {
            let mut payload = [0; 1_500];
            let bytes = transcoder.say(&packet(*n), &mut payload);
            Packet::parse(&payload[..bytes]).is_ok_and(|packet| packet.repairs_the_one_before())
        };
        (0..50).filter(carries).count()
    }

    /// Bytes of two seconds of speech.
    fn bytes_of_speech(coders: &mut Coders, index: CoderIndex) -> usize {
        let transcoder = coders.get(index).expect("it is there");
        let voiced = |at: usize| (1..9).map(|n| (at as f64 * 0.11 * f64::from(n)).sin() / f64::from(n)).sum::<f64>();
        let packet = |n: usize| {
            let mut payload = [0; 1_500];
            let sound: Vec<i16> = (n * 160..(n + 1) * 160).map(|at| (voiced(at) * 6_000.0) as i16).collect();
            transcoder.say(&sound, &mut payload)
        };
        (0..150).map(packet).skip(50).sum()
    }

    #[test]
    fn the_bit_rate_goes_down_with_much_loss_and_up_again_without() {
        let (mut coders, mut index) = (Coders::new(4), CoderIndex::NONE);
        // Constant, so that bytes are the bit rate; the peer takes no more than 24 kbit/s.
        let opus = OpusParameters::default().with_bitrate(24_000).with_constant_bitrate(true).with_inband_fec(true);
        let to = Sink { codec: Codec::Opus as u8, opus };
        assert_eq!(coders.provide(Instant::ZERO, &mut index, Codec::Pcmu, &to), Some(true));
        let kbit_s = |coders: &mut Coders| bytes_of_speech(coders, index) * 8 / 2_000;
        assert_eq!(kbit_s(&mut coders), 24);
        for expected in [20, 16, 16] {
            coders.follow_loss(index, 30);
            assert_eq!(kbit_s(&mut coders), expected);
        }
        // A little loss changes nothing; reports without any lead up, step by step.
        (0..10).for_each(|_| coders.follow_loss(index, 10));
        assert_eq!(kbit_s(&mut coders), 16);
        for expected in [16, 16, 20, 20, 20, 24, 24] {
            coders.follow_loss(index, 0);
            assert_eq!(kbit_s(&mut coders), expected);
        }
    }

    #[test]
    fn packets_carry_copies_as_long_as_the_peer_reports_loss() {
        let to = |opus| Sink { codec: Codec::Opus as u8, opus };
        for percent in [5_u32, 10, 20] {
            let (mut coders, mut index) = (Coders::new(4), CoderIndex::NONE);
            let opus = OpusParameters::default().with_inband_fec(true).with_bitrate(24_000);
            assert_eq!(coders.provide(Instant::ZERO, &mut index, Codec::Pcmu, &to(opus)), Some(true));
            assert_eq!(copies(&mut coders, index), 0, "no loss is known");
            coders.follow_loss(index, percent * 256 / 100);
            let carried = copies(&mut coders, index);
            assert!(carried > 10, "{percent} % are lost: {carried}");
            coders.follow_loss(index, 0);
            let carried = copies(&mut coders, index);
            assert!(carried > 10, "one report without loss is soon said: {percent} %, {carried}");
            (0..20).for_each(|_| coders.follow_loss(index, 0));
            copies(&mut coders, index); // the first packet after a change may still carry one
            assert_eq!(copies(&mut coders, index), 0, "nothing is lost any more");
        }
        let (mut coders, mut index) = (Coders::new(4), CoderIndex::NONE);
        coders.provide(Instant::ZERO, &mut index, Codec::Pcmu, &to(OpusParameters::default()));
        coders.follow_loss(index, 51);
        assert_eq!(copies(&mut coders, index), 0, "the peer wants no copies");
    }
}
