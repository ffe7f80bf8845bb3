//! Legs that are members of a room.

use super::*;
use contract::{LegRef, RoomMember};

fn member(part: RoomMember) -> LegWish {
    LegWish { flow: FlowWish { player: Some(Player::Room(part)), ..tone().flow }, ..tone() }
}

#[test]
fn members_come_to_the_worker_of_their_room_wherever_they_began() {
    for room in 1..9 {
        let mut world = World::new();
        let part = RoomMember::of(room);
        let ids: Vec<LegId> = (0..4).map(|n| world.open_on(n % 2, &member(part))).collect();
        let workers: Vec<u8> = ids.iter().map(|id| world.legs.port(*id).unwrap().worker).collect();
        assert!(workers.iter().all(|worker| *worker == workers[0]), "{workers:?}");
        assert!(ids.iter().all(|id| world.source(*id) == Source::Room(part)));
        world.assert_settled(&ids);
        // Another part in the same room, another room, and none.
        let muted = RoomMember { is_muted: true, ..part };
        world.want(ids[0], &member(muted));
        world.serve();
        assert_eq!(world.source(ids[0]), Source::Room(muted));
        let other = RoomMember::of(room + 1);
        world.want(ids[1], &member(other));
        world.serve();
        assert_eq!(world.source(ids[1]), Source::Room(other));
        world.want(ids[2], &tone());
        world.serve();
        assert_eq!(world.source(ids[2]), Source::Tone440);
        world.assert_settled(&ids);
    }
}

#[test]
fn rooms_are_spread_over_the_workers() {
    let workers: Vec<u8> = (1..65)
        .map(|room| {
            let mut world = World::new();
            let id = world.open_on(0, &member(RoomMember::of(room)));
            world.legs.port(id).unwrap().worker
        })
        .collect();
    let count = workers.iter().filter(|worker| **worker == 0).count();
    assert!((20..45).contains(&count), "{count} of 64 rooms are on one worker");
}

/// A member whose peer is put on hold hears the music, and the others do not hear it; then it is back.
#[test]
fn a_member_on_hold_is_not_in_the_room() {
    let mut world = World::new();
    let part = RoomMember::of(3);
    let id = world.open_on(0, &member(part));
    let mut held = member(part);
    (held.flow.player, held.flow.is_held) = (Some(Player::Prompt(1)), true);
    world.want(id, &held);
    world.serve();
    assert_eq!(world.source(id), Source::Prompt(1));
    world.want(id, &member(part));
    world.serve();
    assert_eq!(world.source(id), Source::Room(part));
}

#[test]
fn a_snapshot_has_the_part_in_the_room() {
    let mut world = World::new();
    let part = RoomMember {
        is_deaf: true,
        is_always_heard: true,
        is_announced: true,
        hears_waiting: true,
        tells_speaking: true,
        gain_db: -9,
        heard_by: LegRef::new(10_000, 4),
        ..RoomMember::of(u32::MAX)
    };
    let id = world.open_on(1, &member(part));
    let snapshot = world.legs.snapshot(id).unwrap();
    assert_eq!(Snapshot::read(&snapshot.write()), Ok(snapshot));
    assert_eq!(snapshot.player, Some(Player::Room(part)));
}
