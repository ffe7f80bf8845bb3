//! Calls: INVITE in both directions, its answers, PRACK, CANCEL and ACK.

mod answer;
pub(crate) mod call;
mod incoming;
mod outgoing;
mod prack;
pub(crate) mod reliable;
mod responses;
mod unusable;

pub(crate) use answer::put_session_expires;
