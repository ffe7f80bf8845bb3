//! The session under test over a real [`sip_core::Endpoint`], and its peers: real endpoints of phones that do as a test
//! says. What they send each other are messages, parsed on the other side; time is virtual.
//!
//! A message of the switch is noted when it leaves ([`World::said`]) and stays on its way until its phone does something
//! or time passes. So a test sees the moment between a BYE and its answer, or between a 200 and its ACK.

/// The numbers of media commands.
mod command_numbers;
/// Thousands of phones at once.
mod crowd;
/// The decisions of a user: by the called number.
mod decisions;
/// The media plane: ports, and workers that do as they are asked.
mod media;
/// What the switch says, read from its messages.
mod messages;
/// What phones do.
mod peers;
/// A phone: a real endpoint at the other end of a call.
mod phone;
/// The session under test with its endpoint, its media plane and its phones.
mod world;

pub(super) use decisions::Numbers;

pub(super) use media::{FakePorts, port_of};
pub(super) use messages::Said;
pub(super) use world::{SDP, SWITCH, World, path, target};
