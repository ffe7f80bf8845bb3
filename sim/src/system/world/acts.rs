//! What users of phones and operators of the switch mean to do, and do.

use super::{Todo, World};
use crate::system::audio::{Side, Talk};
use crate::system::phone::description::Ways;
use crate::system::phone::{Act, number_of};
use clock::Duration;
use session::PlannedSource;
use sip_core::{DialogId, InviteId};
use sip_wire::Method;
use std::net::SocketAddr;

impl World {
    pub(super) fn plan(&mut self, busy_ms: u64) {
        for _ in 0..1 + self.rng.below(10) {
            let (from, to) = self.two_phones();
            let number = self.timeline.next_number();
            self.later(0, busy_ms, Todo::Call { from, to, number });
        }
        for _ in 0..self.rng.below(4) {
            let (from, to) = self.two_phones();
            let method = *self.rng.pick(&[Method::Message, Method::Options, Method::Publish]);
            self.later(0, busy_ms, Todo::Say { from, to, method });
        }
        if self.rng.chance(40) {
            let draw = self.rng.next();
            self.later(2_000, busy_ms, Todo::Operate(draw));
        }
        for _ in 0..self.rng.below(3) {
            let draw = self.rng.next();
            self.later(2_000, busy_ms, Todo::Record(draw));
        }
        if self.rng.chance(50) {
            return;
        }
        for _ in 0..1 + self.rng.below(3) {
            let death = match self.rng.below(8) {
                0 => Todo::MediaDies,
                1 | 2 => Todo::SignalingDies,
                3 => Todo::SignalingStops,
                4 => Todo::PhoneDies(self.rng.below(self.phones.len() as u64) as usize),
                _ => Todo::WorkerPanics(self.rng.below(self.media.plan.workers as u64) as u8),
            };
            self.later(5_000, busy_ms, death);
        }
    }

    fn two_phones(&mut self) -> (usize, usize) {
        let from = self.rng.below(self.phones.len() as u64) as usize;
        (from, self.another_phone(from))
    }

    fn another_phone(&mut self, than: usize) -> usize {
        let count = self.phones.len();
        (than + 1 + self.rng.below(count as u64 - 1) as usize) % count
    }

    pub(super) fn rings(&mut self, phone: usize, invite: InviteId, number: u32) {
        self.phones[phone].ring(self.now, invite);
        match self.rng.below(12) {
            0 => self.later(0, 8_000, Todo::Reject { phone, invite }),
            1 => {} // nobody is at home
            2 => self.later(0, 0, Todo::Accept { phone, invite, number }),
            _ => self.later(100, 8_000, Todo::Accept { phone, invite, number }),
        }
    }

    pub(super) fn talks(&mut self, phone: usize, side: Side, dialog: DialogId, remote: Option<SocketAddr>) {
        // The caller hangs up; the other side does so late, should it never hear of that.
        let (from, to) = match (side.1, self.setup.is_long) {
            (true, false) => (500, 30_000),
            (false, false) => (35_000, 60_000),
            (true, true) => (60_000, 200_000),
            (false, true) => (210_000, 240_000),
        };
        self.later(from, to, Todo::HangUp(side));
        self.report.talked_count += u64::from(side.1);
        let Some(remote) = remote else { return };
        let rtp = self.phones[phone].rtp(side.0);
        let mut talk = Talk::new(self.now, (phone, dialog), rtp, remote);
        talk.has_events = self.phones[phone].has_events(dialog);
        if let Some(directions) = self.phones[phone].directions(dialog) {
            talk.agree(self.now, directions);
        }
        self.audio.begin(side, talk);
        if self.setup.has_media() {
            let network = &self.media.network;
            for address in [rtp, SocketAddr::new(rtp.ip(), rtp.port() + 1)] {
                self.peers.entry(address).or_insert_with(|| network.add_peer(address));
            }
            self.timeline.at(self.now, Todo::Speak(side));
        }
        if let Some(other) = self.timeline.consultation_for(side) {
            return self.later(500, 4_000, Todo::Attend { side: other, consultation: side });
        }
        for _ in 0..self.rng.below(4) {
            self.plan_act(side);
        }
    }

    fn plan_act(&mut self, side: Side) {
        match self.rng.below(12) {
            0 | 1 => {
                let ways = Ways { sends: self.rng.chance(50), receives: false };
                let act = |ways, by_update| if by_update { Act::Update(ways) } else { Act::Reinvite(ways) };
                let by_update = self.rng.chance(30);
                self.later(1_000, 8_000, Todo::Act(side, act(ways, by_update)));
                self.later(9_000, 15_000, Todo::Act(side, act(Ways::BOTH, by_update)));
            }
            2 => self.later(500, 20_000, Todo::Act(side, Act::Reinvite(Ways::BOTH))),
            3 => self.later(500, 20_000, Todo::Act(side, Act::Update(Ways::BOTH))),
            4 => self.later(1_000, 15_000, Todo::Transfer(side)),
            5 => self.later(500, 8_000, Todo::Consult(side)),
            _ => self.later(500, 20_000, Todo::Press(side)),
        }
    }

