//! Two independent parsers, `rsip` and `sipx-sip`, beside ours: where both accept, the fields agree. What differs on purpose
//! has its name here.

use mutate::{corpus, mutant};
use std::collections::BTreeMap;
use std::panic::catch_unwind;

#[allow(dead_code)] // shared with the mutation test
mod mutate;

/// What a parser makes of a message, field by field; a field that it cannot type is absent.
type Facts = BTreeMap<&'static str, Vec<u8>>;

/// A folded or padded value as one line, so that parsers that keep folds compare with those that do not.
fn flat(bytes: &[u8]) -> Vec<u8> {
    let words = bytes.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

fn ours(bytes: &[u8]) -> Option<Facts> {
    use sip_wire::Host;
    let m = sip_wire::Message::parse(bytes).ok()?;
    if m.fault().is_some() {
        return None;
    }
    let mut facts = Facts::new();
    let mut put = |name, value: Option<Vec<u8>>| drop(value.map(|v| facts.insert(name, v)));
    put("method", m.method().map(|x| x.as_bytes().to_vec()));
    put("status", m.status().map(|s| s.code().to_string().into_bytes()));
    put("call-id", m.call_id().ok().map(<[u8]>::to_vec));
    put("cseq", m.cseq().ok().map(|c| format!("{} {}", c.number, c.method).into_bytes()));
    put("from tag", m.from().ok().map(|a| a.tag().unwrap_or_default().to_vec()));
    put("to tag", m.to().ok().map(|a| a.tag().unwrap_or_default().to_vec()));
    put("from uri", m.from().ok().map(|a| a.uri.as_bytes().to_vec()));
    put("to uri", m.to().ok().map(|a| a.uri.as_bytes().to_vec()));
    let host = |h: Host<'_>| h.to_string().trim_matches(['[', ']']).to_ascii_lowercase().into_bytes();
    put("via host", m.top_via().ok().map(|v| host(v.host)));
    put("via port", m.top_via().ok().map(|v| format!("{:?}", v.port).into_bytes()));
    put("via branch", m.top_via().ok().map(|v| v.branch().unwrap_or_default().to_vec()));
    put("via transport", m.top_via().ok().map(|v| v.transport_raw().to_ascii_uppercase()));
    let contact = m.contacts().next().and_then(Result::ok).and_then(|c| c.address().copied());
    put("contact uri", contact.map(|a| a.uri.as_bytes().to_vec()));
    put(
        "body",
        (m.content_length().is_ok_and(|l| l.is_none_or(|l| l <= m.after_headers().len()))).then(|| m.body().to_vec()),
    );
    Some(facts)
}

fn sipx(bytes: &[u8]) -> Option<Facts> {
    use sipx_sip::headers::{CSeq, CallId, ContactValue, From, To, Via};
    use sipx_sip::{Limits, Message, parse_datagram};
    let m = parse_datagram(bytes::Bytes::copy_from_slice(bytes), &Limits::datagram()).ok()?;
    let mut facts = Facts::new();
    let mut put = |name, value: Option<Vec<u8>>| drop(value.map(|v| facts.insert(name, v)));
    match &m {
        Message::Request(r) => put("method", Some(r.method.as_bytes().to_vec())),
        Message::Response(r) => put("status", Some(r.status.code().to_string().into_bytes())),
    }
    let h = m.headers();
    put("call-id", h.typed::<CallId>().and_then(Result::ok).map(|c| c.0));
    let cseq = h.typed::<CSeq>().and_then(Result::ok);
    put("cseq", cseq.map(|c| [c.sequence.to_string().as_bytes(), b" ", c.method.as_bytes()].concat()));
    if let Some(Ok(from)) = h.typed::<From>() {
        put("from tag", Some(from.0.tag().unwrap_or_default().to_vec()));
        put("from uri", Some(from.0.uri.to_bytes().to_vec()));
    }
    if let Some(Ok(to)) = h.typed::<To>() {
        put("to tag", Some(to.0.tag().unwrap_or_default().to_vec()));
        put("to uri", Some(to.0.uri.to_bytes().to_vec()));
    }
    if let Some(Ok(via)) = h.typed::<Via>() {
        put("via host", Some(via.host.to_bytes().to_ascii_lowercase()));
        put("via port", Some(format!("{:?}", via.port).into_bytes()));
        put("via branch", Some(via.branch().unwrap_or_default().to_vec()));
        put("via transport", Some(via.transport.to_ascii_uppercase()));
    }
    if let Some(Ok(ContactValue::Address(one))) = h.typed::<ContactValue>() {
        put("contact uri", Some(one.uri.to_bytes().to_vec()));
    }
    put("body", Some(m.body().to_vec()));
    Some(facts)
}

/// rsip panics on some input (bytes that are no UTF-8, for one); that counts as refusing.
fn rsip(bytes: &[u8]) -> Option<Facts> {
    let copy = bytes.to_vec();
    catch_unwind(move || rsip_facts(&copy)).ok().flatten()
}

fn rsip_facts(bytes: &[u8]) -> Option<Facts> {
    use rsip::prelude::*;
    let m = rsip::SipMessage::try_from(bytes).ok()?;
    let mut facts = Facts::new();
    let mut put = |name, value: Option<String>| drop(value.map(|v| facts.insert(name, v.into_bytes())));
    match &m {
        rsip::SipMessage::Request(r) => put("method", Some(r.method().to_string())),
        rsip::SipMessage::Response(r) => put("status", Some(r.status_code().code().to_string())),
    }
    put("call-id", m.call_id_header().ok().map(|c| c.value().to_string()));
    put("cseq", m.cseq_header().ok().and_then(|c| c.typed().ok()).map(|c| format!("{} {}", c.seq, c.method)));
    if let Some(from) = m.from_header().ok().and_then(|f| f.typed().ok()) {
        put("from tag", Some(from.tag().map(|t| t.to_string()).unwrap_or_default()));
    }
    if let Some(to) = m.to_header().ok().and_then(|f| f.typed().ok()) {
        put("to tag", Some(to.tag().map(|t| t.to_string()).unwrap_or_default()));
    }
    if let Some(via) = m.via_header().ok().and_then(|v| v.typed().ok()) {
        put("via host", Some(via.uri.host().to_string().to_ascii_lowercase()));
        put("via branch", Some(via.branch().map(|b| b.to_string()).unwrap_or_default()));
        put("via transport", Some(via.transport.to_string().to_ascii_uppercase()));
    }
    Some(facts)
}

/// Why rsip may say something else, by name.
fn excuse(bytes: &[u8], difference: &str) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let value = difference.rsplit("ours ").next().unwrap_or_default().trim_matches('"');
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if text.replace("\r\n", "").contains(['\r', '\n']) {
        return Some("a line that ends with LF alone is no line end to rsip");
    }
    if !value.chars().all(token) {
        return Some("rsip ends a parameter value at the first character that is no token character");
    }
    if difference.contains(": theirs \"\"") {
        return Some("rsip drops all parameters that follow one which it cannot read");
    }
    if difference.starts_with("via ") && text.lines().any(|line| line.contains("SIP/2.0/") && line.contains(',')) {
        return Some("rsip takes the comma between two Via values for a part of the host");
    }
    if difference.starts_with("via branch") && text.lines().any(|line| line.matches(";branch").count() > 1) {
        return Some("of a parameter that comes twice rsip takes the last");
    }
    if difference.starts_with("method") {
        return Some("rsip reads methods in any case");
    }
    let names = ["i", "f", "t", "v", "call-id", "from", "to", "via", "cseq"];
    let lines = text.lines().filter_map(|l| l.split_once(':')).map(|(n, _)| n.trim().to_ascii_lowercase());
    let count = lines.filter(|n| names.contains(&n.as_str())).count();
    if count > 5 {
        return Some("rsip does not know a compact form in upper case, and takes the next header field of that name");
    }
    None
}

