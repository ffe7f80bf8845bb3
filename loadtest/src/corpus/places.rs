//! Sound requests with a piece of a corpus in one place.

use super::{Form, Sample, find};
use std::net::SocketAddr;

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// As the Via field names it: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub transport: &'p str,
    /// Where answers come.
    pub local: SocketAddr,
    /// In every branch and Call-ID, so that no two runs meet.
    pub run: &'p str,
}

/// A dialog that requests are made in.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Its Call-ID; the From tag is `a1`.
    pub call_id: String,
    /// The To tag, as it is written: `;tag=x`.
    pub to_tag: String,
    /// The number of its last request.
    pub cseq: u32,
}

/// A request that has to be answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// The piece of the corpus that it carries, and where in the request that stands.
    pub what: String,
    /// Its branch, by which its answer is known.
    pub branch: String,
    /// Its method.
    pub method: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Header fields, each with a request in which it matters.
const FIELDS: [(&str, &str); 62] = [
    ("Via", "OPTIONS"),
    ("From", "OPTIONS"),
    ("To", "OPTIONS"),
    ("Call-ID", "OPTIONS"),
    ("CSeq", "OPTIONS"),
    ("Max-Forwards", "OPTIONS"),
    ("Accept", "OPTIONS"),
    ("Accept-Encoding", "OPTIONS"),
    ("Accept-Language", "OPTIONS"),
    ("Authorization", "OPTIONS"),
    ("Proxy-Authorization", "OPTIONS"),
    ("Require", "OPTIONS"),
    ("Proxy-Require", "OPTIONS"),
    ("Supported", "OPTIONS"),
    ("Allow", "OPTIONS"),
    ("Allow-Events", "OPTIONS"),
    ("Timestamp", "OPTIONS"),
    ("Date", "OPTIONS"),
    ("Route", "OPTIONS"),
    ("Record-Route", "OPTIONS"),
    ("Path", "REGISTER"),
    ("Contact", "REGISTER"),
    ("Expires", "REGISTER"),
    ("Via", "INVITE"),
    ("From", "INVITE"),
    ("To", "INVITE"),
    ("Contact", "INVITE"),
    ("Record-Route", "INVITE"),
    ("Session-Expires", "INVITE"),
    ("Min-SE", "INVITE"),
    ("Replaces", "INVITE"),
    ("Join", "INVITE"),
    ("Target-Dialog", "INVITE"),
    ("Reason", "INVITE"),
    ("Diversion", "INVITE"),
    ("History-Info", "INVITE"),
    ("P-Asserted-Identity", "INVITE"),
    ("P-Preferred-Identity", "INVITE"),
    ("Remote-Party-ID", "INVITE"),
    ("Alert-Info", "INVITE"),
    ("Call-Info", "INVITE"),
    ("Reply-To", "INVITE"),
    ("Content-Type", "INVITE"),
    ("Content-Disposition", "INVITE"),
    ("Content-Encoding", "INVITE"),
    ("Recv-Info", "INVITE"),
    ("RAck", "PRACK"),
    ("Session-Expires", "UPDATE"),
    ("Contact", "UPDATE"),
    ("Refer-To", "REFER"),
    ("Referred-By", "REFER"),
    ("Refer-Sub", "REFER"),
    ("Event", "SUBSCRIBE"),
    ("Expires", "SUBSCRIBE"),
    ("Subscription-State", "NOTIFY"),
    ("Event", "NOTIFY"),
    ("Retry-After", "NOTIFY"),
    ("Info-Package", "INFO"),
    ("Content-Type", "INFO"),
    ("SIP-If-Match", "PUBLISH"),
    ("Warning", "MESSAGE"),
    ("X-Nobody-Knows", "MESSAGE"),
];

const SDP: &str = "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// What differs from a sound request.
#[derive(Clone, Copy, Default)]
struct Change<'c> {
    uri: Option<&'c [u8]>,
    /// In place of the field of that name; a Via comes behind the sender's own.
    field: Option<(&'c str, &'c [u8])>,
    body: Option<&'c [u8]>,
}

