//! Offer and answer (RFC 3264) for audio over RTP: session descriptions in, agreements and session descriptions out.
//!
//! [`Offer::read`] understands a peer's description and settles what both sides can do; [`Offer::answer`] writes the
//! answer once a port is known. [`write_offer`] and [`read_answer`] are the other way round (a late offer, RFC 3261
//! §13.2.1). What was agreed on is a [`Negotiated`], which maps onto `contract::LegSpec`. Descriptions are taken as peers
//! write them: lines that lack their port or formats, a host name in `c=`, blank lines around. Nothing here opens a socket,
//! resolves a name or knows SIP, except for the status and the warning that an [`SdpError`] suggests. Every list is bounded,
//! and a description is read where it lies. Read [`Offer`] first. Tests: `cargo test -p ringplane-sdp-core`.

#![forbid(unsafe_code)]

mod answer;
mod attribute;
mod description;
mod error;
mod format;
mod media;
mod negotiated;
mod offer;
mod opus;
mod settings;
mod write;

pub use answer::read_answer;
pub use attribute::Packets;
pub use error::SdpError;
pub use format::{AudioFormat, RelayedFormat, RelayedFormats};
pub use negotiated::Negotiated;
pub use offer::Offer;
pub use settings::{CodecOrder, Local, Origin, OtherMedia, RtcpXr, Settings};
pub use write::{write_offer, write_offer_again};

/// Longest description that is read.
pub const DESCRIPTION_BYTES_MAX: usize = 16_384;
/// Most `m=` lines of one description.
pub const MEDIA_COUNT_MAX: usize = 16;
/// Most formats of one `m=` line; the rest is not looked at.
pub const FORMAT_COUNT_MAX: usize = 32;

#[cfg(test)]
mod tests;
