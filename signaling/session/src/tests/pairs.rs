//! Calls between real endpoints: phone to phone, and through the switch.

use crate::tests::wire::{A, B, S, Wire};
use crate::*;
use clock::Duration;
use contract::{Codec, Direction};

const SOON: Duration = Duration::from_millis(500);
/// All pauses after a 491 are over by then (RFC 3261 §14.1).
const AFTER_GLARE: Duration = Duration::from_secs(10);

fn hold(wire: &mut Wire, node: usize, id: SessionId) {
    wire.order(node, |sessions, turn| sessions.hold(turn, id, None)).unwrap();
}

fn resume(wire: &mut Wire, node: usize, id: SessionId) {
    wire.order(node, |sessions, turn| sessions.resume(turn, id)).unwrap();
}

fn has_told(wire: &mut Wire, node: usize, event: &SessionEvent) -> bool {
    wire.nodes[node].told().contains(event)
}

fn done(id: SessionId, operation: Operation) -> SessionEvent {
    SessionEvent::Done { id, operation }
}

/// A calls S, which answers.
fn two_phones(wire: &mut Wire) -> (SessionId, SessionId) {
    let id = wire.call(A, S, "tone");
    assert_eq!(wire.state(A, id), SessionState::Connected);
    (id, wire.only(S))
}

/// A calls B through the switch.
fn through_the_switch(wire: &mut Wire) -> (SessionId, SessionId) {
    let id = wire.call(A, S, "on");
    assert_eq!((wire.state(A, id), wire.nodes[S].sessions.count()), (SessionState::Connected, 2));
    (id, wire.only(B))
}

fn hang_up(wire: &mut Wire, node: usize, id: SessionId) {
    wire.order(node, |sessions, turn| sessions.terminate(turn, id)).unwrap();
    wire.assert_at_rest();
}

#[test]
fn a_call_is_held_resumed_and_ended() {
    for lost_every in [u64::MAX, 5, 3] {
        let mut wire = Wire::losing(lost_every);
        let id = wire.call(A, S, "tone");
        wire.run(AFTER_GLARE);
        let peer = wire.only(S);
        hold(&mut wire, A, id);
        wire.run(AFTER_GLARE);
        assert!(has_told(&mut wire, A, &done(id, Operation::Hold)), "one of {lost_every} lost");
        for (node, id) in [(A, id), (S, peer)] {
            assert_eq!(wire.state(node, id), SessionState::OnHold);
            assert_eq!(wire.nodes[node].session(id).direction(), Direction::Inactive);
        }
        resume(&mut wire, A, id);
        wire.run(AFTER_GLARE);
        for (node, id) in [(A, id), (S, peer)] {
            assert_eq!(wire.state(node, id), SessionState::Connected);
        }
        hang_up(&mut wire, S, peer);
    }
}

/// Both offers meet on the way: each is refused with 491, and tried again (RFC 3261 §14.1). The one that comes first makes
/// the other side give its own up and write it anew.
#[test]
fn both_sides_hold_at_once() {
    let mut wire = Wire::new();
    let (id, peer) = two_phones(&mut wire);
    wire.sent(A);
    wire.sent(S);
    hold(&mut wire, A, id);
    hold(&mut wire, S, peer);
    wire.run(AFTER_GLARE);
    let (from_a, from_s) = (wire.sent(A), wire.sent(S));
    for sent in [&from_a, &from_s] {
        assert!(sent.iter().any(|line| line.starts_with("SIP/2.0 491")), "{sent:?}");
        assert_eq!(sent.iter().filter(|line| line.starts_with("INVITE")).count(), 2, "{sent:?}");
    }
    for (node, id) in [(A, id), (S, peer)] {
        assert!(has_told(&mut wire, node, &done(id, Operation::Hold)));
        let session = wire.nodes[node].session(id);
        assert!(session.is_held_here(), "{session:?}");
        assert_eq!(session.direction(), Direction::Inactive);
    }
    // Each lets go: media flows when both have.
    resume(&mut wire, A, id);
    wire.run(SOON);
    assert_eq!(wire.state(A, id), SessionState::OnHold);
    resume(&mut wire, S, peer);
    wire.run(SOON);
    for (node, id) in [(A, id), (S, peer)] {
        assert_eq!(wire.state(node, id), SessionState::Connected);
    }
    hang_up(&mut wire, A, id);
}

