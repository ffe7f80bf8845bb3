//! Control clients that come, go, die, and talk nonsense.

use super::*;
use contract::{PortRef, RefuseReason};

#[test]
fn a_dead_client_takes_its_legs_along_and_its_ports_come_back() {
    let plane = Plane::new(2);
    let (mut dead, mut alive) = (plane.client(), plane.client());
    let (of_dead, of_alive, free) = (Phone::new(), Phone::new(), plane.free_ports());
    for worker in [W0, WorkerIndex(1)] {
        dead.open(worker, of_dead.spec(Source::Tone440));
    }
    let leg = alive.open(W0, of_alive.spec(Source::Tone440));
    of_dead.hear();
    // Commands that nobody has taken yet, ports without a leg: all of it ends.
    take(&dead.end, W0).unwrap();
    let index = dead.end.index();
    drop(dead);
    assert!(of_dead.hears_bye());
    eventually("ports are back", || plane.free_ports() == free - 1);
    eventually("legs are closed", || plane.count(MediaCounter::LegsOpen) == 1);
    let before = of_alive.hear();
    assert_eq!(of_alive.hear().seq, before.seq.wrapping_add(1));
    // The place is used again, by a client that sees nothing of the old one.
    let mut next = plane.client();
    assert_eq!(next.end.index(), index);
    assert!(next.end.pop().is_none());
    next.open(W0, of_dead.spec(Source::None));
    alive.close(W0, leg);
}

#[test]
fn exhaustion_is_answered_at_once_and_passes() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let legs: Vec<LegRef> = std::iter::from_fn(|| take(&client.end, W0).ok()).collect();
    assert_eq!(legs.len(), usize::from(PORTS) / 2);
    assert!(take(&client.end, W0).is_err());
    for leg in &legs {
        client.open_on(W0, *leg, phone.spec(Source::None));
    }
    legs.iter().for_each(|leg| client.close(W0, *leg));
    client.open(W0, phone.spec(Source::Tone440));
    phone.hear();
}

#[test]
fn nonsense_is_refused_counted_and_harms_nobody() {
    let plane = Plane::new(1);
    let (mut client, mut other, phone) = (plane.client(), plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let stale = LegRef::new(leg.row, leg.generation + 1);
    let (spec, number) = (phone.spec(Source::None), 9);
    let not_held = LegRef::new(leg.row + 1, 7);
    let outside = LegRef::new(u32::MAX, 1);
    let reserved = take(&client.end, W0).unwrap();
    let foreign = spec.with(|spec| spec.transport.port = PortRef::new(ports::port_of(leg).rtp + 2, 7));
    for (command, expected) in [
        (Command::Close { leg: stale, number }, RefuseReason::NoSuchLeg),
        (Command::Update { leg: stale, number, update: spec.into() }, RefuseReason::NoSuchLeg),
        (Command::SendDigit { leg: not_held, number, digit: 1, duration_ms: 100 }, RefuseReason::NoSuchLeg),
        (Command::Open { leg, number, spec }, RefuseReason::AlreadyOpen),
        (Command::Open { leg: not_held, number, spec }, RefuseReason::Invalid),
        (Command::Open { leg: outside, number, spec }, RefuseReason::Invalid),
        (Command::Open { leg: reserved, number, spec: foreign }, RefuseReason::Invalid),
        (Command::Move { leg, number, worker: 9 }, RefuseReason::Invalid),
        (Command::Update { leg, number, update: phone.spec(Source::Prompt(77)).into() }, RefuseReason::Invalid),
    ] {
        client.command(W0, command);
        let refused = Event::Refused { leg: command.leg(), number, reason: expected };
        assert_eq!(client.answer(), refused, "{command:?}");
    }
    // Another client's leg is none of one's business, even with its right handle.
    other.command(W0, Command::Close { leg, number });
    assert_eq!(other.answer(), Event::Refused { leg, number, reason: RefuseReason::NoSuchLeg });
    other.command(W0, Command::Open { leg, number, spec });
    assert_eq!(other.answer(), Event::Refused { leg, number, reason: RefuseReason::Invalid });
    eventually("all were counted", || plane.count(MediaCounter::CommandsRefused) == 11);
    let (one, two) = (phone.hear(), phone.hear());
    assert_eq!(two.seq, one.seq.wrapping_add(1));
}

#[test]
fn a_client_that_takes_no_events_is_cut_off_and_others_go_on() {
    let plane = Plane::new(1);
    let (mut deaf, mut alive, phone) = (plane.client(), plane.client(), Phone::new());
    let leg = deaf.open(W0, phone.spec(Source::None));
    let mut sent = 0u64;
    let until = clock::now() + PATIENCE;
    // Answers that nobody reads fill the queue, then the backlog.
    while deaf.end.region().live_clients().any(|client| client == deaf.end.index()) {
        match deaf
            .end
            .push(W0, &with_port(Command::Update { leg, number: sent, update: phone.spec(Source::None).into() }))
        {
            Ok(()) => sent += 1,
            Err(_) => std::thread::yield_now(),
        }
        assert!(clock::now() < until, "{sent} commands and still attached");
    }
    assert!(sent >= crate::clients::event_backlog::BACKLOG_COUNT_MAX as u64);
    let leg = alive.open(W0, phone.spec(Source::Tone440));
    phone.hear();
    alive.close(W0, leg);
}

#[test]
fn a_second_media_process_is_refused_and_a_clean_stop_says_bye() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let error = Media::start(&plane.config).err().expect("refused").to_string();
    assert!(error.contains("another media process"), "{error}");
    let leg = client.open(W0, phone.spec(Source::Tone440));
    phone.hear();
    let path = plane.config.process.media_control_socket();
    assert!(path.exists());
    plane.stop();
    assert!(phone.hears_bye());
    let reason = contract::CloseReason::Shutdown;
    assert_eq!(client.answer(), Event::Closed { leg, number: 0, reason });
    assert!(!path.exists());
}

#[test]
fn a_client_in_the_same_process_needs_no_socket() {
    let plane = Plane::new(1);
    let mut end = plane.media().host().attach_local().unwrap();
    let phone = Phone::new();
    let leg = take(&end, W0).unwrap();
    end.push(W0, &with_port(Command::Open { leg, number: 5, spec: phone.spec(Source::Tone440) })).unwrap();
    phone.hear();
    plane.media().host().release(end.index());
    assert!(phone.hears_bye());
}
