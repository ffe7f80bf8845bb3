//! Parses the 1 KB sample a number of times with one parser, for counting instructions:
//!
//! ```text
//! cargo build --release -p ringplane-sip-wire --example instructions
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions ours 1000
//! ```
//!
//! Run it with 1000 and with 2000 and divide the difference: start-up falls out. Parsers: `ours`, `parse` (without typed
//! access), `validate`, `answer`, `call_id`, `rsip`, `sipx`. All but `parse` and `call_id` read Via, From, To, CSeq,
//! Call-ID and Contact as types.

use std::hint::black_box;

#[path = "../benches/work/mod.rs"]
mod work;

fn main() {
    let mut args = std::env::args().skip(1);
    let (parser, count) =
        (args.next().unwrap_or_default(), args.next().and_then(|c| c.parse().ok()).unwrap_or(1000u32));
    let Some(job) = work::find(&parser) else {
        eprintln!("usage: instructions ours|parse|validate|answer|call_id|rsip|sipx [COUNT]");
        std::process::exit(2);
    };
    let sample = work::sample();
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        black_box(job(black_box(&sample), &mut out));
    }
}