fn differences(theirs: &Facts, ours: &Facts) -> Vec<String> {
    let both = theirs.iter().filter_map(|(field, value)| Some((field, value, ours.get(field)?)));
    let shown = |bytes: &[u8]| format!("{:?}", bytes.escape_ascii().to_string());
    both.filter(|(_, a, b)| flat(a) != flat(b))
        .map(|(field, a, b)| format!("{field}: theirs {}, ours {}", shown(a), shown(b)))
        .collect()
}

/// Who accepts what, where we differ, one line each: `file parser: who`.
const ACCEPTANCE: &str = "
baddn rsip: only they accept
badinv01 rsip: only they have [\"via branch\", \"via host\", \"via transport\"]
badvers sipx: only they accept
clerr sipx: only we accept
esc01 rsip: only we accept
esc02 rsip: only we accept
escruri rsip: only we accept
intmeth rsip: only we accept
longreq rsip: only we accept
ltgtruri sipx: only we accept
mcl01 sipx: only we accept
mismatch02 rsip: only we accept
ncl sipx: only we accept
quotbal rsip: only they have [\"to tag\"]
scalar02 rsip: only we accept
semiuri rsip: only we accept
unkscm rsip: only we accept
wsinv rsip: only we accept
ipv6-bad sipx: only we accept
ipv6-bad rsip: only we accept
ipv6-bug-abnf-3-colons rsip: only we accept
ipv6-correct-abnf-2-colons rsip: only we accept
ipv6-good rsip: only we accept
ipv6-in-sdp sipx: only we accept
ipv6-in-sdp rsip: only we accept
mult-ip-in-sdp rsip: only we accept
port-ambiguous rsip: only we accept
port-unambiguous rsip: only we accept
via-received-param-no-delim rsip: only we accept
via-received-param-with-delim rsip: only we accept
";

#[test]
fn on_the_corpus_the_fields_agree() {
    let mut found = String::from("\n");
    let mut add = |line: String| found.push_str(&(line + "\n"));
    for (name, bytes) in corpus() {
        let our = ours(&bytes);
        for (parser, theirs) in [("sipx", sipx(&bytes)), ("rsip", rsip(&bytes))] {
            match (&theirs, &our) {
                (Some(a), Some(b)) => {
                    differences(a, b).into_iter().for_each(|difference| add(format!("{name} {parser}: {difference}")));
                    let missing: Vec<_> = a.keys().filter(|field| !b.contains_key(*field)).collect();
                    if !missing.is_empty() {
                        add(format!("{name} {parser}: only they have {missing:?}"));
                    }
                }
                (Some(_), None) => add(format!("{name} {parser}: only they accept")),
                (None, Some(_)) => add(format!("{name} {parser}: only we accept")),
                (None, None) => {}
            }
        }
    }
    assert_eq!(found, ACCEPTANCE, "{found}");
}

#[test]
fn on_mutants_the_fields_agree() {
    let corpus = corpus();
    let (mut compared_count, mut wrong) = ([0; 2], Vec::new());
    for seed in 0..40_000 {
        let bytes = mutant(&corpus, seed);
        let Some(our) = ours(&bytes) else { continue };
        for (index, theirs) in [sipx(&bytes), rsip(&bytes)].into_iter().enumerate() {
            let Some(theirs) = theirs else { continue };
            compared_count[index] += 1;
            let found = differences(&theirs, &our).into_iter();
            let unexcused = found.filter(|difference| index == 0 || excuse(&bytes, difference).is_none());
            wrong.extend(unexcused.map(|difference| format!("seed {seed}: {difference}: {}", bytes.escape_ascii())));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "{}", wrong.join("\n"));
    assert!(compared_count.iter().all(|count| *count > 5_000), "{compared_count:?}");
}
