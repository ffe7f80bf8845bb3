//! What the I/O alone costs: calls relayed by a loop that knows only which socket belongs to which, measured with the
//! generator that also measures ringplane and rtpengine.
//!
//! `cargo run --release -p ringplane-uring --example bare_relay -- CALLS SECONDS [adaptive|block|busy] [WORKERS] [GATHER_US]`

use clock::Duration;
use contract::Address;
use loadtest::media::TrafficConfig;
use loadtest::relay::{Relay, RunConfig, run};
use media_core::io::{Output, PacketIo, Send, SocketAction, SocketIndex};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use uring::{BindTo, IoSettings, Sockets, UringIo, WaitMode};

const FIRST_PORT: u16 = 30_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let at = |index: usize, default: &str| args.get(index).cloned().unwrap_or_else(|| default.into());
    if at(0, "") == "relay" {
        return relay(&args[1..]);
    }
    let (calls, seconds): (usize, u64) = (at(0, "1000").parse().expect("CALLS"), at(1, "5").parse().expect("SECONDS"));
    let (wait, workers, gather) = (at(2, "adaptive"), at(3, "2"), at(4, "500"));
    let own = std::env::current_exe().expect("our path");
    let pairs = (2 * calls).to_string();
    let mut child = Command::new(own)
        .args(["relay", &wait, &workers, &gather, &pairs])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let (input, output) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let mut bare = Bare { child, input, output: BufReader::new(output), calls: 0 };
    let config = RunConfig {
        calls,
        measure: Duration::from_secs(seconds),
        warm_up: Duration::from_secs(1),
        traffic: TrafficConfig::default(),
    };
    let result = run(&mut bare, &config, &mut |_| {}).expect("a run");
    println!(
        "{calls} calls, {wait}, {workers} workers, gather {gather} us: {:.2} us/packet (user {:.2}), host {:.2}, \
         p50 {:.0} p99 {:.0} p99.9 {:.0} us, lost {} of {}, clean {}",
        result.cpu.cpu_us_per_packet,
        result.cpu.user_us_per_packet,
        result.cpu.host_us_per_packet,
        result.latency.p50_us,
        result.latency.p99_us,
        result.latency.p999_us,
        result.lost,
        result.totals.sent,
        result.is_clean(),
    );
}

struct Bare {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    calls: u16,
}

impl Relay for Bare {
    fn name(&self) -> &'static str {
        "bare io_uring"
    }

    fn pid(&self) -> Option<u32> {
        Some(self.child.id())
    }

    fn open(&mut self, a: SocketAddr, b: SocketAddr) -> io::Result<(SocketAddr, SocketAddr)> {
        writeln!(self.input, "{} {a} {b}", self.calls)?;
        self.output.read_line(&mut String::new())?;
        let port = FIRST_PORT + 4 * self.calls;
        self.calls += 1;
        Ok((SocketAddr::new(a.ip(), port), SocketAddr::new(b.ip(), port + 2)))
    }

    fn close_all(&mut self) -> io::Result<()> {
        writeln!(self.input, "end")?;
        self.child.wait().map(drop)
    }
}

fn relay(args: &[String]) {
    let wait = match args[0].as_str() {
        "busy" => WaitMode::Busy,
        "block" => WaitMode::Block,
        _ => WaitMode::Adaptive,
    };
    let workers: usize = args[1].parse().expect("WORKERS");
    let gather_us_max = args[2].parse().expect("GATHER_US");
    let pairs: usize = args[3].parse().expect("PAIRS");
    uring::raise_descriptor_limit(2 * pairs as u64 + 100);
    let sockets = Arc::new(Sockets::bind(FIRST_PORT, 2 * pairs, BindTo::Any).expect("ports"));
    if !sockets.unavailable().is_empty() {
        eprintln!("{} pairs are taken by others", sockets.unavailable().len());
    }
    let settings = IoSettings { wait, gather_us_max, ..IoSettings::default() };
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let (orders, inbox) = std::sync::mpsc::channel::<(u32, Address, Address)>();
            let sockets = sockets.clone();
            let waker = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
            let bell = waker.try_clone().expect("a descriptor");
            std::thread::spawn(move || turn(UringIo::new(sockets, waker, settings).expect("io_uring"), &inbox));
            (orders, bell)
        })
        .collect();
    for line in io::stdin().lock().lines() {
        let line = line.expect("a line");
        if line == "end" {
            return std::thread::sleep(Duration::from_millis(50));
        }
        let mut words = line.split(' ');
        let mut next = || words.next().expect("a word");
        let call: usize = next().parse().expect("a call");
        let mut address = || Address::from(next().parse::<SocketAddr>().expect("an address"));
        let (a, b) = (address(), address());
        let (orders, bell) = &threads[call % workers];
        orders.send((4 * call as u32, a, b)).expect("a worker");
        rustix::io::write(bell, &1u64.to_ne_bytes()).expect("a wake-up");
        println!("ok");
    }
}

fn turn(mut io: UringIo, inbox: &std::sync::mpsc::Receiver<(u32, Address, Address)>) {
    let (mut received, mut output) = (Vec::with_capacity(512), Output::default());
    let (mut report_at, mut last, mut ended) = (clock::now() + Duration::from_secs(2), io.counters(), false);
    while !ended {
        received.clear();
        io.wait(clock::now() + Duration::from_millis(100), &mut received).expect("a turn");
        for packet in &received {
            let socket = SocketIndex(packet.socket.0 ^ 2);
            let (span, received_at) = (packet.span, packet.at);
            output.sends.push(Send { socket, span, to: Address::NONE, received_at });
        }
        loop {
            match inbox.try_recv() {
                Ok((at, a, b)) => {
                    for (socket, to) in [(SocketIndex(at), a), (SocketIndex(at + 2), b)] {
                        output.sockets.push(SocketAction::Open { socket, dscp: 46 });
                        output.sockets.push(SocketAction::Connect { socket, to });
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(_) => {
                    ended = true;
                    break;
                }
            }
        }
        io.submit(&mut output);
        if clock::now() >= report_at {
            let now = io.counters();
            let packets = now.received - last.received;
            eprintln!(
                "enters/packet {:.3}, completions/packet {:.3}, rearms {}, no buffer {}, errors: send {} receive {} socket {}",
                (now.enters - last.enters) as f64 / packets.max(1) as f64,
                (now.completions - last.completions) as f64 / packets.max(1) as f64,
                now.rearms,
                now.no_buffer,
                now.send_errors,
                now.receive_errors,
                now.socket_errors,
            );
            (report_at, last) = (clock::now() + Duration::from_secs(3), now);
        }
    }
}
