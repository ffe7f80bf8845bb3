//! Nanoseconds per 1 KB INVITE, ours beside `rsip` and `sipx-sip`: `cargo bench -p ringplane-sip-wire`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

mod work;

fn parse(c: &mut Criterion) {
    let sample = work::sample();
    let mut out = Vec::with_capacity(4096);
    let mut group = c.benchmark_group("invite_1k");
    group.throughput(Throughput::Bytes(sample.len() as u64));
    for (name, job) in work::JOBS {
        assert_eq!(work::find(name).map(|f| f as usize), Some(job as usize));
        group.bench_function(name, |b| b.iter(|| black_box(job(black_box(&sample), &mut out))));
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
