//! Peers that die in silence where no media has to come from them.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use sip_core::Cause;

const INTERVAL: Duration = Duration::from_secs(60);

fn probing(mut world: World) -> World {
    world.sessions.settings.timeouts.probe_interval = INTERVAL;
    world
}

impl World {
    /// The question that went out in a dialog, if one did.
    fn asked_whether_there(&mut self, dialog: u64) -> Option<u64> {
        let said = self.said();
        let mut asked = said.iter().filter_map(|said| match said {
            Said::Request(request, Some(to), text) if text.trim() == "OPTIONS" && *to == dialog => Some(*request),
            _ => None,
        });
        let first = asked.next();
        assert!(asked.next().is_none(), "one at a time");
        first
    }
}

/// A call that plays a tone to one who is held, by us or by itself.
fn on_hold(by_us: bool, direction: &str) -> World {
    let mut world = probing(World::new(Settings::default(), 4));
    world.comes(DIALOG, "tone", SDP);
    world.serve();
    world.acknowledges(DIALOG, "");
    world.serve();
    world.said();
    if by_us {
        world.hold(None).unwrap();
        let (request, _) = world.reinvite();
        world.responds(request, 200, &held("inactive"));
    } else {
        world.reinvites(DIALOG, &held(direction));
    }
    world.serve();
    world.said();
    world
}

#[test]
fn a_silent_peer_that_answers_nothing_is_lost() {
    let ways = [(true, ""), (false, "sendonly"), (false, "recvonly"), (false, "inactive")];
    for (by_us, direction) in ways {
        let mut world = on_hold(by_us, direction);
        world.wait(INTERVAL);
        let request = world.asked_whether_there(DIALOG).expect("a question");
        world.responds(request, 408, "");
        assert_eq!((world.sessions.count(), world.said()), (1, vec![]), "once is no proof");
        world.wait(Duration::from_secs(1));
        let request = world.asked_whether_there(DIALOG).expect("another question");
        world.responds(request, 408, "");
        assert_eq!(world.said(), [Said::Bye(DIALOG)], "{by_us} {direction}");
        world.over(DIALOG, Cause::LocalBye);
        world.serve();
        world.assert_empty();
        assert_eq!(world.last_end(), EndReason::PeerLost);
    }
}

#[test]
fn any_answer_is_a_sign_of_life_but_481() {
    for status in [200, 401, 405, 500, 501, 603] {
        let mut world = on_hold(true, "");
        for _ in 0..5 {
            world.wait(INTERVAL);
            let request = world.asked_whether_there(DIALOG).expect("a question");
            world.responds(request, status, "");
        }
        // One that was lost in between does not count for ever.
        for _ in 0..3 {
            world.wait(INTERVAL);
            let request = world.asked_whether_there(DIALOG).expect("a question");
            world.responds(request, 408, "");
            world.wait(Duration::from_secs(1));
            let request = world.asked_whether_there(DIALOG).expect("a question");
            world.responds(request, status, "");
        }
        assert_eq!(world.sessions.count(), 1, "{status}");
    }
    let mut world = on_hold(true, "");
    world.wait(INTERVAL);
    let request = world.asked_whether_there(DIALOG).expect("a question");
    world.responds(request, 481, "");
    assert_eq!((world.said(), world.session(world.id()).state()), (vec![], SessionState::Terminating));
}

/// Where media has to come the media plane watches, and nobody is asked; without that watch everybody is.
#[test]
fn who_speaks_is_not_asked() {
    for (silence_limit, is_asked) in [(Duration::from_secs(60), false), (Duration::ZERO, true)] {
        let media = MediaSettings { silence_limit, ..MediaSettings::default() };
        let mut world = probing(World::new(Settings { media, ..Settings::default() }, 4));
        world.comes(DIALOG, "tone", SDP);
        world.serve();
        world.said();
        world.wait(INTERVAL);
        assert_eq!(world.asked_whether_there(DIALOG).is_some(), is_asked);
    }
}

/// Both sides of a call that goes on are asked, and neither outlives the other.
#[test]
fn either_side_of_a_held_call_may_die() {
    for dies in [A, B] {
        let mut pair = up();
        let world = &mut pair.world;
        world.sessions.settings.timeouts.probe_interval = INTERVAL;
        world.reinvites(A, &held("inactive"));
        let (request, _) = world.reinvite_to(B);
        world.responds(request, 200, &held("inactive"));
        world.serve();
        world.said();
        for id in [pair.caller, pair.called] {
            world.turn(|sessions, turn| sessions.probe_later(turn, id));
        }
        world.wait(INTERVAL);
        let said = world.said();
        let ask = |dialog: u64| {
            let found = said.iter().find_map(|said| match said {
                Said::Request(request, Some(to), _) if *to == dialog => Some(*request),
                _ => None,
            });
            found.expect("a question on each side")
        };
        let lives = if dies == A { B } else { A };
        let (lives_on, is_gone) = (ask(lives), ask(dies));
        world.responds(lives_on, 200, "");
        world.responds(is_gone, 481, "");
        assert_eq!(world.said(), [Said::Bye(lives)], "the other dialog is over");
        world.over(A, Cause::LocalBye);
        world.over(B, Cause::LocalBye);
        world.serve();
        world.assert_empty();
    }
}

/// A source that acknowledges nothing gets so many calls, and each gives its place back whichever way it goes.
#[test]
fn calls_that_nobody_acknowledges_are_bounded() {
    let limits = SourceLimits { unproven: 2, proven: 2, all_unproven: 2 };
    let sources = Sources::new(limits);
    let limits = CallLimits { sources: Some(sources.clone()), ..CallLimits::default() };
    let mut world = World::new(Settings { limits, ..Settings::default() }, 8);
    let first = world.comes(1, "tone", SDP);
    let second = world.comes(2, "later", SDP);
    world.serve();
    world.said();
    assert_eq!(sources.counts(), (1, 2));
    world.calls(3, "tone", SDP);
    assert!(matches!(world.said()[..], [Said::Reject(_, 503, Some(_))]));
    world.acknowledges(1, "");
    assert_eq!(sources.counts(), (1, 1));
    world.over(2, Cause::RemoteCancel);
    world.serve();
    assert_eq!((sources.counts(), world.sessions.get(second).is_none()), ((0, 0), true));
    world.over(1, Cause::RemoteBye);
    world.serve();
    assert_eq!((sources.counts(), world.sessions.get(first).is_none()), ((0, 0), true));
}
