//! One call: what a program knows of it, and what it can have done with it.
//!
//! [`handle`] is the call as an object with operations, [`operations`] carries them out; [`control`] gives the same operations
//! by a coordinator and a name. [`outgoing`] places calls, [`incoming`] carries out decisions about those that come in.
//! [`session`] is what programs read of a call, [`entry`] what stands behind it, [`registry`] where all of them are found.

pub(crate) mod control;
pub(crate) mod dialog;
pub(crate) mod digits;
pub(crate) mod entry;
pub(crate) mod handle;
mod hold;
pub(crate) mod id;
mod incoming;
pub(crate) mod operations;
mod outgoing;
pub(crate) mod registry;
pub(crate) mod session;
