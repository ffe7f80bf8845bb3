//! What a room tells its members, who speaks in it, and its recording.

use super::*;
use crate::io::{Buffers, Output};
use crate::sim::SimBuffers;
use contract::{AnnouncedSound, Announcement, PlayerId, PromptPlay};
use std::num::NonZeroU64;

/// What the prompt of these tests is.
const PROMPT_HERTZ: f64 = 1_500.0;

fn prompt(id: u64, to: LegRef) -> Announcement {
    let sound = AnnouncedSound::Prompt(PromptPlay::once(0));
    Announcement { id: PlayerId::new(id), sound, to, is_ducking: false }
}

fn announce(rooms: &mut Rooms, by: &Peer, announcement: Announcement) -> bool {
    let leg = rooms.members[by.index.get().unwrap()].as_ref().unwrap().leg;
    rooms.announce(by.index, announcement.to, Play::new(announcement, leg, 8_000, None).unwrap()).is_ok()
}

fn endless(announcement: Announcement) -> Announcement {
    let sound = AnnouncedSound::Prompt(PromptPlay { times: 0, ..PromptPlay::once(0) });
    Announcement { sound, ..announcement }
}

fn ended(rooms: &mut Rooms) -> Vec<u64> {
    let of = |event: Event| match event {
        Event::AnnouncementEnded { id, .. } => Some(id.get()),
        _ => None,
    };
    rooms.events.drain(..).filter_map(of).collect()
}

#[test]
fn announcements_are_for_all_or_for_one_and_wait_for_each_other() {
    let mut rooms = Rooms::default();
    let mut peers: Vec<Peer> =
        (0..3).map(|n| Peer::join(&mut rooms, n, CODECS[n as usize], &RoomMember::of(1))).collect();
    run(&mut rooms, &mut peers, 0..50);
    // The prompt lasts 300 ms: twice for all, one after the other, and meanwhile once for the second alone.
    assert!(announce(&mut rooms, &peers[0], prompt(1, LegRef::NONE)));
    assert!(announce(&mut rooms, &peers[1], prompt(2, LegRef::NONE)));
    run(&mut rooms, &mut peers, 50..70);
    assert_eq!(ended(&mut rooms), [1]);
    assert!(peers.iter().all(|peer| peer.hears(PROMPT_HERTZ) > 2_500.0));
    run(&mut rooms, &mut peers, 70..110);
    assert_eq!(ended(&mut rooms), [2]);
    assert!(peers.iter().all(|peer| peer.hears(PROMPT_HERTZ) < 100.0));
    let alone = LegRef::new(1, 1);
    assert!(announce(&mut rooms, &peers[0], endless(prompt(3, alone))));
    run(&mut rooms, &mut peers, 110..150);
    let heard: Vec<f64> = peers.iter().map(|peer| peer.hears(PROMPT_HERTZ)).collect();
    assert!(heard[1] > 3_000.0 && heard[0] < 100.0 && heard[2] < 100.0, "{heard:?}");
    assert!(peers[1].hears(300.0) > 4_000.0, "it is mixed with the talk");
    // A ducking one for all: the talk is 12 dB quieter, until it is stopped.
    assert!(announce(&mut rooms, &peers[0], Announcement { is_ducking: true, ..endless(prompt(4, LegRef::NONE)) }));
    run(&mut rooms, &mut peers, 150..190);
    assert!((1_000.0..2_000.0).contains(&peers[2].hears(300.0)), "{}", peers[2].hears(300.0));
    assert!(peers[2].hears(PROMPT_HERTZ) > 3_000.0);
    rooms.room_of(peers[2].index).unwrap().stop_announcement(PlayerId::new(4), &mut Vec::new());
    run(&mut rooms, &mut peers, 190..230);
    assert_eq!(ended(&mut rooms), [4]);
    assert!(peers[2].hears(300.0) > 4_000.0 && peers[2].hears(PROMPT_HERTZ) < 100.0);
    // The one that hears the third leaves: it is over. One for a stranger is refused.
    rooms.leave(&mut peers[1].index);
    peers.remove(1);
    run(&mut rooms, &mut peers, 230..232);
    assert_eq!(ended(&mut rooms), [3]);
    assert!(!announce(&mut rooms, &peers[0], prompt(5, alone)));
}

