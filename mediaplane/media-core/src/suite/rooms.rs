//! Legs that are members of a room.

use super::transcoding::{Singer, payload_type, tone_in, with_codec};
use super::{Lab, Scene, Test, headers};
use clock::Duration;
use contract::{Codec, Command, RoomMember, Source};

const CODECS: [Codec; 3] = [Codec::Pcmu, Codec::G722, Codec::Opus];
/// Milliseconds of sound in a packet of each.
const PTIMES_MS: [u8; 3] = [20, 30, 60];

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![("members_of_a_room_hear_each_other", members_of_a_room_hear_each_other)]
}

/// One of three sings: the two others hear it, each in its codec, without a break in their streams as they come and go.
fn members_of_a_room_hear_each_other<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peers = CODECS.map(|_| scene.lab.add_peer());
    let in_room = |scene: &Scene<L>, n: usize, part: RoomMember| {
        with_codec(scene.spec(peers[n], Source::Room(part)), CODECS[n], CODECS[n])
            .with(|spec| spec.formats.ptime_ms = PTIMES_MS[n])
    };
    for n in 0..3 {
        scene.open(n, in_room(&scene, n, RoomMember::of(5)));
    }
    assert_eq!(scene.worker.room_count(), (1, 3));
    let (mut singer, to) = (Singer::new(CODECS[0]), scene.rtp(0));
    let mut sing = |scene: &mut Scene<L>| {
        peers.iter().for_each(|peer| drop(scene.heard(*peer)));
        for _ in 0..40 {
            let packet = singer.packet();
            scene.say(peers[0], to, &packet);
            scene.run(Duration::from_millis(18)); // saying takes the rest
        }
        peers.map(|peer| scene.heard(peer))
    };
    let heard = sing(&mut scene);
    for (n, packets) in heard.iter().enumerate() {
        let ptime_ms = usize::from(PTIMES_MS[n]);
        assert!((660..=880).contains(&(packets.len() * ptime_ms)), "{:?}: {} packets", CODECS[n], packets.len());
        let (purity, energy) = tone_in(CODECS[n], packets, 240 / ptime_ms, 1_000.0);
        let is_right = if n == 0 { energy < 100_000.0 } else { purity > 0.8 && energy > 3_000_000.0 };
        assert!(is_right, "{:?}: {purity}, {energy}", CODECS[n]);
        let headers = headers(packets);
        assert!(headers.iter().all(|header| header.payload_type == payload_type(CODECS[n])));
        assert!(headers.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1), "{:?}", CODECS[n]);
        let ticks = CODECS[n].clock_rate().hz() / 1_000 * u32::from(PTIMES_MS[n]);
        let is_whole = |step: u32| step > 0 && step.is_multiple_of(ticks);
        assert!(headers.windows(2).all(|pair| is_whole(pair[1].time.since(pair[0].time) as u32)), "{:?}", CODECS[n]);
    }
    // A deaf member is sent silence; one that is gone what its own source is.
    scene.update(1, in_room(&scene, 1, RoomMember { is_deaf: true, ..RoomMember::of(5) }));
    let silent = with_codec(scene.spec(peers[2], Source::Silence), CODECS[2], CODECS[2]);
    scene.update(2, silent);
    assert_eq!(scene.worker.room_count(), (1, 2));
    let before = heard.map(|packets| headers(&packets).last().copied());
    let heard = sing(&mut scene);
    for n in [1, 2] {
        let (_, energy) = tone_in(CODECS[n], &heard[n], 4, 1_000.0);
        assert!(energy < 100_000.0, "{:?}: {energy}", CODECS[n]);
        let first = headers(&heard[n])[0];
        assert_eq!(Some(first.ssrc), before[n].map(|last| last.ssrc), "one stream for the peer");
    }
    (0..3).for_each(|n| scene.command(Command::Close { leg: scene.leg(n), number: 9 }));
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.worker.room_count(), (0, 0));
}
