use crate::description::Description;
use crate::media::Media;
use crate::offer::agree;
use crate::{CodecOrder, Negotiated, OtherMedia, SdpError, Settings};

/// Reads the answer to an offer of ours that was written with the same settings and `others` (RFC 3264 §7).
pub fn read_answer(bytes: &[u8], settings: &Settings<'_>, others: &OtherMedia) -> Result<Negotiated, SdpError> {
    let description = Description::parse(bytes)?;
    let lines_of = |text: &str| text.matches("m=").count();
    let (ours, after) = (lines_of(&others.before), lines_of(&others.after));
    // Some peers leave out what they see refused already: then the only audio line is ours.
    let only = |count: usize| (count < ours + 1 + after).then(|| description.media().iter().position(Media::is_audio));
    let ours = match description.media().len() {
        count if count == ours + 1 + after => ours,
        count => only(count).flatten().ok_or(SdpError::NoAnswer)?,
    };
    let media = &description.media()[ours];
    if !media.is_rtp_audio() || media.port == 0 {
        return Err(SdpError::NoAudio);
    }
    // The answerer's order counts: its first is what it prefers to hear (RFC 3264 §7).
    agree(media, &Settings { order: CodecOrder::Offerer, relays_all: false, ..*settings })
}
