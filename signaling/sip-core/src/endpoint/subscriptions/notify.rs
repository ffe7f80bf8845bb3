//! Notifying: SUBSCRIBE and REFER that came to us (RFC 6665 §4.2, RFC 3515).

use crate::content::{Content, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::dialog::{Dialog, State};
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::dialogs::path::NewTarget;
use crate::endpoint::requests::{Kind, Purpose};
use crate::endpoint::responses::Outcome;
use crate::endpoint::server::Response;
use crate::endpoint::subscriptions::subscription::{Role, Subscription};
use crate::event::{ClientRequestId, DialogId, Event, RequestId, SubscriptionId};
use crate::message::compose::put_number_line;
use crate::message::incoming::{Incoming, unfolded};
use crate::output::Output;
use crate::table::slab::Handle;
use clock::{Duration, Instant};
use sip_wire::Method;

/// How long the subscription of a REFER lives; long enough for the referred call to ring.
pub(crate) const REFER_EXPIRES_S: u32 = 300;

/// The longest that a peer's reports about one REFER are waited for without another one.
const REFER_LONGEST_S: u32 = 3_600;

/// What a SUBSCRIBE or REFER that waits for its answer asked for.
pub(crate) struct Wish {
    pub(crate) package: Box<str>,
    pub(crate) id: Box<str>,
    pub(crate) expires_s: u32,
    /// The dialog that accepting it makes, when it came outside one.
    pub(crate) dialog: Option<Box<Dialog>>,
}

/// What a NOTIFY says.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The Subscription-State: `active`, `pending`, or `terminated` with a reason, after which the subscription is over.
    pub state: &'a str,
    /// Header fields and body.
    pub content: Content<'a>,
}

/// How far a referred call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReferProgress {
    /// Of the last response to its INVITE.
    pub status: u16,
    /// Nothing more is reported: the subscription ends.
    pub is_last: bool,
}

impl Wish {
    pub(crate) fn bytes(&self) -> usize {
        let dialog = self.dialog.as_ref().map_or(0, |dialog| size_of::<Dialog>() + dialog.heap_bytes());
        size_of::<Self>() + self.package.len() + self.id.len() + dialog
    }
}

