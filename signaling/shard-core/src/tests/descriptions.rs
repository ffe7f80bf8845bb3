//! Bodies and session descriptions as peers write them, from the wire to the wire: A calls through us to B.

use super::crossing::{Wire, line};
use clock::Duration;

const ISUP: &str = "Content-Type: application/isup;version=itu-t92+\r\n\r\n\u{1}\u{2}\r\n";

/// A description with these payload types.
fn sdp(formats: &str) -> String {
    format!(
        "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n"
    )
}

/// Header fields and a body.
type Body = (String, String);

fn plain(text: &str) -> Body {
    let kind = if text.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    (kind.to_owned(), text.to_owned())
}

/// The description as the second of three parts, without its last line end.
fn mixed(text: &str) -> Body {
    let text = text.trim_end();
    (
        "Content-Type: multipart/mixed;\r\n boundary=\"x y\"\r\nMIME-Version: 1.0\r\n".to_owned(),
        format!(
            "preamble\r\n--x y\r\n{ISUP}--x y\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\n{text}\r\n--x y\r\n{ISUP}--x y--\r\n"
        ),
    )
}

struct Caller {
    wire: Wire,
    cseq: u32,
    to: String,
}

impl Caller {
    fn new() -> Self {
        Self { wire: Wire::new(""), cseq: 1, to: "<sip:+493012@example.com>".to_owned() }
    }

    /// A's request; what goes to A and what goes to B.
    fn says(&mut self, method: &str, more: &str, (kind, body): &Body) -> (Vec<String>, Vec<String>) {
        let (cseq, to, length) = (self.cseq, &self.to, body.len());
        let text = format!(
            "{method} sip:+493012@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{method}{cseq}\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: {to}\r\nCall-ID: d1\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:alice@192.0.2.1:5070>\r\n{more}{kind}Content-Length: {length}\r\n\r\n{body}"
        );
        self.wire.a_says(&text)
    }

