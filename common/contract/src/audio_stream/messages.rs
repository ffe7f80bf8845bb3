use super::{STREAM_HEADER_BYTES, STREAM_MESSAGE_BYTES_MAX, StreamEnd, StreamRate, StreamTrack, StreamTracks};
use crate::Invalid;

/// From the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramMessage<'m> {
    /// What the stream is to be: the first message.
    Begin {
        /// Of the sound in both directions.
        rate: StreamRate,
        /// What the program hears.
        tracks: StreamTracks,
        /// Whether the leg sends what the program says.
        speaks: bool,
    },
    /// A frame to be sent to the peer: samples of 20 ms, as bytes.
    Sound(&'m [u8]),
    /// To be told by [`MediaMessage::Mark`] when all sound before it has been sent.
    Mark(u64),
    /// Forgets what has not been sent yet.
    Flush,
    /// Keeps what has not been sent yet, and sends silence.
    Pause,
    /// Goes on with it.
    Resume,
}

/// From the media plane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MediaMessage<'m> {
    /// The leg has the stream.
    Started,
    /// A frame of the leg: samples of 20 ms, as bytes.
    Sound {
        /// Which direction of the leg.
        track: StreamTrack,
        /// Frames of the stream's time before it.
        position: u64,
        /// Frames of all tracks that were lost up to now because the program did not take them.
        lost: u32,
        /// 16-bit PCM, little endian.
        samples: &'m [u8],
    },
    /// Frames of the program that were taken so far: sent, forgotten or refused.
    Taken(u64),
    /// All sound before the mark has been sent, or was forgotten.
    Mark {
        /// As the program numbered it.
        number: u64,
        /// It was sent to the peer.
        is_heard: bool,
    },
    /// The last message.
    Ended(StreamEnd),
}

/// A message's first bytes.
struct Head {
    kind: u8,
    choice: u8,
    flag: u8,
    count: u32,
    number: u64,
}

impl Head {
    const fn new(kind: u8) -> Self {
        Self { kind, choice: 0, flag: 0, count: 0, number: 0 }
    }

    fn write<'o>(&self, samples: &[u8], out: &'o mut [u8; STREAM_MESSAGE_BYTES_MAX]) -> &'o [u8] {
        let samples = &samples[..samples.len().min(STREAM_MESSAGE_BYTES_MAX - STREAM_HEADER_BYTES)];
        let end = STREAM_HEADER_BYTES + samples.len();
        out[..4].copy_from_slice(&[self.kind, self.choice, self.flag, 0]);
        out[4..8].copy_from_slice(&self.count.to_le_bytes());
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[STREAM_HEADER_BYTES..end].copy_from_slice(samples);
        &out[..end]
    }

    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Invalid> {
        let (head, samples) = bytes.split_first_chunk::<STREAM_HEADER_BYTES>().ok_or(Invalid::Field("head"))?;
        let [kind, choice, flag, 0, c0, c1, c2, c3, number @ ..] = *head else {
            return Err(Invalid::Field("reserved"));
        };
        let (count, number) = (u32::from_le_bytes([c0, c1, c2, c3]), u64::from_le_bytes(number));
        Ok((Self { kind, choice, flag, count, number }, samples))
    }
}

fn has_whole_samples(samples: &[u8]) -> Result<&[u8], Invalid> {
    let is_sound = samples.len() <= STREAM_MESSAGE_BYTES_MAX - STREAM_HEADER_BYTES && samples.len().is_multiple_of(2);
    if is_sound { Ok(samples) } else { Err(Invalid::Field("samples")) }
}

impl<'m> ProgramMessage<'m> {
    /// The message's bytes, in `out`.
    pub fn write<'o>(&self, out: &'o mut [u8; STREAM_MESSAGE_BYTES_MAX]) -> &'o [u8] {
        match *self {
            Self::Begin { rate, tracks, speaks } => {
                let head = Head { choice: tracks as u8, flag: speaks.into(), count: rate.hz(), ..Head::new(1) };
                head.write(&[], out)
            }
            Self::Sound(samples) => Head::new(2).write(samples, out),
            Self::Mark(number) => Head { number, ..Head::new(3) }.write(&[], out),
            Self::Flush => Head::new(4).write(&[], out),
            Self::Pause => Head::new(5).write(&[], out),
            Self::Resume => Head::new(6).write(&[], out),
        }
    }

    /// The message in these bytes, every field checked; how many samples a frame has, the stream's rate tells.
    pub fn read(bytes: &'m [u8]) -> Result<Self, Invalid> {
        let (head, samples) = Head::read(bytes)?;
        if head.kind != 2 && !samples.is_empty() {
            return Err(Invalid::Field("samples"));
        }
        Ok(match head.kind {
            1 => Self::Begin {
                rate: StreamRate::from_hz(head.count).ok_or(Invalid::Field("rate"))?,
                tracks: StreamTracks::from_number(head.choice).ok_or(Invalid::Field("tracks"))?,
                speaks: match head.flag {
                    0 => false,
                    1 => true,
                    _ => return Err(Invalid::Field("speaks")),
                },
            },
            2 => Self::Sound(has_whole_samples(samples)?),
            3 => Self::Mark(head.number),
            4 => Self::Flush,
            5 => Self::Pause,
            6 => Self::Resume,
            kind => return Err(Invalid::Kind(kind.into())),
        })
    }
}

