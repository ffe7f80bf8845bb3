use crate::tests::harness::phone::Phone;
use crate::tests::harness::{SWITCH, World};
use crate::*;
use clock::Duration;
use sip_core::{Answer, Cause, ClientRequestId, Content, DialogRequest, Flow, NewRequest, Report};
use sip_wire::{Message, Method};

/// Phones that no test has given a number yet: this, and the number of the call that reached them.
pub(super) const UNNAMED: u64 = 1 << 40;

/// How long an endpoint waits for an answer: 64*T1.
const GIVE_UP: Duration = Duration::from_secs(32);

/// A session description, unless it is empty.
fn described(sdp: &str) -> Content<'_> {
    if sdp.is_empty() { Content::NONE } else { Content::sdp(sdp.as_bytes()) }
}

/// The messages between the switch and its phones.
impl World {
    /// The messages that are on their way to a phone arrive, and what it answers by itself arrives at the switch.
    pub(in crate::tests) fn deliver(&mut self, number: u64) {
        let count = self.phones.get(&number).map_or(0, |phone| phone.held.len());
        for _ in 0..count {
            let Some(phone) = self.phones.get_mut(&number) else { return };
            let Some(text) = phone.held.pop_front() else { break };
            phone.receive(self.now, &text);
            self.pass_on(number);
        }
        self.pass_on(number);
    }

    pub(super) fn deliver_all(&mut self) {
        while let Some(number) = self.phones.iter().find(|(_, phone)| !phone.held.is_empty()).map(|(number, _)| *number)
        {
            self.deliver(number);
        }
    }

    pub(super) fn wake_phones(&mut self) {
        let is_due = |phone: &Phone| phone.endpoint.deadline().is_some_and(|at| at <= self.now);
        let due: Vec<u64> = self.phones.iter().filter(|(_, phone)| is_due(phone)).map(|(number, _)| *number).collect();
        due.into_iter().for_each(|number| self.pass_on(number));
    }

    /// What a phone has to send arrives.
    pub(super) fn pass_on(&mut self, number: u64) {
        let Some(phone) = self.phones.get_mut(&number) else { return };
        let sent = phone.act(self.now);
        let is_mute = phone.is_mute;
        let flow = Flow { local: phone.flow.remote, remote: phone.flow.local, ..phone.flow };
        for (to, text) in sent {
            let message = Message::parse(&text).expect("a message of an endpoint");
            let tag = if message.is_request() { message.from_tag() } else { message.to_tag() };
            if let (Ok(call_id), Some(tag)) = (message.call_id(), tag) {
                self.by_names.insert((call_id.to_vec(), tag.to_vec()), number);
            }
            if !is_mute && to == flow.local {
                self.receive(flow, &text);
            }
        }
    }

    fn phone(&mut self, number: u64) -> &mut Phone {
        self.phones.get_mut(&number).unwrap_or_else(|| panic!("no phone {number}"))
    }

    /// The phone that answers a call of ours under this number; another one than the first is another branch of a fork.
    fn reached(&mut self, call: u64, number: u64) -> u64 {
        let placed = &mut self.placed[call as usize - 1];
        let first = placed.phones[0];
        if number == 0 {
            return first;
        }
        if placed.phones.contains(&number) {
            return number;
        }
        let (text, to) = (placed.text.clone(), placed.to);
        if first == UNNAMED + call {
            placed.phones[0] = number;
            self.phones.remove(&number);
            let phone = self.phones.remove(&first).expect("it is there");
            self.phones.insert(number, phone);
            self.by_names.values_mut().filter(|name| **name == first).for_each(|name| *name = number);
            self.at_once.iter_mut().filter(|name| **name == first).for_each(|name| *name = number);
        } else {
            placed.phones.push(number);
            self.phones.remove(&number);
            self.add_phone(number, to);
            self.phone(number).held.push_back(text);
        }
        number
    }

    /// The session of a call of ours that has not been answered.
    pub(in crate::tests) fn session_calling(&self, call: u64) -> SessionId {
        let call_id = String::from_utf8_lossy(&self.placed[call as usize - 1].call_id).into_owned();
        let is_its = |session: &&Session| session.parties().call_id.as_ref() == call_id;
        self.sessions.iter().find(is_its).expect("a session").id()
    }

