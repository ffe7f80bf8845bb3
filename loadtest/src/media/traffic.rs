//! Many streams on few threads. Each thread owns its sockets and streams, and sleeps between two slots of the 20 ms.

use super::packet::{self, Damage};
use super::socket::{self, ReceiveBuffers, SendBatch};
use super::stream::{Expect, Stream, StreamBook, StreamSpec, Totals};
use clock::{Duration, Instant};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Time between two packets of a stream.
pub const PACKET_TIME: Duration = Duration::from_millis(20);
/// How often the sockets are emptied; the kernel's timestamps make it not matter for what is measured.
const RECEIVE_EVERY: Duration = Duration::from_millis(1);
/// Most streams of one thread.
const STREAMS_MAX: usize = 1 << 16;

/// How traffic is made.
#[derive(Clone, Copy, Debug)]
pub struct TrafficConfig {
    /// Where the sockets are bound.
    pub ip: IpAddr,
    /// Threads, each with its own sockets and streams.
    pub threads: usize,
    /// Sockets of a thread. Streams share them: what comes is told apart by content or by sender.
    pub sockets: usize,
    /// The piece of the 20 ms in which the streams of one slot are sent together.
    pub slot: Duration,
}

impl Default for TrafficConfig {
    fn default() -> Self {
        Self { ip: IpAddr::from([127, 0, 0, 1]), threads: 1, sockets: 8, slot: Duration::from_micros(200) }
    }
}

/// Names a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamRef {
    thread: u32,
    index: u32,
    life: u32,
}

enum Order {
    Add(u32, u32, Box<StreamSpec>),
    Pause(u32),
    Take(StreamRef, mpsc::Sender<(StreamRef, StreamBook)>),
    StopSending,
    ForgetHistograms,
    Tell(mpsc::Sender<(Totals, Duration)>),
    Books(mpsc::Sender<Vec<StreamBook>>),
}

struct Lane {
    orders: mpsc::Sender<Order>,
    sockets: Vec<SocketAddr>,
    free: Vec<u32>,
    lives: Vec<u32>,
    thread: Option<JoinHandle<()>>,
}

/// A running generator. Dropping it ends its threads.
pub struct Traffic {
    lanes: Vec<Lane>,
}

impl Traffic {
    /// Binds the sockets and starts the threads.
    pub fn start(config: TrafficConfig) -> io::Result<Self> {
        let lanes = (0..config.threads).map(|thread| start_lane(thread, &config)).collect::<io::Result<_>>()?;
        Ok(Self { lanes })
    }

    /// Threads.
    pub fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// Where a thread's sockets are bound, all on even ports.
    pub fn sockets(&self, thread: usize) -> &[SocketAddr] {
        &self.lanes[thread].sockets
    }

    /// Starts a stream on `thread`; all streams that hear each other's address must live there. `None`: it is full.
    pub fn add(&mut self, thread: usize, spec: StreamSpec) -> Option<StreamRef> {
        let lane = &mut self.lanes[thread];
        let index = match lane.free.pop() {
            Some(index) => index,
            None if lane.lives.len() < STREAMS_MAX => {
                lane.lives.push(0);
                lane.lives.len() as u32 - 1
            }
            None => return None,
        };
        let life = &mut lane.lives[index as usize];
        *life += 1;
        let stream = StreamRef { thread: thread as u32, index, life: *life };
        lane.orders.send(Order::Add(index, stream.life, Box::new(spec))).ok()?;
        Some(stream)
    }

    /// Sends no more packets of the stream; what is on its way is still counted.
    pub fn pause(&self, stream: StreamRef) {
        let _ = self.lanes[stream.thread as usize].orders.send(Order::Pause(stream.index));
    }

    /// Ends the stream; its book goes to `reply`.
    pub fn take(&mut self, stream: StreamRef, reply: &mpsc::Sender<(StreamRef, StreamBook)>) {
        let lane = &mut self.lanes[stream.thread as usize];
        if lane.orders.send(Order::Take(stream, reply.clone())).is_ok() {
            lane.free.push(stream.index);
        }
    }

    /// Sends nothing more, on any stream.
    pub fn stop_sending(&self) {
        for lane in &self.lanes {
            let _ = lane.orders.send(Order::StopSending);
        }
    }

    /// Starts the latency histograms anew, for instance after warming up. Counters go on.
    pub fn forget_histograms(&self) {
        for lane in &self.lanes {
            let _ = lane.orders.send(Order::ForgetHistograms);
        }
    }

    /// What all streams add up to, and the CPU time of the generator's threads.
    pub fn totals(&self) -> (Totals, Duration) {
        let mut sum = Totals::default();
        let mut cpu = Duration::ZERO;
        for lane in &self.lanes {
            let (reply, answer) = mpsc::channel();
            let _ = lane.orders.send(Order::Tell(reply));
            if let Ok((totals, time)) = answer.recv() {
                sum.add(&totals);
                cpu += time;
            }
        }
        (sum, cpu)
    }