impl<'m> MediaMessage<'m> {
    /// The message's bytes, in `out`.
    pub fn write<'o>(&self, out: &'o mut [u8; STREAM_MESSAGE_BYTES_MAX]) -> &'o [u8] {
        match *self {
            Self::Started => Head::new(1).write(&[], out),
            Self::Sound { track, position, lost, samples } => {
                let head = Head { choice: track as u8, count: lost, number: position, ..Head::new(2) };
                head.write(samples, out)
            }
            Self::Taken(number) => Head { number, ..Head::new(3) }.write(&[], out),
            Self::Mark { number, is_heard } => Head { number, flag: is_heard.into(), ..Head::new(4) }.write(&[], out),
            Self::Ended(end) => Head { choice: end as u8, ..Head::new(5) }.write(&[], out),
        }
    }

    /// The message in these bytes, every field checked.
    pub fn read(bytes: &'m [u8]) -> Result<Self, Invalid> {
        use StreamEnd::*;
        let (head, samples) = Head::read(bytes)?;
        let tracks = [StreamTrack::Received, StreamTrack::Sent, StreamTrack::Mixed];
        let ends = [LegClosed, NoSuchLeg, AlreadyRunning, Full, BadMessage, Shutdown];
        Ok(match head.kind {
            1 => Self::Started,
            2 => Self::Sound {
                track: tracks.into_iter().find(|it| *it as u8 == head.choice).ok_or(Invalid::Field("track"))?,
                position: head.number,
                lost: head.count,
                samples: has_whole_samples(samples)?,
            },
            3 => Self::Taken(head.number),
            4 => Self::Mark { number: head.number, is_heard: head.flag == 1 },
            5 => Self::Ended(ends.into_iter().find(|it| *it as u8 == head.choice).ok_or(Invalid::Field("end"))?),
            kind => return Err(Invalid::Kind(kind.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        let samples = [7; 960];
        for message in [
            ProgramMessage::Begin { rate: StreamRate::Hz24000, tracks: StreamTracks::Mixed, speaks: true },
            ProgramMessage::Sound(&samples),
            ProgramMessage::Mark(u64::MAX),
            ProgramMessage::Flush,
            ProgramMessage::Pause,
            ProgramMessage::Resume,
        ] {
            assert_eq!(ProgramMessage::read(message.write(&mut bytes)), Ok(message));
        }
        let (track, position, lost) = (StreamTrack::Sent, 1 << 40, 3);
        for message in [
            MediaMessage::Started,
            MediaMessage::Sound { track, position, lost, samples: &samples[..320] },
            MediaMessage::Taken(9),
            MediaMessage::Mark { number: 4, is_heard: true },
            MediaMessage::Ended(StreamEnd::Shutdown),
        ] {
            assert_eq!(MediaMessage::read(message.write(&mut bytes)), Ok(message));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let rate = StreamRate::Hz8000;
        let begin = |change: fn(&mut [u8; STREAM_MESSAGE_BYTES_MAX])| {
            let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
            ProgramMessage::Begin { rate, tracks: StreamTracks::Both, speaks: true }.write(&mut bytes);
            change(&mut bytes);
            ProgramMessage::read(&bytes[..STREAM_HEADER_BYTES]).map(|_| ()).unwrap_err()
        };
        assert_eq!(begin(|bytes| bytes[1] = 9), Invalid::Field("tracks"));
        assert_eq!(begin(|bytes| bytes[2] = 2), Invalid::Field("speaks"));
        assert_eq!(begin(|bytes| bytes[3] = 1), Invalid::Field("reserved"));
        assert_eq!(begin(|bytes| bytes[4] += 1), Invalid::Field("rate"));
        assert_eq!(begin(|bytes| bytes[0] = 77), Invalid::Kind(77));
        assert_eq!(ProgramMessage::read(&[2; 15]), Err(Invalid::Field("head")));
        let mut odd = [0; STREAM_HEADER_BYTES + 3];
        odd[0] = 2;
        assert_eq!(ProgramMessage::read(&odd), Err(Invalid::Field("samples")));
        odd[0] = 4;
        assert_eq!(ProgramMessage::read(&odd), Err(Invalid::Field("samples")), "a flush has none");
        assert!(MediaMessage::read(&[0xff; 40]).is_err());
    }
}
