//! Calls that we place.

use crate::tests::common::small;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Command, Direction, Event, RefuseReason, Source};
use sip_core::{Cause, EndpointConfig};

const DIALOG: u64 = 70;

fn dialled(targets: &[&str]) -> (World, SessionId) {
    let mut world = World::new(Settings::default(), 4);
    let dial = Dial {
        targets: targets.iter().map(|user| target(user)).collect(),
        ..Dial::new("sip:us@example.com", target(""))
    };
    let dial = Dial { plan: Plan::of(PlannedSource::Tone440), ..dial };
    let id = world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap();
    (world, id)
}

/// With its INVITE out.
fn calling(targets: &[&str]) -> (World, SessionId, u64) {
    let (mut world, id) = dialled(targets);
    assert_eq!((world.session(id).state(), world.ports.out.len()), (SessionState::Initializing, 1));
    assert!(world.said().is_empty(), "the leg comes first");
    world.serve();
    let (call, uri, sdp) = world.invited();
    assert_eq!(uri, format!("sip:{}@192.0.2.7", targets[0]));
    let port = world.session(id).local_port().unwrap();
    assert!(sdp.contains(&format!("m=audio {port} RTP/AVP 0 8 101")) && sdp.contains("c=IN IP4 192.0.2.9"), "{sdp}");
    assert_eq!(world.session(id).state(), SessionState::Dialing);
    (world, id, call)
}

fn finish(mut world: World, reason: EndReason) {
    world.serve();
    world.assert_empty();
    assert_eq!(world.last_end(), reason);
    let ends = world.events.iter().filter(|event| matches!(event, SessionEvent::Ended { .. })).count();
    assert_eq!((ends, world.ports.free.len()), (1, 4));
}

#[test]
fn a_call_that_is_answered() {
    let (mut world, id, call) = calling(&["b1"]);
    world.progress(call, 0, 100, "");
    assert_eq!(world.session(id).state(), SessionState::Dialing);
    world.progress(call, DIALOG, 180, "");
    assert_eq!(world.session(id).state(), SessionState::Ringing);
    assert!(world.events.contains(&SessionEvent::Progress { id, status: 180, has_media: false }));
    world.answered(call, DIALOG, SDP);
    assert_eq!(world.session(id).state(), SessionState::Connected);
    world.serve();
    let spec = world.spec(id);
    assert_eq!(
        (spec.flow.direction(), spec.flow.source(), spec.transport.media_timeout_ms),
        (Direction::Both, Source::Tone440, 60_000)
    );
    assert_eq!(world.session(id).remote_rtp(), Some("192.0.2.1:4000".parse().unwrap()));
    // What is done with an incoming call is done with this one.
    world.hold(None).unwrap();
    let said = world.said();
    assert!(matches!(&said[..], [Said::Reinvite(..)]), "{said:?}");
    world.over(DIALOG, Cause::RemoteBye);
    finish(world, EndReason::RemoteBye);
}

#[test]
fn early_media_of_forks_and_the_answer_of_another() {
    let (mut world, id, call) = calling(&["b1"]);
    world.progress(call, 71, 183, SDP);
    world.serve();
    assert!(world.events.contains(&SessionEvent::Progress { id, status: 183, has_media: true }));
    let spec = world.spec(id);
    assert_eq!((spec.transport.remote_rtp.get().unwrap().port(), spec.transport.media_timeout_ms), (4_000, 0));
    world.progress(call, 72, 183, &SDP.replace("4000", "4200"));
    world.serve();
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_200);
    // The answer came reliably before, so the 200 has none.
    world.answered(call, 71, "");
    world.over(72, Cause::LocalCancel);
    world.serve();
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_000);
    assert_eq!(world.session(id).state(), SessionState::Connected);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    world.over(71, Cause::LocalBye);
    finish(world, EndReason::LocalBye);
}

/// An UPDATE in an early dialog (RFC 3311 §5): the branch that sends it is heard where it says, and stays so.
#[test]
fn a_branch_changes_its_media_before_it_answers() {
    let update = |world: &mut World, dialog: u64, number: u64, sdp: &str| {
        world.said();
        world.updates(dialog, number, sdp);
        world.serve();
        let said = world.said();
        let [Said::Respond(_, status, answer)] = &said[..] else { panic!("{said:?}") };
        (*status, answer.clone())
    };
    for last in ["", SDP] {
        let (mut world, id, call) = calling(&["b1"]);
        world.progress(call, 71, 180, "");
        assert_eq!(update(&mut world, 71, 1, SDP).0, 500, "our offer has no answer yet");
        world.progress(call, 71, 183, SDP);
        world.progress(call, 72, 183, &SDP.replace("4000", "4200"));
        world.serve();
        let (status, answer) = update(&mut world, 71, 3, &SDP.replace("4000", "4600"));
        assert!(status == 200 && answer.contains("m=audio "), "{status} {answer}");
        assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_600);
        assert_eq!(update(&mut world, 71, 4, ""), (200, String::new()), "a refresh");
        assert_eq!(update(&mut world, 71, 5, "garbage").0, 400);
        // A copy of what it said before.
        world.answered(call, 71, last);
        world.over(72, Cause::LocalCancel);
        world.serve();
        assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_600);
        assert_eq!(world.session(id).state(), SessionState::Connected);
        world.over(71, Cause::RemoteBye);
        finish(world, EndReason::RemoteBye);
    }
    // What is early is forgotten with its INVITE, whose refusal is on its way to the other branch.
    let (mut world, _, call) = calling(&["b1", "b2"]);
    world.progress(call, 71, 180, "");
    world.progress(call, 72, 183, SDP);
    world.failed(call, 503);
    world.serve();
    world.updates(72, 1, SDP);
    assert_eq!(world.heard(72), [481]);
}

