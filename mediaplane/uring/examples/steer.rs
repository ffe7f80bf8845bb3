//! What the I/O alone costs: calls relayed by a loop that knows only which socket belongs to which, measured with the
//! generator that also measures ringplane and rtpengine.
//!
//! `cargo run --release -p uring --example bare_relay -- CALLS SECONDS [adaptive|block|busy] [WORKERS] [GATHER_US]`

use clock::Duration;
use contract::Address;
use loadtest::media::TrafficConfig;
use loadtest::relay::{Relay, RunConfig, run};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const FIRST_PORT: u16 = 30_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let at = |index: usize, default: &str| args.get(index).cloned().unwrap_or_else(|| default.into());
    if at(0, "") == "relay" {
        return relay(&args[1..]);
    }
    let (calls, seconds): (usize, u64) = (at(0, "1000").parse().expect("CALLS"), at(1, "5").parse().expect("SECONDS"));
    let (wait, workers, gather) = (at(2, "adaptive"), at(3, "2"), at(4, "100"));
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
        result.cpu_us_per_packet,
        result.user_us_per_packet,
        result.host_us_per_packet,
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
        "steered"
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


use io_uring::{IoUring, cqueue, opcode, squeue::Flags, types, types::BufRingEntry};
use std::os::fd::AsRawFd;

unsafe fn bpf(cmd: u32, attr: &mut [u8]) -> i32 {
    let r = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr.as_mut_ptr(), attr.len()) };
    if r < 0 { panic!("bpf {cmd}: {}", io::Error::last_os_error()) }
    r as i32
}
fn put32(a: &mut [u8], at: usize, v: u32) { a[at..at + 4].copy_from_slice(&v.to_ne_bytes()) }
fn put64(a: &mut [u8], at: usize, v: u64) { a[at..at + 8].copy_from_slice(&v.to_ne_bytes()) }
fn ins(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> [u8; 8] {
    let o = off.to_le_bytes(); let i = imm.to_le_bytes();
    [op, dst | src << 4, o[0], o[1], i[0], i[1], i[2], i[3]]
}

fn steer(workers: usize, ports: usize, sockets: &[socket2::Socket]) {
    unsafe {
        let mut a = [0u8; 128];
        put32(&mut a, 0, 20); put32(&mut a, 4, 4); put32(&mut a, 8, 8); put32(&mut a, 12, 64);
        let map = bpf(0, &mut a);
        for (k, s) in sockets.iter().enumerate() {
            let key = k as u32; let val = s.as_raw_fd() as u64;
            let mut a = [0u8; 128];
            put32(&mut a, 0, map as u32); put64(&mut a, 8, &key as *const _ as u64); put64(&mut a, 16, &val as *const _ as u64);
            bpf(2, &mut a);
        }
        let prog: Vec<[u8; 8]> = vec![
            ins(0xbf, 6, 1, 0, 0),
            ins(0x61, 2, 6, 12, 0),
            ins(0x55, 2, 0, 18, 17),
            ins(0x61, 2, 6, 60, 0),
            ins(0x17, 2, 0, 0, FIRST_PORT as i32),
            ins(0x35, 2, 0, 15, ports as i32),  // jge unsigned
            ins(0x77, 2, 0, 0, 2),
            ins(0x97, 2, 0, 0, workers as i32),
            ins(0x63, 10, 2, -4, 0),
            ins(0x18, 1, 1, 0, map), ins(0, 0, 0, 0, 0),
            ins(0xbf, 2, 10, 0, 0),
            ins(0x07, 2, 0, 0, -4),
            ins(0x85, 0, 0, 0, 1),
            ins(0x15, 0, 0, 6, 0),
            ins(0xbf, 7, 0, 0, 0),
            ins(0xbf, 1, 6, 0, 0),
            ins(0xbf, 2, 7, 0, 0),
            ins(0xb7, 3, 0, 0, 0),
            ins(0x85, 0, 0, 0, 124),
            // release
            ins(0xbf, 1, 7, 0, 0),
            ins(0x85, 0, 0, 0, 86),
            ins(0xb7, 0, 0, 0, 1),
            ins(0x95, 0, 0, 0, 0),
        ];
        let mut prog = prog;
        // targets: pass = index of b7 r0=1
        let pass = prog.len() as i16 - 2;
        for at in [2usize, 5, 14] { let off = (pass - at as i16 - 1).to_le_bytes(); prog[at][2] = off[0]; prog[at][3] = off[1]; }
        let license = b"GPL\0";
        let mut log = vec![0u8; 65536];
        let mut a = [0u8; 128];
        put32(&mut a, 0, 30); put32(&mut a, 4, prog.len() as u32); put64(&mut a, 8, prog.as_ptr() as u64);
        put64(&mut a, 16, license.as_ptr() as u64); put32(&mut a, 24, 1); put32(&mut a, 28, log.len() as u32);
        put64(&mut a, 32, log.as_mut_ptr() as u64); put32(&mut a, 68, 36);
        let r = libc::syscall(libc::SYS_bpf, 5, a.as_mut_ptr(), a.len());
        if r < 0 { panic!("load: {} {}", io::Error::last_os_error(), String::from_utf8_lossy(&log)) }
        let ns = std::fs::File::open("/proc/self/ns/net").unwrap();
        let mut a = [0u8; 64];
        put32(&mut a, 0, r as u32); put32(&mut a, 4, ns.as_raw_fd() as u32); put32(&mut a, 8, 36);
        bpf(28, &mut a);
    }
}

fn relay(args: &[String]) {
    let workers: usize = args[1].parse().expect("WORKERS");
    let gather: u32 = args[2].parse().expect("GATHER_US");
    let pairs: usize = args[3].parse().expect("PAIRS");
    let sockets: Vec<socket2::Socket> = (0..workers).map(|_| {
        let s = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        s.set_reuse_port(true).unwrap();
        s.set_recv_buffer_size(4 << 20).unwrap();
        let one = 1i32;
        unsafe {
            libc::setsockopt(s.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &one as *const _ as _, 4);
            libc::setsockopt(s.as_raw_fd(), 0, 20 /* IP_RECVORIGDSTADDR */, &one as *const _ as _, 4);
        }
        s.bind(&SocketAddr::from(([0, 0, 0, 0], 29_999)).into()).unwrap();
        s
    }).collect();
    steer(workers, 2 * pairs, &sockets);
    let threads: Vec<_> = sockets.into_iter().map(|s| {
        let (orders, inbox) = std::sync::mpsc::channel::<(u32, Address, Address)>();
        std::thread::spawn(move || turn(s, inbox, gather));
        orders
    }).collect();
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
        threads[call % workers].send((4 * call as u32, a, b)).expect("a worker");
        println!("ok");
    }
}

