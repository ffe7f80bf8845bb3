//! One measured run: calls opened, warmed up, measured for some seconds, stopped, checked.

use super::through::Relay;
use crate::media::{Expect, StreamSpec, Totals, Traffic, TrafficConfig};
use crate::usage;
use clock::Duration;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct RunConfig {
    /// Two-way calls.
    pub calls: usize,
    /// Measured time.
    pub measure: Duration,
    /// Time before that: addresses are learned, caches fill.
    pub warm_up: Duration,
    /// The generator.
    pub traffic: TrafficConfig,
}

/// Percentiles of a latency, microseconds.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub struct Percentiles {
    /// Half are below.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// 999 of 1000 are below.
    pub p999_us: f64,
    /// The highest.
    pub max_us: f64,
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(ns: &Histogram<u64>) -> Self {
        let at = |percentile| ns.value_at_percentile(percentile) as f64 / 1e3;
        Self { p50_us: at(50.0), p99_us: at(99.0), p999_us: at(99.9), max_us: ns.max() as f64 / 1e3 }
    }
}

/// CPU that a run took: of the relay, of the generator, of the whole host.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuUse {
    /// CPU of the relay for one relayed packet, microseconds: in and out, RTP only.
    pub cpu_us_per_packet: f64,
    /// The part of that in user space, in 10 ms ticks and so only of use for long runs.
    pub user_us_per_packet: f64,
    /// CPU of the whole host for one relayed packet, the generator's included, microseconds.
    pub host_us_per_packet: f64,
    /// CPU of the generator for one packet sent and received, microseconds.
    pub generator_us_per_packet: f64,
    /// Cores that the relay used: 1 is one core all the time.
    pub relay_cores: f64,
    /// Cores that the generator used.
    pub generator_cores: f64,
    /// Part of the host's CPU that was busy, 0 to 1.
    pub host_busy: f64,
}

/// What a run showed.
#[derive(Clone, Debug, Serialize)]
pub struct RelayRun {
    /// What the calls went through.
    pub through: &'static str,
    /// Two-way calls.
    pub calls: usize,
    /// Packets a second, in and as many out, in the measured time.
    pub packets_per_second: f64,
    /// CPU that the relay, the generator and the host used.
    #[serde(flatten)]
    pub cpu: CpuUse,
    /// Processes that ran or wanted to, averaged over the minute before the run began: what others did to it.
    pub load_average_before: f64,
    /// From the generator's send to the kernel's time of arrival.
    pub latency: Percentiles,
    /// From the kernel's time of arrival to the relay's send, by the relay's own account where it keeps one.
    pub own_latency: Option<Percentiles>,
    /// What the relay counted in the measured time, where it counts.
    pub counters: BTreeMap<&'static str, u64>,
    /// How late the generator sent.
    pub generator_late: Percentiles,
    /// Packets that never arrived, of the whole run.
    pub lost: u64,
    /// Memory that a call took in the relay: resident bytes with all calls up, less those before.
    pub memory_bytes_per_call: f64,
    /// Calls opened a second, one after the other.
    pub set_up_per_second: f64,
    /// All counters.
    pub totals: Totals,
}

impl RelayRun {
    /// Whether every packet arrived once, in order, unchanged, from where it should.
    pub fn is_clean(&self) -> bool {
        let t = &self.totals;
        self.lost + t.damaged + t.duplicates + t.reordered + t.misdirected + t.stray + t.refused == 0
    }
}

