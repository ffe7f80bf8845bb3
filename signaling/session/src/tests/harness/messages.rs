use crate::tests::harness::World;
use crate::tests::harness::phone::Phone;
use sip_core::Flow;
use sip_wire::{Message, Method};
use std::net::SocketAddr;

/// What the switch says, as its phones read it. Phones and what they have sent go by the numbers of the test; requests of the
/// switch by a number each, in the order in which they leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::tests) enum Said {
    /// 180 without a description.
    Ringing(u64),
    /// 200 to an INVITE, with its description.
    Accept(u64, String),
    /// A refused INVITE: status and `Retry-After`.
    Reject(u64, u16, Option<u64>),
    /// A final answer to another request: status and body.
    Respond(u64, u16, String),
    Bye(u64),
    /// Another provisional response.
    Progress(u64, u16, String),
    /// Call, Request-URI, description.
    Invite(u64, String, String),
    Cancel(u64),
    Refer(u64, u64, String),
    /// 202 to a REFER that makes a subscription.
    AcceptRefer(u64),
    Notify(u64, u16, bool),
    Reinvite(u64, u64, String),
    Info(u64, u64, String),
    /// Any other request: in which dialog, method and body, or method and Request-URI.
    Request(u64, Option<u64>, String),
}

/// A call that the switch places.
pub(in crate::tests) struct Placed {
    pub(super) call_id: Vec<u8>,
    /// Its INVITE.
    pub(super) text: Vec<u8>,
    pub(super) to: SocketAddr,
    /// The phones that it has reached: more than one where a proxy forks.
    pub(super) phones: Vec<u64>,
}

/// A request of the switch in a dialog.
pub(in crate::tests) struct Sent {
    pub(super) phone: u64,
    pub(super) cseq: u32,
    pub(super) method: Vec<u8>,
}

/// What the endpoint writes into its messages by itself.
fn is_usual(message: &Message<'_>, name: &str, value: &str) -> bool {
    let status = message.status().map_or(0, |status| status.code());
    match name {
        "Via" | "Max-Forwards" | "From" | "To" | "Call-ID" | "CSeq" | "Content-Type" | "Content-Length" => true,
        "Contact" => status < 300,
        "User-Agent" | "Server" => value == "ringplane",
        "Allow" => value.starts_with("INVITE, ACK"),
        "Supported" => value == "100rel, timer, replaces",
        "Accept" => value.starts_with("application/sdp"),
        "Require" => value == "100rel" && (101..200).contains(&status),
        "RSeq" => true,
        "Retry-After" => message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite),
        "Warning" => value.contains(" ringplane ") && message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite),
        _ => false,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Header fields that the endpoint does not write by itself.
fn further_headers(message: &Message<'_>) -> Vec<(String, String)> {
    let all = message.headers().map(|header| (text(header.raw_name), text(header.value)));
    all.filter(|(name, value)| !is_usual(message, name, value)).collect()
}

impl World {
    /// What the switch has said since it was asked last.
    pub(in crate::tests) fn said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    /// A message leaves the switch.
    pub(super) fn note(&mut self, flow: Flow, bytes: Vec<u8>) {
        let is_copy = !self.seen.insert(bytes.clone());
        let Ok(message) = Message::parse(&bytes) else { panic!("not a message: {}", text(&bytes)) };
        let call_id = message.call_id().expect("a Call-ID").to_vec();
        let tag = if message.is_request() { message.to_tag() } else { message.from_tag() };
        let phone = tag.and_then(|tag| self.by_names.get(&(call_id.clone(), tag.to_vec()))).copied();
        let said = match phone {
            Some(number) => self.said_to(number, &message),
            None => self.said_outside(&message, flow, &call_id),
        };
        if let Some(said) = said.filter(|_| !is_copy) {
            self.headers = further_headers(&message);
            self.said.push(said);
        }
        let placed = self.calls_placed.get(&call_id).map(|index| &self.placed[*index]);
        let phones = phone.map_or_else(|| placed.map_or(vec![], |placed| placed.phones.clone()), |phone| vec![phone]);
        for number in phones {
            let Some(phone) = self.phones.get_mut(&number).filter(|_| !self.is_lossy) else { continue };
            if !phone.held.contains(&bytes) {
                phone.held.push_back(bytes.clone());
            }
            if message.method() == Some(Method::Invite) && phone.dialog.is_none() {
                self.at_once.push_back(number);
            }
        }
    }

