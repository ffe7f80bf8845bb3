//! The generator: both sides of many calls, each stream in the codec of its side, from one thread.

use super::coding::{Coding, Judged, LOUD_FROM, ROUND_PACKETS, judge};
use clock::{Duration, Instant};
use loadtest::media;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Time of one packet.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Streams are spread over so many points of it.
const SLOTS: usize = 20;
/// Packets of the stream that is listened to are kept for so long.
const KEPT_PACKETS: usize = 3_000;

/// Both sides of all calls.
pub(super) struct Traffic {
    sides: [Side; 2],
    started: Instant,
    next_slot: u64,
}

struct Side {
    coding: Coding,
    socket: UdpSocket,
    round: Vec<Vec<u8>>,
    /// Where each call's packets go.
    to: Vec<SocketAddr>,
    /// Call by the port that its packets come from, plus one.
    by_port: Vec<u32>,
    received: u64,
    sent: u64,
    /// When the first stream sent the first loud packet of each round.
    loud_sent: Vec<Instant>,
    /// What came for the first stream.
    heard: Vec<(Instant, Vec<u8>)>,
}

/// What was sent and heard in a part of a run.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// What the first call's streams brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Whether both sides heard the sound that was sent.
    pub(super) is_the_sound: bool,
    /// From the first loud packet's departure to the arrival of the first loud packet, of each round and both sides, milliseconds.
    pub(super) delays_ms: Vec<f64>,
}

impl Traffic {
    pub(super) fn new(codings: [Coding; 2]) -> io::Result<Self> {
        let [one, other] = codings.map(Side::new);
        Ok(Self { sides: [one?, other?], started: clock::now(), next_slot: 0 })
    }

    /// Where the two sides take media.
    pub(super) fn addresses(&self) -> io::Result<[SocketAddr; 2]> {
        Ok([self.sides[0].socket.local_addr()?, self.sides[1].socket.local_addr()?])
    }

    /// A call whose sides send to these ports of the relay.
    pub(super) fn add(&mut self, to: [SocketAddr; 2]) {
        for (side, to) in self.sides.iter_mut().zip(to) {
            side.to.push(to);
            side.by_port[usize::from(to.port())] = side.to.len() as u32;
        }
    }

    /// Sends and hears for so long.
    pub(super) fn run(&mut self, time: Duration) -> Counts {
        if self.next_slot == 0 {
            self.started = clock::now();
        }
        let before = self.counts();
        let until = clock::now() + time;
        let step = PACKET_TIME / SLOTS as u32;
        while clock::now() < until {
            let due = self.started + step * self.next_slot as u32;
            let now = clock::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            for side in &mut self.sides {
                side.send(self.next_slot);
            }
            self.next_slot += 1;
            self.sides.iter_mut().for_each(Side::receive);
        }
        let after = self.counts();
        Counts { sent: after.sent - before.sent, received: after.received - before.received }
    }

    /// Forgets what was heard so far.
    pub(super) fn listen_anew(&mut self) {
        for side in &mut self.sides {
            side.heard.clear();
            side.loud_sent.clear();
        }
    }

    fn counts(&self) -> Counts {
        let sum = |value: fn(&Side) -> u64| self.sides.iter().map(value).sum();
        Counts { sent: sum(|side| side.sent), received: sum(|side| side.received) }
    }

    /// What the first call's sides heard of each other since [`Self::listen_anew`].
    pub(super) fn heard(&self) -> Heard {
        let mut heard = Heard { is_the_sound: true, ..Heard::default() };
        for (here, there) in [(0, 1), (1, 0)] {
            let (here, there) = (&self.sides[here], &self.sides[there]);
            let Judged { loud_from, is_the_sound } =
                judge(here.coding, here.heard.iter().map(|(_, payload)| payload.as_slice()));
            heard.is_the_sound &= is_the_sound;
            for at in loud_from {
                let at = here.heard[at].0;
                let sent = there.loud_sent.iter().rev().find(|sent| **sent <= at);
                heard.delays_ms.extend(sent.map(|sent| at.since(*sent).as_secs_f64() * 1e3));
            }
        }
        heard
    }
}

impl Side {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(Self {
            coding,
            socket: media::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), true)?,
            round: coding.round(),
            to: Vec::new(),
            by_port: vec![0; 1 << 16],
            received: 0,
            sent: 0,
            loud_sent: Vec::new(),
            heard: Vec::new(),
        })
    }

    /// The packets of all calls whose turn it is.
    fn send(&mut self, slot: u64) {
        let number = slot / SLOTS as u64;
        let ticks = self.coding.format().ticks_in_ms(20);
        let mut packet = Vec::with_capacity(1_500);
        for call in (slot as usize % SLOTS..self.to.len()).step_by(SLOTS) {
            let position = (number as usize + call * 7) % ROUND_PACKETS;
            packet.clear();
            packet.extend([0x80, self.coding.payload_type() | if number == 0 { 0x80 } else { 0 }]);
            packet.extend((number as u16).to_be_bytes());
            packet.extend((number as u32).wrapping_mul(ticks).to_be_bytes());
            packet.extend((0x5eed_0000 + call as u32).to_be_bytes());
            packet.extend_from_slice(&self.round[position]);
            if call == 0 && position == LOUD_FROM {
                self.loud_sent.push(clock::now());
            }
            self.sent += u64::from(self.socket.send_to(&packet, self.to[call]).is_ok());
        }
    }

    fn receive(&mut self) {
        let mut packet = [0; 2_048];
        while let Ok((bytes, from)) = self.socket.recv_from(&mut packet) {
            // RTCP is on the ports above, which the generator does not have.
            let Some(call) = self.by_port[usize::from(from.port())].checked_sub(1) else { continue };
            let is_sound = bytes > 12 && packet[1] & 0x7f == self.coding.payload_type();
            if !is_sound {
                continue;
            }
            self.received += 1;
            if call == 0 && self.heard.len() < KEPT_PACKETS {
                self.heard.push((clock::now(), packet[12..bytes].to_vec()));
            }
        }
    }
}