impl Endpoint {
    /// Reads a SUBSCRIBE or REFER, so that it can be accepted later without its bytes.
    pub(crate) fn wish(&self, inc: &Incoming<'_, '_>, to_tag: &str) -> Option<Wish> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let (package, id, expires_s) = if inc.method == Method::Refer {
            ("refer".into(), inc.cseq.to_string().into_boxed_str(), REFER_EXPIRES_S)
        } else {
            let event = inc.message.event().ok().flatten()?;
            let expires_s = inc.message.expires().ok().flatten().unwrap_or(3600);
            // As it came, quotes included: it is written into each NOTIFY.
            let id = event.params.find("id").and_then(|param| param.value).map(unfolded);
            (text(event.token), id.map_or_else(Box::default, |id| text(&id)), expires_s)
        };
        let dialog = match inc.to_tag {
            Some(_) => None,
            None => Some(Box::new(self.callee_dialog(inc, inc.contact_uri()?, to_tag)?)),
        };
        Some(Wish { package, id, expires_s, dialog })
    }

    /// Accepts a SUBSCRIBE (200) or a REFER (202): from now on [`notify`](Self::notify) reports. The first report is
    /// due at once. Accepting a SUBSCRIBE that refreshes gives the subscription that it refreshes.
    pub fn accept_subscription(
        &mut self,
        now: Instant,
        request: RequestId,
        expires_s: u32,
        out: &mut Output,
    ) -> Result<SubscriptionId, Refused> {
        self.check_answer(request.0, false, &Content::NONE)?;
        let transaction = self.transactions.servers.get(request.0).ok_or(Refused::Gone)?;
        let is_refer = transaction.kind == Kind::Refer;
        let wish = transaction.wish.as_ref().ok_or(Refused::WrongState)?;
        let expires_s = wish.expires_s.min(expires_s);
        let (package, id) = (wish.package.clone(), wish.id.clone());
        let refreshed = transaction.dialog.and_then(|dialog| self.find_notifier(dialog, &package, &id));
        if refreshed.is_none() && (self.subscriptions.is_full() || self.dialogs.is_full()) {
            return Err(Refused::Full);
        }
        let dialog = self.subscription_dialog(request.0)?;
        let expires_at = now + Duration::from_secs(expires_s.into());
        let handle = match refreshed {
            Some(handle) => {
                if let Some(subscription) = self.subscriptions.get_mut(handle) {
                    subscription.expires_at = expires_at;
                }
                handle
            }
            None => {
                let subscription = Subscription::new(Role::Notifier, package, id, expires_at);
                self.add_subscription(Subscription { dialog: Some(dialog), ..subscription }).ok_or(Refused::Full)?
            }
        };
        let mut lines = Vec::with_capacity(96);
        self.put_our_contact(request.0, &Content::NONE, &mut lines);
        self.move_target(now, request.0, dialog, out);
        if !is_refer {
            put_number_line(&mut lines, b"Expires", expires_s.into());
        }
        let response = Response { lines: &lines, ..Response::of(if is_refer { 202 } else { 200 }) };
        self.send_response(now, request.0, &response, out);
        self.arm_subscription(handle);
        Ok(SubscriptionId(handle))
    }

    /// The dialog of a SUBSCRIBE or REFER that is being accepted, made if it came outside one.
    fn subscription_dialog(&mut self, transaction: Handle) -> Result<Handle, Refused> {
        let open = self.transactions.servers.get_mut(transaction).ok_or(Refused::Gone)?;
        if let Some(dialog) = open.dialog {
            return if self.dialogs.get(dialog).is_some() { Ok(dialog) } else { Err(Refused::Gone) };
        }
        let dialog = open.wish.as_mut().and_then(|wish| wish.dialog.take()).ok_or(Refused::WrongState)?;
        let handle = self.add_dialog(*dialog).ok_or(Refused::Full)?;
        if let Some(open) = self.transactions.servers.get_mut(transaction) {
            open.dialog = Some(handle);
        }
        if let Some(dialog) = self.dialogs.get_mut(handle) {
            // Who accepts a subscription wants its reports to arrive, and they are few.
            dialog.is_proved();
            dialog.state = State::Confirmed;
            dialog.user.is_announced = true;
        }
        Ok(handle)
    }

    /// Sends a NOTIFY.
    pub fn notify(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        report: &Report<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        let number = self.request_count + 1;
        self.send_notify(now, (subscription, Purpose::Notify(subscription, number)), report, out)?;
        self.request_count = number;
        Ok(ClientRequestId(number))
    }

    pub(crate) fn send_notify(
        &mut self,
        now: Instant,
        (subscription, purpose): (SubscriptionId, Purpose),
        report: &Report<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Report { state, content } = *report;
        content.check()?;
        let open = self.subscriptions.get(subscription.0).ok_or(Refused::Gone)?;
        if open.role != Role::Notifier {
            return Err(Refused::WrongState);
        }
        if !crate::content::is_line(state) {
            return Err(Refused::BadText);
        }
        let is_last = state.starts_with("terminated");
        let dialog = open.dialog.ok_or(Refused::WrongState)?;
        let id = if open.id.is_empty() { String::new() } else { format!(";id={}", open.id) };
        let left_s = open.expires_at.since(now).as_secs();
        let expires = if is_last || state.contains("expires=") { String::new() } else { format!(";expires={left_s}") };
        let lines = format!("Event: {}{id}\r\nSubscription-State: {state}{expires}\r\n", open.package);
        let request = InDialog { method: Method::Notify, purpose, lines: lines.as_bytes(), content: &content };
        self.send_in_dialog(now, dialog, &request, out)?;
        if is_last {
            self.remove_subscription(now, subscription.0, false, out);
        }
        Ok(())
    }

    /// Reports the progress of a referred call as a status line (RFC 3515 §2.4.5); the last report ends the subscription.
    pub fn notify_refer(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        progress: ReferProgress,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        let ReferProgress { status, is_last } = progress;
        let mut body = Vec::with_capacity(32);
        crate::message::compose::put_status_line(&mut body, status, "");
        let content = Content { headers: &[], content_type: "message/sipfrag;version=2.0", body: &body };
        let state = if is_last { "terminated;reason=noresource" } else { "active" };
        self.notify(now, subscription, &Report { state, content }, out)
    }

    pub(crate) fn hear_notify(
        &mut self,
        outcome: &Outcome<'_, '_>,
        subscription: SubscriptionId,
        number: u64,
        out: &mut Output,
    ) {
        let Outcome { now, transaction: handle, status, message, .. } = *outcome;
        let dialog = self.transactions.clients.get(handle).and_then(|sent| sent.dialog).map(DialogId);
        let message = message.map(|message| Self::keep(message, out));
        out.event(Event::Response { request: ClientRequestId(number), dialog, status, message, wants_ack: false });
        // RFC 6665 §4.2.2: nobody listens any more.
        if matches!(status, 481 | 489 | 408 | 404 | 410) {
            self.remove_subscription(now, subscription.0, true, out);
        }
    }

    /// A NOTIFY in a dialog: 200 and told, when it belongs to a subscription of ours (RFC 6665 §4.1.3).
    pub(crate) fn receive_notify(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let now = inc.now;
        let found = inc.message.event().ok().flatten().and_then(|event| {
            let subscriptions = &self.dialogs.get(handle)?.subscriptions;
            subscriptions.iter().copied().find(|subscription| {
                self.subscriptions.get(*subscription).is_some_and(|subscription| {
                    subscription.role == Role::Subscriber && subscription.is(event.token, event.id())
                })
            })
        });
        let Some(subscription) = found else { return self.refuse_statefully(inc, 481, b"", out) };
        let Ok(Some(state)) = inc.message.subscription_state() else {
            return self.refuse_statefully(inc, 400, b"", out);
        };
        let Some(transaction) = self.open_in_dialog(handle, inc, out) else { return };
        self.send_response(now, transaction, &Response::of(200), out);
        self.retarget(now, handle, &NewTarget { uri: inc.contact_uri(), origin: &Origin::of(inc) }, out);
        let is_last = state.is("terminated");
        let message = Self::keep(inc.message, out);
        let (id, dialog) = (SubscriptionId(subscription), DialogId(handle));
        out.event(Event::Notified { subscription: id, dialog, message, is_last });
        if is_last {
            self.remove_subscription(now, subscription, false, out);
        } else if let Some(open) = self.subscriptions.get_mut(subscription) {
            // RFC 6665 §4.1.3: a notifier shortens what was asked for. How long it reports about a REFER is its own choice.
            let longest_s = if &*open.package == "refer" { REFER_LONGEST_S } else { open.interval_s };
            let default_s = open.interval_s.max(REFER_EXPIRES_S);
            let until = now + Duration::from_secs(state.expires.unwrap_or(default_s).min(longest_s).into());
            // One that we are ending is not made longer.
            open.expires_at = if open.is_ending { open.expires_at } else { until };
            self.arm_subscription(subscription);
        }
    }
}
