use super::*;
use crate::outgoing::pace::instant_of;
use audio::codec::{Decoder, Encoder};
use rtp_wire::{RtpTime, Seq, Ssrc};
use std::f64::consts::TAU;

mod announcing;
mod changing;

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

/// The sounds of a worker without prompts but one: 300 ms of 1,500 Hz.
fn sounds() -> &'static Sounds {
    static SOUNDS: std::sync::OnceLock<Sounds> = std::sync::OnceLock::new();
    SOUNDS.get_or_init(|| {
        let sample = |at: usize| (4_000.0 * (TAU * 1_500.0 * at as f64 / 8_000.0).sin()) as i16;
        let prompt = audio::Prompt::new(&(0..2_400).map(sample).collect::<Vec<i16>>());
        Sounds { prompts: [prompt].into(), tones: Default::default() }
    })
}

fn due(due_ms: u64, is_muted: bool) -> DuePacket<'static> {
    DuePacket { due_ms, is_muted, sounds: sounds() }
}

/// A member's peer, which says a tone of its own and listens.
struct Peer {
    index: MemberIndex,
    codec: Codec,
    hertz: f64,
    encoder: Encoder,
    decoder: Decoder,
    heard: Vec<i16>,
    number: u16,
    /// When its packets are due within the frame.
    phase_ms: u64,
}

impl Peer {
    fn join(rooms: &mut Rooms, n: u32, codec: Codec, part: &RoomMember) -> Self {
        Self::join_with(rooms, n, (codec, FRAME_MS), part)
    }

    fn join_with(rooms: &mut Rooms, n: u32, (codec, ptime_ms): (Codec, u8), part: &RoomMember) -> Self {
        let said = Said { codec, opus: OpusParameters::default(), ptime_ms };
        let index = rooms.join(LegRef::new(n, 1), part, said).expect("a place");
        let format = format_in_room(codec).unwrap();
        let hertz = 300.0 + 170.0 * f64::from(n);
        let (encoder, decoder) = (Encoder::new(format), Decoder::new(format));
        Self { index, codec, hertz, encoder, decoder, heard: Vec::new(), number: 0, phase_ms: u64::from(n * 7 % 20) }
    }

    fn say(&mut self, rooms: &mut Rooms, frame: u64) {
        let format = self.encoder.format();
        let (rate, count) = (f64::from(format.sample_rate()), format.samples_in_ms(20));
        let first = usize::from(self.number) * count;
        let sample = |at: usize| (6_000.0 * (TAU * self.hertz * at as f64 / rate).sin()) as i16;
        let samples: Vec<i16> = (first..first + count).map(sample).collect();
        let mut payload = [0; 1_500];
        let bytes = self.encoder.encode(&samples, &mut payload);
        let arrival = Arrival {
            at: instant_of(frame * 20),
            seq: Seq(self.number),
            time: RtpTime(u32::from(self.number) * format.ticks_in_ms(20)),
            ssrc: Ssrc(7),
            payload_type: 0,
            payload: &payload[..bytes],
        };
        assert!(rooms.hear(self.index, self.codec as u8, &arrival));
        self.number += 1;
    }

    fn listen(&mut self, rooms: &mut Rooms, frame: u64, is_muted: bool) -> Vec<u8> {
        let mut payload = [0; 1_500];
        let bytes = rooms.make(self.index, &due(frame * 20 + self.phase_ms, is_muted), &mut payload);
        let mut samples = [0; 5_760];
        let made = self.decoder.decode(&payload[..bytes], &mut samples).expect("a sound payload");
        self.heard.extend(&samples[..made]);
        payload[..bytes].to_vec()
    }

    /// How loud a tone is in the last 400 ms of what it heard, as an amplitude.
    fn hears(&self, hertz: f64) -> f64 {
        let rate = f64::from(self.decoder.format().sample_rate());
        let last = &self.heard[self.heard.len() - (rate * 0.4) as usize..];
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (at, sample) in last.iter().enumerate() {
            let phase = TAU * hertz * at as f64 / rate;
            sine += f64::from(*sample) * phase.sin();
            cosine += f64::from(*sample) * phase.cos();
        }
        2.0 * (sine * sine + cosine * cosine).sqrt() / last.len() as f64
    }
}