#[test]
fn as_many_announcements_wait_as_may_and_end_with_their_room() {
    let mut rooms = Rooms::default();
    let mut peer = Peer::join(&mut rooms, 0, Codec::Pcma, &RoomMember::of(1));
    let most = Announcement::WAITING_MAX as u64;
    assert!((1..=most).all(|id| announce(&mut rooms, &peer, endless(prompt(id, LegRef::NONE)))));
    assert!(!announce(&mut rooms, &peer, prompt(99, LegRef::NONE)));
    peer.listen(&mut rooms, 0, false);
    assert!(announce(&mut rooms, &peer, prompt(most + 1, LegRef::NONE)), "one of them is heard now");
    let mut events = Vec::new();
    rooms.room_of(peer.index).unwrap().stop_announcement(PlayerId::new(3), &mut events);
    assert_eq!(events.len(), 1);
    rooms.leave(&mut peer.index);
    assert_eq!(ended(&mut rooms).len() as u64, most);
}

/// The members hear when one joins or leaves; one that is alone hears that the line is there.
#[test]
fn tones_tell_of_coming_and_going_and_of_waiting() {
    let mut rooms = Rooms::default();
    let part = RoomMember { is_announced: true, hears_waiting: true, ..RoomMember::of(1) };
    let mut first = Peer::join(&mut rooms, 0, Codec::Pcma, &part);
    let listen = |peer: &mut Peer, rooms: &mut Rooms, frames: std::ops::Range<u64>| {
        let before = peer.heard.len();
        frames.for_each(|frame| drop(peer.listen(rooms, frame, false)));
        let heard = &peer.heard[before..];
        let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
        (
            loud * 1_000 / 8_000,
            heard.windows(3).map(|it| (i32::from(it[0]) - 2 * i32::from(it[1]) + i32::from(it[2])).abs()).max(),
        )
    };
    // 160 ms of 440 Hz in every five seconds.
    let (loud_ms, steepest) = listen(&mut first, &mut rooms, 0..500);
    assert!((150..340).contains(&loud_ms), "{loud_ms} ms in ten seconds");
    assert!(steepest < Some(1_200), "{steepest:?}");
    let mut second = Peer::join(&mut rooms, 1, Codec::Pcma, &part);
    let (loud_ms, steepest) = listen(&mut first, &mut rooms, 500..550);
    assert!((130..230).contains(&loud_ms), "{loud_ms} ms of the tone of joining");
    assert!(steepest < Some(2_400), "{steepest:?}");
    assert_eq!(listen(&mut first, &mut rooms, 550..850).0, 0, "it waits no more");
    rooms.leave(&mut second.index);
    let (loud_ms, _) = listen(&mut first, &mut rooms, 850..880);
    assert!((130..230).contains(&loud_ms), "{loud_ms} ms of the tone of leaving");
}

