//! The thread of a lane: it owns its sockets and streams, and sleeps between two slots of the 20 ms.

use super::packet::{self, Damage};
use super::socket::{self, ReceiveBuffers, SendBatch};
use super::stream::{Expect, Stream, StreamBook, StreamSpec, Totals};
use super::traffic::{Order, PACKET_TIME};
use clock::{Duration, Instant};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;

/// How often the sockets are emptied; the kernel's timestamps make it not matter for what is measured.
const RECEIVE_EVERY: Duration = Duration::from_millis(1);

pub(super) struct Worker {
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
    pub(super) fn new(sockets: Vec<UdpSocket>, inbox: mpsc::Receiver<Order>, slot: Duration) -> Self {
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

    pub(super) fn run(mut self) {
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
