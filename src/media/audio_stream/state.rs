//! What waits in the program: frames and events for it, and samples on their way to the leg.

use super::stream::{AudioEnd, AudioFrame, AudioStreamEvent};
use contract::{MediaMessage, STREAM_FRAME_MS, StreamEnd, StreamRate};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Frames that wait for the program: a second of one track, half a second of two. The oldest give way.
const FRAMES_MAX: usize = 50;
/// Events that wait for the program; the oldest give way.
const EVENTS_MAX: usize = 1_024;
/// Frames of the program on their way to the leg: [`AudioStream::send`] waits at half a second.
const FRAMES_AHEAD: u64 = 25;
const _: () = assert!(FRAMES_AHEAD < contract::STREAM_FRAMES_AHEAD_MAX);

#[derive(Default, Debug)]
pub(super) struct State {
    pub(super) is_started: bool,
    pub(super) frames: VecDeque<AudioFrame>,
    /// Frames that gave way here, and in the media plane.
    pub(super) lost_here: u64,
    pub(super) lost_there: u64,
    pub(super) events: VecDeque<AudioStreamEvent>,
    /// Samples that do not fill a frame yet.
    pub(super) partial: Vec<i16>,
    pub(super) sent: u64,
    pub(super) taken: u64,
    pub(super) flush_count: u64,
    pub(super) mark_count: u64,
    pub(super) marks: HashMap<u64, String>,
    pub(super) end: Option<(AudioEnd, Option<StreamEnd>)>,
}

pub(super) enum Taken {
    Frame(Vec<u8>),
    Nothing,
    Over,
}

impl State {
    /// Takes samples of the program: the next frame that they fill; `None`: too much is on its way. Nothing is left of them
    /// in the end, or a flush has come.
    pub(super) fn take_samples(&mut self, flush_count: u64, rest: &mut &[i16], rate: StreamRate) -> Option<Taken> {
        let room = rate.frame_samples().saturating_sub(self.partial.len());
        if self.end.is_none() && self.flush_count == flush_count && rest.len() < room {
            self.partial.extend_from_slice(rest);
            *rest = &[];
            return Some(Taken::Nothing);
        }
        if self.end.is_none() && self.flush_count == flush_count && self.is_far_ahead() {
            return None;
        }
        if self.flush_count == flush_count {
            let (part, next) = rest.split_at(room.min(rest.len()));
            self.partial.extend_from_slice(part);
            *rest = next;
        }
        self.take_frame(flush_count, rate.frame_samples(), rate)
    }

    pub(super) fn is_far_ahead(&self) -> bool {
        self.sent - self.taken.min(self.sent) >= FRAMES_AHEAD
    }

    /// The next frame to be sent; `None`: too much is on its way.
    pub(super) fn take_frame(&mut self, flush_count: u64, least_samples: usize, rate: StreamRate) -> Option<Taken> {
        if self.end.is_some() {
            return Some(Taken::Over);
        }
        if self.flush_count != flush_count || self.partial.len() < least_samples {
            return Some(Taken::Nothing);
        }
        if self.is_far_ahead() {
            return None;
        }
        let count = rate.frame_samples().min(self.partial.len());
        let mut frame: Vec<u8> = self.partial.drain(..count).flat_map(i16::to_le_bytes).collect();
        frame.resize(2 * rate.frame_samples(), 0);
        self.sent += 1;
        Some(Taken::Frame(frame))
    }

    pub(super) fn push_event(&mut self, event: AudioStreamEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn finish(&mut self, end: AudioEnd, reason: Option<StreamEnd>) {
        if self.end.is_none() {
            self.end = Some((end, reason));
            self.push_event(AudioStreamEvent::Ended(end));
        }
    }

    pub(super) fn hear(&mut self, message: MediaMessage<'_>) {
        match message {
            MediaMessage::Started => self.is_started = true,
            MediaMessage::Sound { track, position, lost, samples } => {
                self.lost_there = lost.into();
                if self.frames.len() == FRAMES_MAX {
                    self.frames.pop_front();
                    self.lost_here += 1;
                }
                let at = Duration::from_millis(position * u64::from(STREAM_FRAME_MS));
                let samples = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
                self.frames.push_back(AudioFrame { track: track.into(), at, samples });
            }
            MediaMessage::Taken(taken) => self.taken = taken,
            MediaMessage::Mark { number, is_heard } => {
                let Some(name) = self.marks.remove(&number) else { return };
                self.push_event(match is_heard {
                    true => AudioStreamEvent::MarkHeard(name),
                    false => AudioStreamEvent::MarkFlushed(name),
                });
            }
            MediaMessage::Ended(end) => {
                let told = if end == StreamEnd::LegClosed { AudioEnd::CallEnded } else { AudioEnd::MediaLost };
                self.finish(told, Some(end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender that waits holds its samples itself: when it is cancelled they are forgotten, and nothing is counted.
    #[test]
    fn samples_that_wait_stay_with_their_sender() {
        let (mut state, rate) = (State::default(), StreamRate::from_hz(8_000).unwrap());
        let samples = vec![7; 40 * rate.frame_samples() + 5];
        let mut rest = &samples[..];
        let mut frames = 0;
        while let Some(taken) = state.take_samples(0, &mut rest, rate) {
            let Taken::Frame(frame) = taken else { panic!("there are more") };
            assert_eq!(frame.len(), 2 * rate.frame_samples());
            frames += 1;
        }
        assert_eq!((frames, state.sent, state.partial.len()), (FRAMES_AHEAD, FRAMES_AHEAD, 0));
        assert_eq!(rest.len(), samples.len() - 25 * rate.frame_samples());
        state.taken = 20;
        let mut few = &[1; 30][..];
        assert!(matches!(state.take_samples(0, &mut few, rate), Some(Taken::Nothing)));
        assert_eq!((few.len(), state.partial.len()), (0, 30), "less than a frame waits for more");
        assert!(matches!(state.take_samples(0, &mut rest, rate), Some(Taken::Frame(_))));
        state.flush_count = 1;
        assert!(matches!(state.take_samples(0, &mut rest, rate), Some(Taken::Nothing)));
    }
}
