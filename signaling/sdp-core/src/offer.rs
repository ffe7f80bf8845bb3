use crate::description::Description;
use crate::media::{Format, Media};
use crate::negotiated::meet;
use crate::write::{Received, write_description, write_refused};
use crate::{CodecOrder, Local, Negotiated, Origin, OtherMedia, Packets, SdpError, Settings};
use contract::{Codec, OpusParameters, PayloadMap};

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
                    let received = Received { packets, opus: settings.opus };
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

    /// The media lines that we refuse, for later descriptions of the session.
    pub fn others(&self) -> &OtherMedia {
        &self.others
    }

    /// The answer (RFC 3264 §6).
    pub fn answer(&self, local: Local, origin: &mut Origin) -> String {
        write_description(&self.agreed, self.received, self.transport, &self.others, local, origin)
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
    let payloads = payloads(media, settings.codecs, settings.order, settings.telephone_event);
    payloads.audio().ok_or(SdpError::NoCodec)?;
    let opus = media.formats().iter().find(|format| format.codec == Some(Codec::Opus));
    Ok(Negotiated {
        opus: opus.map_or(OpusParameters::default(), |format| format.opus),
        remote_rtp,
        remote_rtcp: media.rtcp(settings.source),
        payloads,
        direction: meet(settings.direction, media.direction()),
        ptime_ms: media.common.packets.made_ms(),
        packets: media.common.packets,
        rtcp_mux: media.rtcp_mux,
    })
}

/// The codecs in common, each once, by the offerer's payload types; telephone events last, in each clock of these codecs
/// (RFC 4733 §2.1: events share the clock of the audio that they are sent with).
pub(crate) fn payloads(media: &Media<'_>, ours: &[Codec], order: CodecOrder, events: bool) -> PayloadMap {
    let mut map = PayloadMap::default();
    let find = |codec: &Codec| media.formats().iter().find(|format| format.codec == Some(*codec));
    match order {
        CodecOrder::Ours => ours.iter().filter_map(find).for_each(|format| push(&mut map, format)),
        CodecOrder::Offerer => {
            let is_ours = |format: &&Format| format.codec.is_some_and(|codec| ours.contains(&codec));
            for format in media.formats().iter().filter(is_ours) {
                if map.iter().all(|(_, taken, _)| Some(taken) != format.codec) {
                    push(&mut map, format);
                }
            }
        }
    }
    let audio = map;
    for format in media.formats().iter().filter(|format| events && format.codec == Some(Codec::TelephoneEvent)) {
        let has = |map: &PayloadMap, codec: fn(Codec) -> bool| {
            map.entries().any(|entry| entry.clock_rate == format.clock && codec(entry.codec))
        };
        if has(&audio, |_| true) && !has(&map, |codec| codec == Codec::TelephoneEvent) {
            push(&mut map, format);
        }
    }
    map
}

fn push(map: &mut PayloadMap, format: &Format) {
    if let Some(codec) = format.codec {
        map.push_clocked(format.payload_type, codec, format.clock);
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