    /// The call of ours that a phone was reached by.
    pub(super) fn call_of(&self, number: u64) -> Option<u64> {
        self.placed.iter().position(|placed| placed.phones.contains(&number)).map(|index| index as u64 + 1)
    }
}

/// Calls of phones.
impl World {
    /// A phone calls a user of the switch.
    pub(in crate::tests) fn calls(&mut self, number: u64, user: &str, sdp: &str) {
        self.calls_saying(number, &format!("sip:{user}@192.0.2.9"), &[], sdp);
    }

    /// The same with these lines in its INVITE; From and To take the place of its own.
    pub(in crate::tests) fn calls_saying(&mut self, number: u64, uri: &str, lines: &[&str], sdp: &str) {
        self.calls_after(number, uri, lines, sdp, 70);
    }

    /// The same over so many hops.
    pub(in crate::tests) fn calls_after(&mut self, number: u64, uri: &str, lines: &[&str], sdp: &str, hops: u8) {
        self.phones.remove(&number);
        self.add_phone(number, "192.0.2.1:5060".parse().unwrap());
        let now = self.now;
        let phone = self.phone(number);
        let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
        let to = format!("<sip:{user}@example.com>");
        let from = "\"Alice\" <sip:alice@example.com>";
        let request =
            NewRequest { content: described(sdp), max_forwards: hops, ..NewRequest::new(phone.flow, uri, from, &to) };
        phone.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        phone.call = Some(phone.endpoint.invite(now, &request, &mut phone.out).expect("an INVITE"));
        phone.names.insert((b"INVITE".to_vec(), 1), number);
        self.pass_on(number);
    }

    /// A phone calls; gives its session.
    pub(in crate::tests) fn comes(&mut self, number: u64, user: &str, sdp: &str) -> SessionId {
        self.calls(number, user, sdp);
        self.session_of(number)
    }

    /// The session of a phone's call.
    pub(in crate::tests) fn session_of(&self, number: u64) -> SessionId {
        let dialog = self.dialog_of(number).expect("a dialog");
        *self.sessions.by_dialog.get(&dialog).expect("a session")
    }

    /// The dialog of the switch with a phone.
    pub(in crate::tests) fn dialog_of(&self, number: u64) -> Option<sip_core::DialogId> {
        let is_its = |dialog: &&sip_core::DialogId| {
            let info = self.sip.endpoint.dialog_info(**dialog).expect("it is there");
            self.by_names.get(&(info.call_id.to_vec(), info.remote_tag.to_vec())) == Some(&number)
        };
        self.sessions.by_dialog.keys().find(is_its).copied()
    }

    /// A phone gets our 200 and acknowledges it; where that has an offer this is the answer.
    pub(in crate::tests) fn acknowledges(&mut self, number: u64, sdp: &str) {
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        if std::mem::take(&mut phone.owes_answer) {
            let dialog = phone.dialog.expect("a dialog");
            phone.endpoint.ack(now, dialog, described(sdp), &mut phone.out).expect("an ACK");
            self.pass_on(number);
        }
    }

    /// The number that a header field `Replaces`, or a URI, names the dialog of a phone with the switch by.
    pub(in crate::tests) fn replaces_of(&mut self, number: u64) -> String {
        self.deliver(number);
        let phone = self.phone(number);
        let dialog = phone.dialog.expect("a dialog");
        phone.endpoint.replaces_uri(dialog).expect("a dialog").split_once("Replaces=").expect("it").1.to_owned()
    }

    /// A phone calls to take over the call of another one.
    pub(in crate::tests) fn calls_replacing(&mut self, number: u64, replaced: u64, lines: &[&str], sdp: &str) {
        let replaces = self.replaces_of(replaced).replace("%3B", ";").replace("%3D", "=").replace("%40", "@");
        let replaces = format!("Replaces: {replaces}");
        let lines: Vec<&str> = [&*replaces].into_iter().chain(lines.iter().copied()).collect();
        self.calls_saying(number, "sip:tone@192.0.2.9", &lines, sdp);
    }
}

/// Calls that the switch places.
impl World {
    /// The only INVITE that was sent.
    pub(in crate::tests) fn invited(&mut self) -> (u64, String, String) {
        let said = self.said();
        let [super::Said::Invite(call, uri, sdp)] = &said[..] else { panic!("{said:?}") };
        (*call, uri.clone(), sdp.clone())
    }

