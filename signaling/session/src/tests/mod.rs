//! Tests of whole sessions. Each runs in virtual time.

mod admission;
mod bridges;
mod command_numbers;
mod common;
mod cost;
mod fake;
mod invite;
mod negotiation;
mod pairs;
mod recording;
mod requests;
mod transfers;
mod whole;
mod wire;
