use crate::description::Description;
use crate::media::{Format, Media};
use crate::negotiated::meet;
use crate::write::{Received, write_description, write_refused};
use crate::{
    AudioFormat, CodecOrder, Local, Negotiated, Origin, OtherMedia, Packets, RelayedFormat, RelayedFormats, RtcpXr,
    SdpError, Settings,
};
use contract::{Codec, OpusParameters, PayloadMap, PayloadMapping};
use std::sync::Arc;

/// Most formats of one description that are only relayed: the codecs that are decoded and telephone events have room beside
/// them.
const RELAYED_COUNT_MAX: usize = 8;
/// Formats of which that is looked for: each costs a look through the description.
const TRIED_COUNT_MAX: usize = 24;

/// A peer's offer, and what we can agree on.
#[derive(Clone, Debug)]
pub struct Offer {
    agreed: Negotiated,
    others: OtherMedia,
    /// The transport of our answer, as the offer names it.
    transport: Transport,
    /// What our answer says of the packets that we are to be sent.
    received: Received,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Avp,
    Avpf,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
        }
    }
}

impl Offer {
    /// Reads an offer, the first one of a session or a later one. One of which nothing can be used is an error: also where it
    /// would switch off the only stream that a session has (RFC 3264 §8.2), for a call without media is of no use.
    pub fn read(bytes: &[u8], settings: &Settings<'_>) -> Result<Self, SdpError> {
        let description = Description::parse(bytes)?;
        let mut reason = SdpError::NoAudio;
        for (index, media) in description.media().iter().enumerate().filter(|(_, media)| is_on(media)) {
            match agree(media, settings) {
                Ok(agreed) => {
                    let avpf = media.transport.len() > Transport::Avp.name().len();
                    let transport = if avpf { Transport::Avpf } else { Transport::Avp };
                    let packets = settings.packets.unwrap_or(Packets::of(agreed.ptime_ms));
                    let received = Received::of(settings, packets);
                    return Ok(Self { agreed, others: others(&description, index), transport, received });
                }
                // The stream that we could have taken most of says why.
                Err(error) if reason != SdpError::NoCodec => reason = error,
                Err(_) => {}
            }
        }
        Err(reason)
    }

    /// What both sides can do.
    pub fn agreed(&self) -> &Negotiated {
        &self.agreed
    }

    /// The offer without the formats that are only relayed, for a session whose media is made or heard by the media plane.
    pub fn decodable(mut self) -> Result<Self, SdpError> {
        let payloads = self.agreed.payloads;
        self.agreed.payloads.decodable().ok_or(SdpError::OnlyRelayed)?;
        let is_decoded = |entry: &PayloadMapping| entry.codec.is_audio();
        // Events of another clock than that of the codecs that are left would be of no use (RFC 4733 §2.1).
        let is_left = |entry: &PayloadMapping| match entry.codec {
            Codec::TelephoneEvent => payloads.entries().any(|it| is_decoded(&it) && it.clock_rate == entry.clock_rate),
            _ => is_decoded(entry),
        };
        self.agreed.payloads = payloads.only(is_left);
        self.agreed.relayed = RelayedFormats::default();
        Ok(self)
    }

    /// The media lines that we refuse, for later descriptions of the session.
    pub fn others(&self) -> &OtherMedia {
        &self.others
    }

    /// The answer (RFC 3264 §6).
    pub fn answer(&self, local: Local, origin: &mut Origin) -> String {
        write_description(&self.agreed, &self.received, self.transport, &self.others, local, origin)
    }
}

fn is_on(media: &Media<'_>) -> bool {
    media.is_audio() && media.port != 0
}

pub(crate) fn agree(media: &Media<'_>, settings: &Settings<'_>) -> Result<Negotiated, SdpError> {
    if !media.is_rtp_audio() {
        return Err(SdpError::NoTransport);
    }
    let remote_rtp = media.rtp(settings.source)?;
    let (payloads, relayed) = payloads(media, settings);
    payloads.audio().ok_or(SdpError::NoCodec)?;
    let ptime_ms_max = payloads.decodable().map_or(u8::MAX, |(_, codec)| codec.ptime_ms_max());
    let opus = media.formats().iter().find(|format| format.codec == Some(Codec::Opus));
    Ok(Negotiated {
        opus: opus.map_or(OpusParameters::default(), |format| format.opus),
        remote_rtp,
        remote_rtcp: media.rtcp(settings.source),
        payloads,
        relayed,
        direction: meet(settings.direction, media.direction()),
        ptime_ms: media.common.packets.made_ms().min(ptime_ms_max),
        packets: media.common.packets,
        rtcp_mux: media.rtcp_mux,
        rtcp_xr: media.common.asks_voip_metrics && settings.rtcp_xr != RtcpXr::Off,
    })
}

