//! Panics and moves.

use super::*;

#[test]
fn a_worker_that_panics_goes_on_with_its_legs() {
    let plane = Plane::new(2);
    let (mut client, phone, mut talker, mut listener) = (plane.client(), Phone::new(), Phone::new(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let source_leg = client.open(W0, talker.spec(Source::None));
    let sink = client.open(W0, listener.spec(Source::Leg(source_leg)));
    let said = talker.talk(source_leg);
    assert_eq!(listener.hear().bytes, said);
    let before = phone.hear();
    client.command(W0, Command::Close { leg, number: PANIC_NUMBER });
    eventually("it was rebuilt", || plane.count(MediaCounter::WorkerRestarts) == 1);
    assert_eq!(plane.count(MediaCounter::LegsRebuilt), 3);
    let after: Vec<Heard> = (0..10).map(|_| phone.hear()).collect();
    for (at, packet) in after.iter().enumerate() {
        assert_eq!(packet.ssrc, before.ssrc);
        assert_eq!(packet.seq, before.seq.wrapping_add(1 + at as u16));
    }
    let said = talker.talk(source_leg);
    assert_eq!(listener.hear().bytes, said);
    assert_eq!(listener.talk(sink).len(), 172);
    // Counters never go back, and commands work as before.
    assert!(plane.count(MediaCounter::RtpSent) > 0);
    client.close(W0, leg);
    assert!(phone.hears_bye());
}

#[test]
fn a_worker_that_panics_again_and_again_starts_empty() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    for round in 1..=4 {
        client.command(W0, Command::Close { leg, number: PANIC_NUMBER });
        eventually("it was rebuilt", || plane.count(MediaCounter::WorkerRestarts) == round);
    }
    let reason = contract::CloseReason::Failed;
    assert_eq!(client.answer(), Event::Closed { leg, number: 0, reason });
    give_back(&client.end, leg).unwrap();
    client.open(W0, phone.spec(Source::Tone440));
    phone.hear();
}

#[test]
fn a_leg_moves_to_another_worker_without_losing_a_packet() {
    let plane = Plane::new(2);
    let (mut client, mut a, b) = (plane.client(), Phone::new(), Phone::new());
    let (leg_a, worker) = (client.open(W0, a.spec(Source::None)), W0);
    let leg_b = client.open(worker, b.spec(Source::Leg(leg_a)));
    let said = a.talk(leg_a);
    assert_eq!(b.hear().bytes, said);
    let mut at = W0;
    for round in 0..20u64 {
        let other = WorkerIndex(1 - at.0);
        // Both legs go, one after the other: the relay is whole again when the second one has arrived.
        let mut said = Vec::new();
        for leg in [leg_b, leg_a] {
            client.command(at, Command::Move { leg, number: round, worker: other.0 });
            assert_eq!(client.answer(), Event::Moved { leg, number: round, worker: other.0 });
        }
        said.push(a.talk(leg_a));
        said.push(a.talk(leg_a));
        for bytes in said {
            assert_eq!(b.hear().bytes, bytes);
        }
        at = other;
    }
    let row = client.row(leg_a);
    assert_eq!((row.leg, row.worker), (leg_a, 0));
    client.close(at, leg_a);
    client.close(at, leg_b);
}

#[test]
fn packets_in_flight_survive_a_move() {
    let plane = Plane::new(2);
    let (mut client, mut phone) = (plane.client(), Phone::new());
    let leg = take(&client.end, W0).unwrap();
    client.open_on(W0, leg, phone.spec(Source::Leg(leg)));
    let mut at = W0;
    for round in 0..30u64 {
        let other = WorkerIndex(1 - at.0);
        let mut said: Vec<_> = (0..5).map(|_| phone.talk(leg)).collect();
        client.command(at, Command::Move { leg, number: round, worker: other.0 });
        said.extend((0..20).map(|_| phone.talk(leg)));
        for bytes in said {
            assert_eq!(phone.hear().bytes, bytes, "round {round}");
        }
        assert_eq!(client.answer(), Event::Moved { leg, number: round, worker: other.0 });
        at = other;
    }
    assert_eq!(plane.count(MediaCounter::DroppedNoLeg), 0);
}

#[test]
fn starting_interrupts_no_system_call_of_the_starter() {
    let plane = Plane::new(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // A ring that this thread had closed would interrupt the wait a few milliseconds after its start.
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = socket.recv(&mut [0; 1]).expect_err("nobody sends");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    plane.stop();
}