    /// A phone that a call of ours has reached answers provisionally.
    pub(in crate::tests) fn progress(&mut self, call: u64, number: u64, status: u16, sdp: &str) {
        self.progress_saying(call, number, status, &[], sdp);
    }

    pub(in crate::tests) fn progress_saying(
        &mut self,
        call: u64,
        number: u64,
        status: u16,
        headers: &[(&str, &str)],
        sdp: &str,
    ) {
        let number = self.reached(call, number);
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let Some(invite) = phone.invites.get(&first_cseq(phone)).copied() else { panic!("it has ended") };
        let content = described(sdp).with_headers(headers);
        if status > 100 {
            phone.endpoint.provisional(now, invite, &Answer::with(status, content), &mut phone.out).expect("it waits");
        }
        self.pass_on(number);
    }

    /// A phone answers. A CANCEL that is on its way comes too late.
    pub(in crate::tests) fn answered(&mut self, call: u64, number: u64, sdp: &str) {
        self.answered_saying(call, number, &[], sdp);
    }

    pub(in crate::tests) fn answered_saying(&mut self, call: u64, number: u64, headers: &[(&str, &str)], sdp: &str) {
        let number = self.reached(call, number);
        let phone = self.phone(number);
        let cancels = take_cancels(phone);
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let cseq = first_cseq(phone);
        let invite = phone.invites.remove(&cseq).expect("the INVITE waits");
        let content = described(sdp).with_headers(headers);
        phone.endpoint.accept(now, invite, content, &mut phone.out).expect("it waits");
        phone.held.extend(cancels);
        self.pass_on(number);
    }

    /// A phone refuses; 487 says that it was cancelled.
    pub(in crate::tests) fn failed(&mut self, call: u64, status: u16) {
        self.failed_with(call, status, "No", &[]);
    }

    pub(in crate::tests) fn failed_with(&mut self, call: u64, status: u16, phrase: &str, headers: &[(&str, &str)]) {
        let number = self.reached(call, 0);
        self.deliver(number);
        if status == 487 {
            return;
        }
        let now = self.now;
        let phone = self.phone(number);
        let cseq = first_cseq(phone);
        let invite = phone.invites.remove(&cseq).expect("the INVITE waits");
        phone
            .endpoint
            .reject(now, invite, &Answer { status, reason: phrase, content: Content::headers(headers) }, &mut phone.out)
            .expect("it waits");
        self.pass_on(number);
        self.deliver(number);
    }

    /// A phone redirects to these Contacts.
    pub(in crate::tests) fn moved(&mut self, call: u64, contacts: &str) {
        self.failed_with(call, 302, "Moved", &[("Contact", contacts)]);
    }

    /// The last INVITE gets no answer: none comes (408), or its host says that nobody is there (503).
    pub(in crate::tests) fn unanswered(&mut self, status: u16) {
        if status == 408 {
            return self.wait(GIVE_UP);
        }
        let (flow, quoted) = (self.flow.expect("an INVITE"), self.placed.last().expect("an INVITE").text.clone());
        self.sip.endpoint.unreachable(self.now, &flow, &quoted, &mut self.sip.out);
        self.settle();
    }

    /// The connection to a phone breaks, and no other path leads there.
    pub(in crate::tests) fn breaks(&mut self, number: u64) {
        let dialog = self.dialog_of(number).expect("a dialog");
        let flow = self.sip.endpoint.dialog_info(dialog).expect("it is there").flow;
        self.sip.host.is_cut_off = true;
        self.sip.endpoint.transport_failed(self.now, &flow, &mut self.sip.out);
        self.settle();
    }

    /// What goes to a phone arrives again.
    pub(in crate::tests) fn hears_again(&mut self, number: u64) {
        self.phone(number).is_deaf = false;
    }

    /// Requests that nobody answers take all the room that the endpoint has for requests of its own.
    pub(in crate::tests) fn fill_up(&mut self) {
        let flow = Flow::udp(SWITCH.parse().unwrap(), "192.0.2.200:5060".parse().unwrap());
        let request = NewRequest::new(flow, "sip:x@192.0.2.200", "<sip:a@b>", "<sip:x@192.0.2.200>");
        while self.turn(|sessions, turn| sessions.request(turn, Method::Options, &request)).is_ok() {}
        self.said.retain(|said| !matches!(said, super::Said::Request(_, None, _)));
    }

