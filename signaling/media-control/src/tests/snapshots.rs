//! Legs as bytes.

use super::*;
use contract::{ClockRate, FormatId, Latching, OpusParameters, PayloadMapping, RtcpMode};
use proptest::prelude::*;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

#[test]
fn a_snapshot_says_all_that_is_wanted() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let mut wish = muted(hears(tone(), one));
    assert!(wish.formats.payloads.push(101, Codec::TelephoneEvent));
    let clock_rate = ClockRate::from_hz(48_000).unwrap();
    let format = FormatId::new(0x1234_5678, true);
    let silk = PayloadMapping { clock_rate, format, ..PayloadMapping::of(96, Codec::Other) };
    assert!(wish.formats.payloads.push_entry(silk));
    let scoped = SocketAddrV6::new("fe80::1".parse::<Ipv6Addr>().unwrap(), 4_000, 0, 3);
    wish.transport = Transport {
        remote_rtp: SocketAddr::V6(scoped).into(),
        remote_rtcp: "192.0.2.1:4001".parse::<SocketAddr>().unwrap().into(),
        rtcp: crate::Rtcp::from(RtcpMode::Mux).with_extended_reports(true),
        latching: Latching::NotYet,
        unproven_bytes: 1_376,
        media_timeout_ms: 0,
        dscp: 34,
        negotiation: 255,
        ..Transport::default()
    };
    wish.flow.player = Some(Player::Prompt(70_000));
    wish.formats.opus = OpusParameters::default().with_playback_rate(16_000).with_bitrate(24_000).with_inband_fec(true);
    wish.formats.voice = contract::VoiceProcessing::default().with_echo(true).with_gain(true);
    let id = world.open_on(0, &wish);
    let snapshot = world.legs.snapshot(id).unwrap();
    assert_eq!(Snapshot::read(&snapshot.write()), Ok(snapshot));
    assert_eq!((snapshot.owner(), snapshot.port()), (1_001, world.legs.port(id).unwrap()));
    assert_eq!((snapshot.transport, snapshot.formats), (wish.transport, wish.formats));
    let tone = contract::NamedTone { country: *b"gb", meaning: contract::ToneMeaning::Busy };
    let play = contract::PromptPlay { prompt: 7, start_ms: 90_000, times: 0, gain_db: -20 };
    for player in [Player::CallTone(tone), Player::PromptPlay(play), Player::Echo] {
        let other = Snapshot { player: Some(player), ..snapshot };
        assert_eq!(Snapshot::read(&other.write()), Ok(other));
    }
    let too_loud =
        Snapshot { player: Some(Player::PromptPlay(contract::PromptPlay { gain_db: 99, ..play })), ..snapshot };
    assert_eq!(Snapshot::read(&too_loud.write()), Err(SnapshotError::Field("gain")));
    assert_eq!(snapshot.sources[..2], [Some((world.legs.port(one).unwrap().leg, EdgeKind::Relay)), None]);
    world.close(id);
    assert_eq!(world.legs.snapshot(id), Err(LegError::WrongState));
}

#[test]
fn a_leg_whose_source_is_not_restored_plays_what_it_has() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let other = world.open_on(0, &hears(tone(), one));
    let snapshot = Snapshot::read(&world.legs.snapshot(other).unwrap().write()).unwrap();
    let mut fresh = World::new();
    let port = fresh.pool.hold(snapshot.port());
    let mut restoration = Restoration::default();
    let id = fresh.turn(|legs, turn| restoration.open(legs, turn, &snapshot, port)).unwrap();
    assert_eq!(fresh.turn(|legs, turn| restoration.connect(legs, turn)), 0);
    fresh.serve();
    assert_eq!((fresh.source(id), fresh.told.last()), (Source::Tone440, Some(&(1_001, LegEvent::Opened))));
    fresh.assert_settled(&[id]);
    // There is no room for it.
    fresh.legs.set_limit(1);
    let port = fresh.pool.take().unwrap();
    let refused = fresh.turn(|legs, turn| Restoration::default().open(legs, turn, &snapshot, port));
    assert_eq!((refused, fresh.pool.out_count()), (Err(LegError::Full), 1));
}

/// A snapshot with its checksum made right again, so that the fields are looked at.
fn forged(bytes: &mut [u8]) {
    let (fields, sum) = bytes.split_last_chunk_mut::<4>().unwrap();
    let made = fields.iter().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    *sum = made.to_le_bytes();
}

/// A leg with so many sources.
fn sample(source_count: usize) -> Vec<u8> {
    let mut world = World::with(plane::Pool::new(16, 1));
    let id = world.open_on(0, &tone());
    for _ in 0..source_count {
        let source = world.open_on(0, &tone());
        world.turn(|legs, turn| legs.connect(turn, id, relay(source))).unwrap();
    }
    world.legs.snapshot(id).unwrap().write().to_vec()
}

/// Bytes of a source, and where the number of sources stands.
const SOURCE_BYTES: usize = (SNAPSHOT_BYTES_MAX - SNAPSHOT_BYTES_MIN) / SOURCES_MAX;
const COUNT_AT: usize = SNAPSHOT_BYTES_MIN - 5;

