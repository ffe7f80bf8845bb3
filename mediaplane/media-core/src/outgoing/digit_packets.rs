//! Packets of digits that are due: telephone events, or tones in the codec of the leg.

use crate::Worker;
use crate::decoding::coders::Sink;
use clock::Instant;
use contract::Codec;
use rtp_wire::{Header, TelephoneEvent};

/// Samples in a second of tones that get an encoder of their own.
const TONE_RATE: u32 = 8_000;
/// What G.722 remembers of earlier sound has faded after about so long.
const LEAD_IN_MS: u32 = 60;

impl Worker {
    /// The next packet of a digit, if one is on its way or its turn has come.
    pub(super) fn press(
        &mut self,
        place: usize,
        at: Instant,
        ptime_ms: u8,
    ) -> Option<(Header, [u8; TelephoneEvent::BYTES])> {
        let leg = &mut self.legs[place];
        if leg.dialling.is_idle() {
            return None;
        }
        let payload_type = leg.payloads.event_type?;
        let time = leg.sending.time_at(at);
        let packet = leg.dialling.next(at, time, leg.payloads.event_clock, ptime_ms)?;
        leg.making.marker = true; // sound after a digit starts a talkspurt
        let bytes = TelephoneEvent::BYTES as u16;
        let header = leg.sending.inserted_header(packet.time, payload_type, packet.marker, bytes);
        Some((header, packet.event.write()))
    }

    /// The payload of a packet with the tones of a digit, in place of the leg's sound; says its bytes.
    pub(super) fn make_tones(&mut self, place: usize, at: Instant, ptime_ms: u8, payload: &mut [u8]) -> usize {
        let leg = &mut self.legs[place];
        let samples_in = |rate: u32| (rate / 1_000 * u32::from(ptime_ms)) as usize;
        let mut samples = [0; 48 * 60];
        if let Some(law) = leg.payloads.audio_law() {
            if let Some(transcoder) = self.coders.get(leg.links.coder) {
                transcoder.skip(at, ptime_ms.into());
            }
            let samples = &mut samples[..samples_in(8_000)];
            leg.dialling.fill_tones(8_000, samples);
            return law.encode_slice(samples, payload);
        }
        if self.coders.heard_rate(leg.links.coder).is_none() {
            let to = Sink { codec: leg.payloads.audio_codec, opus: leg.opus };
            let is_there = self.coders.provide_encoder(at, &mut leg.links.coder, TONE_RATE, &to);
            if is_there && leg.payloads.audio_codec == Codec::G722 as u8 {
                leg.dialling.lead_in((LEAD_IN_MS * TONE_RATE / 1_000) as usize);
            }
        }
        let Some(transcoder) = self.coders.get(leg.links.coder) else {
            // There is no place for an encoder: the digit goes by unheard, so that what follows it does not wait for ever.
            leg.dialling.fill_tones(TONE_RATE, &mut samples[..samples_in(TONE_RATE)]);
            return 0;
        };
        transcoder.skip(at, ptime_ms.into());
        let rate = transcoder.heard_rate();
        let Some(samples) = samples.get_mut(..samples_in(rate)) else { return 0 };
        leg.dialling.fill_tones(rate, samples);
        transcoder.say(samples, payload)
    }
}
