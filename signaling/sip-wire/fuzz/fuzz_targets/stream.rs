//! The start of a stream's buffer.
#![no_main]
#![allow(dead_code)]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::stream(bytes));
