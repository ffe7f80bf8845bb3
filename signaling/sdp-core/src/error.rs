/// Why a description was refused: the peer is wrong, or wants what we do not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`crate::DESCRIPTION_BYTES_MAX`].
    #[error("session description is too long")]
    TooLong,
    /// A line that is no SDP, counted from 1.
    #[error("line {0} of the session description is malformed")]
    Line(u16),
    /// No `v=0` line at the start, or no `o=` line.
    #[error("not a session description")]
    NotSdp,
    /// More `m=` lines than [`crate::MEDIA_COUNT_MAX`].
    #[error("session description has too many media lines")]
    TooManyMedia,
    /// No audio stream that is on.
    #[error("no audio stream that we can take")]
    NoAudio,
    /// Audio, but only over what is no plain RTP, such as SRTP.
    #[error("audio is only taken over RTP/AVP and RTP/AVPF")]
    NoTransport,
    /// Audio, but only for a group of receivers.
    #[error("no multicast")]
    NoUnicast,
    /// Audio, but no `c=` line that says where it is to go.
    #[error("no c= line for the audio stream")]
    NoConnection,
    /// Audio, but no codec in common.
    #[error("no codec in common")]
    NoCodec,
    /// Audio, but in formats alone that the media plane can relay and not decode, where it would have to.
    #[error("none of the codecs can be decoded here, only passed on to a phone that has it")]
    OnlyRelayed,
    /// An answer that does not fit the offer (RFC 3264 §6): other number of media lines, or payload types of its own.
    #[error("the answer does not fit the offer")]
    NoAnswer,
}

impl SdpError {
    /// The SIP status that a request with such a description earns.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLong => 413,
            Self::Line(_) | Self::NotSdp => 400,
            Self::TooManyMedia
            | Self::NoAudio
            | Self::NoTransport
            | Self::NoUnicast
            | Self::NoConnection
            | Self::NoCodec
            | Self::OnlyRelayed
            | Self::NoAnswer => 488,
        }
    }

    /// The code of the `Warning` that says why (RFC 3261 §20.43).
    pub fn warning_code(self) -> u16 {
        match self {
            Self::NoTransport => 302,
            Self::NoAudio | Self::TooManyMedia => 304,
            Self::NoCodec | Self::OnlyRelayed => 305,
            Self::NoUnicast => 330,
            Self::TooLong | Self::Line(_) | Self::NotSdp | Self::NoConnection | Self::NoAnswer => 399,
        }
    }
}
