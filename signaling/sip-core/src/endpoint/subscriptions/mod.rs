//! The table of subscriptions: made, woken, forgotten.

pub(crate) mod notify;
pub(crate) mod subscribe;
pub(crate) mod subscription;

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::requests::Purpose;
use crate::endpoint::subscriptions::notify::Report;
use crate::endpoint::subscriptions::subscription::{Role, Subscription};
use crate::event::{Cause, DialogId, Event, SubscriptionId};
use crate::output::Output;
use crate::table::deadlines::Owner;
use crate::table::slab::Handle;
use clock::Instant;

impl Endpoint {
    pub(crate) fn add_subscription(&mut self, subscription: Subscription) -> Option<Handle> {
        let dialog = subscription.dialog;
        let handle = self.subscriptions.insert(subscription).ok()?;
        if let Some(dialog) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            dialog.subscriptions.push(handle);
        }
        self.arm_subscription(handle);
        Some(handle)
    }

    pub(crate) fn find_notifier(&self, dialog: Handle, package: &str, id: &str) -> Option<Handle> {
        self.dialogs.get(dialog)?.subscriptions.iter().copied().find(|handle| {
            self.subscriptions.get(*handle).is_some_and(|subscription| {
                subscription.role == Role::Notifier && &*subscription.package == package && &*subscription.id == id
            })
        })
    }

    /// The deadline of a subscription: refresh it, or end it.
    pub(crate) fn wake_subscription(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(subscription) = self.subscriptions.get_mut(handle) else { return };
        if subscription.refresh_at.is_some_and(|at| now >= at) && now < subscription.expires_at {
            subscription.refresh_at = None;
            self.refresh_subscription(now, handle, out);
        } else if now >= subscription.expires_at {
            if subscription.role == Role::Notifier {
                // RFC 6665 §4.2.2: the subscriber is told; should the table be full, its own timer tells it.
                let report = Report { state: "terminated;reason=timeout", content: Content::NONE };
                let _ = self.send_notify(now, (SubscriptionId(handle), Purpose::Nobody), &report, out);
            }
            self.remove_subscription(now, handle, true, out);
        }
        self.arm_subscription(handle);
    }

    pub(crate) fn arm_subscription(&mut self, handle: Handle) {
        if let Some(subscription) = self.subscriptions.get_mut(handle) {
            let deadline = subscription.deadline();
            self.transactions.deadlines.arm(&mut subscription.alarm, Owner::Subscription(handle), deadline);
        }
    }

    /// A subscription is over; a dialog that carried nothing else ends with it.
    pub(crate) fn remove_subscription(&mut self, now: Instant, handle: Handle, tell: bool, out: &mut Output) {
        let Some(subscription) = self.subscriptions.remove(handle) else { return };
        if let Some(pending) = &subscription.pending {
            self.pending_index.remove(&self.transactions.keyed.key(&[
                b"subscribe",
                &pending.call_id,
                pending.tag.as_str().as_bytes(),
            ]));
        }
        let Some(dialog_handle) = subscription.dialog else {
            if tell {
                out.event(Event::SubscriptionEnded { subscription: SubscriptionId(handle), dialog: None });
            }
            return;
        };
        if tell {
            let (subscription, dialog) = (SubscriptionId(handle), Some(DialogId(dialog_handle)));
            out.event(Event::SubscriptionEnded { subscription, dialog });
        }
        let Some(dialog) = self.dialogs.get_mut(dialog_handle) else { return };
        dialog.subscriptions.retain(|other| *other != handle);
        if dialog.subscriptions.is_empty() && !dialog.has_session {
            self.end_dialog(now, dialog_handle, Ending::by(Cause::Unsubscribed), out);
        }
    }
}