    /// Whatever goes to a phone is lost from now on.
    pub(in crate::tests) fn loses(&mut self, number: u64) {
        let phone = self.phone(number);
        phone.is_deaf = true;
        phone.held.clear();
    }
}

/// The first INVITE of the switch to a phone.
fn first_cseq(phone: &Phone) -> u32 {
    phone.invites.keys().copied().min().unwrap_or_default()
}

fn take_cancels(phone: &mut Phone) -> Vec<Vec<u8>> {
    let (cancels, others) = std::mem::take(&mut phone.held).into_iter().partition(|text| text.starts_with(b"CANCEL "));
    let others: Vec<Vec<u8>> = others;
    phone.held = others.into();
    cancels
}

/// Calls that are up.
impl World {
    /// A dialog ends: the phone hangs up or gives up, or it answers what the switch has sent, or nothing comes of that.
    #[track_caller]
    pub(in crate::tests) fn over(&mut self, number: u64, cause: Cause) {
        self.over_saying(number, cause, &[]);
    }

    #[track_caller]
    pub(in crate::tests) fn over_saying(&mut self, number: u64, cause: Cause, headers: &[(&str, &str)]) {
        if cause == Cause::NoAck {
            self.loses(number);
            self.wait(GIVE_UP + GIVE_UP);
        } else if cause != Cause::RemoteBye || !self.is_up(number) {
            self.deliver(number);
        }
        let now = self.now;
        let content = Content::headers(headers);
        let phone = self.phone(number);
        match cause {
            Cause::RemoteBye => {
                phone.has_given_up = true;
                let dialog = phone.dialog.expect("a dialog");
                phone.endpoint.bye(now, dialog, content, &mut phone.out).expect("a confirmed dialog");
                self.pass_on(number);
                self.deliver(number);
            }
            Cause::RemoteCancel => {
                phone.has_given_up = true;
                let call = phone.call.expect("an INVITE");
                phone.endpoint.cancel_saying(now, call, &content, &mut phone.out).expect("an open INVITE");
                self.pass_on(number);
                self.deliver(number);
            }
            // What was lost is sent again.
            _ if self.dialog_of(number).is_some() => self.wait(Duration::from_secs(1)),
            _ => {}
        }
        assert!(self.dialog_of(number).is_none(), "the dialog of {number} goes on");
    }

    /// Whether a phone has a call that is answered, as far as it knows.
    pub(in crate::tests) fn is_up(&self, number: u64) -> bool {
        self.phones.get(&number).is_some_and(Phone::is_up)
    }

    /// A phone is gone: whatever it sends, or is sent, is lost.
    pub(in crate::tests) fn dies(&mut self, number: u64) {
        self.loses(number);
        self.phone(number).is_mute = true;
    }

    /// A phone sends a re-INVITE, [`REINVITE`](crate::tests::common::REINVITE).
    pub(in crate::tests) fn reinvites(&mut self, number: u64, sdp: &str) {
        self.reinvites_as(number, crate::tests::common::REINVITE, sdp);
    }

    pub(in crate::tests) fn reinvites_as(&mut self, number: u64, name: u64, sdp: &str) {
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let dialog = phone.dialog.expect("a dialog");
        match phone.endpoint.reinvite(now, dialog, described(sdp), &mut phone.out) {
            Ok(_) => self.sends(number, name),
            Err(_) => self.insists(number, name, "INVITE", sdp),
        }
    }

    /// The request that a phone has just written goes out, and is called so by the test.
    fn sends(&mut self, number: u64, name: u64) {
        let phone = self.phone(number);
        let sent = phone.out.transmits.last().expect("a request");
        let message = Message::parse(phone.out.bytes(sent.bytes)).expect("a message");
        let cseq = message.cseq().expect("a CSeq");
        let key = (cseq.method_raw.to_vec(), cseq.number);
        phone.names.insert(key, name);
        self.pass_on(number);
    }

