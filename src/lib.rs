//! Ringplane: a telephone switch for bare metal.

#![forbid(unsafe_code)]
