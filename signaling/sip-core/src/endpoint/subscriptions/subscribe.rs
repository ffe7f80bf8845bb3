//! Subscribing: SUBSCRIBE and REFER of ours (RFC 6665 §4.1, RFC 3515 §2.4.1).

use crate::content::{Content, Refused, is_token, is_uri};
use crate::endpoint::Endpoint;
use crate::endpoint::NewRequest;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::dialog::{Dialog, Seed, State};
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::dialogs::path::NewTarget;
use crate::endpoint::requests::outgoing::OutOfDialog;
use crate::endpoint::requests::{Kind, Purpose};
use crate::endpoint::responses::Outcome;
use crate::endpoint::subscriptions::notify::REFER_EXPIRES_S;
use crate::endpoint::subscriptions::subscription::{Pending, Role, Subscription};
use crate::event::{Cause, ClientRequestId, DialogId, Event, SubscriptionId};
use crate::message::compose::put_number_line;
use crate::message::incoming::{Incoming, target_in, unfolded};
use crate::message::route::Routes;
use crate::output::Output;
use crate::table::slab::Handle;
use clock::{Duration, Instant};
use sip_wire::{Message, Method, Name};

/// A subscription to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct NewSubscription<'a> {
    /// The SUBSCRIBE.
    pub request: &'a NewRequest<'a>,
    /// The event package.
    pub package: &'a str,
    /// How long it is to live.
    pub expires_s: u32,
}

/// The request that asks for a subscription.
struct Opener<'a> {
    method: Method,
    /// Complete header lines.
    lines: &'a str,
}

/// What makes the dialog of a subscription: the peer as its first message names it.
struct Notifier<'a> {
    name: &'a [u8],
    tag: &'a [u8],
    target: &'a [u8],
    routes: Routes,
    origin: &'a Origin,
}

