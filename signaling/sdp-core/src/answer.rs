use crate::description::Description;
use crate::negotiated::meet;
use crate::offer::payloads;
use crate::{CodecOrder, Negotiated, OtherMedia, SdpError, Settings};

/// Reads the answer to an offer of ours that was written with the same settings and `others` (RFC 3264 §7).
pub fn read_answer(bytes: &[u8], settings: &Settings<'_>, others: &OtherMedia) -> Result<Negotiated, SdpError> {
    let description = Description::parse(bytes)?;
    let lines_of = |text: &str| text.matches("m=").count();
    let (ours, after) = (lines_of(&others.before), lines_of(&others.after));
    if description.media().len() != ours + 1 + after {
        return Err(SdpError::NoAnswer);
    }
    let media = &description.media()[ours];
    if !media.is_rtp_audio() || media.port == 0 {
        return Err(SdpError::NoAudio);
    }
    let remote_rtp = media.rtp().map_err(|()| SdpError::NoAudio)?;
    // The answerer's order counts: its first is what it prefers to hear (RFC 3264 §7).
    let payloads = payloads(media, settings.codecs, CodecOrder::Offerer, settings.telephone_event);
    payloads.audio().ok_or(SdpError::NoCodec)?;
    Ok(Negotiated {
        remote_rtp,
        remote_rtcp: media.rtcp(),
        payloads,
        direction: meet(settings.direction, media.direction()),
        ptime_ms: media.common.packet_ms(),
        rtcp_mux: media.rtcp_mux,
    })
}