    pub(super) fn act(&mut self, todo: Todo) -> Result<(), String> {
        if !matches!(todo, Todo::Speak(_)) {
            self.note(|| format!("{todo:?}"));
        }
        match todo {
            Todo::Call { from, to, number } => self.call(from, to, number),
            Todo::Cancel { phone, call } => self.phones[phone].cancel(self.now, call),
            Todo::Accept { phone, invite, number } => {
                if let Some(talks) = self.phones[phone].accept(self.now, invite, number) {
                    self.happen(phone, talks)?;
                }
            }
            Todo::Reject { phone, invite } => self.phones[phone].reject(self.now, invite),
            Todo::HangUp(side) => {
                if let Some((phone, dialog)) = self.place(side)
                    && self.phones[phone].hang_up(self.now, dialog)
                {
                    self.audio.close(side, self.now);
                }
            }
            Todo::Speak(side) => {
                if let Some((from, to, packet, next)) = self.audio.next_packet(self.now, side) {
                    // A phone that has put its peer on hold without music is silent.
                    let ways = self.place(side).and_then(|(phone, dialog)| self.phones[phone].ways(dialog));
                    if ways.is_none_or(|ways| ways.sends) {
                        self.send(&sip_core::Flow::udp(from, to), &packet);
                    }
                    self.timeline.at(next, Todo::Speak(side));
                }
            }
            Todo::Act(side, act) => drop(self.act_in_call(side, &act)),
            Todo::Press(side) => self.press(side),
            Todo::Transfer(side) => self.transfer(side),
            Todo::Consult(side) => {
                if let Some((from, _)) = self.place(side) {
                    let (to, number) = (self.another_phone(from), self.timeline.next_number());
                    self.timeline.note_consultation(number, side);
                    self.call(from, to, number);
                }
            }
            Todo::Attend { side, consultation } => {
                if let Some((_, other)) = self.place(consultation)
                    && self.act_in_call(side, &Act::Attend(other))
                {
                    self.audio.close_call(side.0, self.now);
                    self.audio.close_call(consultation.0, self.now);
                    self.audio.will_pair(side, &self.audio.peers(consultation));
                }
            }
            Todo::Say { from, to, method } => {
                self.phones[from].say(self.now, to, method, &mut self.ledger);
            }
            Todo::Operate(draw) => self.operate(draw),
            Todo::Record(draw) => {
                let file = self.media.new_file()?;
                if let Some(signaling) = &mut self.signaling {
                    signaling.begin_recording(self.now, draw, file);
                }
            }
            _ => self.die(&todo)?,
        }
        Ok(())
    }

    fn call(&mut self, from: usize, to: usize, number: u32) {
        let Some(call) = self.phones[from].call(self.now, to, number, &mut self.ledger) else { return };
        match self.rng.below(10) {
            0 | 1 => self.later(100, 20_000, Todo::Cancel { phone: from, call }),
            // In the middle of the set-up, where it crosses an answer that is given at once.
            2 => self.later(0, 600, Todo::Cancel { phone: from, call }),
            _ => {}
        }
    }

    /// The phone and the dialog of a call that is up on this side.
    fn place(&self, side: Side) -> Option<(usize, DialogId)> {
        let talk = self.audio.talks.get(&side).filter(|talk| !talk.is_over)?;
        Some((talk.phone, talk.dialog))
    }

    fn act_in_call(&mut self, side: Side, act: &Act) -> bool {
        let Some((phone, dialog)) = self.place(side) else { return false };
        let is_done = self.phones[phone].act(self.now, dialog, act, &mut self.ledger);
        self.report.acts_count += u64::from(is_done);
        if is_done && matches!(act, Act::Reinvite(_) | Act::Update(_)) {
            self.audio.unsettle(self.now, side);
        }
        is_done
    }

    fn press(&mut self, side: Side) {
        let Some((phone, dialog)) = self.place(side) else { return };
        // Digits of one that goes through a proxy are heard by the peer without the switch.
        let by_rtp = self.phones[phone].has_events(dialog) && self.rng.chance(70);
        let Some(digit) = self.audio.press(side, by_rtp) else { return };
        self.report.acts_count += 1;
        if !by_rtp {
            self.act_in_call(side, &Act::Info(digit));
        }
    }

    fn transfer(&mut self, side: Side) {
        let Some((phone, _)) = self.place(side) else { return };
        let (to, number) = (self.another_phone(phone), self.timeline.next_number());
        let target = format!("sip:p{to}-{number}@{}", self.setup.around.switch);
        if self.act_in_call(side, &Act::Refer(target)) {
            self.audio.close_call(side.0, self.now);
            self.audio.will_pair(side, &[(number, false)]);
        }
    }

    /// Something that the programming interface offers, with a call of one of the shards.
    fn operate(&mut self, draw: u64) {
        let Some(signaling) = &mut self.signaling else { return };
        let mut changed = None;
        signaling.work(self.now, draw, |sessions, turn| {
            let ids: Vec<_> = sessions.iter().map(session::Session::id).collect();
            let Some(id) = ids.get((draw >> 8) as usize % ids.len().max(1)).copied() else { return };
            changed = sessions.get(id).and_then(session::Session::remote_rtp);
            // Whatever makes no sense now is refused.
            let _ = match (draw >> 16) % 6 {
                0 => sessions.hold(turn, id, None),
                1 => sessions.hold(turn, id, Some(PlannedSource::Tone440)),
                2 => sessions.resume(turn, id),
                3 => sessions.mute(turn, id, draw & 1 == 0),
                4 => sessions.send_dtmf(turn, id, "12", Duration::from_millis(100)),
                _ => sessions.transfer(turn, id, "sip:p1-900@10.0.0.100"),
            };
        });
        self.report.acts_count += 1;
        if let Some(number) = changed.and_then(number_of) {
            self.audio.operate(self.now, number, (draw >> 16) % 6 == 4);
        }
    }
}
