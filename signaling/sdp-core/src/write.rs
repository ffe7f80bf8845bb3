use crate::format::static_format;
use crate::media::Media;
use crate::negotiated::direction_name;
use crate::offer::Transport;
use crate::opus::OpusFmtp;
use crate::{
    AudioFormat, Local, Negotiated, Origin, OtherMedia, Packets, RelayedFormat, RelayedFormats, RtcpXr, Settings,
};
use contract::{ClockRate, Codec, FormatId, OpusParameters, PayloadMap, PayloadMapping};
use std::fmt::Write;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

/// The payload types that we offer for telephone events, one for each clock of the codecs; an answer may not change them.
const TELEPHONE_EVENT_PAYLOAD_TYPES: RangeInclusive<u8> = 101..=106;
/// The payload type that we offer for Opus.
const OPUS_PAYLOAD_TYPE: u8 = 96;
/// Milliseconds of audio in a packet where nobody says otherwise (RFC 3551 §4.2).
const USUAL_PTIME_MS: u8 = 20;

impl Settings<'_> {
    /// The payload types of our own offers, most preferred first.
    pub fn payloads(&self) -> PayloadMap {
        let mut payloads = PayloadMap::default();
        for format in self.codecs {
            match format {
                AudioFormat::Known(codec, clock) if codec.is_audio() => {
                    payloads.push_clocked(number_of_known(*codec), *codec, *clock);
                }
                AudioFormat::Known(..) => {}
                AudioFormat::Relayed(format) => {
                    let Some(number) = number_of(format, self.codecs, &payloads) else { continue };
                    let (clock_rate, format) = (format.clock(), format.id());
                    let other = PayloadMapping::of(number, Codec::Other);
                    payloads.push_entry(PayloadMapping { clock_rate, format, ..other });
                }
            }
        }
        if self.telephone_event {
            let audio = payloads;
            let has = |clock: &ClockRate| audio.entries().any(|mapping| mapping.clock_rate == *clock);
            for (clock_rate, payload_type) in ClockRate::ALL.into_iter().filter(has).zip(TELEPHONE_EVENT_PAYLOAD_TYPES)
            {
                payloads.push_clocked(payload_type, Codec::TelephoneEvent, clock_rate);
            }
        }
        payloads
    }

    /// Our formats that are only relayed.
    fn relayed(&self) -> RelayedFormats {
        let relayed = self.codecs.iter().filter_map(|format| match format {
            AudioFormat::Relayed(format) => Some(format.clone()),
            AudioFormat::Known(..) => None,
        });
        relayed.collect::<Vec<_>>().into()
    }
}

/// The number of a codec that the media plane understands.
fn number_of_known(codec: Codec) -> u8 {
    let l16 = Codec::L16.into_iter().zip(OPUS_PAYLOAD_TYPE + 1..).find(|(other, _)| *other == codec);
    codec.static_payload_type().or(l16.map(|(_, number)| number)).unwrap_or(OPUS_PAYLOAD_TYPE)
}

/// The number of a format that is only relayed: that of the other side of the relay, unless it means something else in our
/// offers.
fn number_of(format: &RelayedFormat, codecs: &[AudioFormat], taken: &PayloadMap) -> Option<u8> {
    let is_static =
        |number: u8| static_format(number).is_some_and(|(name, ..)| name.eq_ignore_ascii_case(format.name()));
    let is_dynamic =
        |number: u8| (OPUS_PAYLOAD_TYPE + 1..128).contains(&number) && !TELEPHONE_EVENT_PAYLOAD_TYPES.contains(&number);
    let is_known = |number: u8| {
        codecs.iter().any(|format| matches!(format, AudioFormat::Known(codec, _) if number_of_known(*codec) == number))
    };
    let is_free = |number: &u8| {
        let is_taken = taken.iter().any(|(other, ..)| other == *number) || is_known(*number);
        !is_taken && (is_static(*number) || is_dynamic(*number))
    };
    [format.payload_type].into_iter().chain(OPUS_PAYLOAD_TYPE + 1..128).find(is_free)
}

/// Our offer: all that `settings` has, beside the media lines that the session already has. `rtcp-mux` is offered
/// (RFC 5761 §5.1.1: the peer may refuse it), so RTCP comes on both ports until the answer is there.
pub fn write_offer(settings: &Settings<'_>, others: &OtherMedia, local: Local, origin: &mut Origin) -> String {
    let offered = Negotiated {
        remote_rtp: None,
        remote_rtcp: None,
        payloads: settings.payloads(),
        relayed: RelayedFormats::default(),
        direction: settings.direction,
        ptime_ms: USUAL_PTIME_MS,
        packets: Packets::default(),
        opus: OpusParameters::default(),
        rtcp_mux: true,
        rtcp_xr: settings.rtcp_xr == RtcpXr::Offered,
    };
    let received = Received::of(settings, settings.packets.unwrap_or_default());
    write_description(&offered, &received, Transport::Avp, others, local, origin)
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
    let offered = Negotiated { direction: settings.direction, ..agreed.clone() };
    let packets = settings.packets.unwrap_or(Packets::of(agreed.ptime_ms));
    let received = Received::of(settings, packets);
    write_description(&offered, &received, Transport::Avp, others, local, origin)
}

/// What a description of ours says of the packets that we are to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) packets: Packets,
    /// None: as the media plane wants it.
    pub(crate) opus: Option<OpusParameters>,
    /// The formats that are only relayed, as the other side of the relay describes them.
    pub(crate) relayed: RelayedFormats,
}

impl Received {
    pub(crate) fn of(settings: &Settings<'_>, packets: Packets) -> Self {
        Self { packets, opus: settings.opus, relayed: settings.relayed() }
    }

    /// What is said of a format that is only relayed: what the other side says; without another side what the peer says.
    fn relayed<'a>(&'a self, agreed: &'a Negotiated, id: FormatId) -> Option<&'a RelayedFormat> {
        let other = self.relayed.iter().find(|format| format.id().is_same_format(id));
        other.or_else(|| agreed.relayed.find(id)).map(|format| &**format)
    }
}

pub(crate) fn write_description(
    agreed: &Negotiated,
    received: &Received,
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

fn write_audio(text: &mut String, agreed: &Negotiated, received: &Received, transport: Transport, port: u16) {
    let Received { packets, opus, .. } = received;
    let _ = write!(text, "m=audio {port} {}", transport.name());
    for (payload_type, ..) in agreed.payloads.iter() {
        let _ = write!(text, " {payload_type}");
    }
    text.push_str("\r\n");
    for PayloadMapping { payload_type, codec, clock_rate, format, .. } in agreed.payloads.entries() {
        if codec == Codec::Other {
            if let Some(format) = received.relayed(agreed, format) {
                write_relayed(text, payload_type, format);
            }
            continue;
        }
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
    if agreed.rtcp_xr {
        text.push_str("a=rtcp-xr:voip-metrics\r\n");
    }
}

fn write_relayed(text: &mut String, payload_type: u8, format: &RelayedFormat) {
    let _ = write!(text, "a=rtpmap:{payload_type} {}/{}", format.name(), format.clock().hz());
    let _ = match format.channel_count() {
        1 => write!(text, "\r\n"),
        channel_count => write!(text, "/{channel_count}\r\n"),
    };
    if !format.parameters().is_empty() {
        let _ = write!(text, "a=fmtp:{payload_type} {}\r\n", format.parameters());
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
