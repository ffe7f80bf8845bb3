//! Legs as bytes.

use super::*;
use contract::{ClockRate, Latching, PayloadMapping, RtcpMode};
use proptest::prelude::*;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

#[test]
fn a_snapshot_says_all_that_is_wanted() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let mut wish = muted(hears(tone(), one));
    assert!(wish.formats.payloads.push(101, Codec::TelephoneEvent));
    let clock_rate = ClockRate::from_hz(48_000).unwrap();
    let opus = PayloadMapping { payload_type: 96, codec: Codec::Other, peer_payload_type: 96, clock_rate };
    assert!(wish.formats.payloads.push_entry(opus));
    let scoped = SocketAddrV6::new("fe80::1".parse::<Ipv6Addr>().unwrap(), 4_000, 0, 3);
    wish.transport = Transport {
        remote_rtp: SocketAddr::V6(scoped).into(),
        remote_rtcp: "192.0.2.1:4001".parse::<SocketAddr>().unwrap().into(),
        rtcp: RtcpMode::Mux,
        latching: Latching::NotYet,
        unproven_bytes: 1_376,
        media_timeout_ms: 0,
        dscp: 34,
        negotiation: 255,
        ..Transport::default()
    };
    wish.flow.player = Some(Player::Prompt(70_000));
    let id = world.open_on(0, &wish);
    let snapshot = world.legs.snapshot(id).unwrap();
    assert_eq!(Snapshot::read(&snapshot.write()), Ok(snapshot));
    assert_eq!((snapshot.owner(), snapshot.port()), (1_001, world.legs.port(id).unwrap()));
    assert_eq!((snapshot.transport, snapshot.formats), (wish.transport, wish.formats));
    assert_eq!(snapshot.hears, Some((world.legs.port(one).unwrap().leg, EdgeKind::Relay)));
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
fn forged(bytes: &mut [u8; SNAPSHOT_BYTES]) {
    let sum = bytes[..SNAPSHOT_BYTES - 4]
        .iter()
        .fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    bytes[SNAPSHOT_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
}

fn sample() -> [u8; SNAPSHOT_BYTES] {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let id = world.open_on(0, &hears(tone(), one));
    world.legs.snapshot(id).unwrap().write()
}

#[test]
fn other_versions_lengths_and_damage_are_named() {
    let bytes = sample();
    let expected = SNAPSHOT_BYTES;
    for got in [0, 1, SNAPSHOT_BYTES - 1] {
        assert_eq!(Snapshot::read(&bytes[..got]), Err(SnapshotError::Length { expected, got }));
    }
    let mut other = bytes;
    other[0] = 2;
    assert_eq!(Snapshot::read(&other), Err(SnapshotError::Version(2)));
    for at in 1..SNAPSHOT_BYTES {
        let mut damaged = bytes;
        damaged[at] ^= 0x40;
        assert_eq!(Snapshot::read(&damaged), Err(SnapshotError::Checksum), "byte {at}");
    }
}

proptest! {
    /// Whatever is read is a leg that the media plane takes, and is written as it came.
    #[test]
    fn hostile_bytes_are_refused_or_sound(changes in prop::collection::vec((1..SNAPSHOT_BYTES - 4, any::<u8>()), 0..6)) {
        let mut bytes = sample();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        forged(&mut bytes);
        if let Ok(snapshot) = Snapshot::read(&bytes) {
            prop_assert_eq!(snapshot.write(), bytes);
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
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2 * SNAPSHOT_BYTES)) {
        prop_assert!(Snapshot::read(&bytes).is_err());
    }
}