/// Runs calls through `relay`. `tick` is called now and then with the part that is done, 0 to 1.
pub fn run(relay: &mut dyn Relay, config: &RunConfig, tick: &mut dyn FnMut(f64)) -> io::Result<RelayRun> {
    let load_average_before = usage::load_average();
    let mut traffic = Traffic::start(config.traffic)?;
    let of_relay = |pid: Option<u32>| pid.map(usage::of_process).transpose().map(Option::unwrap_or_default);
    let before_calls = of_relay(relay.pid())?;
    let set_up_from = clock::now();
    open_calls(relay, config, &mut traffic)?;
    let set_up = clock::now().since(set_up_from);
    sleep(config.warm_up, &mut |_| tick(0.0));

    traffic.forget_histograms();
    let (totals_from, generator_from) = traffic.totals();
    let account_from = relay.account();
    let (relay_from, host_from, from) = (of_relay(relay.pid())?, usage::of_host()?, clock::now());
    sleep(config.measure, tick);
    let (relay_to, host_to, to) = (of_relay(relay.pid())?, usage::of_host()?, clock::now());
    let (measured, generator_to) = traffic.totals();
    let account = relay.account().since(&account_from);

    traffic.stop_sending();
    std::thread::sleep(Duration::from_millis(300)); // what is on its way arrives
    let (totals, _) = traffic.totals();
    relay.close_all()?;

    let relayed = (measured.received - totals_from.received).max(1) as f64;
    let per_packet = |ns: u64| ns as f64 / 1e3 / relayed;
    let cores = |ns: u64| ns as f64 / to.since(from).as_nanos().max(1) as f64;
    let (relay_ns, generator_ns) =
        (relay_to.cpu_ns - relay_from.cpu_ns, (generator_to - generator_from).as_nanos() as u64);
    let busy = (host_to.busy - host_from.busy).as_secs_f64();
    Ok(RelayRun {
        through: relay.name(),
        calls: config.calls,
        packets_per_second: relayed / to.since(from).as_secs_f64(),
        cpu: CpuUse {
            cpu_us_per_packet: per_packet(relay_ns),
            user_us_per_packet: per_packet(relay_to.user_ns - relay_from.user_ns),
            host_us_per_packet: busy * 1e6 / relayed,
            generator_us_per_packet: per_packet(generator_ns),
            relay_cores: cores(relay_ns),
            generator_cores: cores(generator_ns),
            host_busy: busy / (host_to.total - host_from.total).as_secs_f64().max(1e-9),
        },
        load_average_before,
        own_latency: account.latency,
        counters: account.counters,
        latency: Percentiles::from(&measured.latency_ns),
        generator_late: Percentiles::from(&measured.lateness_ns),
        lost: totals.lost(),
        memory_bytes_per_call: relay_to.resident_bytes.saturating_sub(before_calls.resident_bytes) as f64
            / config.calls.max(1) as f64,
        set_up_per_second: config.calls as f64 / set_up.as_secs_f64().max(1e-9),
        totals,
    })
}

fn open_calls(relay: &mut dyn Relay, config: &RunConfig, traffic: &mut Traffic) -> io::Result<()> {
    for call in 0..config.calls {
        let thread = call % traffic.threads();
        let count = traffic.sockets(thread).len();
        let (socket_a, socket_b) = (2 * call % count, (2 * call + 1) % count);
        let (a, b) = (traffic.sockets(thread)[socket_a], traffic.sockets(thread)[socket_b]);
        let (to_a, to_b) = relay.open(a, b)?;
        let straight = to_a == b;
        // What A sends comes to B from the port that B sends to; with nothing between, from A itself.
        let from = |relay, other| if straight { other } else { relay };
        let spec =
            |socket, to, from| StreamSpec { socket, to, from, payload_type: 0, expect: Expect::Content, sends: true };
        let a_to_b = traffic.add(thread, spec(socket_a, to_a, from(to_b, a)));
        let b_to_a = traffic.add(thread, spec(socket_b, to_b, from(to_a, b)));
        if a_to_b.is_none() || b_to_a.is_none() {
            return Err(io::Error::other("the generator has no room for so many streams; use more threads"));
        }
    }
    Ok(())
}

fn sleep(time: Duration, tick: &mut dyn FnMut(f64)) {
    const STEP: Duration = Duration::from_millis(100);
    let (from, steps) = (clock::now(), (time.as_nanos() / STEP.as_nanos()).max(1));
    for step in 1..=steps {
        let until = from + time.mul_f64(step as f64 / steps as f64);
        std::thread::sleep(until - clock::now());
        tick(step as f64 / steps as f64);
    }
}
