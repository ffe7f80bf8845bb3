//! Deadlines.

use super::Endpoint;
use super::client::ClientInput;
use super::server::ServerInput;
use crate::event::{Cause, DialogId, Event};
use crate::output::Output;
use crate::session_timer::Due;
use crate::slab::Handle;
use crate::timer::{Owner, Timers};
use clock::Instant;

impl Endpoint {
    /// Does everything that is due. Call it at [`deadline`](Self::deadline), or as soon after as possible.
    pub fn wake(&mut self, now: Instant, out: &mut Output) {
        while let Some((at, owner)) = self.timers.pop(now) {
            match owner {
                Owner::Server(handle) => self.wake_server(now, at, handle, out),
                Owner::Client(handle) => self.wake_client(now, at, handle, out),
                Owner::Dialog(handle) => self.wake_dialog(now, at, handle, out),
                Owner::Subscription(_) => {}
            }
        }
        self.sweep_timers();
    }

    fn wake_server(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.servers.get_mut(handle) else { return };
        if !Timers::fired(&mut transaction.alarm, at) {
            return;
        }
        if transaction.machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.drive_server(now, handle, ServerInput::Deadline, None, out);
        }
        self.settle_server(handle);
    }

    fn wake_client(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.clients.get_mut(handle) else { return };
        if !Timers::fired(&mut transaction.alarm, at) {
            return;
        }
        if transaction.machine.deadline().is_some_and(|deadline| deadline <= now) {
            let heard = self.drive_client(now, handle, ClientInput::Deadline, None, out);
            self.hear(now, handle, heard, 408, None, out);
        }
        self.settle_client(handle);
    }

    fn wake_dialog(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if !Timers::fired(&mut dialog.alarm, at) {
            return;
        }
        if dialog.ack.is_some() && now >= dialog.ack_until {
            dialog.ack = None;
        }
        let due = if dialog.state == crate::dialog::State::Confirmed { dialog.session.wake(now) } else { Due::Nothing };
        match due {
            Due::Nothing => {}
            Due::Refresh => self.refresh_session(now, handle, out),
            Due::Bye => self.end_with_bye(now, handle, Cause::SessionExpired, out),
        }
        self.arm_dialog(handle);
    }

    fn refresh_session(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let _ = now;
        out.event(Event::RefreshDue { dialog: DialogId(handle) });
    }
}
