//! Packets of a stream that wait to be played, in the order of their sequence numbers, in memory of a fixed size.

use std::collections::VecDeque;

/// Most packets that wait: 600 ms of packets of 10 ms.
pub(super) const PACKETS_MAX: usize = 60;
/// Bytes of all payloads that wait together: half a second of the dearest usual codec (Opus at 256 kbit/s).
pub(super) const PAYLOADS_BYTES: usize = 16 * 1_024;

/// A packet, its numbers unwrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) seq: i64,
    /// In ticks of the stream's clock.
    pub(super) time: i64,
    pub(super) payload_type: u8,
    start: u16,
    bytes: u16,
}

/// Why a packet was not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Duplicate,
    /// Neither a place nor bytes are left.
    Full,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Packets {
    /// Lowest sequence number first.
    waiting: VecDeque<Packet>,
    /// Payloads one behind the other in the order of their arrival, each in one piece, around the end.
    payloads: Box<[u8]>,
    /// Where the next payload goes.
    head: usize,
}

impl Packets {
    pub(super) fn new() -> Self {
        const { assert!(PAYLOADS_BYTES <= u16::MAX as usize) };
        Self {
            waiting: VecDeque::with_capacity(PACKETS_MAX),
            payloads: vec![0; PAYLOADS_BYTES].into_boxed_slice(),
            head: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.head = 0;
    }

    pub(super) fn first(&self) -> Option<&Packet> {
        self.waiting.front()
    }

    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn payload(&self, packet: &Packet) -> &[u8] {
        &self.payloads[usize::from(packet.start)..usize::from(packet.start) + usize::from(packet.bytes)]
    }

    pub(super) fn drop_first(&mut self) {
        self.waiting.pop_front();
    }

    /// Keeps a packet in its place. It is most often the last one.
    pub(super) fn insert(&mut self, seq: i64, time: i64, payload_type: u8, payload: &[u8]) -> Result<(), Refused> {
        let behind = self.waiting.iter().rev().take_while(|packet| packet.seq > seq).count();
        let index = self.waiting.len() - behind;
        if index > 0 && self.waiting[index - 1].seq == seq {
            return Err(Refused::Duplicate);
        }
        if self.waiting.len() == PACKETS_MAX {
            return Err(Refused::Full);
        }
        let start = self.room(payload.len()).ok_or(Refused::Full)?;
        self.payloads[start..start + payload.len()].copy_from_slice(payload);
        self.head = start + payload.len();
        // A payload that has room has less than 16 KB.
        let packet = Packet { seq, time, payload_type, start: start as u16, bytes: payload.len() as u16 };
        self.waiting.insert(index, packet);
        Ok(())
    }

    /// Where so many bytes in one piece are free: behind the last arrival, or at the beginning.
    fn room(&self, bytes: usize) -> Option<usize> {
        let behind_head = self.free_from(self.head);
        if behind_head >= bytes {
            return Some(self.head);
        }
        // Bytes between the head and the end stay unused until the head comes round again.
        let reaches_end = self.head + behind_head == PAYLOADS_BYTES;
        (reaches_end && self.free_from(0) >= bytes).then_some(0)
    }

    /// Free bytes from a position on, up to the next payload or the end. Few payloads wait, so a look at each is cheap.
    fn free_from(&self, position: usize) -> usize {
        let next = self.waiting.iter().map(|packet| usize::from(packet.start)).filter(|start| *start >= position).min();
        next.unwrap_or(PAYLOADS_BYTES) - position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_stay_whole_while_others_come_and_go() {
        let mut packets = Packets::new();
        let payload = |seq: i64| vec![seq as u8; 1 + (seq as usize * 37) % 700];
        for seq in 0..5_000 {
            // Every third pair comes in the wrong order.
            let seq = if seq % 6 == 0 {
                seq + 1
            } else if seq % 6 == 1 {
                seq - 1
            } else {
                seq
            };
            packets.insert(seq, seq * 160, 0, &payload(seq)).unwrap();
            while packets.count() > 17 {
                let first = *packets.first().unwrap();
                assert_eq!(packets.payload(&first), payload(first.seq));
                packets.drop_first();
            }
        }
    }

    #[test]
    fn what_has_no_room_is_refused_and_the_rest_stays() {
        let mut packets = Packets::new();
        assert_eq!(packets.insert(1, 0, 0, &[7; PAYLOADS_BYTES + 1]), Err(Refused::Full));
        let count = (0..).take_while(|seq| packets.insert(*seq, *seq, 0, &[*seq as u8; 1_000]).is_ok()).count();
        assert_eq!(count, PAYLOADS_BYTES / 1_000);
        assert_eq!(packets.insert(3, 0, 0, &[]), Err(Refused::Duplicate));
        for seq in 0..count as i64 {
            assert_eq!(packets.payload(packets.first().unwrap()), [seq as u8; 1_000]);
            packets.drop_first();
            packets.insert(100 + seq, 0, 0, &[9; 1_000]).unwrap();
        }
        let mut packets = Packets::new();
        let count = (0..).take_while(|seq| packets.insert(*seq, 0, 0, &[1]).is_ok()).count();
        assert_eq!(count, PACKETS_MAX);
    }
}
