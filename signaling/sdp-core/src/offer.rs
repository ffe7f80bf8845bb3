use crate::description::Description;
use crate::media::Media;
use crate::negotiated::meet;
use crate::write::{write_description, write_refused};
use crate::{CodecOrder, Local, Negotiated, Origin, OtherMedia, SdpError, Settings};
use contract::{Codec, Direction, PayloadMap};

/// A peer's offer, and what we can agree on.
#[derive(Clone, Debug)]
pub struct Offer {
    agreed: Negotiated,
    others: OtherMedia,
    /// The transport of our answer, as the offer names it; none where the stream is switched off.
    transport: Option<Transport>,
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
    /// Reads the offer of a new session.
    pub fn read(bytes: &[u8], settings: &Settings<'_>) -> Result<Self, SdpError> {
        let description = Description::parse(bytes)?;
        let mut reason = SdpError::NoAudio;
        for (index, media) in description.media().iter().enumerate() {
            if !media.is_rtp_audio() || media.port == 0 || media.rtp().is_err() {
                continue;
            }
            match agree(media, settings) {
                Some(agreed) => {
                    let avpf = media.transport.len() > "RTP/AVP".len();
                    let transport = Some(if avpf { Transport::Avpf } else { Transport::Avp });
                    return Ok(Self { agreed, others: others(&description, index), transport });
                }
                None => reason = SdpError::NoCodec,
            }
        }
        Err(reason)
    }

    /// Reads a later offer of a session: its audio stream may be switched off with port 0 (RFC 3264 §8.2), then
    /// nothing flows until it comes back.
    pub fn read_again(bytes: &[u8], settings: &Settings<'_>) -> Result<Self, SdpError> {
        match Self::read(bytes, settings) {
            Err(SdpError::NoAudio) => Self::read_switched_off(bytes),
            other => other,
        }
    }

    fn read_switched_off(bytes: &[u8]) -> Result<Self, SdpError> {
        let description = Description::parse(bytes)?;
        let off = |media: &Media<'_>| media.is_rtp_audio() && media.port == 0;
        let index = description.media().iter().position(off).ok_or(SdpError::NoAudio)?;
        let agreed = Negotiated {
            remote_rtp: None,
            remote_rtcp: None,
            payloads: payloads(&description.media()[index], &ALL, CodecOrder::Offerer, true),
            direction: Direction::Inactive,
            ptime_ms: 20,
            rtcp_mux: false,
        };
        let mut others = others(&description, index);
        let mut refused = String::new();
        write_refused(&mut refused, &description.media()[index]);
        others.after = (refused + &others.after).into();
        Ok(Self { agreed, others, transport: None })
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
        write_description(&self.agreed, self.transport, &self.others, local, origin)
    }
}

const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

fn agree(media: &Media<'_>, settings: &Settings<'_>) -> Option<Negotiated> {
    let payloads = payloads(media, settings.codecs, settings.order, settings.telephone_event);
    payloads.audio()?;
    let remote_rtp = media.rtp().ok()?;
    Some(Negotiated {
        remote_rtp,
        remote_rtcp: media.rtcp(),
        payloads,
        direction: meet(settings.direction, media.direction()),
        ptime_ms: media.common.packet_ms(),
        rtcp_mux: media.rtcp_mux,
    })
}

/// The codecs in common, each once, by the offerer's payload types; telephone events last.
pub(crate) fn payloads(media: &Media<'_>, ours: &[Codec], order: CodecOrder, events: bool) -> PayloadMap {
    let mut map = PayloadMap::default();
    let find = |codec: Codec| media.formats().iter().find(|format| format.codec == Some(codec));
    match order {
        CodecOrder::Ours => {
            for format in ours.iter().filter_map(|codec| find(*codec)) {
                map.push(format.payload_type, format.codec.unwrap_or(Codec::Other));
            }
        }
        CodecOrder::Offerer => {
            for format in media.formats() {
                let Some(codec) = format.codec.filter(|codec| ours.contains(codec)) else { continue };
                if map.iter().all(|(_, taken, _)| taken != codec) {
                    map.push(format.payload_type, codec);
                }
            }
        }
    }
    if let Some(format) = find(Codec::TelephoneEvent).filter(|_| events) {
        map.push(format.payload_type, Codec::TelephoneEvent);
    }
    map
}

/// The other media lines, refused.
fn others(description: &Description<'_>, ours: usize) -> OtherMedia {
    let (mut before, mut after) = (String::new(), String::new());
    for (index, media) in description.media().iter().enumerate().filter(|(index, _)| *index != ours) {
        write_refused(if index < ours { &mut before } else { &mut after }, media);
    }
    OtherMedia { before: before.into(), after: after.into() }
}
