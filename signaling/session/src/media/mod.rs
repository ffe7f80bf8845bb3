//! The media side of sessions, on top of [`media_control::Legs`]: the leg of each session, what it is to be, and what the
//! media plane says about it. No other part of this crate gives the media plane an order.

mod events;
pub(crate) mod leg;
mod meeting;
mod quality;
mod recording;
/// What a caller hears of ours while the called side rings and sends nothing.
pub(crate) mod ringback;
mod rooms;
mod stream;
mod voice;
mod wish;
