//! The ways in which a worker waits.

use super::*;
use config::Wait;

/// A call works in this mode; then, with one tone to make for half a second, the worker enters the kernel so often.
fn enters_of_half_a_second(wait: Wait) -> u64 {
    let plane = Plane::with(1, |config| config.media.wait = wait);
    let (mut client, mut a, mut b) = (plane.client(), Phone::new(), Phone::new());
    let leg_a = client.open(W0, a.spec(Source::None));
    let leg_b = client.open(W0, b.spec(Source::Leg(leg_a)));
    client.command(W0, Command::Update { leg: leg_a, number: 3, update: a.spec(Source::Leg(leg_b)).into() });
    assert_eq!(client.answer(), Event::Updated { leg: leg_a, number: 3 });
    for _ in 0..100 {
        let (from_a, from_b) = (a.talk(leg_a), b.talk(leg_b));
        assert_eq!((b.hear().bytes, a.hear().bytes), (from_a, from_b));
    }
    let listener = Phone::new();
    client.open(W0, listener.spec(Source::Tone440));
    listener.hear();
    let before = plane.count(MediaCounter::RingEnters);
    (0..25).for_each(|_| drop(listener.hear()));
    plane.count(MediaCounter::RingEnters) - before
}

#[test]
fn adaptive_and_block_sleep_between_frames() {
    for wait in [Wait::Adaptive, Wait::Block] {
        let enters = enters_of_half_a_second(wait);
        // One for each frame, for each report, and now and then for nothing.
        assert!((20..250).contains(&enters), "{enters} enters, {wait:?}");
    }
}

#[test]
fn busy_never_sleeps() {
    let enters = enters_of_half_a_second(Wait::Busy);
    assert!(enters > 2_500, "{enters} enters");
}
