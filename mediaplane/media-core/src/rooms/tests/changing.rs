//! Packets of all lengths, changes without clicks, and members that come and go.

use super::*;

/// All say and hear for so many milliseconds, each in packets of its own length.
fn run_ms(rooms: &mut Rooms, peers: &mut [(Peer, u64)], times: std::ops::Range<u64>) {
    for ms in times {
        for (peer, ptime_ms) in peers.iter_mut() {
            if ms % 20 == 0 {
                peer.say(rooms, ms / 20);
            }
            if ms % *ptime_ms != peer.phase_ms % *ptime_ms {
                continue;
            }
            let mut payload = [0; 1_500];
            let bytes = rooms.make(peer.index, &due(ms, false), &mut payload);
            let mut samples = [0; 5_760];
            let made = peer.decoder.decode(&payload[..bytes], &mut samples).expect("a sound payload");
            let rate = u64::from(peer.decoder.format().sample_rate());
            assert_eq!(made as u64, rate / 1_000 * *ptime_ms, "{:?}", peer.codec);
            peer.heard.extend(&samples[..made]);
        }
    }
}

/// The largest difference between neighbouring samples.
fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

#[test]
fn members_have_packets_of_every_length_without_a_gap() {
    let lengths = [
        (Codec::Pcmu, 10),
        (Codec::Pcma, 20),
        (Codec::G722, 30),
        (Codec::Opus, 40),
        (Codec::Opus, 60),
        (Codec::Pcmu, 30),
    ];
    // In a room together, and one length alone.
    for alone in [None, Some(0), Some(2), Some(4)] {
        let mut rooms = Rooms::default();
        let chosen = lengths.iter().enumerate().filter(|(at, _)| alone.is_none_or(|one| one == *at));
        let mut peers: Vec<(Peer, u64)> = chosen
            .flat_map(
                |(at, length)| if alone.is_some() { vec![(at, length), (at + 6, length)] } else { vec![(at, length)] },
            )
            .map(|(at, (codec, ptime))| {
                (Peer::join_with(&mut rooms, at as u32, (*codec, *ptime), &RoomMember::of(1)), u64::from(*ptime))
            })
            .collect();
        run_ms(&mut rooms, &mut peers, 0..2_400);
        // The two loudest first: each hears the others, within the four that are heard.
        let tones: Vec<f64> = peers.iter().map(|(peer, _)| peer.hertz).collect();
        for (n, (peer, ptime)) in peers.iter().enumerate() {
            let heard =
                tones.iter().enumerate().filter(|(other, hertz)| *other != n && peer.hears(**hertz) > 4_000.0).count();
            let least = if alone.is_some() { 1 } else { 3 };
            assert!(
                heard >= least && peer.hears(tones[n]) < 500.0,
                "{:?} of {ptime} ms hears {heard} others",
                peer.codec
            );
            let rate = u64::from(peer.decoder.format().sample_rate());
            let got_ms = peer.heard.len() as u64 * 1_000 / rate;
            assert!((2_340..=2_400).contains(&got_ms), "{got_ms} ms in packets of {ptime}");
        }
        if alone.is_some() {
            // A gap of a frame would be a step: what is heard is one tone.
            for (peer, _) in peers.iter().filter(|(peer, _)| peer.codec == Codec::Pcmu) {
                let steady = 6_000.0 * TAU * tones.iter().fold(0.0, |most: f64, hertz| most.max(*hertz)) / 8_000.0;
                let last = &peer.heard[peer.heard.len() / 2..];
                assert!(f64::from(largest_step(last)) < steady * 1.25, "{} beside {steady}", largest_step(last));
            }
        }
    }
}

