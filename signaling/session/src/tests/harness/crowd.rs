use crate::tests::harness::World;
use crate::tests::harness::phone::Phone;
use sip_core::Content;

/// What a test with thousands of phones needs: messages that arrive when the test says so or never, and phones that do what
/// they can at a moment that nobody has chosen.
impl World {
    pub(in crate::tests) fn phone_numbers(&self) -> impl Iterator<Item = u64> {
        self.phones.keys().copied()
    }

    /// Phones with messages on their way to them.
    pub(in crate::tests) fn phones_with_mail(&self) -> Vec<u64> {
        self.phones.iter().filter(|(_, phone)| !phone.held.is_empty()).map(|(number, _)| *number).collect()
    }

    /// Everything on its way to a phone arrives, and what the switch says to that.
    pub(in crate::tests) fn drain(&mut self, number: u64) {
        while self.phones.get(&number).is_some_and(|phone| !phone.held.is_empty()) {
            self.deliver(number);
        }
    }

    /// The next message to a phone is lost.
    pub(in crate::tests) fn loses_one(&mut self, number: u64) {
        if let Some(phone) = self.phones.get_mut(&number) {
            phone.held.pop_front();
        }
    }

    /// Whether a phone has a call that it has not ended.
    pub(in crate::tests) fn is_talking(&self, number: u64) -> bool {
        self.phones.get(&number).is_some_and(|phone| phone.is_up() && !phone.has_given_up)
    }

    pub(in crate::tests) fn owes_answer(&self, number: u64) -> bool {
        self.phones.get(&number).is_some_and(|phone| phone.owes_answer)
    }

    pub(in crate::tests) fn has_phone(&self, number: u64) -> bool {
        self.phones.contains_key(&number)
    }

    /// A phone ends its call as it can: by BYE, or by CANCEL.
    pub(in crate::tests) fn hangs_up(&mut self, number: u64) {
        let now = self.now;
        let Some(phone) = self.phones.get_mut(&number) else { return };
        phone.has_given_up = true;
        match (phone.is_up(), phone.dialog, phone.call) {
            // Where it has ended meanwhile there is nothing to end.
            (true, Some(dialog), _) => drop(phone.endpoint.bye(now, dialog, Content::NONE, &mut phone.out)),
            (false, _, Some(call)) => drop(phone.endpoint.cancel(now, call, &mut phone.out)),
            _ => {}
        }
        self.pass_on(number);
    }

    /// The first phone that a call of ours has reached, if it still rings there.
    pub(in crate::tests) fn rings_at(&self, call: u64) -> Option<u64> {
        let number = *self.placed.get(call as usize - 1)?.phones.first()?;
        self.phones.get(&number).is_some_and(|phone| !phone.invites.is_empty() && !phone.is_up()).then_some(number)
    }

    /// The phone that a request of ours waits at, and whether the request is a REFER.
    pub(in crate::tests) fn waits_at(&self, request: u64) -> Option<(u64, bool)> {
        let sent = &self.sent[request as usize - 1];
        let phone = self.phones.get(&sent.phone)?;
        let open = if sent.method == b"INVITE" {
            phone.invites.contains_key(&sent.cseq)
        } else {
            phone.requests.contains_key(&sent.cseq)
        };
        (open && phone.is_up()).then_some((sent.phone, sent.method == b"REFER"))
    }

    /// The phone of a request of ours.
    pub(in crate::tests) fn phone_of(&self, request: u64) -> u64 {
        self.sent[request as usize - 1].phone
    }

    /// Whether a phone reports about this REFER of ours.
    pub(in crate::tests) fn may_report(&self, refer: u64) -> bool {
        let sent = &self.sent[refer as usize - 1];
        self.phones.get(&sent.phone).is_some_and(|phone| phone.is_up() && phone.subscriptions.contains_key(&sent.cseq))
    }

    /// Phones that have nothing to do any more go.
    pub(in crate::tests) fn forget_idle_phones(&mut self) {
        let has_ended = |phone: &Phone| phone.call.is_none() || phone.has_given_up || !phone.heard.is_empty();
        let is_over = |phone: &Phone| phone.is_deaf || (!phone.is_up() && phone.invites.is_empty() && has_ended(phone));
        let is_idle = |phone: &Phone| phone.held.is_empty() && is_over(phone);
        self.phones.retain(|_, phone| !is_idle(phone));
        let Self { phones, by_names, .. } = self;
        by_names.retain(|_, number| phones.contains_key(number));
    }

    /// The endpoint of the switch has nothing left.
    pub(in crate::tests) fn assert_endpoint_empty(&self) {
        let sizes = self.sip.endpoint.sizes();
        let transactions = (sizes.server_transactions, sizes.client_transactions);
        assert_eq!((sizes.dialogs, sizes.calls, sizes.subscriptions, transactions), (0, 0, 0, (0, 0)));
    }
}
