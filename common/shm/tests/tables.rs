//! What is published for anybody to read: leg rows, counters, latencies, heartbeats.
#![cfg(not(loom))]

mod common;

use common::{Random, plan};
use contract::{Address, LegQuality, LegRef, LegRow, ReceivedCounts, SentCounts, StreamQuality};
use shm::{ClientIndex, Host, NoSuchRow, Region, WorkerIndex};
use stats::{Counts, MediaCounter, SignalCounter};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

const W0: WorkerIndex = WorkerIndex(0);

fn row(row: u32, number: u64) -> LegRow {
    LegRow {
        leg: LegRef::new(row, 1),
        remote: Address::from(std::net::SocketAddr::from(([192, 0, 2, 1], number as u16 | 1))),
        opened_at_ns: number,
        received: ReceivedCounts {
            packets: number,
            lost_packets: number as i64,
            jitter_us: number as u32,
            ..ReceivedCounts::default()
        },
        sent: SentCounts { packets: 0, bytes: number },
        quality: LegQuality {
            received: StreamQuality { mos_x100: number as u16, ..Default::default() },
            ..Default::default()
        },
        ..LegRow::default()
    }
}

#[test]
fn a_row_is_read_whole_while_it_is_written() {
    let region = Region::create(&plan(1, 1)).unwrap();
    let (writer, reader, stop) = (region.legs(), region.legs(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                writer.publish(&row(7, number)).unwrap();
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let (mut reads, mut last) = (0, 0);
        while reads < 1_000_000 {
            // `None` is allowed: a reader that never meets a quiet moment gives up rather than waits.
            if let Some(seen) = reader.read(LegRef::new(7, 1)) {
                assert_eq!(seen, row(7, seen.opened_at_ns), "half of one row and half of another");
                assert!(seen.opened_at_ns >= last, "time runs backwards");
                last = seen.opened_at_ns;
            }
            reads += 1;
        }
        stop.store(true, Relaxed);
        assert!(last > 1_000, "only {last} rows were written meanwhile");
    });
}

#[test]
fn rows_have_a_place_per_leg_id() {
    let region = Region::create(&plan(1, 1)).unwrap();
    let legs = region.legs();
    let end = region.plan().leg_rows() as u32;
    assert_eq!((legs.read(LegRef::new(0, 1)), legs.rows().count()), (None, 0), "never written");
    for number in [end, u32::MAX] {
        assert_eq!(legs.publish(&row(number, 1)), Err(NoSuchRow(number)));
        assert_eq!(legs.read(LegRef::new(number, 1)), None);
    }
    for number in [0, 1, end - 1] {
        legs.publish(&row(number, u64::from(number))).unwrap();
    }
    assert_eq!(legs.rows().map(|row| row.opened_at_ns).collect::<Vec<_>>(), [0, 1, u64::from(end - 1)]);
    assert_eq!(legs.read(LegRef::new(1, 1)), Some(row(1, 1)));
    assert_eq!(legs.read(LegRef::new(1, 2)), None, "the row is of an earlier life");
}

#[test]
fn counters_keep_to_themselves() {
    let host = Host::create(&plan(3, 4)).unwrap();
    let region = host.region();
    for worker in region.plan().workers() {
        let mut counts = Counts::<MediaCounter>::default();
        counts.add(MediaCounter::LegsOpen, 10 + u64::from(worker.0));
        counts.add(MediaCounter::Turns, 20 + u64::from(worker.0));
        region.media_counters(worker).publish(counts.values());
        region.beat(worker, clock::Instant::from_nanos(30 + u64::from(worker.0)));
        region.relay_latency(worker).record(5_000);
        region.pacing_lateness(worker).record(9_000_000);
    }
    let mut signal = Counts::<SignalCounter>::default();
    signal.add(SignalCounter::CallsActive, 7);
    let end = host.attach_local().unwrap();
    region.signal_counters(end.index()).publish(signal.values());
    for worker in region.plan().workers() {
        let counts = region.media_counters(worker).read();
        assert_eq!(counts.get(MediaCounter::LegsOpen), 10 + u64::from(worker.0));
        assert_eq!(counts.get(MediaCounter::Turns), 20 + u64::from(worker.0));
        assert_eq!(region.heartbeat(worker).as_nanos(), 30 + u64::from(worker.0));
        assert_eq!(region.relay_latency(worker).read().count(), 1);
        assert!(region.pacing_lateness(worker).read().max() == Duration::from_millis(9));
    }
    assert_eq!(region.signal_counters(ClientIndex(1)).read().values().iter().sum::<u64>(), 0);
    assert_eq!(region.signal_counters(end.index()).read().get(SignalCounter::CallsActive), 7);
    host.release(end.index());
    let again = host.attach_local().unwrap();
    assert_eq!(
        region.signal_counters(again.index()).read().get(SignalCounter::CallsActive),
        0,
        "a new client starts at 0"
    );
}

#[test]
fn percentiles_are_within_five_percent() {
    let region = Region::create(&plan(1, 1)).unwrap();
    let latency = region.relay_latency(W0);
    assert_eq!(latency.read().percentile(50.0), None, "nothing recorded");
    let mut random = Random(3);
    let mut value = || {
        let end = 1 << (11 + random.below(19)); // up to one second, every size as likely
        1 << 10 | random.below(end)
    };
    let mut values: Vec<u64> = (0..100_000).map(|_| value()).collect();
    values.iter().for_each(|ns| latency.record(*ns));
    values.sort_unstable();
    let snapshot = latency.read();
    assert_eq!(snapshot.count(), 100_000);
    for percent in [0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
        let exact = values[((percent / 100.0 * values.len() as f64).ceil() as usize).max(1) - 1] as f64;
        let told = snapshot.percentile(percent).unwrap().as_nanos() as f64;
        assert!((told - exact).abs() <= exact * 0.05, "p{percent}: {told} for {exact}");
    }
    assert_eq!(snapshot.max().as_nanos() as u64, *values.last().unwrap());

    latency.record(3);
    latency.record(5_000_000_000);
    let since = latency.read().since(&snapshot);
    assert_eq!(since.count(), 2);
    assert_eq!(since.percentile(50.0), Some(Duration::from_nanos(1_023)), "everything under 1 us is one bucket");
    assert_eq!(since.percentile(100.0), Some(Duration::from_secs(5)));
}