    /// A phone takes its re-INVITE back. Endpoints do that for calls alone, so the CANCEL is written here (RFC 3261 §9.1).
    pub(in crate::tests) fn cancels_reinvite(&mut self, number: u64) {
        let phone = self.phone(number);
        phone.has_given_up = true;
        let flow = Flow { local: phone.flow.remote, remote: phone.flow.local, ..phone.flow };
        let invite = String::from_utf8(phone.last_invite.clone()).expect("text");
        if invite.is_empty() {
            return;
        }
        let is_kept = |line: &&str| {
            ["Via:", "From:", "To:", "Call-ID:", "Max-Forwards:"].iter().any(|name| line.starts_with(name))
        };
        let first = invite.lines().next().expect("a line").replace("INVITE", "CANCEL");
        let cseq = invite.lines().find(|line| line.starts_with("CSeq:")).expect("a CSeq").replace("INVITE", "CANCEL");
        let kept: Vec<&str> = invite.lines().filter(is_kept).collect();
        self.receive(
            flow,
            format!("{first}\r\n{}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n", kept.join("\r\n")).as_bytes(),
        );
        self.deliver(number);
        self.phone(number).has_given_up = false;
    }

    /// A phone sends a request at a time at which our own endpoint would hold it back, so it is written here.
    /// One that does not know its dialog gets what is on its way first, and its ACK is lost.
    pub(in crate::tests) fn insists(&mut self, number: u64, name: u64, method: &str, sdp: &str) {
        if self.phone(number).dialog.is_none() {
            self.phone(number).is_mute = true;
            self.deliver(number);
            self.phone(number).is_mute = false;
        }
        let phone = self.phone(number);
        phone.cseq += 1;
        let cseq = phone.cseq;
        phone.names.insert((method.as_bytes().to_vec(), cseq), name);
        let Some(info) = phone.endpoint.dialog_info(phone.dialog.expect("a dialog")) else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (target, from, to, call_id) = (text(info.target), text(info.local), text(info.remote), text(info.call_id));
        let flow = Flow { local: phone.flow.remote, remote: phone.flow.local, ..phone.flow };
        let remote = flow.remote;
        let body = if sdp.is_empty() {
            "Content-Length: 0\r\n\r\n".to_owned()
        } else {
            format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
        };
        let message = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {remote};branch=z9hG4bKinsists{number}x{cseq}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:{remote}>\r\n{body}"
        );
        if method == "INVITE" {
            phone.last_invite = message.clone().into_bytes();
        }
        self.receive(flow, message.as_bytes());
    }

    /// A phone sends another request in its dialog, which the test calls `name`.
    pub(in crate::tests) fn asks(&mut self, number: u64, name: u64, method: Method, content: Content<'_>) {
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let dialog = phone.dialog.expect("a dialog");
        phone
            .endpoint
            .request_in(now, dialog, &DialogRequest { method, content }, &mut phone.out)
            .expect("a free dialog");
        self.sends(number, name);
    }

    /// A phone sends INFO.
    pub(in crate::tests) fn infos(&mut self, number: u64, name: u64, kind: &str, body: &str) {
        let content_type = if body.is_empty() { "" } else { kind };
        self.asks(number, name, Method::Info, Content { headers: &[], content_type, body: body.as_bytes() });
    }

    /// A phone sends UPDATE.
    pub(in crate::tests) fn updates(&mut self, number: u64, name: u64, sdp: &str) {
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let dialog = phone.dialog.expect("a dialog");
        match phone.endpoint.update(now, dialog, described(sdp), &mut phone.out) {
            Ok(_) => self.sends(number, name),
            Err(_) => self.insists(number, name, "UPDATE", sdp),
        }
    }

    /// A phone sends a request outside of dialogs.
    pub(in crate::tests) fn asks_outside(&mut self, number: u64, method: Method, lines: &[&str]) {
        self.phones.remove(&number);
        self.add_phone(number, "192.0.2.1:5060".parse().unwrap());
        let now = self.now;
        let phone = self.phone(number);
        let (uri, from) = ("sip:tone@192.0.2.9", "<sip:alice@example.com>");
        let request = NewRequest::new(phone.flow, uri, from, "<sip:tone@example.com>");
        phone.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        phone.endpoint.request(now, method, &request, &mut phone.out).expect("a request");
        self.sends(number, number);
    }

    /// A phone asks us to call somebody, with these header fields in place of Refer-To.
    pub(in crate::tests) fn refers_with(&mut self, number: u64, headers: &str) {
        if self.phone(number).dialog.is_none() {
            self.deliver(number);
        }
        let now = self.now;
        let name = crate::tests::common::REFER;
        self.referred.insert(number, name);
        let phone = self.phone(number);
        let dialog = phone.dialog.expect("a dialog");
        phone.lines = headers.lines().map(str::to_owned).collect();
        if !headers.contains("Refer-To: ") {
            phone.lines.push("Refer-To: ".to_owned());
        }
        phone.endpoint.refer(now, dialog, "sip:x@y", &mut phone.out).expect("a REFER");
        self.sends(number, name);
    }

    pub(in crate::tests) fn refers(&mut self, number: u64, target: &str) {
        self.refers_with(number, &format!("Refer-To: {target}\r\n"));
    }

    /// A phone gets our reports, and confirms them.
    pub(in crate::tests) fn confirms(&mut self, number: u64) {
        self.deliver(number);
    }

    /// A phone answers a request of ours. 408: nothing comes, for as long as the endpoint waits.
    pub(in crate::tests) fn responds(&mut self, request: u64, status: u16, sdp: &str) {
        let sent = &self.sent[request as usize - 1];
        let (number, cseq, method) = (sent.phone, sent.cseq, sent.method.clone());
        if status == 408 {
            self.loses(number);
            self.wait(GIVE_UP);
            self.phone(number).is_deaf = false;
            return;
        }
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let (endpoint, out) = (&mut phone.endpoint, &mut phone.out);
        if method == b"INVITE" {
            let invite = phone.invites.remove(&cseq).expect("the re-INVITE waits");
            match status {
                200 => drop(endpoint.accept(now, invite, described(sdp), out).expect("it waits")),
                101..200 => {
                    phone.invites.insert(cseq, invite);
                    endpoint.provisional(now, invite, &Answer::with(status, described(sdp)), out).expect("it waits");
                }
                _ => endpoint.reject(now, invite, &Answer::of(status), out).expect("it waits"),
            }
        } else {
            let request = phone.requests.remove(&cseq).expect("the request waits");
            match status {
                202 if method == b"REFER" => {
                    let made = endpoint.accept_subscription(now, request, 300, out).expect("it waits");
                    phone.subscriptions.insert(cseq, made);
                }
                _ => endpoint.respond(now, request, &Answer::with(status, described(sdp)), out).expect("it waits"),
            }
        }
        self.pass_on(number);
        if method == b"INVITE" && status >= 300 {
            self.deliver(number);
        }
    }

    /// A phone refuses a re-INVITE of ours with these header fields.
    pub(in crate::tests) fn refuses(&mut self, request: u64, status: u16, headers: &[(&str, &str)]) {
        let sent = &self.sent[request as usize - 1];
        let (number, cseq) = (sent.phone, sent.cseq);
        self.deliver(number);
        let now = self.now;
        let phone = self.phone(number);
        let invite = phone.invites.remove(&cseq).expect("the re-INVITE waits");
        let content = Content::headers(headers);
        phone.endpoint.reject(now, invite, &Answer::with(status, content), &mut phone.out).expect("it waits");
        self.pass_on(number);
    }

    /// A phone reports about a REFER of ours, which it accepts before.
    pub(in crate::tests) fn notify(&mut self, refer: u64, fragment: &str, is_last: bool) {
        let sent = &self.sent[refer as usize - 1];
        let (number, cseq) = (sent.phone, sent.cseq);
        if !self.phone(number).subscriptions.contains_key(&cseq) {
            self.responds(refer, 202, "");
        }
        let now = self.now;
        let phone = self.phone(number);
        let state = if is_last { "terminated;reason=noresource" } else { "active" };
        let content = Content { headers: &[], content_type: "message/sipfrag;version=2.0", body: fragment.as_bytes() };
        let subscription = phone.subscriptions[&cseq];
        // Where it has reported the end already, nothing goes out.
        let _ = phone.endpoint.notify(now, subscription, &Report { state, content }, &mut phone.out);
        self.pass_on(number);
    }

    /// The last request of ours in a dialog.
    pub(in crate::tests) fn last_request(&self) -> u64 {
        self.sent.len() as u64
    }

    /// The final answers that a phone has got since it was asked last.
    pub(in crate::tests) fn heard(&mut self, number: u64) -> Vec<u16> {
        self.deliver(number);
        let heard: Vec<(Option<ClientRequestId>, u16)> = std::mem::take(&mut self.phone(number).heard);
        heard.into_iter().map(|(_, status)| status).collect()
    }
}
