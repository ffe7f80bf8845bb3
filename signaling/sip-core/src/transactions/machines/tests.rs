//! The machines alone, hop by hop through their deadlines: every timer of RFC 3261 table 4 over both kinds of transport.

use super::*;
use crate::config::Timers;
use clock::{Duration, Instant};

const START: Instant = Instant::ZERO;

fn at(ms: u64) -> Instant {
    START + Duration::from_millis(ms)
}

/// One machine behind the same few words.
trait Machine: Sized {
    type Action: Copy + std::fmt::Debug;
    fn tick(&mut self, now: Instant, out: &mut Actions<Self::Action>);
    fn next(&self) -> Option<Instant>;
    fn is_over(&self) -> bool;

    /// Everything that it does by itself from now on, and when it is over.
    fn run(&mut self) -> (Vec<(u64, String)>, u64) {
        let (mut done, mut last) = (Vec::new(), START);
        while let Some(deadline) = self.next().filter(|deadline| *deadline < Instant::FAR_FUTURE) {
            last = deadline;
            let mut actions = Actions::default();
            self.tick(deadline, &mut actions);
            let after = deadline.since(START).as_millis() as u64;
            done.extend(actions.into_iter().map(|action| (after, format!("{action:?}"))));
            assert!(self.next().is_none_or(|next| next > deadline), "a deadline that does not move");
        }
        assert!(self.is_over());
        (done, last.since(START).as_millis() as u64)
    }
}

macro_rules! machine {
    ($machine:ty, $action:ty, $deadline:expr) => {
        impl Machine for $machine {
            type Action = $action;
            fn tick(&mut self, now: Instant, out: &mut Actions<$action>) {
                self.handle(now, &Timers::default(), $deadline, out);
            }
            fn next(&self) -> Option<Instant> {
                self.deadline()
            }
            fn is_over(&self) -> bool {
                self.is_terminated()
            }
        }
    };
}

machine!(InviteClient, InviteClientAction, InviteClientInput::Deadline);
machine!(InviteServer, InviteServerAction, InviteServerInput::Deadline);
machine!(NonInviteClient, NonInviteClientAction, NonInviteClientInput::Deadline);
machine!(NonInviteServer, NonInviteServerAction, NonInviteServerInput::Deadline);

fn invite_client(reliable: bool) -> InviteClient {
    InviteClient::start(START, &Timers::default(), reliable, &mut Actions::default())
}

fn other_client(reliable: bool) -> NonInviteClient {
    NonInviteClient::start(START, &Timers::default(), reliable, &mut Actions::default())
}

fn hear(machine: &mut InviteClient, ms: u64, status: u16) -> Vec<InviteClientAction> {
    let mut actions = Actions::default();
    machine.handle(at(ms), &Timers::default(), InviteClientInput::Response(status), &mut actions);
    actions.into_iter().collect()
}

fn hear_other(machine: &mut NonInviteClient, ms: u64, status: u16) -> Vec<NonInviteClientAction> {
    let mut actions = Actions::default();
    machine.handle(at(ms), &Timers::default(), NonInviteClientInput::Response(status), &mut actions);
    actions.into_iter().collect()
}

fn tell(machine: &mut InviteServer, ms: u64, input: InviteServerInput) -> usize {
    let mut actions = Actions::default();
    machine.handle(at(ms), &Timers::default(), input, &mut actions);
    actions.into_iter().count()
}

fn tell_other(machine: &mut NonInviteServer, ms: u64, input: NonInviteServerInput) -> usize {
    let mut actions = Actions::default();
    machine.handle(at(ms), &Timers::default(), input, &mut actions);
    actions.into_iter().count()
}

fn times(done: &[(u64, String)], what: &str) -> Vec<u64> {
    done.iter().filter(|(_, action)| action == what).map(|(ms, _)| *ms).collect()
}

