//! How many, how long, how large.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::CloseReason;
use sip_core::{Cause, DialogId};

#[test]
fn a_user_has_so_many_calls_and_no_more() {
    let limit = UserLimit::new(2);
    let limits = CallLimits { user_limit: Some(limit.clone()), ..CallLimits::default() };
    let mut world = World::new(Settings { limits, ..Settings::default() }, 8);
    world.comes(1, "tone", SDP);
    let dial = |from: &str| Dial::new(from, target("b1"));
    world.turn(|sessions, turn| sessions.dial(turn, dial("\"A\" <sip:ALICE@example.com;x=y>"))).unwrap();
    world.serve();
    world.said();
    world.calls(2, "tone", SDP);
    assert_eq!(world.said(), [Said::Reject(2, 486, None)]);
    let refused = world.turn(|sessions, turn| sessions.dial(turn, dial("sip:alice@example.com")));
    assert!(matches!(refused, Err(SessionError::ResourceExhausted { what: "calls of this user", limit: 2 })));
    assert_eq!(world.ports.out.len(), 2);
    world.turn(|sessions, turn| sessions.dial(turn, dial("sip:bob@example.com"))).unwrap();
    // Both sides of a call that goes on are one call of its user.
    world.over(1, Cause::RemoteBye);
    world.serve();
    world.comes(3, "on", SDP);
    world.said();
    assert_eq!(limit.user_count(), 2);
    world.turn(|sessions, turn| sessions.end_all(turn, EndReason::Shutdown));
    world.serve();
    world.wait(Settings::default().timeouts.ending);
    world.assert_empty();
    assert_eq!(limit.user_count(), 0);
}

#[test]
fn calls_end_by_age_and_on_endless_hold() {
    let (age, idle) = (Duration::from_secs(3_600), Duration::from_secs(600));
    let settings = Settings { timeouts: Timeouts { age, idle, ..Timeouts::default() }, ..Settings::default() };
    let mut world = World::new(settings, 4);
    let (old, idle) = (world.comes(1, "tone", SDP), world.comes(2, "tone", SDP));
    world.serve();
    let hold = |world: &mut World, direction: &str| {
        world.reinvites(2, &held(direction));
        world.serve();
    };
    hold(&mut world, "inactive");
    world.wait(Duration::from_secs(500));
    hold(&mut world, "sendrecv");
    world.wait(Duration::from_secs(600));
    assert_eq!(world.session(idle).state(), SessionState::Connected, "it was heard in between");
    hold(&mut world, "inactive");
    world.wait(Duration::from_secs(300));
    hold(&mut world, "recvonly");
    world.said();
    world.wait(Duration::from_secs(300));
    assert_eq!(world.said(), [Said::Bye(2)]);
    world.over(2, Cause::LocalBye);
    world.serve();
    assert_eq!(world.last_end(), EndReason::IdleLimit);
    world.wait(Duration::from_secs(1_900));
    assert_eq!(world.said(), [Said::Bye(1)]);
    let session = world.session(old);
    let (leg, tag) = (session.leg().unwrap(), old.as_u64());
    world.over(1, Cause::LocalBye);
    world.media(contract::Event::Closed { leg, number: tag, reason: CloseReason::Asked });
    assert_eq!(world.last_end(), EndReason::AgeLimit);
}

#[test]
fn health_counts_what_is_there_and_a_session_is_small() {
    let mut world = World::new(Settings::default(), 8);
    let before = world.sessions.health(world.now);
    assert_eq!(before, Health::default());
    let id = world.comes(1, "on", SDP);
    world.serve();
    world.now += Duration::from_secs(9);
    let health = world.sessions.health(world.now);
    assert_eq!((health.session_count, health.leg_count, health.dialog_count, health.call_count), (2, 2, 1, 1));
    assert_eq!((health.oldest, health.leak_count), (Duration::from_secs(9), 0));
    // The budget is 3 KB in signaling, what sip-core keeps of its dialog included.
    let (call, ..) = world.invited();
    world.answered(call, 50, SDP);
    world.serve();
    assert!(world.session(id).bytes() < 1_600, "{} bytes", world.session(id).bytes());
    world.sessions.by_dialog.insert(DialogId::from_u64(99), SessionId::from_u64(12_345));
    assert_eq!(world.sessions.health(world.now).leak_count, 1, "a leak is seen");
    let leaks: Vec<Leak> = world.sessions.leaks().collect();
    assert_eq!(leaks, [Leak::Dialog(DialogId::from_u64(99), SessionId::from_u64(12_345))]);
    assert!(leaks[0].to_string().ends_with("which is gone") && leaks[0].session().as_u64() == 12_345);
    world.sessions.by_dialog.remove(&DialogId::from_u64(99));
    let (dialogs, timers) = (world.session(id).dialog_count(), world.session(id).timer_count());
    assert_eq!((dialogs, timers), (1, 0));
    // An ending session without a clock would stay for ever.
    world.sessions.table.get_mut(id).expect("it lives").life.go(SessionState::Terminating);
    assert_eq!(world.sessions.leaks().collect::<Vec<_>>(), [Leak::Stuck(id)]);
}
