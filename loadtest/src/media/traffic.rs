//! Many streams on few threads. Each thread owns its sockets and streams, and sleeps between two slots of the 20 ms.

use super::socket;
use super::stream::{StreamBook, StreamSpec, Totals};
use super::worker::Worker;
use clock::Duration;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Time between two packets of a stream.
pub const PACKET_TIME: Duration = Duration::from_millis(20);
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
    pub(super) index: u32,
    life: u32,
}

/// What the thread of a lane is told.
pub(super) enum Order {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Expect;

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