#[test]
fn who_speaks_is_told_at_a_bounded_rate() {
    let mut rooms = Rooms::default();
    let part = RoomMember { tells_speaking: true, ..RoomMember::of(1) };
    let mut peers: Vec<Peer> = (0..2).map(|n| Peer::join(&mut rooms, n, Codec::Pcmu, &part)).collect();
    let told = |rooms: &mut Rooms| -> Vec<(u32, bool)> {
        let of = |event: Event| match event {
            Event::Speaking { leg, is_speaking } => Some((leg.row, is_speaking)),
            _ => None,
        };
        rooms.events.drain(..).filter_map(of).collect()
    };
    let speak = |rooms: &mut Rooms, peers: &mut [Peer], frames: std::ops::Range<u64>, speaks: &dyn Fn(u64) -> bool| {
        for frame in frames {
            if speaks(frame) {
                peers[1].say(rooms, frame);
            }
            peers.iter_mut().for_each(|peer| drop(peer.listen(rooms, frame, false)));
        }
    };
    speak(&mut rooms, &mut peers, 0..50, &|_| true);
    assert_eq!(told(&mut rooms), [(1, true)]);
    assert!(rooms.level_of(peers[1].index).is_some_and(|(level, speaks)| level > -30 && speaks));
    assert_eq!(rooms.level_of(peers[0].index), Some((-127, false)));
    // Pauses between words are none; ten seconds of one word a second are.
    speak(&mut rooms, &mut peers, 50..150, &|frame| frame % 10 < 5);
    assert_eq!(told(&mut rooms), []);
    speak(&mut rooms, &mut peers, 150..650, &|frame| frame % 100 < 10);
    let changes = told(&mut rooms);
    assert!((2..=20).contains(&changes.len()), "{changes:?}");
    assert!(changes.windows(2).all(|pair| pair[0].1 != pair[1].1));
    speak(&mut rooms, &mut peers, 650..700, &|_| true);
    told(&mut rooms);
    rooms.leave(&mut peers[1].index);
    assert_eq!(told(&mut rooms), [(1, false)], "one that is gone does not speak");
}

/// A recording has what all say, also after the member under which it began has left, and ends with the room.
#[test]
fn a_whole_room_is_recorded() {
    let mut rooms = Rooms::default();
    let mut peers: Vec<Peer> = (0..3).map(|n| Peer::join(&mut rooms, n, Codec::Pcma, &RoomMember::of(1))).collect();
    let id = TapId(NonZeroU64::MIN);
    rooms.record(peers[0].index, LegRef::new(0, 1), id).expect("a member");
    assert!(rooms.record(peers[1].index, LegRef::new(1, 1), id).is_err(), "one recording of a room");
    let (mut buffers, mut out) = (SimBuffers::new(64), Output::with_limits(64, 64));
    let mut recorded = Vec::new();
    for frame in 0..200 {
        if frame == 50 {
            rooms.leave(&mut peers[0].index);
            peers.remove(0);
        }
        run(&mut rooms, &mut peers, frame..frame + 1);
        assert_eq!(rooms.show(&mut buffers, &mut out), 0);
        for tapped in out.taps.drain(..) {
            assert!(tapped.codec == Codec::L16Wide && tapped.id == id && tapped.clock.hz() == RATE);
            assert_eq!(tapped.header.time.0, frame as u32 * FRAME_SAMPLES as u32);
            let bytes = buffers.bytes(tapped.payload);
            recorded.extend(bytes.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
        }
        buffers.end_turn();
    }
    assert_eq!(recorded.len(), 200 * FRAME_SAMPLES);
    let has = |range: std::ops::Range<usize>, hertz: f64| {
        let listener = Peer {
            heard: recorded[range].to_vec(),
            decoder: Decoder::new(CodecFormat::G722),
            ..peer_of(&mut Rooms::default())
        };
        listener.hears(hertz)
    };
    let (before, after) = (0..50 * FRAME_SAMPLES, 100 * FRAME_SAMPLES..200 * FRAME_SAMPLES);
    assert!([300.0, 470.0, 640.0].into_iter().all(|hertz| has(before.clone(), hertz) > 4_000.0));
    assert!(has(after.clone(), 470.0) > 4_000.0 && has(after, 300.0) < 200.0);
    assert!(rooms.ended_taps.is_empty());
    peers.iter_mut().for_each(|peer| rooms.leave(&mut peer.index));
    assert_eq!(rooms.ended_taps, [id]);
}

fn peer_of(rooms: &mut Rooms) -> Peer {
    Peer::join(rooms, 0, Codec::Pcmu, &RoomMember::of(1))
}
