//! What is told of a call that is over.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use sip_core::Cause;

impl World {
    /// The stories of all calls that have ended, the one that counts for a call of two legs last.
    fn stories(&mut self) -> Vec<(EndReason, CallStory)> {
        self.serve();
        let mut stories: Vec<_> = self
            .events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Ended { reason, call, .. } => Some((*reason, (**call).clone())),
                _ => None,
            })
            .collect();
        stories.sort_by_key(|(_, call)| call.share == Share::Call);
        stories
    }
}

#[test]
fn a_refusal_of_the_called_side_is_told_once_with_every_target() {
    let mut pair = going(SDP);
    pair.world.failed_with(pair.call, 503, "Full", &[]);
    let (second, ..) = pair.world.invited();
    pair.world.failed_with(second, 486, "In a meeting", &[("Reason", "Q.850;cause=17")]);
    pair.world.over(A, Cause::Rejected(486));
    let stories = pair.world.stories();
    let [(_, of_leg), (reason, call)] = &stories[..] else { panic!("{stories:?}") };
    assert_eq!((*reason, call.status, call.origin), (EndReason::Rejected(486), Some(486), EndOrigin::Called));
    assert_eq!(&*call.words, "In a meeting; Q.850;cause=17");
    let outcomes: Vec<_> = call.attempts.iter().map(|attempt| (&*attempt.uri, attempt.outcome)).collect();
    let expected = [("sip:b1@192.0.2.7", Outcome::Refused(503)), ("sip:b2@192.0.2.7", Outcome::Refused(486))];
    assert_eq!(outcomes, expected);
    // Both legs know each other, and the Call-ID that we made names the call.
    assert_eq!((call.share, of_leg.share, call.number), (Share::Call, Share::SecondLeg, of_leg.number));
    assert_eq!(call.other_call_id.as_deref(), Some(&*of_leg.parties.call_id));
    assert_eq!(of_leg.other_call_id.as_deref(), Some(&*call.parties.call_id));
    assert!(of_leg.parties.call_id.starts_with(&format!("{}-", call.number.unwrap())), "{}", of_leg.parties.call_id);
}

#[test]
fn what_no_peer_has_said_does_not_look_as_if_one_had() {
    for (status, reason, origin, outcome) in [
        (408, EndReason::NoAnswer, EndOrigin::TimeOut, Outcome::TimedOut),
        (503, EndReason::Unreachable, EndOrigin::Network, Outcome::Unreachable),
    ] {
        let mut world = World::new(Settings::default(), 6);
        world.comes(A, "on", SDP);
        world.is_lossy = true;
        world.serve();
        world.invited();
        world.unanswered(status);
        world.invited();
        world.unanswered(status);
        world.is_lossy = false;
        world.over(A, Cause::Rejected(reason.sip_status().unwrap()));
        let stories = world.stories();
        let (told, call) = stories.last().unwrap();
        assert_eq!((*told, call.origin, call.attempts[1].outcome), (reason, origin, outcome));
    }
}

#[test]
fn each_way_in_which_a_call_ends_has_its_origin() {
    // The called side hangs up, then the caller does.
    for (dialog, other, reason, origin) in
        [(B, A, EndReason::LocalBye, EndOrigin::Called), (A, B, EndReason::RemoteBye, EndOrigin::Peer)]
    {
        let mut pair = up();
        pair.world.now += Duration::from_secs(7);
        pair.world.over(dialog, Cause::RemoteBye);
        pair.world.over(other, Cause::LocalBye);
        let stories = pair.world.stories();
        let (told, call) = stories.last().unwrap();
        assert_eq!((*told, call.origin, call.status), (reason, origin, None));
        assert_eq!(call.attempts.last().map(|attempt| attempt.outcome), Some(Outcome::Answered));
        assert!(call.answered_at.is_some() && call.ended_at.since(call.began_at) >= Duration::from_secs(7));
    }
    // The caller gives up while it rings.
    let mut pair = going(SDP);
    pair.world.over(A, Cause::RemoteCancel);
    pair.world.failed(pair.call, 487);
    let stories = pair.world.stories();
    let (told, call) = stories.last().unwrap();
    assert_eq!((*told, call.origin, call.attempts.len()), (EndReason::Cancelled, EndOrigin::Peer, 1));
    // Nobody answers in time: the first target, then the second.
    let mut pair = going(SDP);
    pair.world.wait(Duration::from_secs(60));
    pair.world.said();
    pair.world.wait(Duration::from_secs(60));
    pair.world.over(A, Cause::Rejected(480));
    pair.world.wait(Settings::default().timeouts.ending);
    let stories = pair.world.stories();
    let (told, call) = stories.last().unwrap();
    assert_eq!((*told, call.origin), (EndReason::NoAnswer, EndOrigin::TimeOut));
    assert!(call.attempts.iter().all(|attempt| attempt.outcome == Outcome::TimedOut), "{call:?}");
    // We refuse.
    let mut world = World::new(Settings::default(), 4);
    world.calls(1, "busy", SDP);
    world.over(1, Cause::Rejected(486));
    let stories = world.stories();
    let (told, call) = &stories[0];
    assert_eq!((*told, call.origin, call.status), (EndReason::Refused(486), EndOrigin::Here, Some(486)));
}

#[test]
fn what_never_became_a_session_is_told_as_well() {
    let mut world = World::new(small(1), 4);
    world.comes(1, "tone", SDP);
    let invite = |world: &mut World, number: u64, body: &str| {
        world.events.clear();
        world.calls(number, "tone", body);
        match &world.events[..] {
            [SessionEvent::Refused { call }] => (**call).clone(),
            other => panic!("{other:?}"),
        }
    };
    let full = invite(&mut world, 2, SDP);
    assert_eq!((full.status, full.origin, &*full.parties.called_user), (Some(503), EndOrigin::Here, "tone"));
    assert!(full.words.contains("as many calls"), "{}", full.words);
    world.over(1, Cause::RemoteCancel);
    world.serve();
    let unfit = invite(&mut world, 3, "v=0\r\nthis is no description\r\n");
    assert!(matches!(unfit.status, Some(400 | 488)) && !unfit.words.is_empty(), "{unfit:?}");
}
