//! The sound of a leg on its way into a file.

use super::direction::{Direction, Placed};
use super::queues::{Piece, RecordingInfo};
use super::tape::{Scratch, Tape, samples_in};
use clock::{Duration, Instant};
use contract::{ClockRate, RecordingFormat, RecordingOutcome};
use media_core::Side;
use std::fs::File;
use std::io;

pub(super) struct Sound {
    began_at: Instant,
    /// The rate of the file.
    clock: ClockRate,
    pub(super) tape: Tape,
    /// What the leg receives, then what it sends.
    directions: [Direction; 2],
    late_packets: u64,
}

impl Sound {
    pub(super) fn new(info: &RecordingInfo) -> Self {
        Self::with_rate(info, info.clock)
    }

    fn with_rate(info: &RecordingInfo, clock: ClockRate) -> Self {
        Self {
            began_at: info.began_at,
            clock,
            tape: Tape::new(info.shape, clock, Duration::from_secs(info.limit_s.into())),
            directions: [Direction::new(clock), Direction::new(clock)],
            late_packets: 0,
        }
    }

    /// The file that it goes into. One that it continues sets the rate.
    pub(super) fn begin_file(&mut self, info: &RecordingInfo, file: File, number: u64) -> io::Result<()> {
        let continues = info.shape.continues && info.shape.format == RecordingFormat::Wav;
        let found = if continues { samples_in(&file, info.shape.layout) } else { None };
        match found {
            Some((rate, sample_count)) => {
                if rate != self.clock {
                    *self = Self::with_rate(info, rate);
                }
                self.tape.continue_file(file, sample_count);
                Ok(())
            }
            // Another file is not written over.
            None if continues && file.metadata()?.len() > 0 => {
                Err(io::Error::other("the file that was to go on is no recording of this layout"))
            }
            None => self.tape.set_file(file, number),
        }
    }

    pub(super) fn samples_until(&self, at: Instant) -> u64 {
        self.clock.ticks(at.since(self.began_at))
    }

    /// Takes a piece; `is_silent`: its place in the file stays silent.
    pub(super) fn take(&mut self, piece: &Piece, is_silent: bool, scratch: &mut Scratch) -> io::Result<()> {
        let channel = match piece.side {
            Side::Received => 0,
            Side::Sent => 1,
        };
        let Some(direction) = self.directions.get_mut(channel) else { return Ok(()) };
        let Some(Placed { at, sound }) = direction.take(piece, self.began_at) else { return Ok(()) };
        if is_silent {
            return Ok(());
        }
        let in_time = self.tape.place(channel, at, sound.iter().copied(), scratch)?;
        self.late_packets += u64::from(!in_time && piece.is_first);
        Ok(())
    }

    /// What is known of it now.
    pub(super) fn describe(&self, outcome: RecordingOutcome) -> RecordingOutcome {
        let [received, sent] = &self.directions;
        RecordingOutcome {
            sample_count: self.tape.sample_count(),
            file_bytes: self.tape.file_bytes(),
            received_packets: received.packets(),
            sent_packets: sent.packets(),
            received_lost_packets: received.lost(),
            sent_lost_packets: sent.lost(),
            late_packets: self.late_packets,
            undecoded_packets: received.undecoded_packets + sent.undecoded_packets,
            clock_rate: self.clock,
            ..outcome
        }
    }
}