/// One member hears the tone of another one while that joins, is muted, made louder, whispers and leaves, and while it becomes
/// deaf or its leg is muted itself: no step is larger than the tone has them.
#[test]
fn changes_make_no_clicks() {
    let mut rooms = Rooms::default();
    let part = RoomMember::of(1);
    let mut listener = Peer::join(&mut rooms, 0, Codec::Pcmu, &RoomMember { is_muted: true, ..part });
    let mut now = 0;
    let mut frames = |rooms: &mut Rooms, listener: &mut Peer, speaker: Option<&mut Peer>, is_muted: bool| {
        let mut speaker = speaker;
        for _ in 0..23 {
            if let Some(speaker) = speaker.as_deref_mut() {
                speaker.say(rooms, now);
            }
            listener.listen(rooms, now, is_muted);
            now += 1;
        }
    };
    frames(&mut rooms, &mut listener, None, false);
    let mut speaker = Peer::join(&mut rooms, 1, Codec::Pcmu, &part);
    frames(&mut rooms, &mut listener, Some(&mut speaker), false);
    for (what, listens) in [
        (RoomMember { is_muted: true, ..part }, part),
        (part, part),
        (RoomMember { gain_db: 4, ..part }, part),
        (RoomMember { gain_db: -40, ..part }, part),
        (part, part),
        (RoomMember { heard_by: LegRef::new(0, 1), ..part }, part),
        (part, part),
        (part, RoomMember { is_deaf: true, ..part }),
        (part, part),
    ] {
        assert!(rooms.change(speaker.index, &what));
        assert!(rooms.change(listener.index, &RoomMember { is_muted: true, ..listens }));
        frames(&mut rooms, &mut listener, Some(&mut speaker), false);
    }
    frames(&mut rooms, &mut listener, Some(&mut speaker), true);
    frames(&mut rooms, &mut listener, Some(&mut speaker), false);
    rooms.leave(&mut speaker.index);
    frames(&mut rooms, &mut listener, None, false);
    // 4 dB louder the tone is steepest; G.711 rounds by 2 % of the amplitude.
    let steady = 6_000.0 * 1.585 * TAU * speaker.hertz / 8_000.0;
    let steepest = f64::from(largest_step(&listener.heard));
    assert!(steepest < steady + 600.0, "a step of {steepest}, {steady} in the tone itself");
    assert!(steepest > steady * 0.8, "the tone was heard");
}

/// A member whose codec and packet length change stays in its room, with what is announced there.
#[test]
fn another_codec_does_not_leave_the_room() {
    let mut rooms = Rooms::default();
    let mut peer = Peer::join(&mut rooms, 1, Codec::Opus, &RoomMember { is_announced: true, ..RoomMember::of(1) });
    let said = Said { codec: Codec::Pcma, opus: OpusParameters::default(), ptime_ms: 10 };
    assert_eq!(rooms.coded_count(), 1);
    assert!(rooms.send_as(peer.index, said));
    assert_eq!((rooms.coded_count(), rooms.room_count(), rooms.member_count()), (0, 1, 1));
    let mut payload = [0; 1_500];
    assert_eq!(rooms.make(peer.index, &due(0, false), &mut payload), 80);
    assert!(!rooms.send_as(peer.index, Said { codec: Codec::Other, ..said }));
    rooms.leave(&mut peer.index);
    assert_eq!((rooms.room_count(), rooms.member_count()), (0, 0));
}

/// A stranger that joins and leaves 100,000 times leaves nothing behind, in a room of its own or beside others.
#[test]
fn comings_and_goings_leave_nothing() {
    let mut rooms = Rooms::default();
    let part = RoomMember { is_announced: true, hears_waiting: true, tells_speaking: true, ..RoomMember::of(1) };
    let mut resident = Peer::join(&mut rooms, 0, Codec::Pcmu, &part);
    let said = Said { codec: Codec::Pcmu, opus: OpusParameters::default(), ptime_ms: 20 };
    for turn in 0..100_000 {
        let room = if turn % 2 == 0 { 1 } else { 1_000 + turn };
        let mut stranger = rooms.join(LegRef::new(7, turn), &RoomMember { room, ..part }, said).expect("a place");
        rooms.leave(&mut stranger);
        if turn % 1_000 == 0 {
            resident.listen(&mut rooms, u64::from(turn) / 1_000, false);
        }
    }
    assert_eq!((rooms.room_count(), rooms.member_count()), (1, 1));
    assert_eq!((rooms.rooms.len(), rooms.members.len(), rooms.by_number.len()), (2, 2, 1));
    assert!(rooms.events.is_empty() && rooms.ended_taps.is_empty() && rooms.shown.is_empty());
    rooms.leave(&mut resident.index);
    assert_eq!((rooms.room_count(), rooms.member_count(), rooms.coded_count()), (0, 0, 0));
}
