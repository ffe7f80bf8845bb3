//! The same work with three parsers: parse, then read Via, From, To, CSeq, Call-ID and Contact as types.

use sip_wire::{Message, Reply, ResponseWriter, StatusCode};
use std::hint::black_box;

/// One job over the sample; gives something that depends on the result.
pub(crate) type Job = fn(&[u8], &mut Vec<u8>) -> usize;

/// Every job by name.
pub(crate) const JOBS: [(&str, Job); 7] = [
    ("ours", ours),
    ("parse", parse),
    ("validate", validate),
    ("answer", answer),
    ("call_id", call_id),
    ("rsip", rsip),
    ("sipx", sipx),
];

pub(crate) fn find(name: &str) -> Option<Job> {
    JOBS.iter().find(|(n, _)| *n == name).map(|(_, job)| *job)
}

/// A real-looking INVITE with SDP of 1 KB.
pub(crate) fn sample() -> Vec<u8> {
    include_bytes!("../../tests/samples/invite_1k.sip").to_vec()
}

fn typed(message: &Message<'_>) -> usize {
    let via = message.top_via().expect("Via");
    let from = message.from().expect("From");
    let to = message.to().expect("To");
    let cseq = message.cseq().expect("CSeq");
    let call_id = message.call_id().expect("Call-ID");
    let contact = message.contact().expect("Contact").expect("Contact");
    black_box((via.branch(), from.tag(), to.tag(), contact.uri.host));
    cseq.number as usize + call_id.len()
}

fn ours(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    typed(&Message::parse(bytes).expect("sample"))
}

fn parse(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    black_box(Message::parse(bytes).expect("sample")).header_count()
}

fn validate(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    let message = Message::parse(bytes).expect("sample");
    message.validate_request().expect("sample");
    typed(&message)
}

fn answer(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    let message = Message::parse(bytes).expect("sample");
    let used = typed(&message);
    let source = Some(std::net::SocketAddr::from(([198, 51, 100, 7], 5060)));
    let reply = Reply { to_tag: Some(b"a6c85cf"), source, ..Reply::default() };
    used + ResponseWriter::new(out, &message, StatusCode::RINGING, &reply).finish().expect("sample")
}

fn call_id(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    sip_wire::call_id(bytes).expect("sample").len()
}

fn rsip(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    use rsip::prelude::*;
    let message = rsip::Request::try_from(bytes).expect("sample");
    let via = message.via_header().expect("Via").typed().expect("Via");
    let from = message.from_header().expect("From").typed().expect("From");
    let to = message.to_header().expect("To").typed().expect("To");
    let cseq = message.cseq_header().expect("CSeq").typed().expect("CSeq");
    let call_id = message.call_id_header().expect("Call-ID").value().len();
    let contact = message.contact_header().expect("Contact").typed().expect("Contact");
    black_box((via.branch(), from.tag(), to.tag(), contact.uri.host()));
    cseq.seq as usize + call_id
}

fn sipx(bytes: &[u8], _: &mut Vec<u8>) -> usize {
    use sipx_sip::headers::{CSeq, CallId, Contact, From, To, Via};
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let message = sipx_sip::parse_datagram(bytes, &sipx_sip::Limits::datagram()).expect("sample");
    let headers = message.headers();
    let via = headers.typed::<Via>().expect("Via").expect("Via");
    let from = headers.typed::<From>().expect("From").expect("From");
    let to = headers.typed::<To>().expect("To").expect("To");
    let cseq = headers.typed::<CSeq>().expect("CSeq").expect("CSeq");
    let call_id = headers.typed::<CallId>().expect("Call-ID").expect("Call-ID");
    let contact = headers.typed::<Contact>().expect("Contact").expect("Contact");
    black_box((via.branch(), from.0.tag(), to.0.tag(), contact.0.uri.host()));
    cseq.sequence as usize + call_id.0.len()
}