/// Every piece of the corpus in every place. In a dialog, its numbers go on; outside, INVITEs call `busy`, so that no call
/// comes of them; those with another session description call `tone`.
pub fn requests(samples: &[Sample], place: &Place<'_>, dialog: Option<&mut Dialog>) -> Vec<Request> {
    let mut maker = Maker { place: *place, dialog, made: Vec::new() };
    for sample in samples {
        let value = one_line(&sample.bytes);
        match sample.form {
            Form::Uri => {
                for method in ["OPTIONS", "INVITE", "MESSAGE"] {
                    maker.make(
                        &format!("{} as Request-URI", sample.name),
                        method,
                        &Change { uri: Some(&value), ..Change::default() },
                    );
                }
                maker.fields(&sample.name, &value);
                maker.fields(&sample.name, &[b"<", &value[..], b">"].concat());
            }
            Form::Value => maker.fields(&sample.name, &value),
            Form::Written => {
                let mut parts = value.splitn(4, |byte| *byte == b'|');
                let mut next = || parts.next().unwrap_or_default();
                let (uri, name, value, body) = (next(), String::from_utf8_lossy(next()).into_owned(), next(), next());
                let name = if name.is_empty() || name.contains([':', '\n', '\r']) { "X-Name" } else { &name };
                let change = Change { uri: Some(uri), field: Some((name, value)), body: Some(body) };
                maker.make(&sample.name, "MESSAGE", &change);
            }
            Form::Message => {
                let body = find(&sample.bytes, b"\r\n\r\n").map(|at| &sample.bytes[at + 4..]);
                if let Some(body) = body.filter(|body| find(body, b"v=0").is_some()) {
                    for method in ["INVITE", "UPDATE"] {
                        let change = Change { body: Some(body), ..Change::default() };
                        maker.make(&format!("the body of {}", sample.name), method, &change);
                    }
                }
            }
        }
    }
    maker.made
}

/// Line ends would begin header fields of their own.
fn one_line(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

struct Maker<'m> {
    place: Place<'m>,
    dialog: Option<&'m mut Dialog>,
    made: Vec<Request>,
}

