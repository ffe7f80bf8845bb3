//! Completions become packets.

use super::UringIo;
use super::receiving::SocketState;
use super::tag::{GENERATION_MASK, Kind};
use crate::buffers::TurnBuffers;
use crate::message::{Message, PAYLOAD_START};
use crate::realtime::Realtime;
use contract::Address;
use io_uring::cqueue;
use media_core::io::{BufferIndex, Buffers, Received, SocketIndex, Span};

impl UringIo {
    /// Looks at the completions that are there, as far as `received` has room.
    pub(super) fn reap(&mut self, received: &mut Vec<Received>) {
        let Self { ring, buffer_ring, buffers, lending, states, held, rearming, realtime, counters, .. } = self;
        let (mut wake_ended, mut refused, mut ran_out) = (false, false, false);
        let mut completions = ring.uring.completion();
        while received.len() < received.capacity() {
            let Some(completion) = completions.next() else { break };
            counters.completions += 1;
            let data = completion.user_data();
            let (kind, socket) = ((data >> 56) as u8, SocketIndex(data as u32));
            let more = cqueue::more(completion.flags());
            if kind == Kind::Receive as u8 {
                let state = &mut states[socket.0 as usize];
                let current = (data >> 32) as u32 & GENERATION_MASK == state.generation && state.open;
                let buffer = cqueue::buffer_select(completion.flags());
                match (completion.result(), buffer) {
                    (bytes @ 0.., Some(index)) => match take(buffers, state, realtime, index, bytes, socket) {
                        Taken::Packet(packet) if current => {
                            counters.received += 1;
                            held.push(index);
                            received.push(packet);
                        }
                        taken => {
                            counters.truncated += u64::from(taken == Taken::Truncated);
                            counters.stale += u64::from(!current);
                            buffer_ring.push(buffers, index);
                            refused = true;
                        }
                    },
                    (error, buffer) => {
                        if let Some(index) = buffer {
                            buffer_ring.push(buffers, index);
                            refused = true;
                        }
                        if current && error == -libc::ENOBUFS {
                            counters.no_buffer += 1;
                            ran_out = true;
                        } else if current && !(state.detaching && error == -libc::ECANCELED) {
                            counters.receive_errors += 1;
                        }
                        if current && !more && error != -libc::ENOBUFS && !state.detaching {
                            rearming.push_later(socket);
                            continue;
                        }
                    }
                }
                let state = &mut states[socket.0 as usize];
                if current && !more && state.detaching {
                    (state.open, state.detaching) = (false, false);
                } else if current && !more {
                    rearming.push(socket);
                }
            } else if kind == Kind::Cancel as u8 {
                // Nothing was armed: the receive had just ended by itself.
                let state = &mut states[socket.0 as usize];
                if state.detaching && (data >> 32) as u32 & GENERATION_MASK == state.generation {
                    (state.open, state.detaching) = (false, false);
                }
            } else if kind == Kind::Send as u8 {
                counters.send_errors += u64::from(completion.result() < 0);
            } else if kind == Kind::Wake as u8 {
                counters.wakes += 1;
                wake_ended |= !more;
            }
        }
        drop(completions);
        if ran_out {
            lending.grow().for_each(|index| buffer_ring.push(buffers, index));
        }
        if refused || ran_out {
            buffer_ring.publish();
        }
        if wake_ended {
            self.counters.socket_errors += u64::from(self.arm_waker().is_err());
        }
    }
}

/// What became of one filled buffer.
#[derive(PartialEq, Eq)]
enum Taken {
    Packet(Received),
    Truncated,
    Broken,
}

fn take(
    buffers: &TurnBuffers,
    state: &SocketState,
    realtime: &mut Realtime,
    index: u16,
    bytes: i32,
    socket: SocketIndex,
) -> Taken {
    let bytes = u16::try_from(bytes).unwrap_or(u16::MAX).min(media_core::io::BUFFER_BYTES as u16);
    let whole = Span { buffer: BufferIndex(index), start: 0, bytes };
    let Some(message) = Message::read(buffers.bytes(whole)) else { return Taken::Broken };
    if message.truncated {
        return Taken::Truncated;
    }
    let span = Span { start: PAYLOAD_START as u16, bytes: message.payload_bytes, ..whole };
    // What a stranger sent before the socket was connected still names its sender.
    let from = if state.connected && message.from == state.peer { Address::NONE } else { message.from };
    Taken::Packet(Received { socket, span, at: realtime.instant(message.realtime_ns), from })
}
