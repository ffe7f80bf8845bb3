//! The messages of the peers that tables are filled for, and the little that is read of the answers.

use std::net::SocketAddr;

/// Our address in these messages, and the peers'.
pub(super) const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 5060);
pub(super) const REMOTE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5070);

/// What a softphone offers.
pub(crate) const SDP: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n\
    t=0 0\r\nm=audio 49170 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// A request of peer `number`. `more` are complete header lines.
pub(crate) fn request(method: &str, number: usize, cseq: u32, tag: &[u8], more: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={}", String::from_utf8_lossy(tag)) };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:echo@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKPj{number:08x}{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice {number}\" <sip:alice{number}@example.com>;tag=8d3f1c0a{number:08x}\r\n\
         To: <sip:echo@sip.example.net>{tag}\r\nContact: <sip:alice{number}@192.0.2.1:5070;ob>\r\n\
         Call-ID: 3b0f4f5e6c1d4c1f9a7b8c9d{number:08x}\r\nCSeq: {cseq} {method}\r\n\
         Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n\
         Supported: replaces, 100rel, timer, norefersub\r\nUser-Agent: Example Softphone 3.2.1\r\n{more}{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// 200 to a request of ours.
pub(super) fn ok_to(request: &str) -> String {
    let wanted = ["Via", "From", "To", "Call-ID", "CSeq"];
    let lines = request.lines().filter(|line| line.split_once(':').is_some_and(|(name, _)| wanted.contains(&name)));
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    lines.for_each(|line| answer += &format!("{line}\r\n"));
    answer + "Content-Length: 0\r\n\r\n"
}

/// The tag of the To field.
pub(crate) fn to_tag(message: &str) -> &str {
    let line = message.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
    line.split_once("tag=").map_or("", |(_, tag)| tag)
}