/// What a branch changes is still with the media plane when it answers, says the same as before again, or another branch
/// has something to say.
#[test]
fn an_early_change_on_its_way_gets_its_answer() {
    let changing = || {
        let (mut world, id, call) = calling(&["b1"]);
        world.progress(call, 71, 183, SDP);
        world.serve();
        world.said();
        let request = 1;
        world.updates(71, request, &SDP.replace("4000", "4600"));
        assert!(world.said().is_empty());
        (world, id, call, request)
    };
    let is_answered = |world: &mut World, request| {
        let said = world.said();
        assert!(matches!(&said[..], [Said::Respond(to, 200, _)] if *to == request), "{said:?}");
    };
    for answer in ["", SDP] {
        let (mut world, id, call, request) = changing();
        world.answered(call, 71, answer);
        world.serve();
        is_answered(&mut world, request);
        assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_600);
        assert_eq!(world.session(id).state(), SessionState::Connected);
    }
    let (mut world, id, call, request) = changing();
    world.progress(call, 71, 183, SDP);
    world.serve();
    is_answered(&mut world, request);
    world.progress(call, 71, 180, SDP);
    world.serve();
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_600);
    let (mut world, id, call, request) = changing();
    world.progress(call, 72, 183, &SDP.replace("4000", "4200"));
    world.serve();
    assert_eq!(world.said(), [Said::Respond(request, 491, String::new())]);
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_200);
}

#[test]
fn an_answer_that_is_none_gets_bye() {
    for sdp in ["", "garbage", &SDP.replace("RTP/AVP 0", "RTP/AVP 18")] {
        let (mut world, _, call) = calling(&["b1"]);
        world.said();
        world.answered(call, DIALOG, sdp);
        assert_eq!(world.said(), [Said::Bye(DIALOG)]);
        world.over(DIALOG, Cause::LocalBye);
        finish(world, EndReason::BadAnswer);
    }
}

#[test]
fn a_refusal_is_the_end_and_a_failure_goes_on() {
    for status in [404, 486, 401, 603] {
        let (mut world, _, call) = calling(&["b1", "b2"]);
        world.failed(call, status);
        assert!(world.said().is_empty());
        finish(world, EndReason::Rejected(status));
    }
    for status in [500, 503, 408] {
        let (mut world, id, call) = calling(&["b1", "b2"]);
        world.progress(call, DIALOG, 180, "");
        world.failed(call, status);
        let (second, uri, _) = world.invited();
        assert_eq!(uri, "sip:b2@192.0.2.7");
        world.answered(second, 80, SDP);
        world.serve();
        assert_eq!(world.session(id).state(), SessionState::Connected);
        world.over(80, Cause::RemoteBye);
        finish(world, EndReason::RemoteBye);
        let (mut world, _, call) = calling(&["b1"]);
        world.failed(call, status);
        finish(world, EndReason::Rejected(status));
    }
    // The same numbers stand for what no peer has said.
    for (status, reason) in [(408, EndReason::NoAnswer), (503, EndReason::Unreachable)] {
        let (mut world, _) = dialled(&["b1"]);
        world.is_lossy = true;
        world.serve();
        world.unanswered(status);
        finish(world, reason);
    }
}

