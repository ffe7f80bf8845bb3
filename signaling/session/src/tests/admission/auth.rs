//! Callers who have to prove who they are.

use crate::tests::fake::*;
use crate::*;
use sip_core::auth::{Algorithm, AuthSettings, Place, Secret};
use sip_core::{DialogId, Event, InviteId, RequestId, Span};

/// Alice alone, and nobody else.
struct Alice;

impl Secrets for Alice {
    fn secret(&self, username: &str, _: Algorithm) -> Option<Secret> {
        (username == "alice").then(|| Secret::Password("secret".into()))
    }
}

struct Guarded {
    auth: DigestAuth,
    user: Option<String>,
}

impl Decide for Guarded {
    fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        self.auth.admit(request)
    }
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        self.user = call.user.map(str::to_owned);
        Decision::Accept(Plan::of(PlannedSource::Silence))
    }
}

fn ask(world: &mut World, guarded: &mut Guarded, number: u64, message: Vec<u8>, is_invite: bool) {
    world.sip.message = message;
    let message = Span::default();
    let event = match is_invite {
        true => {
            let (invite, dialog) = (InviteId::from_u64(number), DialogId::from_u64(number));
            Event::Invite { invite, dialog, message, replaces: None }
        }
        false => Event::Request { request: RequestId::from_u64(number), dialog: None, message },
    };
    hand_in(world, guarded, path(), event);
}

fn hand_in(world: &mut World, guarded: &mut Guarded, path: Path, event: Event) {
    let mut turn = Turn {
        now: world.now,
        path,
        sip: &mut world.sip,
        ports: &mut world.ports,
        decide: guarded,
        commands: &mut world.commands,
        events: &mut world.events,
    };
    world.sessions.handle(&mut turn, event);
}

fn guarded() -> Guarded {
    let settings = AuthSettings { secret: [7; 32], ..AuthSettings::default() };
    Guarded { auth: DigestAuth::new(settings, Place::UserAgent, Box::new(Alice)), user: None }
}

#[test]
fn a_stranger_is_asked_who_it_is_and_leaves_nothing_behind() {
    let mut world = World::new(Settings::default(), 4);
    let mut guarded = guarded();

    ask(&mut world, &mut guarded, 1, message("INVITE", "tone", SDP), true);
    assert!(matches!(world.said()[..], [Said::Reject(_, 401, None)]));
    let names: Vec<_> = world.sip.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["WWW-Authenticate"; 2], "one for each algorithm");
    let asks_for = |number: usize, algorithm| world.sip.headers[number].1.contains(&format!("algorithm={algorithm},"));
    // Phones that know one only take the first.
    assert!(asks_for(0, "MD5") && asks_for(1, "SHA-256"), "{:?}", world.sip.headers);

    ask(&mut world, &mut guarded, 2, message("MESSAGE", "tone", ""), false);
    assert!(matches!(world.said()[..], [Said::Respond(_, 401, _)]));
    ask(&mut world, &mut guarded, 3, message("OPTIONS", "tone", ""), false);
    assert!(matches!(world.said()[..], [Said::Respond(_, 200, _)]), "OPTIONS tells nothing that is worth a secret");

    let wrong = format!(
        "Authorization: Digest username=\"alice\", realm=\"ringplane\", nonce=\"1\", uri=\"sip:tone@192.0.2.9\", \
         response=\"{}\"\r\nContact",
        "0".repeat(32)
    );
    let invite = String::from_utf8(message("INVITE", "tone", SDP)).unwrap();
    ask(&mut world, &mut guarded, 4, invite.replacen("Contact", &wrong, 1).into_bytes(), true);
    assert!(matches!(world.said()[..], [Said::Reject(_, 401, None)]));
    // The nonce is none of ours: whether the secret was right is not told (RFC 7616 §3.3).
    assert!(world.sip.headers[0].1.contains("stale=true"), "{:?}", world.sip.headers);
    let broken = wrong.replace("username=\"alice\", ", "");
    ask(&mut world, &mut guarded, 5, invite.replacen("Contact", &broken, 1).into_bytes(), true);
    assert!(matches!(world.said()[..], [Said::Reject(_, 400, None)]));
    let told: Vec<Option<u16>> = world
        .events
        .iter()
        .map(|event| match event {
            SessionEvent::Refused { call } => call.status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((told, guarded.user.is_none()), (vec![Some(401), Some(401), Some(400)], true));
    world.assert_empty();
}

/// A REFER made us call ourselves, for a peer that was asked then. A stranger could have heard the tags of a call.
#[test]
fn a_call_of_ours_to_ourselves_is_not_asked() {
    let mut world = World::new(Settings::default(), 4);
    let mut guarded = guarded();
    world.sip.message = message("INVITE", "tone", SDP);
    for (number, is_ours, replaces) in [(1, false, Some(8)), (2, false, None), (3, true, None), (4, true, Some(8))] {
        let (invite, dialog) = (InviteId::from_u64(number), DialogId::from_u64(number));
        let replaces = replaces.map(DialogId::from_u64);
        let event = Event::Invite { invite, dialog, message: Span::default(), replaces };
        hand_in(&mut world, &mut guarded, Path { is_ours, ..path() }, event);
        let is_asked = matches!(world.said()[..], [Said::Reject(_, 401, None)]);
        assert_eq!(is_asked, number < 3, "{number}");
    }
}