impl Endpoint {
    /// Sends REFER in a dialog: the peer is asked to call `target`. `Response` tells whether it will, `Notified` how
    /// the call goes. For an attended transfer `target` carries `Replaces` ([`replaces_uri`](Self::replaces_uri)).
    pub fn refer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        target: &str,
        out: &mut Output,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        if !is_uri(target) {
            return Err(Refused::BadText);
        }
        let open = self.open_dialog(dialog.0)?;
        if self.subscriptions.is_full() || self.transactions.clients.is_full() {
            return Err(Refused::Full);
        }
        let id = (open.sequence.local + 1).to_string().into_boxed_str();
        let until = now + self.config.timers.give_up();
        let subscription = Subscription::new(Role::Subscriber, "refer".into(), id, until);
        let handle =
            self.add_subscription(Subscription { dialog: Some(dialog.0), ..subscription }).ok_or(Refused::Full)?;
        let number = self.next_request_number();
        let purpose = Purpose::Subscription(SubscriptionId(handle), number);
        let line = format!("Refer-To: <{target}>\r\n");
        let request = InDialog { method: Method::Refer, purpose, lines: line.as_bytes(), content: &Content::NONE };
        if let Err(refused) = self.send_in_dialog(now, dialog.0, &request, out) {
            self.remove_subscription(now, handle, false, out);
            return Err(refused);
        }
        Ok((ClientRequestId(number), SubscriptionId(handle)))
    }

    /// A URI that asks its caller to take over a dialog (RFC 3891): for the Refer-To of an attended transfer.
    pub fn replaces_uri(&self, consultation: DialogId) -> Option<String> {
        let dialog = self.dialogs.get(consultation.0)?;
        let escaped = |bytes: &[u8]| -> String {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
            bytes.iter().map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
        };
        // Seen by the one who gets the INVITE: its tag is the to-tag.
        let (call_id, to, from) = (
            escaped(dialog.identity.call_id()),
            escaped(dialog.identity.remote_tag()),
            escaped(dialog.identity.local_tag()),
        );
        let target = String::from_utf8_lossy(&dialog.route.target);
        Some(format!("{target}?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}"))
    }

    /// Subscribes (RFC 6665). `Response` follows, then `Notified`; it refreshes itself until [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscription: &NewSubscription<'_>,
        out: &mut Output,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        let NewSubscription { package, expires_s, .. } = *subscription;
        if !is_token(package) {
            return Err(Refused::BadText);
        }
        let lines = format!("Event: {package}\r\nExpires: {expires_s}\r\n");
        self.start_subscription(now, subscription, &Opener { method: Method::Subscribe, lines: &lines }, out)
    }

    /// Sends REFER outside any dialog: the peer that takes it is asked to call `target`, and its reports make a dialog.
    pub fn refer_outside(
        &mut self,
        now: Instant,
        request: &NewRequest<'_>,
        target: &str,
        out: &mut Output,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        if !is_uri(target) {
            return Err(Refused::BadText);
        }
        let lines = format!("Refer-To: <{target}>\r\n");
        let subscription = NewSubscription { request, package: "refer", expires_s: REFER_EXPIRES_S };
        self.start_subscription(now, &subscription, &Opener { method: Method::Refer, lines: &lines }, out)
    }

    fn start_subscription(
        &mut self,
        now: Instant,
        subscription: &NewSubscription<'_>,
        opener: &Opener<'_>,
        out: &mut Output,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        let NewSubscription { request, package, expires_s } = *subscription;
        let until = now + self.config.timers.give_up();
        let handle = self
            .add_subscription(Subscription::new(Role::Subscriber, package.into(), Box::default(), until))
            .ok_or(Refused::Full)?;
        let number = self.next_request_number();
        let purpose = Purpose::Subscription(SubscriptionId(handle), number);
        let new = OutOfDialog { method: opener.method, purpose, lines: opener.lines.as_bytes(), request };
        let names = match self.send_new(now, &new, out) {
            Ok((_, names)) => names,
            Err(refused) => {
                self.subscriptions.remove(handle);
                return Err(refused);
            }
        };
        let key = self.transactions.keyed.key(&[b"subscribe", &names.call_id, names.tag.as_str().as_bytes()]);
        self.pending_index.insert(key, handle);
        if let Some(subscription) = self.subscriptions.get_mut(handle) {
            subscription.interval_s = expires_s;
            subscription.pending = Some(Box::new(Pending {
                call_id: names.call_id,
                from: request.from.as_bytes().into(),
                tag: names.tag,
                cseq: request.first_cseq(),
                flow: request.flow,
                account: request.account,
            }));
        }
        Ok((ClientRequestId(number), SubscriptionId(handle)))
    }

    /// Ends a subscription of ours: SUBSCRIBE with Expires 0; its last NOTIFY, or a timer, ends it.
    pub fn unsubscribe(&mut self, now: Instant, subscription: SubscriptionId, out: &mut Output) -> Result<(), Refused> {
        let until = now + self.config.timers.give_up();
        let open = self.subscriptions.get_mut(subscription.0).ok_or(Refused::Gone)?;
        if open.role != Role::Subscriber || open.dialog.is_none() {
            return Err(Refused::WrongState);
        }
        (open.interval_s, open.is_ending) = (0, true);
        open.refresh_at = None;
        open.expires_at = until;
        self.refresh_subscription(now, subscription.0, out);
        self.arm_subscription(subscription.0);
        Ok(())
    }

    /// SUBSCRIBE in the dialog that the first one made.
    pub(crate) fn refresh_subscription(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(subscription) = self.subscriptions.get(handle) else { return };
        let Some(dialog) = subscription.dialog else { return };
        let mut lines = format!("Event: {}\r\n", subscription.package).into_bytes();
        put_number_line(&mut lines, b"Expires", subscription.interval_s.into());
        let purpose = Purpose::Subscription(SubscriptionId(handle), 0);
        // Refused only when a table is full: the subscription then ends with its time.
        let request = InDialog { method: Method::Subscribe, purpose, lines: &lines, content: &Content::NONE };
        let _ = self.send_in_dialog(now, dialog, &request, out);
    }

    pub(crate) fn hear_subscribe(
        &mut self,
        outcome: &Outcome<'_, '_>,
        id: SubscriptionId,
        number: u64,
        out: &mut Output,
    ) {
        let Outcome { now, transaction, status, message, .. } = *outcome;
        let Some(sent) = self.transactions.clients.get(transaction) else { return };
        let kind = sent.kind;
        let is_alone = self.subscriptions.get(id.0).is_some_and(|open| open.pending.is_some());
        if (kind == Kind::Subscribe || is_alone)
            && outcome.is_success()
            && let Some(message) = message
        {
            self.subscribed(outcome, id.0, message, out);
        }
        if kind == Kind::Refer
            && outcome.is_success()
            && let Some(open) = self.subscriptions.get_mut(id.0)
        {
            // The first NOTIFY tells the real interval (RFC 3515 §2.4.4).
            open.expires_at = now + Duration::from_secs(REFER_EXPIRES_S.into());
            self.arm_subscription(id.0);
        }
        let dialog = self.subscriptions.get(id.0).and_then(|open| open.dialog).map(DialogId);
        let told = message.map(|message| Self::keep(message, out));
        if number != 0 {
            let request = ClientRequestId(number);
            out.event(Event::Response { request, dialog, status, message: told, wants_ack: false });
        }
        if status >= 300 {
            self.remove_subscription(now, id.0, number == 0, out);
        }
        if let Some(dialog) = dialog.filter(|_| kind == Kind::Refer && status == 481) {
            self.end_dialog(now, dialog.0, Ending { cause: Cause::Lost(481), message: told }, out);
        }
    }

    /// A 2xx to SUBSCRIBE: its dialog, unless a NOTIFY made it already, and its time.
    fn subscribed(&mut self, outcome: &Outcome<'_, '_>, handle: Handle, message: &Message<'_>, out: &mut Output) {
        let Outcome { now, transaction, .. } = *outcome;
        let Some(sent) = self.transactions.clients.get(transaction) else { return };
        let (kind, origin) = (sent.kind, &Origin::answered(sent.flow));
        let name = message.header(Name::To).unwrap_or_default();
        let tag = message.to_tag().unwrap_or_default();
        let contact = target_in(message);
        match self.subscriptions.get(handle).and_then(|subscription| subscription.dialog) {
            // RFC 6665 §4.1.2.2: the answer to a refresh moves the target.
            Some(dialog) if contact.is_some() => {
                self.retarget(now, dialog, &NewTarget { uri: contact, origin }, out);
            }
            Some(_) => {}
            None => {
                let (target, routes) = (contact.unwrap_or_default(), Routes::of_answer(message));
                self.establish(now, handle, Notifier { name, tag, target, routes, origin }, out);
            }
        }
        let Some(subscription) = self.subscriptions.get_mut(handle) else { return };
        let granted_s =
            message.expires().ok().flatten().unwrap_or(subscription.interval_s).min(subscription.interval_s);
        if granted_s > 0 && kind == Kind::Subscribe {
            let granted = Duration::from_secs(granted_s.into());
            subscription.expires_at = now + granted;
            subscription.refresh_at = Some(now + granted.mul_f64(0.8).max(Duration::from_secs(1)));
        }
        self.arm_subscription(handle);
    }

    /// Makes the dialog of a subscription once the peer's tag is known.
    fn establish(&mut self, now: Instant, handle: Handle, notifier: Notifier<'_>, out: &mut Output) -> Option<Handle> {
        let Notifier { name, tag, target, routes, origin } = notifier;
        let subscription = self.subscriptions.get_mut(handle)?;
        if subscription.dialog.is_some() {
            return subscription.dialog;
        }
        let pending = subscription.pending.take()?;
        self.pending_index.remove(&self.transactions.keyed.key(&[
            b"subscribe",
            &pending.call_id,
            pending.tag.as_str().as_bytes(),
        ]));
        let mut dialog = Dialog::new(Seed {
            call_id: &pending.call_id,
            local: &pending.from,
            local_tag: pending.tag.as_str().as_bytes(),
            remote: &unfolded(name),
            remote_tag: tag,
            target: &unfolded(if target.is_empty() { crate::message::route::uri_in(name) } else { target }),
            routes,
            flow: pending.flow,
            local_cseq: pending.cseq,
            remote_cseq: None,
        })?;
        dialog.state = State::Confirmed;
        dialog.is_caller = true;
        dialog.user.account = pending.account;
        dialog.user.is_announced = true;
        dialog.subscriptions.push(handle);
        let dialog = self.add_dialog(dialog)?;
        self.subscriptions.get_mut(handle)?.dialog = Some(dialog);
        self.aim(now, dialog, origin, out);
        Some(dialog)
    }

    /// A NOTIFY that overtook the 2xx to our SUBSCRIBE makes the dialog (RFC 6665 §4.4.1).
    pub(crate) fn receive_first_notify(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) -> bool {
        let our_tag = inc.to_tag.unwrap_or_default();
        let pending = self.transactions.keyed.key(&[b"subscribe", inc.call_id, our_tag]);
        let Some(handle) = self.pending_index.get(&pending).copied() else { return false };
        let notifier = Notifier {
            name: inc.from,
            tag: inc.from_tag,
            target: inc.contact_uri().unwrap_or_default(),
            routes: Routes::new(inc.message.raw_values(Name::RecordRoute)),
            origin: &Origin::of(inc),
        };
        let dialog = self.establish(inc.now, handle, notifier, out);
        let Some(dialog) = dialog else { return false };
        if let Some(dialog) = self.dialogs.get_mut(dialog) {
            dialog.sequence.remote = Some(inc.cseq);
        }
        self.receive_notify(dialog, inc, out);
        true
    }
}