    fn said_to(&mut self, number: u64, message: &Message<'_>) -> Option<Said> {
        let cseq = message.cseq().expect("a CSeq");
        let body = text(message.body());
        match message.status() {
            Some(status) => self.answered_to(number, message, status.code()),
            None => {
                let method = text(cseq.method_raw);
                match cseq.method {
                    Method::Ack | Method::Prack => return None,
                    Method::Bye => return Some(Said::Bye(number)),
                    Method::Cancel => return self.call_of(number).map(Said::Cancel),
                    _ => {}
                }
                self.sent.push(Sent { phone: number, cseq: cseq.number, method: cseq.method_raw.to_vec() });
                let request = self.sent.len() as u64;
                Some(match cseq.method {
                    Method::Invite => Said::Reinvite(request, number, body),
                    Method::Info => Said::Info(request, number, body),
                    Method::Refer => {
                        let target = text(message.header_named("Refer-To").expect("Refer-To"));
                        Said::Refer(request, number, target.trim_matches(['<', '>']).to_owned())
                    }
                    Method::Notify => {
                        let state = text(message.header_named("Subscription-State").expect("its state"));
                        let status = body.split(' ').nth(1).and_then(|status| status.parse().ok());
                        let refer = self.referred.get(&number).copied().unwrap_or_default();
                        Said::Notify(refer, status.expect("a status line"), state.starts_with("terminated"))
                    }
                    _ => Said::Request(request, Some(number), format!("{method} {body}")),
                })
            }
        }
    }

    /// An answer to a request of a phone.
    fn answered_to(&mut self, number: u64, message: &Message<'_>, status: u16) -> Option<Said> {
        let phone: &Phone = self.phones.get(&number)?;
        let cseq = message.cseq().expect("a CSeq");
        let name = *phone.names.get(&(cseq.method_raw.to_vec(), cseq.number))?;
        let body = text(message.body());
        let retry_after =
            || message.header_named("Retry-After").and_then(|value| text(value).split([' ', ';']).next()?.parse().ok());
        match (cseq.method, status) {
            (Method::Bye | Method::Cancel | Method::Prack, _) | (_, 100) => None,
            (Method::Invite, 487) if phone.has_given_up => None,
            (Method::Invite, 180) if body.is_empty() => Some(Said::Ringing(name)),
            (Method::Invite, 101..200) => Some(Said::Progress(name, status, body)),
            (Method::Invite, 200) => Some(Said::Accept(name, body)),
            (Method::Invite, _) => {
                self.phrase = text(message.reason_phrase());
                Some(Said::Reject(name, status, retry_after()))
            }
            (Method::Refer, 202) if message.header_named("Refer-Sub").is_none() => Some(Said::AcceptRefer(name)),
            _ => Some(Said::Respond(name, status, body)),
        }
    }

    /// A message that belongs to no dialog: a new request, or a CANCEL.
    fn said_outside(&mut self, message: &Message<'_>, flow: Flow, call_id: &[u8]) -> Option<Said> {
        let known = self.calls_placed.get(call_id).copied();
        let uri = text(message.request_uri_raw());
        match (message.method()?, known) {
            (Method::Cancel, Some(index)) => Some(Said::Cancel(index as u64 + 1)),
            (Method::Ack, _) => None,
            (Method::Invite, Some(index)) => {
                self.placed[index].text = message.as_bytes().to_vec();
                None
            }
            (Method::Invite, None) => {
                let address = |name| text(message.header_named(name).expect("it is there"));
                let from = address("From");
                self.parties = (from.split(";tag=").next().unwrap_or_default().to_owned(), address("To"));
                self.max_forwards = address("Max-Forwards").parse().expect("a number");
                self.flow = Some(flow);
                let number = self.placed.len() as u64 + 1;
                let phones = vec![super::peers::UNNAMED + number];
                self.calls_placed.insert(call_id.to_vec(), self.placed.len());
                self.placed.push(Placed {
                    call_id: call_id.to_vec(),
                    text: message.as_bytes().to_vec(),
                    to: flow.remote,
                    phones,
                });
                self.add_phone(super::peers::UNNAMED + number, flow.remote);
                Some(Said::Invite(number, uri, text(message.body())))
            }
            (method, _) => {
                self.sent.push(Sent { phone: 0, cseq: 0, method: Vec::new() });
                let method = text(method.as_bytes());
                Some(Said::Request(self.sent.len() as u64, None, format!("{method} {uri}")))
            }
        }
    }
}