/// All say and hear for so many frames.
fn run(rooms: &mut Rooms, peers: &mut [Peer], frames: std::ops::Range<u64>) {
    for frame in frames {
        peers.iter_mut().for_each(|peer| peer.say(rooms, frame));
        peers.iter_mut().for_each(|peer| drop(peer.listen(rooms, frame, false)));
    }
}

#[test]
fn each_member_hears_the_others_and_not_itself_in_its_own_codec() {
    let mut rooms = Rooms::default();
    let mut peers: Vec<Peer> = (0..3)
        .map(|n| Peer::join(&mut rooms, n, [Codec::Pcmu, Codec::G722, Codec::Opus][n as usize], &RoomMember::of(1)))
        .collect();
    let mut alone = Peer::join(&mut rooms, 9, Codec::Pcma, &RoomMember::of(2));
    run(&mut rooms, &mut peers, 0..60);
    for frame in 0..60 {
        alone.say(&mut rooms, frame);
        alone.listen(&mut rooms, frame, false);
    }
    let tones: Vec<f64> = peers.iter().map(|peer| peer.hertz).collect();
    for (n, peer) in peers.iter().enumerate() {
        for (other, hertz) in tones.iter().enumerate() {
            let heard = peer.hears(*hertz);
            let is_right = if n == other { heard < 400.0 } else { (4_000.0..8_000.0).contains(&heard) };
            assert!(is_right, "member {n} hears member {other} at {heard}");
        }
        assert!(peer.hears(alone.hertz) < 400.0, "the other room is not heard");
    }
    assert!(tones.iter().all(|hertz| alone.hears(*hertz) < 100.0));
    assert_eq!((rooms.room_count(), rooms.member_count()), (2, 4));
    peers.iter_mut().for_each(|peer| rooms.leave(&mut peer.index));
    assert_eq!((rooms.room_count(), rooms.member_count()), (1, 1));
}

#[test]
fn muted_deaf_quiet_and_whispering_members() {
    let mut rooms = Rooms::default();
    let part = RoomMember::of(1);
    let mut peers: Vec<Peer> = (0..4).map(|n| Peer::join(&mut rooms, n, Codec::Pcma, &part)).collect();
    run(&mut rooms, &mut peers, 0..60);
    assert!(rooms.change(peers[0].index, &RoomMember { is_muted: true, ..part }));
    assert!(rooms.change(peers[1].index, &RoomMember { is_deaf: true, ..part }));
    assert!(rooms.change(peers[2].index, &RoomMember { gain_db: -12, ..part }));
    let target = LegRef::new(0, 1);
    assert!(rooms.change(peers[3].index, &RoomMember { heard_by: target, ..part }));
    run(&mut rooms, &mut peers, 60..120);
    let tone = |n: usize| 300.0 + 170.0 * n as f64;
    assert!(peers[3].hears(tone(0)) < 200.0, "a muted member is heard at {}", peers[3].hears(tone(0)));
    assert!(peers[1].hears(tone(2)) < 50.0 && peers[1].hears(tone(0)) < 50.0, "a deaf member hears");
    let quiet = peers[3].hears(tone(2));
    assert!((1_000.0..2_000.0).contains(&quiet), "12 dB less: {quiet}");
    assert!(peers[0].hears(tone(3)) > 4_000.0, "the one that is whispered to hears it");
    assert!(peers[2].hears(tone(3)) < 200.0, "another one hears a whisper at {}", peers[2].hears(tone(3)));
    // Without the one that it is for, nobody hears it.
    rooms.leave(&mut peers[0].index);
    let mut rest = peers.split_off(1);
    run(&mut rooms, &mut rest, 120..180);
    assert!(rest[1].hears(tone(3)) < 200.0, "a whisper to nobody is heard at {}", rest[1].hears(tone(3)));
    assert!(!rooms.change(rest[0].index, &RoomMember::of(2)), "another room has to be joined");
}