/// A hold and a codec change meet: what the second one offers knows of the first.
#[test]
fn different_changes_meet() {
    let mut wire = Wire::new();
    let (id, peer) = two_phones(&mut wire);
    hold(&mut wire, A, id);
    wire.order(S, |sessions, turn| sessions.change_codec(turn, peer, Codec::Pcma)).unwrap();
    wire.run(AFTER_GLARE);
    assert!(has_told(&mut wire, A, &done(id, Operation::Hold)));
    assert!(has_told(&mut wire, S, &done(peer, Operation::ChangeMedia)));
    for (node, id) in [(A, id), (S, peer)] {
        let session = wire.nodes[node].session(id);
        assert_eq!((session.codec(), session.direction()), (Some(Codec::Pcma), Direction::Inactive));
    }
    hang_up(&mut wire, S, peer);
}

#[test]
fn operations_wait_for_each_other() {
    let mut wire = Wire::new();
    let (id, peer) = two_phones(&mut wire);
    hold(&mut wire, A, id);
    wire.order(A, |sessions, turn| sessions.change_codec(turn, id, Codec::Pcma)).unwrap();
    resume(&mut wire, A, id);
    wire.run(SOON);
    let told = wire.nodes[A].told();
    let ended: Vec<_> = told.iter().filter(|event| matches!(event, SessionEvent::Done { .. })).collect();
    let wanted = [Operation::Hold, Operation::ChangeMedia, Operation::Resume].map(|operation| done(id, operation));
    assert_eq!(ended, wanted.iter().collect::<Vec<_>>());
    for (node, id) in [(A, id), (S, peer)] {
        let session = wire.nodes[node].session(id);
        assert_eq!((session.codec(), session.direction()), (Some(Codec::Pcma), Direction::Both));
    }
    hang_up(&mut wire, A, id);
}

#[test]
fn a_hold_crosses_the_switch() {
    let mut wire = Wire::new();
    let (id, peer) = through_the_switch(&mut wire);
    for (from, holds, to, held) in [(A, id, B, peer), (B, peer, A, id)] {
        hold(&mut wire, from, holds);
        wire.run(SOON);
        assert!(has_told(&mut wire, from, &done(holds, Operation::Hold)));
        assert_eq!(wire.state(to, held), SessionState::OnHold);
        resume(&mut wire, from, holds);
        wire.run(SOON);
        assert_eq!(wire.state(to, held), SessionState::Connected);
    }
    hang_up(&mut wire, A, id);
}

#[test]
fn both_sides_of_the_switch_hold_at_once() {
    let mut wire = Wire::new();
    let (id, peer) = through_the_switch(&mut wire);
    hold(&mut wire, A, id);
    hold(&mut wire, B, peer);
    wire.run(2 * AFTER_GLARE);
    for (node, id) in [(A, id), (B, peer)] {
        assert!(has_told(&mut wire, node, &done(id, Operation::Hold)));
        assert_eq!(wire.nodes[node].session(id).direction(), Direction::Inactive);
    }
    hang_up(&mut wire, B, peer);
}

/// The phone that is asked places the new call, reports, and both are over when it was answered.
#[test]
fn a_call_is_transferred() {
    let mut wire = Wire::new();
    let (id, _) = two_phones(&mut wire);
    wire.order(A, |sessions, turn| sessions.transfer(turn, id, "sip:routed@192.0.2.7")).unwrap();
    assert_eq!(wire.state(A, id), SessionState::Transferring);
    wire.run(Duration::from_secs(2));
    assert!(has_told(&mut wire, A, &done(id, Operation::Transfer)));
    let (left, new) = (wire.only(S), wire.only(B));
    assert_eq!((wire.state(S, left), wire.state(B, new)), (SessionState::Connected, SessionState::Connected));
    assert_eq!(wire.nodes[A].sessions.count(), 0);
    hang_up(&mut wire, B, new);
}

#[test]
fn calls_that_are_refused_cancelled_or_never_answered() {
    let mut wire = Wire::new();
    wire.call(A, S, "busy");
    assert_eq!(wire.nodes[A].last_end(), EndReason::Rejected(486));
    let id = wire.call(A, S, "later");
    assert_eq!(wire.state(A, id), SessionState::Ringing);
    wire.order(A, |sessions, turn| sessions.terminate(turn, id)).unwrap();
    wire.run(SOON);
    for node in [A, S] {
        assert_eq!(wire.nodes[node].last_end(), EndReason::Cancelled);
    }
    wire.call(A, S, "later");
    wire.assert_at_rest();
    assert_eq!(wire.nodes[S].last_end(), EndReason::NotDecided);
}
