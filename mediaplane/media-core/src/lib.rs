//! What a media worker decides: legs, relay, sources, RTCP. Packets in batches in, packets in batches out.
#![forbid(unsafe_code)]
pub mod io;
