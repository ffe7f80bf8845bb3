//! Callers who have to prove who they are.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use sip_core::auth::{Algorithm, AuthSettings, Place, Secret};
use sip_wire::Method;
use std::cell::RefCell;
use std::rc::Rc;

/// Alice alone, and nobody else.
struct Alice;

impl Secrets for Alice {
    fn secret(&self, username: &str, _: Algorithm) -> Option<Secret> {
        (username == "alice").then(|| Secret::Password("secret".into()))
    }
}

struct Guarded {
    auth: DigestAuth,
    user: Rc<RefCell<Option<String>>>,
}

impl Decide for Guarded {
    fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        self.auth.admit(request)
    }
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        *self.user.borrow_mut() = call.user.map(str::to_owned);
        Decision::Accept(Plan::of(PlannedSource::Silence))
    }
}

/// Callers are asked who they are from now on. Gives the user of the last one that was let in.
fn guard(world: &mut World) -> Rc<RefCell<Option<String>>> {
    let settings = AuthSettings { secret: [7; 32], ..AuthSettings::default() };
    let user = Rc::default();
    let auth = DigestAuth::new(settings, Place::UserAgent, Box::new(Alice));
    world.decide = Box::new(Guarded { auth, user: Rc::clone(&user) });
    user
}

#[test]
fn a_stranger_is_asked_who_it_is_and_leaves_nothing_behind() {
    let mut world = world();
    let user = guard(&mut world);

    world.calls(1, "tone", SDP);
    assert!(matches!(world.said()[..], [Said::Reject(_, 401, None)]));
    let names: Vec<_> = world.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["WWW-Authenticate"; 2], "one for each algorithm");
    let asks_for = |number: usize, algorithm| world.headers[number].1.contains(&format!("algorithm={algorithm},"));
    // Phones that know one only take the first.
    assert!(asks_for(0, "MD5") && asks_for(1, "SHA-256"), "{:?}", world.headers);

    world.asks_outside(2, Method::Message, &[]);
    assert!(matches!(world.said()[..], [Said::Respond(_, 401, _)]));
    world.asks_outside(3, Method::Options, &[]);
    assert!(matches!(world.said()[..], [Said::Respond(_, 200, _)]), "OPTIONS tells nothing that is worth a secret");

    let wrong = format!(
        "Authorization: Digest username=\"alice\", realm=\"ringplane\", nonce=\"1\", uri=\"sip:tone@192.0.2.9\", \
         response=\"{}\"",
        "0".repeat(32)
    );
    world.calls_saying(4, "sip:tone@192.0.2.9", &[&wrong], SDP);
    assert!(matches!(world.said()[..], [Said::Reject(_, 401, None)]));
    // The nonce is none of ours: whether the secret was right is not told (RFC 7616 §3.3).
    assert!(world.headers[0].1.contains("stale=true"), "{:?}", world.headers);
    let broken = wrong.replace("username=\"alice\", ", "");
    world.calls_saying(5, "sip:tone@192.0.2.9", &[&broken], SDP);
    assert!(matches!(world.said()[..], [Said::Reject(_, 400, None)]));
    let told: Vec<Option<u16>> = world
        .events
        .iter()
        .map(|event| match event {
            SessionEvent::Refused { call } => call.status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((told, user.borrow().is_none()), (vec![Some(401), Some(401), Some(400)], true));
    world.assert_empty();
}

/// A REFER made us call ourselves, for a peer that was asked then. A stranger could have heard the tags of a call.
#[test]
fn a_call_of_ours_to_ourselves_is_not_asked() {
    let mut world = world();
    world.comes(8, "tone", SDP);
    world.serve();
    world.acknowledges(8, "");
    world.said();
    guard(&mut world);
    for (number, is_ours, replaces) in [(1, false, true), (2, false, false), (3, true, false), (4, true, true)] {
        world.path = Path { is_ours, ..path() };
        if replaces {
            world.calls_replacing(number, 8, &[], SDP);
        } else {
            world.calls(number, "tone", SDP);
        }
        let is_asked = matches!(world.said()[..], [Said::Reject(_, 401, None)]);
        assert_eq!(is_asked, number < 3, "{number}");
    }
}