/// A format of the media line that is agreed on.
struct Found {
    /// Its place in our order.
    rank: usize,
    mapping: PayloadMapping,
    relayed: Option<Arc<RelayedFormat>>,
}

/// The formats in common, each once, by the offerer's payload types; telephone events last, in each clock of these formats
/// (RFC 4733 §2.1: events share the clock of the audio that they are sent with).
fn payloads(media: &Media<'_>, settings: &Settings<'_>) -> (PayloadMap, RelayedFormats) {
    let relays = settings.relays_all || settings.codecs.iter().any(|ours| matches!(ours, AudioFormat::Relayed(_)));
    let mut found: Vec<Found> = Vec::with_capacity(media.formats().len());
    let (mut relayed_count, mut tried_count) = (0, 0);
    for format in media.formats() {
        let next = match format.codec {
            Some(Codec::TelephoneEvent) => None,
            Some(codec) => known(format, codec, settings),
            None if relays && relayed_count < RELAYED_COUNT_MAX && tried_count < TRIED_COUNT_MAX => {
                tried_count += 1;
                relayed(media, format, settings)
            }
            None => None,
        };
        let is_new = |next: &Found| found.iter().all(|other| !other.mapping.is_same_format(&next.mapping));
        if let Some(next) = next.filter(is_new) {
            relayed_count += usize::from(next.relayed.is_some());
            found.push(next);
        }
    }
    if settings.order == CodecOrder::Ours {
        found.sort_by_key(|found| found.rank);
    }
    let mut map = PayloadMap::default();
    let mut formats = Vec::new();
    for Found { mapping, relayed, .. } in found {
        if map.push_entry(mapping) {
            formats.extend(relayed);
        }
    }
    push_events(&mut map, media, settings.telephone_event);
    (map, formats.into())
}

fn known(format: &Format, codec: Codec, settings: &Settings<'_>) -> Option<Found> {
    let mapping = PayloadMapping { clock_rate: format.clock, ..PayloadMapping::of(format.payload_type, codec) };
    let rank = settings.codecs.iter().position(|ours| ours.is_carried_by(&mapping))?;
    Some(Found { rank, mapping, relayed: None })
}

fn relayed(media: &Media<'_>, format: &Format, settings: &Settings<'_>) -> Option<Found> {
    let theirs = media.relayed(format)?;
    let mut ours = settings.codecs.iter().enumerate().filter_map(|(rank, ours)| match ours {
        AudioFormat::Relayed(ours) if ours.is_same_format(&theirs) => Some((rank, ours)),
        _ => None,
    });
    let (rank, theirs) = match ours.next() {
        Some((rank, ours)) => (rank, theirs.meeting(ours)),
        None if settings.relays_all => (settings.codecs.len(), theirs),
        None => return None,
    };
    let codec = PayloadMapping::of(format.payload_type, Codec::Other);
    let mapping = PayloadMapping { clock_rate: theirs.clock(), format: theirs.id(), ..codec };
    Some(Found { rank, mapping, relayed: Some(Arc::new(theirs)) })
}

fn push_events(map: &mut PayloadMap, media: &Media<'_>, is_wanted: bool) {
    let audio = *map;
    for format in media.formats().iter().filter(|format| is_wanted && format.codec == Some(Codec::TelephoneEvent)) {
        let has = |map: &PayloadMap, codec: fn(Codec) -> bool| {
            map.entries().any(|entry| entry.clock_rate == format.clock && codec(entry.codec))
        };
        if has(&audio, |_| true) && !has(map, |codec| codec == Codec::TelephoneEvent) {
            map.push_clocked(format.payload_type, Codec::TelephoneEvent, format.clock);
        }
    }
}

/// The other media lines, refused.
fn others(description: &Description<'_>, ours: usize) -> OtherMedia {
    let (mut before, mut after) = (String::new(), String::new());
    for (index, media) in description.media().iter().enumerate().filter(|(index, _)| *index != ours) {
        write_refused(if index < ours { &mut before } else { &mut after }, media);
    }
    OtherMedia { before: before.into(), after: after.into() }
}
