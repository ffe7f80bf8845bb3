use crate::media::Media;
use crate::negotiated::direction_name;
use crate::offer::Transport;
use crate::opus::OpusFmtp;
use crate::{Local, Negotiated, Origin, OtherMedia, Packets, Settings};
use contract::{ClockRate, Codec, OpusParameters, PayloadMap, PayloadMapping};
use std::fmt::Write;
use std::num::NonZeroU16;

/// The payload type that we offer for telephone events beside codecs with a clock of 8,000 Hz, and beside others, from here
/// on; an answer may not change it.
const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;
/// The payload type that we offer for Opus.
const OPUS_PAYLOAD_TYPE: u8 = 96;
/// Milliseconds of audio in a packet where nobody says otherwise (RFC 3551 §4.2).
const USUAL_PTIME_MS: u8 = 20;

impl Settings<'_> {
    /// The payload types of our own offers, most preferred first.
    pub fn payloads(&self) -> PayloadMap {
        let mut payloads = PayloadMap::default();
        for codec in self.codecs.iter().filter(|codec| codec.is_audio()) {
            payloads.push(codec.static_payload_type().unwrap_or(OPUS_PAYLOAD_TYPE), *codec);
        }
        if self.telephone_event {
            let audio = payloads;
            let has = |clock: &ClockRate| audio.entries().any(|mapping| mapping.clock_rate == *clock);
            for (clock_rate, payload_type) in ClockRate::ALL.into_iter().filter(has).zip(TELEPHONE_EVENT_PAYLOAD_TYPE..)
            {
                payloads.push_clocked(payload_type, Codec::TelephoneEvent, clock_rate);
            }
        }
        payloads
    }
}

/// Our offer: all that `settings` has, beside the media lines that the session already has. `rtcp-mux` is offered
/// (RFC 5761 §5.1.1: the peer may refuse it), so RTCP comes on both ports until the answer is there.
pub fn write_offer(settings: &Settings<'_>, others: &OtherMedia, local: Local, origin: &mut Origin) -> String {
    let offered = Negotiated {
        remote_rtp: None,
        remote_rtcp: None,
        payloads: settings.payloads(),
        direction: settings.direction,
        ptime_ms: USUAL_PTIME_MS,
        packets: Packets::default(),
        opus: OpusParameters::default(),
        rtcp_mux: true,
    };
    let received = Received { packets: settings.packets.unwrap_or_default(), opus: settings.opus };
    write_description(&offered, received, Transport::Avp, others, local, origin)
}

/// A later offer of a session: its audio stream as it was agreed on, in another direction (RFC 3264 §8). Payload types
/// keep their numbers.
pub fn write_offer_again(
    agreed: &Negotiated,
    settings: &Settings<'_>,
    others: &OtherMedia,
    local: Local,
    origin: &mut Origin,
) -> String {
    let offered = Negotiated { direction: settings.direction, ..*agreed };
    let packets = settings.packets.unwrap_or(Packets::of(agreed.ptime_ms));
    let received = Received { packets, opus: settings.opus };
    write_description(&offered, received, Transport::Avp, others, local, origin)
}

/// What a description of ours says of the packets that we are to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) packets: Packets,
    /// None: as the media plane wants it.
    pub(crate) opus: Option<OpusParameters>,
}

pub(crate) fn write_description(
    agreed: &Negotiated,
    received: Received,
    transport: Transport,
    others: &OtherMedia,
    local: Local,
    origin: &mut Origin,
) -> String {
    let family = if local.ip.is_ipv4() { "IP4" } else { "IP6" };
    let mut rest = String::with_capacity(384);
    // Writing to a string cannot fail.
    let _ = write!(rest, "s=-\r\nc=IN {family} {}\r\nt=0 0\r\n{}", local.ip, others.before);
    write_audio(&mut rest, agreed, received, transport, local.port);
    rest.push_str(&others.after);
    let (id, version) = origin.next(&rest);
    let mut text = String::with_capacity(rest.len() + 96);
    let _ = write!(text, "v=0\r\no=ringplane {id} {version} IN {family} {}\r\n{rest}", local.ip);
    text
}

fn write_audio(text: &mut String, agreed: &Negotiated, received: Received, transport: Transport, port: u16) {
    let Received { packets, opus } = received;
    let _ = write!(text, "m=audio {port} {}", transport.name());
    for (payload_type, ..) in agreed.payloads.iter() {
        let _ = write!(text, " {payload_type}");
    }
    text.push_str("\r\n");
    for PayloadMapping { payload_type, codec, clock_rate, .. } in agreed.payloads.entries() {
        let _ = write!(text, "a=rtpmap:{payload_type} {}/{}", codec.name(), clock_rate.hz());
        text.push_str(if codec.channel_count() == 2 { "/2\r\n" } else { "\r\n" });
        let _ = match codec {
            Codec::TelephoneEvent => write!(text, "a=fmtp:{payload_type} 0-16\r\n"),
            Codec::Opus => {
                let wanted = opus.map_or_else(ours_of_opus, OpusFmtp::of);
                // A line without parameters would be none.
                if wanted == OpusFmtp::default() { Ok(()) } else { write!(text, "a=fmtp:{payload_type} {wanted}\r\n") }
            }
            _ => Ok(()),
        };
    }
    let ptime_ms = packets.ptime_ms.map_or(USUAL_PTIME_MS.into(), NonZeroU16::get);
    let _ = write!(text, "a=ptime:{ptime_ms}\r\n");
    if let Some(maxptime_ms) = packets.maxptime_ms {
        let _ = write!(text, "a=maxptime:{maxptime_ms}\r\n");
    }
    let _ = write!(text, "a={}\r\n", direction_name(agreed.direction));
    if agreed.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
}

/// What we want of the Opus that we are sent: it is heard as mono, and lost packets are repaired from those after them.
fn ours_of_opus() -> OpusFmtp {
    OpusFmtp { inband_fec: true, ..OpusFmtp::default() }
}

/// The same media line with port 0 (RFC 3264 §6).
pub(crate) fn write_refused(text: &mut String, media: &Media<'_>) {
    let _ = write!(text, "m={} 0 {} {}\r\n", media.kind, media.transport, media.first_format);
}
