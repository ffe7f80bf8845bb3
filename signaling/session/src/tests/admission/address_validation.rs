//! What legs are told of peers that have not shown yet that they are where they say.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Command, Event, Latching, LegRef, LegSpec};
use sip_core::{Cause, EndpointConfig, Reliability};

/// 160 ms of G.711.
const EARLY_BYTES: u32 = 8 * 172;

fn is_limited(spec: &LegSpec, bytes: u32) -> bool {
    spec.transport.unproven_bytes == bytes && spec.transport.latching() == Latching::NotYet
}

fn is_free(spec: &LegSpec) -> bool {
    spec.transport.is_proven() && spec.transport.latching() == Latching::Probation
}

/// Over UDP nothing is sent between our 2xx and its ACK.
#[test]
fn an_answer_waits_for_its_ack() {
    let (mut world, leg, tag) = ringing("tone", SDP);
    let id = SessionId::from_u64(tag);
    assert!(is_limited(&world.spec_opened(id), 0));
    world.media(Event::Opened { leg, number: tag });
    assert!(is_limited(&world.spec_opened(id), 0) && world.asked().is_empty());
    world.acknowledge(DIALOG);
    assert!(is_free(&world.spec(id)));
    assert_eq!(world.spec(id).transport.signaling.get().map(|address| address.ip()), Some(path().remote.ip()));
}

/// Where the ACK is lost, any other request in the dialog says the same.
#[test]
fn another_request_in_the_dialog_is_as_good_as_the_ack() {
    for method in ["INFO", "MESSAGE", "INVITE"] {
        let (mut world, leg, tag) = ringing("tone", SDP);
        world.media(Event::Opened { leg, number: tag });
        world.insists(DIALOG, 5, method, "");
        let asked = world.asked();
        assert!(
            matches!(&asked[..], [Command::Update { update, .. }] if is_free(&update.whole().expect("all parts"))),
            "{method}: {asked:?}"
        );
    }
}

/// Over a connection the host that signals is known; a description that names another one is as good as none.
#[test]
fn a_connection_shows_the_host_that_signals() {
    for (transport, host, early) in [
        (sip_core::Transport::Udp, "192.0.2.1", EARLY_BYTES),
        (sip_core::Transport::Tcp, "192.0.2.1", u32::MAX),
        (sip_core::Transport::Wss, "192.0.2.1", u32::MAX),
        (sip_core::Transport::Tls, "192.0.2.66", EARLY_BYTES),
    ] {
        let mut world = world();
        world.transport = transport;
        let id = world.comes(1, "later", &SDP.replace("192.0.2.1", host));
        world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
        world.serve();
        assert!(is_limited(&world.spec_opened(id), early), "{transport:?} {host}");
    }
}

/// Early media of our own has a limit until the PRACK, and after an answer nothing flows until the ACK.
#[test]
fn early_media_is_limited_until_the_prack() {
    for has_prack in [false, true] {
        let mut world = world();
        world.reliability = if has_prack { Reliability::Supported } else { Reliability::Off };
        let id = world.comes(DIALOG, "later", SDP);
        world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
        world.serve();
        assert!(is_limited(&world.spec_opened(id), EARLY_BYTES));
        if has_prack {
            world.deliver(DIALOG);
            world.serve();
            assert!(is_limited(&world.spec(id), u32::MAX), "but from its address only");
        }
        world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Tone440))).unwrap();
        world.serve();
        assert!(is_limited(&world.spec(id), if has_prack { u32::MAX } else { 0 }));
        world.acknowledge(DIALOG);
        assert!(is_free(&world.spec(id)));
    }
    // No early media at all may be wished for; then what plays still comes to its end.
    let media = MediaSettings { early_unproven: clock::Duration::ZERO, ..MediaSettings::default() };
    let settings = Settings { media, ..Settings::default() };
    let mut world = World::new(settings, 4);
    let id = world.comes(1, "later", SDP);
    world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
    assert_eq!(world.spec_opened(id).transport.unproven_bytes, 1);
}

