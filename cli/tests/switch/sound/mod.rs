//! Speech through the switch, judged by other programs: PESQ scores what is heard and recorded, tshark reads what is sent,
//! and packets that break every rule harm no other call.
//!
//! `phone.rs` is a SIP phone by hand, `media.rs` sends and hears RTP in time, `speech.rs` has recordings of a voice and what
//! codecs make of them, `network.rs` loses, delays and reorders.

mod harm;
mod media;
mod network;
mod phone;
mod rooms;
mod scores;
mod speech;
mod streams;
