//! The few SIP messages that a caller sends, and what it must understand of those that it gets.
//!
//! This speaks SIP by itself, on purpose: what judges the switch must not share its mistakes.

use std::net::SocketAddr;

/// What stays the same in all messages of one call.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) number: usize,
    pub(super) run: u32,
    pub(super) local: SocketAddr,
    pub(super) switch: SocketAddr,
    pub(super) user: String,
}

/// The end of every Call-ID that is ours.
const DOMAIN: &str = "@loadtest";

impl Identity {
    fn uri(&self) -> String {
        format!("sip:{}@{}", self.user, self.switch)
    }

    fn head(&self, method: &str, uri: &str, cseq: u32, branch: &str, to_tag: Option<&str>) -> String {
        let Self { number, run, local, .. } = self;
        let tag = to_tag.map_or_else(String::new, |tag| format!(";tag={tag}"));
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{run:x}-{number}-{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load@{local}>;tag=l{run:x}-{number}\r\nTo: <{}>{tag}\r\n\
             Call-ID: {number}-{run:x}{DOMAIN}\r\nCSeq: {cseq} {method}\r\n",
            self.uri(),
        )
    }

    pub(super) fn invite(&self, media: SocketAddr) -> String {
        let sdp = format!("{}a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", crate::ng::sdp(media))
            .replacen("RTP/AVP 0\r\n", "RTP/AVP 0 101\r\n", 1);
        let head = self.head("INVITE", &self.uri(), 1, "i", None);
        format!(
            "{head}Contact: <sip:load@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.local,
            sdp.len()
        )
    }

    /// To a 2xx: a transaction of its own (RFC 3261 §13.2.2.4).
    pub(super) fn ack(&self, answer: &Response) -> String {
        let uri = answer.contact.clone().unwrap_or_else(|| self.uri());
        self.head("ACK", &uri, 1, "a", answer.to_tag.as_deref()) + "Content-Length: 0\r\n\r\n"
    }

    /// To a failure: part of the INVITE's transaction (RFC 3261 §17.1.1.3).
    pub(super) fn ack_failure(&self, answer: &Response) -> String {
        self.head("ACK", &self.uri(), 1, "i", answer.to_tag.as_deref()) + "Content-Length: 0\r\n\r\n"
    }

    pub(super) fn bye(&self, answer: &Response) -> String {
        let uri = answer.contact.clone().unwrap_or_else(|| self.uri());
        self.head("BYE", &uri, 2, "b", answer.to_tag.as_deref()) + "Content-Length: 0\r\n\r\n"
    }
}

/// A response to one of our requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// The number of the call that it belongs to.
    pub(super) call: usize,
    /// Method of the CSeq.
    pub(super) method: String,
    pub(super) to_tag: Option<String>,
    /// URI of the Contact.
    pub(super) contact: Option<String>,
    /// Where the answer's SDP wants audio.
    pub(super) media: Option<SocketAddr>,
}

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    Response(Response),
    /// The switch ends a call; the answer is ready.
    Bye {
        call: usize,
        answer: String,
    },
}

fn header<'a>(message: &'a str, name: &str, short: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let key = key.trim();
        (key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case(short)).then(|| value.trim())
    })
}

/// Reads a message of run `run`; `None` when it is nothing that a caller can use.
pub(super) fn read(bytes: &[u8], run: u32) -> Option<Incoming> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (number, of_run) = header(text, "Call-ID", "i")?.strip_suffix(DOMAIN)?.split_once('-')?;
    let call = number.parse().ok().filter(|_| of_run == format!("{run:x}"))?;
    let Some(rest) = text.strip_prefix("SIP/2.0 ") else {
        return text.starts_with("BYE ").then(|| Incoming::Bye { call, answer: answer_to(text) });
    };
    let tag = |value: &str| {
        let parameters = value.rsplit('>').next()?;
        Some(parameters.split(';').find_map(|part| part.trim().strip_prefix("tag="))?.to_owned())
    };
    let uri = |value: &str| Some(value.split_once('<')?.1.split_once('>')?.0.to_owned());
    Some(Incoming::Response(Response {
        status: rest.get(..3)?.parse().ok()?,
        call,
        method: header(text, "CSeq", "CSeq")?.split_whitespace().nth(1)?.to_owned(),
        to_tag: header(text, "To", "t").and_then(tag),
        contact: header(text, "Contact", "m").and_then(uri),
        media: text.split_once("\r\n\r\n").and_then(|(_, sdp)| media(sdp)),
    }))
}

fn media(sdp: &str) -> Option<SocketAddr> {
    let ip = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP"))?.split_whitespace().nth(1)?;
    let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio "))?.split(' ').next()?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok().filter(|port| *port != 0)?))
}

/// 200 to a request, with the headers that RFC 3261 §8.2.6.2 wants back.
fn answer_to(request: &str) -> String {
    let head = request.split("\r\n\r\n").next().unwrap_or_default();
    let wanted = ["via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"];
    let lines = head.split("\r\n").skip(1).filter(|line| {
        line.split_once(':').is_some_and(|(name, _)| wanted.contains(&name.trim().to_ascii_lowercase().as_str()))
    });
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    lines.for_each(|line| answer += &format!("{line}\r\n"));
    answer + "Content-Length: 0\r\n\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood_and_acknowledged() {
        let answer = "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 127.0.0.1:7000;branch=z9hG4bKff-5-i\r\nt: <sip:a@b;tag=no>;tag=yes\r\n\
                      i: 5-ff@loadtest\r\nCSeq: 1 INVITE\r\nm: <sip:127.0.0.1:5060;x=y>\r\n\r\nv=0\r\n\
                      c=IN IP4 127.0.0.1\r\nm=audio 10002 RTP/AVP 0\r\n";
        let Some(Incoming::Response(response)) = read(answer.as_bytes(), 255) else { panic!() };
        assert_eq!((response.status, response.call, response.method.as_str()), (200, 5, "INVITE"));
        assert_eq!(response.media, Some("127.0.0.1:10002".parse().unwrap()));
        assert_eq!(read(answer.as_bytes(), 254), None);
        let address = "127.0.0.1:5060".parse().unwrap();
        let me = Identity { number: 5, run: 255, local: address, switch: address, user: "tone".into() };
        let ack = me.ack(&response);
        assert!(ack.starts_with("ACK sip:127.0.0.1:5060;x=y SIP/2.0\r\n") && ack.contains("tag=yes"), "{ack}");
        assert!(!ack.contains("z9hG4bKff-5-i;"), "{ack}");
        assert!(me.ack_failure(&response).contains("z9hG4bKff-5-i;"));
    }

    #[test]
    fn a_bye_gets_its_answer_and_noise_none() {
        let bye = "BYE sip:x SIP/2.0\r\nVia: one\r\nVia: two\r\nCall-ID: 3-1@loadtest\r\nCSeq: 9 BYE\r\nX: y\r\n\r\n";
        let Some(Incoming::Bye { call: 3, answer }) = read(bye.as_bytes(), 1) else { panic!() };
        assert!(answer.contains("Via: one\r\nVia: two\r\n") && answer.contains("9 BYE") && !answer.contains("X: y"));
        for noise in
            ["", "SIP/2.0", "SIP/2.0 200 OK\r\n\r\n", "\r\n\r\n", "SIP/2.0 abc\r\nCall-ID: 1-1@loadtest\r\n\r\n"]
        {
            assert_eq!(read(noise.as_bytes(), 1), None);
        }
    }
}