/// A call that goes on: the caller hears nothing and nobody is heard for it before it has our description; then early
/// media of the called side is limited in the same way. The called side has answered our INVITE.
#[test]
fn both_sides_of_a_call_that_goes_on() {
    let mut pair = going(SDP);
    let (caller, called) = (pair.caller, pair.called);
    assert!(pair.world.spec_opened(caller).transport.remote_rtp.is_none(), "it does not know our port");
    pair.world.progress(pair.call, B, 183, SDP);
    pair.world.serve();
    assert!(
        !pair.world.spec(caller).transport.remote_rtp.is_none() && is_limited(&pair.world.spec(caller), EARLY_BYTES)
    );
    assert!(is_limited(&pair.world.spec(called), u32::MAX), "heard, and nobody else in its place");
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    assert!(is_free(&pair.world.spec(called)) && !is_free(&pair.world.spec(caller)));
    pair.world.acknowledges(A, "");
    pair.world.serve();
    assert!(is_free(&pair.world.spec(caller)));
}

/// A target that refuses after early media is sent nothing more while the next one is tried.
#[test]
fn a_target_that_was_left_hears_nothing_more() {
    let mut pair = going(SDP);
    pair.world.progress(pair.call, B, 183, SDP);
    pair.world.serve();
    assert!(!pair.world.spec(pair.called).transport.remote_rtp.is_none());
    pair.world.failed(pair.call, 503);
    pair.world.serve();
    assert!(pair.world.spec(pair.called).transport.remote_rtp.is_none(), "{:?}", pair.world.spec(pair.called));
}

/// The endpoint gives up by itself (no ACK, no refresh) and sends BYE: media of both sides stops with that, not when the
/// BYE has been answered.
#[test]
fn a_bye_of_the_endpoint_stops_media_at_once() {
    // No ACK comes, nobody refreshes the session, or our own refresh is not answered.
    let unacknowledged = || {
        let (mut world, leg, tag) = ringing("tone", SDP);
        world.media(Event::Opened { leg, number: tag });
        (world, leg, tag, Duration::from_secs(32), Cause::NoAck)
    };
    let unrefreshed = || {
        let mut config = EndpointConfig::default();
        config.session_timer.interval = Duration::from_secs(90);
        let mut world = World::with(Settings::default(), config, 4);
        let id = world.comes(DIALOG, "tone", SDP);
        world.serve();
        world.acknowledges(DIALOG, "");
        world.serve();
        let leg = world.session(id).leg().unwrap();
        (world, leg, id.as_u64(), Duration::from_secs(70), Cause::SessionExpired)
    };
    let unanswered = || {
        let mut config = EndpointConfig::default();
        config.session_timer.interval = Duration::from_secs(180);
        let mut world = World::with(Settings::default(), config, 4);
        let dial = Dial::new("sip:a@192.0.2.9", target("b1"));
        let id = world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap();
        world.serve();
        let (call, ..) = world.invited();
        world.answered(call, DIALOG, SDP);
        world.serve();
        world.deliver(DIALOG);
        let leg = world.session(id).leg().unwrap();
        (world, leg, id.as_u64(), Duration::from_secs(90 + 33), Cause::Lost(408))
    };
    let ways: [&dyn Fn() -> (World, LegRef, u64, Duration, Cause); 3] = [&unacknowledged, &unrefreshed, &unanswered];
    for way in ways {
        let (mut world, leg, tag, limit, cause) = way();
        world.dies(DIALOG);
        world.wait(limit);
        assert_eq!(world.state(tag), SessionState::Terminating, "{cause:?}");
        assert_eq!(world.asked(), [Command::Close { leg, number: tag }], "{cause:?}");
        world.media(Event::Closed { leg, number: tag, reason: contract::CloseReason::Asked });
        assert_eq!(world.sessions.count(), 1, "{cause:?}: its BYE is not answered yet");
        world.wait(Duration::from_secs(32));
        world.assert_empty();
        assert_eq!(world.last_end(), EndReason::from(cause));
    }
    let mut pair = crate::tests::common::unacknowledged();
    pair.world.loses(A);
    pair.world.wait(Duration::from_secs(32));
    let closed = pair.world.asked().iter().filter(|command| matches!(command, Command::Close { .. })).count();
    assert_eq!(closed, 2, "and the other side with it");
}