#[test]
fn timers_a_and_b() {
    let (done, over) = invite_client(false).run();
    assert_eq!(times(&done, "Send"), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!((times(&done, "GiveUp"), over), (vec![32_000], 32_000));
    let (done, over) = invite_client(true).run();
    assert_eq!((done, over), (vec![(32_000, "GiveUp".to_owned())], 32_000));
}

#[test]
fn timer_d() {
    for (reliable, until) in [(false, 33_000), (true, 0)] {
        let mut machine = invite_client(reliable);
        assert_eq!(hear(&mut machine, 500, 180), [InviteClientAction::Deliver]);
        assert!(machine.deadline().is_none(), "how long it may ring is not the machine's");
        assert_eq!(hear(&mut machine, 1000, 486), [InviteClientAction::Ack, InviteClientAction::Deliver]);
        assert_eq!(hear(&mut machine, 2000, 486).len(), usize::from(!reliable), "its copy");
        assert_eq!(machine.run(), (vec![], until));
    }
}

#[test]
fn timer_m() {
    for reliable in [false, true] {
        let mut machine = invite_client(reliable);
        for ms in [1000, 2000, 32_999] {
            assert_eq!(hear(&mut machine, ms, 200), [InviteClientAction::Deliver], "each 2xx is handed up");
        }
        assert!(hear(&mut machine, 2000, 486).is_empty());
        assert_eq!(machine.run(), (vec![], 33_000));
        assert!(hear(&mut machine, 33_001, 200).is_empty());
    }
}

#[test]
fn timers_e_and_f() {
    let (done, over) = other_client(false).run();
    assert_eq!(times(&done, "Send"), [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!((times(&done, "GiveUp"), over), (vec![32_000], 32_000));
    assert_eq!(other_client(true).run().0, [(32_000, "GiveUp".to_owned())]);
    let mut machine = other_client(false);
    hear_other(&mut machine, 100, 100);
    assert_eq!(times(&machine.run().0, "Send"), [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]);
}

#[test]
fn timer_k() {
    for (reliable, until) in [(false, 6000), (true, 0)] {
        let mut machine = other_client(reliable);
        assert_eq!(hear_other(&mut machine, 1000, 200), [NonInviteClientAction::Deliver]);
        assert!(hear_other(&mut machine, 1500, 200).is_empty(), "its copy");
        assert_eq!(machine.run(), (vec![], until));
    }
}

#[test]
fn timers_g_h_and_i() {
    let refused = |reliable| {
        let mut machine = InviteServer::start(START, &Timers::default(), reliable);
        assert_eq!(tell(&mut machine, 0, InviteServerInput::Respond(486)), 1);
        machine
    };
    let (done, over) = refused(false).run();
    assert_eq!(times(&done, "Send"), [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!((times(&done, "NoAck"), over), (vec![32_000], 37_000), "late copies are absorbed for T4 more");
    assert_eq!(times(&refused(true).run().0, "Send"), []);
    let mut machine = refused(false);
    assert_eq!(tell(&mut machine, 1000, InviteServerInput::Request), 1);
    assert_eq!(tell(&mut machine, 1000, InviteServerInput::Ack), 0);
    assert_eq!(tell(&mut machine, 2000, InviteServerInput::Request), 0);
    assert_eq!(machine.run(), (vec![], 6000), "timer I");
    let mut machine = refused(true);
    tell(&mut machine, 1000, InviteServerInput::Ack);
    assert!(machine.is_terminated(), "timer I is zero over a stream");
}

#[test]
fn the_2xx_and_timer_l() {
    for reliable in [false, true] {
        let mut machine = InviteServer::start(START, &Timers::default(), reliable);
        tell(&mut machine, 0, InviteServerInput::Respond(200));
        assert_eq!(tell(&mut machine, 100, InviteServerInput::Request), 0, "RFC 6026: copies are absorbed");
        let (done, over) = machine.run();
        assert_eq!(times(&done, "Send").len(), 10, "over every transport: hops behind it may lose it");
        assert_eq!((times(&done, "NoAck"), over), (vec![32_000], 37_000));
        let mut machine = InviteServer::start(START, &Timers::default(), reliable);
        tell(&mut machine, 0, InviteServerInput::Respond(200));
        tell(&mut machine, 100, InviteServerInput::Ack);
        assert_eq!(machine.run(), (vec![], 32_000), "timer L");
    }
}

#[test]
fn trying_ring_refresh_and_the_end_of_patience() {
    let (done, _) = {
        let mut machine = InviteServer::start(START, &Timers::default(), false);
        let mut done = Vec::new();
        while let Some(deadline) = machine.deadline().filter(|deadline| *deadline <= at(300_000)) {
            let mut actions = Actions::default();
            machine.tick(deadline, &mut actions);
            let after = deadline.since(START).as_millis() as u64;
            done.extend(actions.into_iter().map(|action| (after, format!("{action:?}"))));
        }
        (done, machine)
    };
    assert_eq!(times(&done, "SendTrying"), [200]);
    assert_eq!(times(&done, "Send"), [60_200, 120_200, 180_200, 240_200]);
    assert_eq!(times(&done, "Unanswered"), [300_000]);
    let mut relaying = InviteServer::start_relaying(START, &Timers::default(), false);
    tell(&mut relaying, 100, InviteServerInput::Respond(180));
    assert_eq!(relaying.deadline(), Some(at(300_000)), "a proxy repeats nothing by itself");
    tell(&mut relaying, 200, InviteServerInput::Respond(200));
    assert_eq!(relaying.run(), (vec![], 37_200));
}

#[test]
fn timer_j() {
    for (reliable, until) in [(false, 33_000), (true, 0)] {
        let mut machine = NonInviteServer::start(START, &Timers::default(), reliable);
        assert_eq!(tell_other(&mut machine, 500, NonInviteServerInput::Request), 0, "nothing to repeat yet");
        assert_eq!(tell_other(&mut machine, 1000, NonInviteServerInput::Respond(200)), 1);
        assert_eq!(tell_other(&mut machine, 2000, NonInviteServerInput::Request), usize::from(!reliable));
        assert_eq!(tell_other(&mut machine, 2000, NonInviteServerInput::Respond(500)), 0, "one answer");
        assert_eq!(machine.run(), (vec![], until));
    }
    let (done, over) = NonInviteServer::start(START, &Timers::default(), false).run();
    assert_eq!((done, over), (vec![(32_000, "Unanswered".to_owned())], 32_000), "its caller gave up as well");
}