fn turn(socket: socket2::Socket, inbox: std::sync::mpsc::Receiver<(u32, Address, Address)>, gather: u32) {
    const N: usize = 1024;
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW) };
    assert!(raw >= 0);
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    let mut ring: IoUring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_cqsize(4096).build(2048).unwrap();
    let can = ring.params().is_feature_min_timeout();
    assert!(can);
    ring.submitter().register_files(&[socket.as_raw_fd(), raw]).unwrap();
    let layout = std::alloc::Layout::from_size_align(N * 16, 4096).unwrap();
    let br = unsafe { std::alloc::alloc_zeroed(layout) } as *mut BufRingEntry;
    let mut mem = vec![0u8; N * 2048];
    let base = mem.as_mut_ptr();
    let mut tail = 0u16;
    let give = |bid: u16, tail: &mut u16| unsafe {
        let e = &mut *br.add((*tail as usize) & (N - 1));
        e.set_addr(base.add(bid as usize * 2048) as u64); e.set_len(2048); e.set_bid(bid);
        *tail = tail.wrapping_add(1);
    };
    let publish = |tail: u16| unsafe { std::sync::atomic::AtomicU16::from_ptr(BufRingEntry::tail(br).cast_mut()).store(tail, std::sync::atomic::Ordering::Release) };
    for i in 0..N { give(i as u16, &mut tail) }
    publish(tail);
    unsafe { ring.submitter().register_buf_ring_with_flags(br as u64, N as u16, 0, 0).unwrap() };
    let mut template: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
    template.msg_namelen = 16; template.msg_controllen = 64;
    const PAY: usize = 16 + 16 + 64;
    let arm = opcode::RecvMsgMulti::new(types::Fixed(0), &*template, 0).build().user_data(1);
    unsafe { ring.submission().push(&arm).unwrap() };
    // peers by relay port offset
    let mut to: Vec<(u32, u16)> = vec![(0, 0); 40_000];
    let mut names: Vec<libc::sockaddr_in> = vec![unsafe { std::mem::zeroed() }; 2048];
    let (mut enters, mut packets, mut errors, mut report) = (0u64, 0u64, 0u64, clock::now() + Duration::from_secs(2));
    let mut spent: Vec<u16> = Vec::new();
    let mut sends = 0usize;
    loop {
        let ts = types::Timespec::new().nsec(20_000_000);
        let args = types::SubmitArgs::new().timespec(&ts).min_wait_usec(gather);
        let _ = ring.submitter().submit_with_args(if gather > 0 { 64 } else { 1 }, &args);
        enters += 1;
        for b in spent.drain(..) { give(b, &mut tail) }
        publish(tail);
        let _ = sends; sends = 0;
        while let Ok((at, a, b)) = inbox.try_recv() {
            let v4 = |x: Address| match x.get() { Some(SocketAddr::V4(v)) => (u32::from(*v.ip()), v.port()), _ => unreachable!() };
            to[at as usize] = v4(b); // what A sends to port a leaves from port b to B
            to[at as usize + 2] = v4(a);
        }
        let (submitter, mut sq, mut cq) = ring.split();
        let _ = &submitter;
        for c in cq.by_ref() {
            if c.user_data() != 1 { errors += 1; if errors < 5 { eprintln!("send error {}", c.result()) } continue }
            let Some(bid) = cqueue::buffer_select(c.flags()) else { if !cqueue::more(c.flags()) { unsafe { sq.push(&arm).unwrap() } } continue };
            spent.push(bid);
            let start = unsafe { base.add(bid as usize * 2048) };
            let bytes = unsafe { std::slice::from_raw_parts_mut(start, c.result() as usize) };
            let control = &bytes[32..96];
            // two cmsgs: find type 20 level 0
            let mut at = 0; let mut port = 0u16; let mut ip = [0u8; 4];
            while at + 16 <= 64 {
                let len = u64::from_ne_bytes(control[at..at + 8].try_into().unwrap()) as usize;
                if len < 16 { break }
                let ty = i32::from_ne_bytes(control[at + 12..at + 16].try_into().unwrap());
                let lv = i32::from_ne_bytes(control[at + 8..at + 12].try_into().unwrap());
                if lv == 0 && ty == 20 { port = u16::from_be_bytes([control[at + 18], control[at + 19]]); ip.copy_from_slice(&control[at + 20..at + 24]); }
                at += (len + 7) & !7;
            }
            packets += 1;
            let off = (port - FIRST_PORT) as usize;
            let (dip, dport) = to[off];
            if dport == 0 { continue }
            let pay = bytes.len() - PAY;
            let h = &mut bytes[PAY - 28..PAY];
            h[0] = 0x45; h[1] = 46 << 2; h[2..4].copy_from_slice(&((pay + 28) as u16).to_be_bytes());
            h[4..6].fill(0); h[6] = 0x40; h[7] = 0; h[8] = 64; h[9] = 17; h[10] = 0; h[11] = 0;
            h[12..16].copy_from_slice(&ip); h[16..20].copy_from_slice(&dip.to_be_bytes());
            let sport = port ^ ((FIRST_PORT ^ (FIRST_PORT + 2)) as u16);
            let sport = if (port - FIRST_PORT) & 2 == 0 { port + 2 } else { port - 2 }; let _ = sport;
            h[20..22].copy_from_slice(&sport.to_be_bytes()); h[22..24].copy_from_slice(&dport.to_be_bytes());
            h[24..26].copy_from_slice(&((pay + 8) as u16).to_be_bytes()); h[26] = 0; h[27] = 0;
            names[sends].sin_family = libc::AF_INET as u16;
            names[sends].sin_addr.s_addr = dip.to_be();
            let e = opcode::Send::new(types::Fixed(1), unsafe { start.add(PAY - 28) }, (pay + 28) as u32).flags(libc::MSG_DONTWAIT)
                .dest_addr((&raw const names[sends]).cast()).dest_addr_len(16).build().user_data(2).flags(Flags::SKIP_SUCCESS);
            sends += 1;
            unsafe { sq.push(&e).unwrap() };
        }
        if clock::now() >= report {
            eprintln!("enters/packet {:.3}, errors {errors}", enters as f64 / packets.max(1) as f64);
            (enters, packets) = (0, 0);
            report = clock::now() + Duration::from_secs(3);
        }
    }
}