impl Maker<'_> {
    fn fields(&mut self, name: &str, value: &[u8]) {
        for (field, method) in FIELDS {
            let change = Change { field: Some((field, value)), ..Change::default() };
            self.make(&format!("{name} as {field} of {method}"), method, &change);
        }
    }

    fn make(&mut self, what: &str, method: &'static str, change: &Change<'_>) {
        let Place { transport, local, run } = self.place;
        let number = self.made.len();
        let branch = format!("z9hG4bK{run}.{number}");
        let (call_id, to_tag, cseq) = match &mut self.dialog {
            Some(dialog) => {
                dialog.cseq += 1;
                (dialog.call_id.clone(), dialog.to_tag.clone(), dialog.cseq)
            }
            None => (format!("{run}.{number}"), String::new(), 1),
        };
        let user = if method == "INVITE" && change.body.is_none() { "busy" } else { "tone" };
        let fields = [
            ("From", "<sip:alice@example.com>;tag=a1".to_owned()),
            ("To", format!("<sip:{user}@example.com>{to_tag}")),
            ("Call-ID", call_id),
            ("CSeq", format!("{cseq} {method}")),
            ("Max-Forwards", "70".to_owned()),
            ("Contact", format!("<sip:alice@{local};transport={}>", transport.to_ascii_lowercase())),
        ];
        let more: &[(&str, &str)] = match method {
            "REFER" => &[("Refer-To", "<sip:b@127.0.0.1>")],
            "SUBSCRIBE" | "PUBLISH" => &[("Event", "presence")],
            "NOTIFY" => &[("Event", "presence"), ("Subscription-State", "active")],
            "PRACK" => &[("RAck", "1 1 INVITE")],
            "INVITE" | "UPDATE" => &[("Content-Type", "application/sdp")],
            _ => &[],
        };
        let body = change.body.unwrap_or(if method == "INVITE" { SDP.as_bytes() } else { b"" });
        let sound = format!("sip:{user}@127.0.0.1");
        let uri = change.uri.unwrap_or(sound.as_bytes());
        let mut bytes = [method.as_bytes(), b" ", uri, b" SIP/2.0\r\n"].concat();
        bytes.extend(format!("Via: SIP/2.0/{transport} {local};branch={branch};rport\r\n").into_bytes());
        let replaced = change.field.filter(|(name, _)| *name != "Via").map(|(name, _)| name);
        let all = fields.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
        for (name, value) in all.filter(|(name, _)| Some(*name) != replaced) {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if let Some((name, value)) = change.field {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        bytes.extend_from_slice(body);
        self.made.push(Request { what: what.to_owned(), branch, method, bytes });
    }
}

/// What follows an answer to INVITE: an ACK, and for a call that is new a BYE (RFC 3261 §13.2.2.4, §17.1.1.3).
pub fn acknowledgement(answer: &str, place: &Place<'_>, branch: &str, is_new: bool) -> Vec<String> {
    let line = |name: &str| answer.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let (from, to, call_id, cseq) = (line("From:"), line("To:"), line("Call-ID:"), line("CSeq:"));
    let number: u32 = cseq.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    let request = |method: &str, branch: &str, number: u32| {
        format!(
            "{method} sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{} {};branch={branch};rport\r\n{from}\r\n{to}\r\n{call_id}\r\n\
             CSeq: {number} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            place.transport, place.local
        )
    };
    if !answer.starts_with("SIP/2.0 2") {
        return vec![request("ACK", branch, number)];
    }
    let mut all = vec![request("ACK", &format!("{branch}.ack"), number)];
    if is_new {
        all.push(request("BYE", &format!("{branch}.bye"), number.saturating_add(1)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, form: Form, text: &str) -> Sample {
        Sample { name: name.into(), form, bytes: text.into() }
    }

    #[test]
    fn every_piece_stands_in_every_place() {
        let samples = [
            sample("uri/1", Form::Uri, "tel:+49\r\n"),
            sample("values/1", Form::Value, "a;b"),
            sample("written/1", Form::Written, "sip:a@b|X-One|value|body"),
            sample("rfc4475/1", Form::Message, "INVITE sip:a@b SIP/2.0\r\n\r\nv=0\r\n"),
            sample("rfc4475/2", Form::Message, "BYE sip:a@b SIP/2.0\r\n\r\n"),
        ];
        let place = Place { transport: "UDP", local: "127.0.0.1:9".parse().unwrap(), run: "r" };
        let all = requests(&samples, &place, None);
        assert_eq!(all.len(), 3 + 2 * FIELDS.len() + FIELDS.len() + 1 + 2);
        let mut branches: Vec<_> = all.iter().map(|request| &request.branch).collect();
        branches.sort();
        branches.dedup();
        assert_eq!(branches.len(), all.len(), "each is another transaction");
        let text = |at: usize| String::from_utf8(all[at].bytes.clone()).unwrap();
        assert!(
            text(0).starts_with("OPTIONS tel:+49   SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKr.0;rport")
        );
        let max_forwards =
            all.iter().position(|request| request.what == "values/1 as Max-Forwards of OPTIONS").unwrap();
        assert_eq!(text(max_forwards).matches("Max-Forwards: a;b\r\n").count(), 1);
        assert!(!text(max_forwards).contains("70"));
        assert!(text(all.len() - 3).ends_with("X-One: value\r\nContent-Length: 4\r\n\r\nbody"));
        let mut dialog = Dialog { call_id: "c".into(), to_tag: ";tag=t".into(), cseq: 7 };
        let inside = requests(&samples, &place, Some(&mut dialog));
        assert_eq!(dialog.cseq as usize, 7 + inside.len());
    }

    #[test]
    fn an_answer_is_acknowledged_and_a_new_call_ended() {
        let place = Place { transport: "TCP", local: "127.0.0.1:9".parse().unwrap(), run: "r" };
        let answer =
            "SIP/2.0 200 OK\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 4 INVITE\r\n\r\n";
        let methods = |all: Vec<String>| -> Vec<String> {
            all.iter().map(|text| text.lines().find(|line| line.starts_with("CSeq")).unwrap().to_owned()).collect()
        };
        assert_eq!(methods(acknowledgement(answer, &place, "b", true)), ["CSeq: 4 ACK", "CSeq: 5 BYE"]);
        assert_eq!(methods(acknowledgement(answer, &place, "b", false)), ["CSeq: 4 ACK"]);
        assert_eq!(methods(acknowledgement(&answer.replace("200", "486"), &place, "b", true)), ["CSeq: 4 ACK"]);
    }
}