#[test]
fn nobody_answers_in_time() {
    let (mut world, id, call) = calling(&["b1", "b2"]);
    world.progress(call, DIALOG, 180, "");
    world.loses(DIALOG);
    world.wait(Duration::from_secs(60));
    let said = world.said();
    let [Said::Cancel(cancelled), Said::Invite(second, ..)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(*cancelled, call);
    // The first one answers all the same: that is none of ours any more.
    world.hears_again(DIALOG);
    world.answered(call, DIALOG, SDP);
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.progress(*second, 80, 180, "");
    world.loses(80);
    world.wait(Duration::from_secs(60));
    assert_eq!(world.said(), [Said::Cancel(*second)]);
    assert_eq!(world.session(id).state(), SessionState::Terminating);
    world.hears_again(80);
    world.wait(Duration::from_secs(1));
    finish(world, EndReason::NoAnswer);
}

#[test]
fn we_give_up_in_every_state() {
    // Before the INVITE is out.
    let (mut world, id) = dialled(&["b1"]);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    assert!(world.said().is_empty());
    finish(world, EndReason::Cancelled);
    // While it rings; the answer crosses our CANCEL.
    let (mut world, id, call) = calling(&["b1", "b2"]);
    world.progress(call, DIALOG, 180, "");
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    assert_eq!(world.said(), [Said::Cancel(call)]);
    assert!(world.turn(|sessions, turn| sessions.terminate(turn, id)).is_err());
    world.answered(call, DIALOG, SDP);
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.over(DIALOG, Cause::LocalBye);
    finish(world, EndReason::Cancelled);
    // The peer never says what became of it.
    let (mut world, id, call) = calling(&["b1"]);
    world.progress(call, DIALOG, 180, "");
    world.loses(DIALOG);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    world.serve();
    world.wait(Settings::default().timeouts.ending);
    finish(world, EndReason::Cancelled);
}

/// The time for an answer runs out while our CANCEL has no answer yet.
#[test]
fn a_call_that_was_given_up_tries_no_other_target() {
    let (mut world, id, call) = calling(&["b1", "b2"]);
    world.progress(call, DIALOG, 180, "");
    world.wait(Duration::from_secs(59));
    world.loses(DIALOG);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    assert_eq!(world.said(), [Said::Cancel(call)]);
    world.wait(Duration::from_secs(2));
    assert!(world.said().is_empty());
    world.wait(Duration::from_secs(31));
    finish(world, EndReason::Cancelled);
}

#[test]
fn redirections_are_followed_but_not_for_ever() {
    let (mut world, _, mut call) = calling(&["b1"]);
    world.moved(call, "<mailto:a@b>, <sip:low@192.0.2.7>;q=0.1, <sip:high@192.0.2.8:5080?Subject=x>");
    let (next, uri, _) = world.invited();
    assert_eq!(uri, "sip:high@192.0.2.8:5080");
    world.failed(next, 503);
    (call, _, _) = world.invited();
    for count in 0..REDIRECTS_MAX - 2 {
        world.moved(call, &format!("<sip:again{count}@192.0.2.7>"));
        (call, ..) = world.invited();
    }
    world.moved(call, "<sip:more@192.0.2.7>");
    assert!(world.said().is_empty());
    finish(world, EndReason::Rejected(302));
    // To itself, or to nowhere.
    for contacts in ["<sip:b1@192.0.2.7>", "<mailto:a@b>", "*"] {
        let (mut world, _, call) = calling(&["b1"]);
        world.moved(call, contacts);
        finish(world, EndReason::Rejected(302));
    }
}

#[test]
fn what_cannot_be_placed_takes_no_port() {
    let mut world = World::new(small(1), 1);
    let good = Dial::new("sip:us@example.com", target("b1"));
    let mut dial = |dial: Dial| world.turn(|sessions, turn| sessions.dial(turn, dial));
    for bad in [
        Dial { from: "".into(), ..good.clone() },
        Dial { from: "not a uri".into(), ..good.clone() },
        Dial { to: "\r\nX: y".into(), ..good.clone() },
        Dial { targets: vec![], ..good.clone() },
        Dial { targets: vec![Target::new("sip:a b@c", target("").flow)], ..good.clone() },
    ] {
        assert!(matches!(dial(bad), Err(SessionError::InvalidUri(_) | SessionError::Argument(_))));
    }
    dial(good.clone()).unwrap();
    assert!(matches!(dial(good.clone()), Err(SessionError::ResourceExhausted { limit: 1, .. })));
    let mut world = World::new(Settings::default(), 0);
    let refused = world.turn(|sessions, turn| sessions.dial(turn, good.clone()));
    assert!(matches!(refused, Err(SessionError::Media(_))));
    world.assert_empty();
    world.turn(|sessions, turn| sessions.stop(turn, EndReason::Shutdown));
    assert_eq!(world.turn(|sessions, turn| sessions.dial(turn, good)), Err(SessionError::Stopping));
}

#[test]
fn the_media_plane_or_sip_says_no() {
    let (mut world, _) = dialled(&["b1"]);
    let asked = world.asked();
    let [Command::Open { leg, number: tag, .. }] = asked[..] else { panic!() };
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Full });
    assert!(world.said().is_empty());
    finish(world, EndReason::MediaFailed);
    // No room for a dialog.
    let mut config = EndpointConfig::default();
    config.limits.max_dialogs = 0;
    let mut world = World::with(Settings::default(), config, 4);
    world.turn(|sessions, turn| sessions.dial(turn, Dial::new("sip:us@example.com", target("b1")))).unwrap();
    world.serve();
    finish(world, EndReason::NotPlaced);
}
