//! The executable under test: `ringplane` as its users start it, with real peers. One program, so that tests that load
//! the machine can take turns.

mod b2bua;
mod call_suite;
mod calls;
mod corpora;
mod denied;
mod faults;
mod loss;
mod machine;
mod matrix;
mod media_theft;
mod phones;
mod proxy;
mod recordings;
mod sipp;
mod sound;
mod start;
mod transcoding;