    /// B answers a request.
    fn b_answers(
        &mut self,
        request: &str,
        status: &str,
        tag: &str,
        more: &str,
        (kind, body): &Body,
    ) -> (Vec<String>, Vec<String>) {
        let copied = |name: &str| request.lines().find(|line| line.starts_with(name)).expect("it is there").to_owned();
        let to = if copied("To:").contains(";tag=") { copied("To:") } else { format!("{};tag={tag}", copied("To:")) };
        let (via, from, id, cseq) = (copied("Via:"), copied("From:"), copied("Call-ID:"), copied("CSeq:"));
        let length = body.len();
        let text = format!(
            "SIP/2.0 {status}\r\n{via}\r\n{from}\r\n{to}\r\n{id}\r\n{cseq}\r\nContact: <sip:b@192.0.2.7>\r\n{more}{kind}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.wire.b_says(&text)
    }

    /// A call that is up, by these descriptions. What B was offered and what A was answered.
    fn up(offer: &Body, answer: &Body) -> (Self, String, String) {
        let mut caller = Self::new();
        let (a, b) = caller.says("INVITE", "", offer);
        assert!(a.is_empty(), "{a:?}");
        let [invite] = &b[..] else { panic!("{b:?}") };
        let (a, b) = caller.b_answers(invite, "200 OK", "b1", "", answer);
        assert!(b.iter().any(|text| text.starts_with("ACK ")), "{b:?}");
        let [ok] = &a[..] else { panic!("{a:?}") };
        assert!(ok.starts_with("SIP/2.0 200 OK"), "{ok}");
        caller.to = line(ok, "To").to_owned();
        caller.says("ACK", "", &plain(""));
        (caller, invite.clone(), ok.clone())
    }

    fn next(&mut self, method: &str, more: &str, body: &Body) -> (Vec<String>, Vec<String>) {
        self.cseq += 1;
        self.says(method, more, body)
    }
}

/// The media lines of a message.
fn media(message: &str) -> Vec<&str> {
    message
        .lines()
        .filter(|line| line.starts_with("m="))
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect()
}

fn formats(message: &str) -> &str {
    let line = message.lines().find(|line| line.starts_with("m=audio")).unwrap_or_else(|| panic!("{message}"));
    line.split_once("RTP/AVP ").expect("formats").1
}

#[test]
fn bodies_of_several_parts_in_every_message() {
    for (offer, answer) in [
        (mixed(&sdp("0 8")), plain(&sdp("8"))),
        (plain(&sdp("0 8")), mixed(&sdp("8"))),
        (mixed(&sdp("0 8")), mixed(&sdp("8"))),
    ] {
        let (mut caller, invite, ok) = Caller::up(&offer, &answer);
        assert_eq!((formats(&invite), formats(&ok)), ("0 8 9 96", "8"));
        // Other parts are for us alone.
        assert_eq!(line(&invite, "Content-Type"), "application/sdp");
        assert!(!invite.contains("isup") && !ok.contains("isup"));
        // A re-INVITE, and its answer.
        let (_, b) = caller.next("INVITE", "", &mixed(&sdp("0")));
        assert_eq!(formats(&b[0]), "0 8 9 96", "B has not shown PCMU: {b:?}");
        let (a, _) = caller.b_answers(&b[0], "200 OK", "", "", &mixed(&sdp("0")));
        assert_eq!(formats(&a[0]), "0", "{a:?}");
        let (_, b) = caller.next("INVITE", "", &plain(&sdp("0 8")));
        assert_eq!(formats(&b[0]), "0 8", "B has: {b:?}");
    }
    // A late offer: the answer is in the ACK.
    let mut caller = Caller::new();
    let (_, b) = caller.says("INVITE", "", &plain(""));
    let (a, _) = caller.b_answers(&b[0], "200 OK", "b1", "", &mixed(&sdp("0 8")));
    assert_eq!(formats(&a[0]), "0 8 9 96", "what B has comes first");
    caller.to = line(&a[0], "To").to_owned();
    let (_, b) = caller.says("ACK", "", &mixed(&sdp("8")));
    // B hears that only this one is left.
    assert!(b[0].starts_with("INVITE ") && formats(&b[0]) == "8", "{b:?}");
}

#[test]
fn early_media_in_several_parts_and_what_a_fork_answers() {
    let mut caller = Caller::new();
    let (_, b) = caller.says("INVITE", "", &plain(&sdp("0 8")));
    let (a, _) = caller.b_answers(&b[0], "183 Session Progress", "b1", "", &mixed(&sdp("0")));
    assert!(a[0].starts_with("SIP/2.0 183") && formats(&a[0]) == "0", "{a:?}");
    let (a, _) = caller.b_answers(&b[0], "200 OK", "b2", "", &plain(&sdp("8")));
    assert!(a[0].starts_with("SIP/2.0 200") && formats(&a[0]) == "8", "{a:?}");
    // As before, where A has acknowledged the first answer: it is asked to change after its ACK.
    let mut caller = Caller::new();
    let (_, b) = caller.says("INVITE", "Supported: 100rel\r\nRequire: 100rel\r\n", &plain(&sdp("0 8")));
    let invite = b[0].clone();
    let (a, _) = caller.b_answers(&invite, "183 Session Progress", "b1", "", &plain(&sdp("0")));
    assert!(a[0].starts_with("SIP/2.0 183") && formats(&a[0]) == "0", "{a:?}");
    caller.to = line(&a[0], "To").to_owned();
    let rack = format!("RAck: {} 1 INVITE\r\n", line(&a[0], "RSeq"));
    // What is in a PRACK beside descriptions is for nobody.
    let optional = ("Content-Type: text/x\r\nContent-Disposition: x;handling=optional\r\n".to_owned(), "x".to_owned());
    let (a, _) = caller.next("PRACK", &rack, &optional);
    assert!(a[0].starts_with("SIP/2.0 200"), "{a:?}");
    let (a, _) = caller.b_answers(&invite, "200 OK", "b2", "", &plain(&sdp("8")));
    assert!(a[0].starts_with("SIP/2.0 200") && formats(&a[0]) == "0", "{a:?}");
    caller.cseq = 1;
    let (a, b) = caller.says("ACK", "", &plain(""));
    assert!(a[0].starts_with("INVITE ") && formats(&a[0]) == "8", "{a:?}");
    assert!(b.is_empty(), "{b:?}");
}

/// An offer in the PRACK, once ours has been answered (RFC 3262 §5).
#[test]
fn an_offer_in_a_prack_is_answered() {
    let mut caller = Caller::new();
    let (_, b) = caller.says("INVITE", "Supported: 100rel\r\nRequire: 100rel\r\n", &plain(&sdp("0 8")));
    let (a, _) = caller.b_answers(&b[0], "183 Session Progress", "b1", "", &plain(&sdp("0 8")));
    caller.to = line(&a[0], "To").to_owned();
    let rack = format!("RAck: {} 1 INVITE\r\n", line(&a[0], "RSeq"));
    let (a, _) = caller.next("PRACK", &rack, &mixed(&sdp("8")));
    assert!(a[0].starts_with("SIP/2.0 200") && formats(&a[0]) == "8", "{a:?}");
}

#[test]
fn an_offer_of_nothing_is_refused_and_the_call_goes_on() {
    let (mut caller, ..) = Caller::up(&plain(&sdp("0")), &plain(&sdp("0")));
    let off = sdp("0").replace("audio 4000", "audio 0");
    for (offer, warning) in [
        (off.clone() + "m=image 4002 udptl t38\r\n", "304"),
        (off.clone(), "304"),
        (sdp("0").replace("RTP/AVP", "RTP/SAVP"), "302"),
        (sdp("13"), "305"),
    ] {
        for method in ["INVITE", "UPDATE"] {
            let (a, b) = caller.next(method, "", &plain(&offer));
            assert!(a[0].starts_with("SIP/2.0 488") && line(&a[0], "Warning").starts_with(warning), "{a:?}");
            assert!(b.is_empty(), "{b:?}");
            if method == "INVITE" {
                caller.says("ACK", "", &plain(""));
            }
        }
        let (a, b) = Caller::new().says("INVITE", "", &plain(&offer));
        assert!(a[0].starts_with("SIP/2.0 488") && line(&a[0], "Warning").starts_with(warning), "{a:?}");
        assert!(b.is_empty(), "{b:?}");
    }
    // The second audio line, with fax refused in its place.
    let (_, b) = caller.next("INVITE", "", &plain(&(off + "m=image 4002 udptl t38\r\nm=audio 4004 RTP/AVP 0\r\n")));
    let (a, _) = caller.b_answers(&b[0], "200 OK", "", "", &plain(&sdp("0")));
    assert_eq!(media(&a[0]), ["m=audio", "m=image", "m=audio"], "{a:?}");
    caller.says("ACK", "", &plain(""));
    let (a, _) = caller.next("BYE", "", &plain(""));
    assert!(a[0].starts_with("SIP/2.0 200"), "{a:?}");
    caller.wire.wait(Duration::from_secs(1));
}

#[test]
fn bodies_that_are_refused() {
    let required = (
        "Content-Type: multipart/mixed;boundary=b\r\n".to_owned(),
        format!(
            "--b\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--b\r\nContent-Disposition: x;handling=required\r\n{ISUP}--b--",
            sdp("0")
        ),
    );
    let other = ("Content-Type: application/isup\r\n".to_owned(), "x".to_owned());
    let encoded = ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n".to_owned(), "x".to_owned());
    for (more, body, status, name, value) in [
        ("", &required, "415", "Accept", "application/sdp, multipart/mixed"),
        ("", &other, "415", "Accept", "application/sdp, multipart/mixed"),
        ("", &encoded, "415", "Accept-Encoding", "identity"),
        ("Accept: text/plain\r\n", &plain(&sdp("0")), "406", "CSeq", "1 INVITE"),
        ("Accept: text/plain\r\n", &plain(""), "406", "CSeq", "1 INVITE"),
    ] {
        let (a, b) = Caller::new().says("INVITE", more, body);
        assert!(a[0].starts_with(&format!("SIP/2.0 {status}")), "{a:?}");
        assert!(line(&a[0], name).starts_with(value) && b.is_empty(), "{a:?}");
    }
    // Where the answer needs no description, Accept leaves room for it.
    let (a, _) = Caller::new().says("OPTIONS", "Accept: text/plain\r\n", &plain(""));
    assert!(a[0].starts_with("SIP/2.0 200") && a[0].ends_with("\r\n\r\n"), "{a:?}");
}

#[test]
fn sloppy_descriptions_make_calls() {
    let usual = sdp("0 8");
    for text in [
        format!("\r\n\r\n{usual}"),
        usual.trim_end().to_owned(),
        usual.replace("\r\n", "\n"),
        usual.clone() + "\0",
        usual.replace("c=IN IP4 192.0.2.1", "c=IN IP4 phone.example.com"),
        usual.replace("s=-\r\n", "").replace("t=0 0\r\n", ""),
        usual.replace("audio 4000", "audio 4000/1"),
    ] {
        for (kind, text) in [("", &text), ("c: Application/SDP;charset=x\r\n", &text)] {
            let body = (kind.to_owned(), text.clone());
            let (_, invite, ok) = Caller::up(&body, &body);
            assert_eq!((formats(&invite), formats(&ok)), ("0 8 9 96", "0 8"), "{text:?}");
        }
    }
    let lines = "m=video\r\nm=text 4002\r\nm=audio 4000 RTP/AVP 0 8\r\nm=message 9 TCP/MSRP *\r\n";
    let offer = usual.replace("m=audio 4000 RTP/AVP 0 8\r\n", lines);
    let (_, invite, ok) = Caller::up(&plain(&offer), &plain(&usual));
    assert_eq!(media(&invite), ["m=audio"]);
    assert_eq!(media(&ok), ["m=video", "m=text", "m=audio", "m=message"]);
}

#[test]
fn direction_and_packet_time_of_the_first_offer_and_answer_cross() {
    let offer = sdp("0") + "a=sendonly\r\na=ptime:30\r\na=maxptime:60\r\n";
    let (_, invite, ok) = Caller::up(&plain(&offer), &plain(&(sdp("0") + "a=recvonly\r\na=ptime:40\r\n")));
    assert!(["a=sendonly", "a=ptime:30", "a=maxptime:60"].iter().all(|line| invite.contains(line)), "{invite}");
    assert!(["a=recvonly", "a=ptime:40"].iter().all(|line| ok.contains(line)) && !ok.contains("maxptime"), "{ok}");
}
