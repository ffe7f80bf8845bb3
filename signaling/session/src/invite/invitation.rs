//! What a session takes out of an INVITE or another message with a session description.

use crate::{Parties, REMEMBERED_BYTES_MAX};
use sdp_core::{Offer, SdpError, Settings};
use sip_wire::{Address, BodyError, Message, Name};

/// An INVITE, as far as a session is concerned.
pub(crate) struct Invitation {
    /// Hops that it may still take (RFC 3261 §8.1.1.6).
    pub(crate) hops_left: u8,
    pub(crate) parties: Parties,
    /// The caller's offer; none where the caller waits for an offer of the switch.
    pub(crate) offer: Option<Offer>,
    /// The session description as it came.
    pub(crate) raw_offer: Box<[u8]>,
}

/// Why the body of a message is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the message is malformed")]
    Malformed,
    #[error("only application/sdp is taken, alone or beside parts that are optional")]
    NotSdp,
    #[error("bodies are taken as they are, not encoded")]
    Encoded,
    #[error("{0}")]
    Sdp(#[from] SdpError),
}

impl Unfit {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NotSdp | Self::Encoded => 415,
            Self::Sdp(error) => error.status(),
        }
    }

    /// The code of the `Warning` (RFC 3261 §20.43).
    pub(crate) fn warning_code(self) -> u16 {
        match self {
            Self::Malformed | Self::NotSdp | Self::Encoded => 399,
            Self::Sdp(error) => error.warning_code(),
        }
    }
}

impl Invitation {
    pub(crate) fn read(message: &Message<'_>, settings: &Settings<'_>) -> Result<Self, Unfit> {
        let sdp = description(message)?;
        let offer = sdp.map(|sdp| Offer::read(sdp, settings)).transpose()?;
        let hops_left = message.max_forwards().ok().flatten().unwrap_or(70);
        Ok(Self { hops_left, parties: parties(message), offer, raw_offer: sdp.unwrap_or_default().into() })
    }
}

impl From<BodyError> for Unfit {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed => Self::Malformed,
            BodyError::Type => Self::NotSdp,
            BodyError::Encoding => Self::Encoded,
        }
    }
}

/// The session description of a message, alone or as one of several parts; none where it has none and needs none. Other
/// parts are for us alone, and do not cross to the other side of a call.
pub(crate) fn description<'a>(message: &Message<'a>) -> Result<Option<&'a [u8]>, Unfit> {
    Ok(message.session_description()?)
}

/// Caller and called party, as far as the message can be read.
pub(crate) fn parties(message: &Message<'_>) -> Parties {
    let uri = |address: Option<Address<'_>>| address.map(|address| remember(address.uri.canonical().as_bytes()));
    let called = message.request_uri().map(|uri| uri.user_text()).unwrap_or_default();
    Parties {
        from: uri(message.from().ok()).unwrap_or_default(),
        to: uri(message.to().ok()).unwrap_or_default(),
        called_user: remember(called.as_bytes()),
        call_id: remember(message.header(Name::CallId).unwrap_or_default()),
    }
}

/// At most [`REMEMBERED_BYTES_MAX`] bytes of a text; what is no UTF-8 shows as such.
fn remember(text: &[u8]) -> Box<str> {
    let text = text.get(..REMEMBERED_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(text).into()
}
