//! What a capture shows: RTP streams, calls, and whether the two fit together.

mod calls;
mod pcap;
mod rtp;
mod sound;
mod tshark;

pub use calls::{SeenCall, SeenCalls};
pub use pcap::{Datagram, read};
pub use rtp::{RtpStream, RtpStreams, SAMPLES_MAX, StreamKey, alaw, share_of, ulaw};
pub use sound::{climbing_tone, likeness, share_found};
pub use tshark::{SharkStream, shark_count, shark_streams};
