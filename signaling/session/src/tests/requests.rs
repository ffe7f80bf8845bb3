//! What a user says in SIP's own words: headers, requests and answers of its own.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use sip_core::auth::Account;
use sip_core::{Content, NewRequest, Refused};
use sip_wire::Method;

const EVIL: [(&str, &str); 4] =
    [("X-Note", "a\r\nEvil: 1"), ("X\r\nEvil", "a"), ("Via", "SIP/2.0/UDP a"), ("X Note", "a")];

#[test]
fn headers_of_a_user_go_into_answers_and_cannot_break_them() {
    let mut world = world();
    world.calls(DIALOG, "later", SDP);
    let id = world.id();
    let plan = Plan::of(PlannedSource::Silence);
    for evil in EVIL {
        let refused = world.turn(|sessions, turn| sessions.accept_saying(turn, id, plan, None, &[evil])).unwrap_err();
        assert_eq!(refused, SessionError::Protocol(Refused::BadText), "{evil:?}");
        let refused = world.turn(|sessions, turn| sessions.reject_with(turn, id, 302, "", &[evil])).unwrap_err();
        assert_eq!(refused, SessionError::Protocol(Refused::BadText), "{evil:?}");
    }
    for (status, words) in [(200, ""), (199, ""), (700, ""), (486, "Busy\r\nEvil: 1"), (486, "\0")] {
        let refused = world.turn(|sessions, turn| sessions.reject(turn, id, status, words)).unwrap_err();
        assert!(matches!(refused, SessionError::Argument(_) | SessionError::Protocol(Refused::BadText)), "{status}");
    }
    assert_eq!(world.state(id.as_u64()), SessionState::Ringing, "nothing has changed");
    world.said();
    let contact = [("Contact", "<sip:bob@192.0.2.77>")];
    world.turn(|sessions, turn| sessions.reject_with(turn, id, 302, "", &contact)).unwrap();
    assert!(matches!(world.said()[..], [Said::Reject(INVITE, 302, None)]));
    assert_eq!(world.headers, [("Contact".into(), "<sip:bob@192.0.2.77>".into())]);
}

#[test]
fn a_call_with_a_header_that_breaks_it_is_not_placed() {
    for evil in EVIL {
        let mut world = world();
        let mut dial = Dial::new("sip:a@b", target("x"));
        dial.headers = vec![(evil.0.into(), evil.1.into())];
        let refused = world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap_err();
        assert_eq!(refused, SessionError::Protocol(Refused::BadText), "{evil:?}");
        world.assert_empty();
    }
    for from in ["\"A\r\nEvil: 1\" <sip:a@b>", "\"A\r\n b\" <sip:a@b>", "sip:a@b\0"] {
        let mut world = world();
        let refused = world.turn(|sessions, turn| sessions.dial(turn, Dial::new(from, target("x")))).unwrap_err();
        assert!(matches!(refused, SessionError::InvalidUri(_)), "{from:?}");
        world.assert_empty();
    }
}

#[test]
fn requests_of_a_user_leave_in_the_dialog_and_outside() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    let content = Content { headers: &[], content_type: "text/plain", body: b"hello" };
    world.turn(|sessions, turn| sessions.request_in(turn, id, Method::Message, content)).unwrap();
    assert!(matches!(&world.said()[..], [Said::Request(_, Some(DIALOG), text)] if text == "MESSAGE hello"));
    let change = world.turn(|sessions, turn| sessions.request_in(turn, id, Method::Update, content)).unwrap_err();
    assert!(matches!(change, SessionError::Argument(_)), "media has operations of its own");
    world.turn(|sessions, turn| sessions.request_in(turn, id, Method::Update, Content::NONE)).unwrap();
    let flow = target("x").flow;
    let request = NewRequest::new(flow, "sip:x@192.0.2.7", "<sip:a@b>", "<sip:x@192.0.2.7>");
    world.turn(|sessions, turn| sessions.request(turn, Method::Options, &request)).unwrap();
    assert!(matches!(&world.said()[..], [_, Said::Request(_, None, text)] if text == "OPTIONS sip:x@192.0.2.7"));
}

#[test]
fn requests_before_the_answer_are_refused() {
    let (mut world, ..) = ringing("tone", SDP);
    let id = world.id();
    let early = world.turn(|sessions, turn| sessions.request_in(turn, id, Method::Info, Content::NONE)).unwrap_err();
    assert_eq!(early, SessionError::Protocol(Refused::WrongState));
}

#[test]
fn a_dialog_has_the_account_of_the_switch() {
    let mut world = world();
    let account = world.turn(|_, turn| turn.sip.add_account(Account::new("us", "secret"))).unwrap();
    world.sessions.use_account(Some(account));
    world.calls(DIALOG, "tone", SDP);
    world.serve();
    world.acknowledges(DIALOG, "");
    world.serve();
    world.said();
    world.hold(None).unwrap();
    let (request, _) = world.reinvite();
    let challenge = ("WWW-Authenticate", "Digest realm=\"phone\", nonce=\"n\", algorithm=MD5");
    world.refuses(request, 401, &[challenge]);
    // The endpoint has answered the challenge with the account of the dialog.
    world.reinvite();
    let authorization = world.headers.iter().find(|(name, _)| name == "Authorization").expect("credentials");
    assert!(authorization.1.contains("username=\"us\"") && authorization.1.contains("realm=\"phone\""));
}

#[test]
fn a_change_by_the_peer_and_the_end_of_the_dialog_are_told_once() {
    let (mut world, leg, tag) = connected("tone");
    let id = world.id();
    world.told();
    world.reinvites(DIALOG, &held("sendonly"));
    world.only_update(leg, tag);
    let count = |told: &[SessionEvent], what: SessionEvent| told.iter().filter(|event| **event == what).count();
    let told = world.told();
    assert_eq!(count(&told, SessionEvent::Reinvited { id, has_offer: true }), 1, "{told:?}");
    world.over(DIALOG, sip_core::Cause::RemoteBye);
    world.close(leg, tag);
    let told = world.told();
    assert_eq!(count(&told, SessionEvent::DialogEnded { id }), 1, "{told:?}");
    assert_eq!(count(&told, SessionEvent::EndedByPeer { id }), 1, "{told:?}");
}