#[test]
fn a_snapshot_holds_all_sources_in_their_order() {
    let mut world = World::with(plane::Pool::new(16, 2));
    let sink = world.open_on(1, &tone());
    let speakers: Vec<_> = (0..SOURCES_MAX).map(|_| world.open_on(1, &tone())).collect();
    for (at, speaker) in speakers.iter().enumerate() {
        let bytes = world.legs.snapshot(sink).unwrap().write().len();
        assert_eq!(bytes, SNAPSHOT_BYTES_MIN + at * SOURCE_BYTES);
        world.turn(|legs, turn| legs.connect(turn, sink, relay(*speaker))).unwrap();
    }
    world.serve();
    let written = [sink].into_iter().chain(speakers.iter().copied()).map(|id| world.legs.snapshot(id).unwrap().write());
    let snapshots: Vec<_> = written.map(|bytes| Snapshot::read(&bytes).unwrap()).collect();
    assert_eq!(snapshots[0].write().len(), SNAPSHOT_BYTES_MAX);
    let places: Vec<_> = speakers.iter().map(|id| (world.legs.port(*id).unwrap().leg, EdgeKind::Relay)).collect();
    assert_eq!(snapshots[0].sources.map(Option::unwrap).to_vec(), places);

    // One of them, the one that was heard, is not restored.
    let mut fresh = World::with(plane::Pool::new(16, 2));
    let mut restoration = Restoration::default();
    let restored = snapshots.iter().enumerate().rev().filter(|(at, _)| *at != 1);
    let ids: Vec<_> = restored
        .map(|(_, snapshot)| {
            let port = fresh.pool.hold(snapshot.port());
            fresh.turn(|legs, turn| restoration.open(legs, turn, snapshot, port)).unwrap()
        })
        .collect();
    assert_eq!(fresh.turn(|legs, turn| restoration.connect(legs, turn)), SOURCES_MAX - 1);
    fresh.serve();
    let sink = *ids.last().unwrap();
    let states: Vec<_> =
        fresh.legs.sources(sink).map(|(id, state)| (fresh.legs.port(id).unwrap().leg, state)).collect();
    let expected = places[1..]
        .iter()
        .enumerate()
        .map(|(at, (leg, _))| (*leg, if at == 0 { EdgeState::Flowing } else { EdgeState::NeedsMixer }));
    assert_eq!(states, expected.collect::<Vec<_>>());
    fresh.assert_settled(&ids);
}

#[test]
fn other_versions_lengths_and_damage_are_named() {
    for count in 0..=SOURCES_MAX {
        let bytes = sample(count);
        let expected = bytes.len();
        for got in [1, expected - 1, COUNT_AT + 1] {
            let expected = if got > COUNT_AT { expected } else { SNAPSHOT_BYTES_MIN };
            assert_eq!(Snapshot::read(&bytes[..got]), Err(SnapshotError::Length { expected, got }));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Snapshot::read(&longer), Err(SnapshotError::Length { expected, got: expected + 1 }));
        for version in [0, 11, 13] {
            let mut other = bytes.clone();
            other[0] = version;
            assert_eq!(Snapshot::read(&other), Err(SnapshotError::Version(version)));
        }
        for at in (1..expected).filter(|at| *at != COUNT_AT) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert_eq!(Snapshot::read(&damaged), Err(SnapshotError::Checksum), "byte {at}");
        }
    }
    assert_eq!(Snapshot::read(&[]), Err(SnapshotError::Length { expected: SNAPSHOT_BYTES_MIN, got: 0 }));
}

#[test]
fn sources_that_make_no_sense_are_refused() {
    let bytes = sample(2);
    let (first, second) = (COUNT_AT + 1, COUNT_AT + 1 + SOURCE_BYTES);
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        forged(&mut bytes);
        Snapshot::read(&bytes)
    };
    let sources = Err(SnapshotError::Field("sources"));
    assert!(refused(&|_| ()).is_ok());
    assert_eq!(refused(&|bytes| bytes[first] = 0), sources, "a kind that there is not");
    assert_eq!(refused(&|bytes| bytes[second] = 2), sources, "a kind that there is not");
    assert_eq!(refused(&|bytes| bytes[first + 1..second].fill(0)), sources, "no leg");
    assert_eq!(refused(&|bytes| bytes.copy_within(first..second, second)), sources, "one leg twice");
    // Version, flags and worker, the owner; then the leg itself.
    assert_eq!(refused(&|bytes| bytes.copy_within(11..19, first + 1)), sources, "the leg itself");
    for count in [0, 1, 3, 8] {
        let expected = SNAPSHOT_BYTES_MIN + count * SOURCE_BYTES;
        let length = Err(SnapshotError::Length { expected, got: bytes.len() });
        assert_eq!(refused(&|bytes| bytes[COUNT_AT] = count as u8), length);
    }
    // More than there may be, with room for as many as there may be.
    let mut full = sample(SOURCES_MAX);
    for count in [SOURCES_MAX as u8 + 1, u8::MAX] {
        full[COUNT_AT] = count;
        forged(&mut full);
        assert_eq!(Snapshot::read(&full), sources);
    }
}

proptest! {
    /// Whatever is read is a leg that the media plane takes, and is written as it came.
    #[test]
    fn hostile_bytes_are_refused_or_sound(
        count in 0..=SOURCES_MAX,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = sample(count);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        forged(&mut bytes);
        if let Ok(snapshot) = Snapshot::read(&bytes) {
            prop_assert_eq!(&*snapshot.write(), &bytes[..]);
            let mut world = World::new();
            let port = Port { worker: 0, ..snapshot.port() };
            world.pool.hold(port);
            let mut restoration = Restoration::default();
            // The model checks that the command is sound.
            let id = world.turn(|legs, turn| restoration.open(legs, turn, &snapshot, port)).unwrap();
            world.serve();
            world.assert_settled(&[id]);
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2 * SNAPSHOT_BYTES_MAX)) {
        prop_assert!(Snapshot::read(&bytes).is_err());
    }
}
