//! Tests of whole sessions. Each runs in virtual time.

mod admission;
mod bridges;
mod common;
mod cost;
mod harness;
mod invite;
mod negotiation;
mod pairs;
mod playing;
mod recording;
mod requests;
mod transfers;
mod voice;
mod whole;
mod wire;
