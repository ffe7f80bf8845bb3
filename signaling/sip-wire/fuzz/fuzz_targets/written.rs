//! Strings that a user hands to the writers, separated by `|`.
#![no_main]
#![allow(dead_code)]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::written(bytes));