/// Members that only listen get the same bytes as all others of their format, encoded once.
#[test]
fn listeners_share_an_encoder() {
    let mut rooms = Rooms::default();
    let mut speaker = Peer::join(&mut rooms, 1, Codec::G722, &RoomMember::of(1));
    let muted = RoomMember { is_muted: true, ..RoomMember::of(1) };
    let mut listeners: Vec<Peer> =
        (2..8).map(|n| Peer::join(&mut rooms, n, CODECS[n as usize % 2 * 3], &muted)).collect();
    for frame in 0..50 {
        speaker.say(&mut rooms, frame);
        speaker.listen(&mut rooms, frame, false);
        let payloads: Vec<Vec<u8>> = listeners.iter_mut().map(|it| it.listen(&mut rooms, frame, false)).collect();
        for (n, payload) in payloads.iter().enumerate().skip(2) {
            assert_eq!(*payload, payloads[n % 2], "frame {frame}, listener {n}");
        }
    }
    assert!(listeners.iter().all(|listener| listener.hears(speaker.hertz) > 4_000.0));
    // What a leg is sent can be muted by its owner, beside its part in the room.
    (50..100).for_each(|frame| drop(listeners[0].listen(&mut rooms, frame, true)));
    assert!(listeners[0].hears(speaker.hertz) < 10.0);
}

#[test]
fn a_room_has_a_hundred_members_and_not_one_more() {
    let mut rooms = Rooms::default();
    let part = RoomMember::of(7);
    let mut peers: Vec<Peer> = (0..100).map(|n| Peer::join(&mut rooms, n, CODECS[n as usize % 4], &part)).collect();
    assert!(!rooms.has_place(7) && rooms.has_place(8));
    let said = Said { codec: Codec::Pcmu, opus: OpusParameters::default(), ptime_ms: 20 };
    assert_eq!(rooms.join(LegRef::new(500, 1), &part, said), None);
    run(&mut rooms, &mut peers, 0..30);
    rooms.leave(&mut peers[3].index);
    assert!(rooms.has_place(7));
    assert!(rooms.join(LegRef::new(500, 1), &part, said).is_some());
    assert_eq!(rooms.join(LegRef::new(501, 1), &RoomMember::of(9), Said { codec: Codec::Other, ..said }), None);
    assert_eq!(rooms.room_count(), 1, "nobody joined the other room, so that it is not there");
}

/// Random bytes as payloads, streams that start over all the time, and codecs that change: nothing panics, and the others
/// go on hearing each other.
#[test]
fn hostile_members_harm_nobody() {
    let mut rooms = Rooms::default();
    let part = RoomMember::of(1);
    let mut peers: Vec<Peer> = (0..2).map(|n| Peer::join(&mut rooms, n, Codec::Pcmu, &part)).collect();
    let hostile = Peer::join(&mut rooms, 2, Codec::Opus, &RoomMember { gain_db: -60, ..part });
    let mut seed = 1_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    for frame in 0..200 {
        for _ in 0..3 {
            let bytes: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            let codec = CODECS[random() as usize % 4];
            rooms.hear(
                hostile.index,
                codec as u8,
                &Arrival {
                    at: instant_of(frame * 20),
                    seq: Seq(random() as u16),
                    time: RtpTime(random() << 8),
                    ssrc: Ssrc(random()),
                    payload_type: random() as u8 & 0x7f,
                    payload: &bytes,
                },
            );
        }
        rooms.hear(
            hostile.index,
            Codec::Other as u8,
            &Arrival {
                at: instant_of(frame * 20),
                seq: Seq(0),
                time: RtpTime(0),
                ssrc: Ssrc(0),
                payload_type: 0,
                payload: &[],
            },
        );
        run(&mut rooms, &mut peers, frame..frame + 1);
    }
    assert!(peers[0].hears(470.0) > 4_000.0 && peers[1].hears(300.0) > 4_000.0);
}