    /// The books of all running streams.
    pub fn books(&self) -> Vec<StreamBook> {
        let mut books = Vec::new();
        for lane in &self.lanes {
            let (reply, answer) = mpsc::channel();
            let _ = lane.orders.send(Order::Books(reply));
            books.extend(answer.recv().unwrap_or_default());
        }
        books
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for lane in self.lanes.drain(..) {
            let Lane { orders, thread, .. } = lane;
            drop(orders);
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}

fn start_lane(thread: usize, config: &TrafficConfig) -> io::Result<Lane> {
    let sockets = (0..config.sockets.max(1)).map(|_| socket::bind(config.ip, true)).collect::<io::Result<Vec<_>>>()?;
    let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
    let (orders, inbox) = mpsc::channel();
    let slot = config.slot.clamp(Duration::from_micros(50), PACKET_TIME);
    let name = format!("traffic{thread}");
    let thread = std::thread::Builder::new().name(name).spawn(move || Worker::new(sockets, inbox, slot).run())?;
    Ok(Lane { orders, sockets: addresses, free: Vec::new(), lives: Vec::new(), thread: Some(thread) })
}

struct Worker {
    sockets: Vec<UdpSocket>,
    buffers: Vec<ReceiveBuffers>,
    batches: Vec<SendBatch>,
    inbox: mpsc::Receiver<Order>,
    slot: Duration,
    /// Streams by slot of the 20 ms.
    slots: Vec<Vec<u32>>,
    table: Table,
}

#[derive(Default)]
struct Table {
    streams: Vec<Option<Stream>>,
    /// Stream by the port that it hears, plus one; a relay has a port for each.
    by_port: Vec<u32>,
    totals: Totals,
}

impl Worker {
    fn new(sockets: Vec<UdpSocket>, inbox: mpsc::Receiver<Order>, slot: Duration) -> Self {
        let slot_count = (PACKET_TIME.as_nanos() / slot.as_nanos()).max(1) as usize;
        Self {
            buffers: sockets.iter().map(|_| ReceiveBuffers::default()).collect(),
            batches: sockets.iter().map(|_| SendBatch::default()).collect(),
            sockets,
            inbox,
            slot: PACKET_TIME / slot_count as u32,
            slots: vec![Vec::new(); slot_count],
            table: Table { by_port: vec![0; 1 << 16], ..Table::default() },
        }
    }

    fn run(mut self) {
        // The default slack of 50 us would be part of every latency.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut slot_index = 0;
        let mut due = clock::now() + self.slot;
        let mut receive_at = due;
        loop {
            let now = clock::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.send_due(&mut due, &mut slot_index);
            let now = clock::now();
            if now >= receive_at {
                self.receive();
                receive_at = now + RECEIVE_EVERY;
            }
        }
    }

    /// Sends every slot that is due. After a long sleep it does not catch up in one burst for more than 20 ms.
    fn send_due(&mut self, due: &mut Instant, slot_index: &mut usize) {
        let now = clock::now();
        if now.since(*due) > PACKET_TIME {
            self.table.totals.lateness_ns.saturating_record(now.since(*due).as_nanos() as u64);
            *due = now;
        }
        while *due <= now {
            if !self.slots[*slot_index].is_empty() {
                let late = clock::now().since(*due);
                self.table.totals.lateness_ns.saturating_record((late.as_nanos() as u64).max(1));
                self.send_slot(*slot_index);
            }
            *slot_index = (*slot_index + 1) % self.slots.len();
            *due += self.slot;
        }
    }

    fn send_slot(&mut self, slot_index: usize) {
        let mut sent_at_ns = clock::wall_now().as_unix_nanos();
        for at in 0..self.slots[slot_index].len() {
            let index = self.slots[slot_index][at];
            let Some(Some(stream)) = self.table.streams.get_mut(index as usize) else { continue };
            let socket = stream.spec.socket;
            let batch = &mut self.batches[socket];
            stream.write_next(index, sent_at_ns, batch.push(stream.spec.to));
            self.table.totals.sent += 1;
            if batch.is_full() {
                self.table.totals.refused += batch.send(&self.sockets[socket]) as u64;
                sent_at_ns = clock::wall_now().as_unix_nanos();
            }
        }
        for (batch, socket) in self.batches.iter_mut().zip(&self.sockets) {
            self.table.totals.refused += batch.send(socket) as u64;
        }
    }

    fn receive(&mut self) {
        let Self { sockets, buffers, table, .. } = self;
        for (socket, buffers) in sockets.iter().zip(buffers) {
            // An error here is one of the socket that the next turn meets again; nothing is lost by going on.
            let _ = socket::receive(socket, buffers, |packet, from, at_ns| table.arrived(packet, from, at_ns));
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add(index, life, spec) => self.add(index, life, *spec),
            Order::Pause(index) => self.pause(index),
            Order::Take(stream, reply) => {
                self.receive();
                self.pause(stream.index);
                if let Some(book) = self.table.remove(stream.index) {
                    let _ = reply.send((stream, book));
                }
            }
            Order::StopSending => self.slots.iter_mut().for_each(Vec::clear),
            Order::ForgetHistograms => {
                self.table.totals.latency_ns.reset();
                self.table.totals.gap_ns.reset();
                self.table.totals.lateness_ns.reset();
            }
            Order::Tell(reply) => {
                self.receive();
                let _ = reply.send((self.table.totals.clone(), thread_cpu()));
            }
            Order::Books(reply) => {
                self.receive();
                let _ = reply.send(self.table.streams.iter().flatten().map(|stream| stream.book).collect());
            }
        }
    }

    fn add(&mut self, index: u32, life: u32, spec: StreamSpec) {
        let spec = StreamSpec { socket: spec.socket % self.sockets.len(), ..spec };
        let at = index as usize;
        if self.table.streams.len() <= at {
            self.table.streams.resize_with(at + 1, || None);
        }
        self.table.by_port[usize::from(spec.from.port())] = index + 1;
        self.table.streams[at] = Some(Stream::new(spec, life));
        if !spec.sends {
            return;
        }
        // Neighbouring streams go far apart: a stride without a common factor with the number of slots.
        let emptiest = self.slots.iter().map(Vec::len).min().unwrap_or(0);
        let start = at * 37 % self.slots.len();
        let order = (0..self.slots.len()).map(|step| (start + step) % self.slots.len());
        if let Some(slot) = order.into_iter().find(|slot| self.slots[*slot].len() == emptiest) {
            self.slots[slot].push(index);
        }
    }

    fn pause(&mut self, index: u32) {
        if let Some(Some(stream)) = self.table.streams.get_mut(index as usize)
            && std::mem::replace(&mut stream.sending, false)
        {
            for slot in &mut self.slots {
                slot.retain(|other| *other != index);
            }
        }
    }
}

impl Table {
    fn remove(&mut self, index: u32) -> Option<StreamBook> {
        let stream = self.streams.get_mut(index as usize)?.take()?;
        let port = &mut self.by_port[usize::from(stream.spec.from.port())];
        if *port == index + 1 {
            *port = 0;
        }
        Some(stream.book)
    }

    fn arrived(&mut self, packet: &[u8], from: SocketAddr, at_ns: u64) {
        let Self { streams, by_port, totals, .. } = self;
        let by_sender = by_port[usize::from(from.port())].checked_sub(1);
        let damage = match packet::read(packet) {
            Ok(content) => {
                let stream = streams.get_mut(content.stream as usize).and_then(Option::as_mut);
                match stream.filter(|stream| stream.life == content.life) {
                    None => totals.stray += 1,
                    Some(stream) if stream.spec.from != from => totals.misdirected += 1,
                    Some(stream) => stream.came_back(&content, at_ns, totals),
                }
                return;
            }
            Err(damage) => damage,
        };
        let stream = by_sender.and_then(|index| streams.get_mut(index as usize)).and_then(Option::as_mut);
        match stream {
            Some(stream) if stream.spec.expect == Expect::Generated && damage == Damage::Foreign => {
                stream.generated_came(packet, at_ns, totals);
            }
            Some(stream) => {
                stream.book.damaged += 1;
                totals.damaged += 1;
            }
            None => totals.stray += 1,
        }
    }
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two threads, 40 streams straight from one socket to the next, until each has sent a second's worth.
    #[test]
    fn straight_streams_arrive_whole_and_in_order() {
        let config = TrafficConfig { threads: 2, sockets: 2, ..TrafficConfig::default() };
        let mut traffic = Traffic::start(config).unwrap();
        let mut streams = Vec::new();
        for n in 0..40 {
            let (thread, socket) = (n % 2, n / 2 % 2);
            let (from, to) = (traffic.sockets(thread)[socket], traffic.sockets(thread)[1 - socket]);
            let spec = StreamSpec { socket, to, from, payload_type: 0, expect: Expect::Content, sends: true };
            streams.push(traffic.add(thread, spec).unwrap());
        }
        let enough = |traffic: &Traffic| traffic.totals().0.sent >= 2_000;
        let give_up = clock::now() + Duration::from_secs(20);
        while !enough(&traffic) && clock::now() < give_up {
            std::thread::sleep(Duration::from_millis(20));
        }
        traffic.stop_sending();
        let (totals, _) = traffic.totals();
        let whole =
            (totals.damaged, totals.reordered, totals.duplicates, totals.misdirected, totals.stray, totals.refused);
        assert!(totals.sent >= 2_000, "{totals:?}");
        assert_eq!((totals.lost(), whole), (0, (0, 0, 0, 0, 0, 0)));
        let (reply, books) = mpsc::channel();
        streams.into_iter().for_each(|stream| traffic.take(stream, &reply));
        drop(reply);
        let sent: u64 = books.iter().map(|(_, book)| book.ledger.sent).sum();
        assert_eq!(sent, totals.sent);
    }
}
