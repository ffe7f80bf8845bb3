//! A transaction user of the tests' own, which answers every request 200 and keeps nothing of it: what a registrar needs of
//! the layer below is there without the user agent and without the proxy.

use crate::config::Timers;
use crate::content::Content;
use crate::flow::Flow;
use crate::message::compose::{put_content, put_status_line};
use crate::output::Output;
use crate::table::deadlines::Owner;
use crate::transactions::{ClientUse, Drive, Rules, ServerInput, ServerUse, Transactions};
use clock::{Duration, Instant};

struct Received;
impl ServerUse for Received {}

/// It sends no requests.
enum Never {}
impl ClientUse for Never {
    fn is_of_known_peer(&self) -> bool {
        match *self {}
    }
}

struct Answerer(Transactions<Received, Never>);

impl Answerer {
    fn new() -> Self {
        let rules = Rules {
            timers: Timers::default(),
            max_servers: 10,
            max_clients: 0,
            max_message_bytes: 65_535,
            retry_after: Duration::from_secs(5),
            server_line: Box::default(),
            relays: false,
            mark: 0,
        };
        Self(Transactions::new(rules, 7))
    }

    fn receive(&mut self, now: Instant, flow: &Flow, datagram: &[u8], out: &mut Output<()>) {
        let Some(message) = self.0.parse(datagram) else { return };
        let Some(inc) = self.0.read(now, flow, &message, out) else { return };
        if let Some(known) = self.0.server_of(&inc) {
            self.0.note_copy(known, &inc);
            self.0.drive_server(now, known, Drive { input: ServerInput::Request, fresh: None, is_proven: false }, out);
            return;
        }
        let Some(handle) = self.0.open_server(&inc, Received) else { return self.0.refuse_overload(&inc, out) };
        let mark = out.mark();
        put_status_line(out.arena(), 200, "");
        inc.put_head(flow, "registrar", out.arena());
        put_content(out.arena(), &Content::NONE);
        let answer = out.span_from(mark);
        if let Some(server) = self.0.servers.get_mut(handle) {
            server.response = out.bytes(answer).into();
        }
        let answered = Drive { input: ServerInput::Respond(200), fresh: Some(answer), is_proven: false };
        self.0.drive_server(now, handle, answered, out);
        self.0.settle_server(handle);
    }

    fn wake(&mut self, now: Instant, out: &mut Output<()>) {
        while let Some((_, owner)) = self.0.deadlines.pop(now) {
            let Owner::Server(handle) = owner else { continue };
            self.0.drive_server(
                now,
                handle,
                Drive { input: ServerInput::Deadline, fresh: None, is_proven: false },
                out,
            );
            if self.0.settle_server(handle) {
                self.0.forget_server(handle);
            }
        }
    }
}

#[test]
fn a_third_user_needs_nothing_of_the_two_others() {
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5062".parse().unwrap());
    let register = |number: u32| {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: {number}\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:a@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (mut user, mut out) = (Answerer::new(), Output::new());
    let now = Instant::ZERO + Duration::from_secs(1);
    let mut said = |user: &mut Answerer, datagram: &str| {
        user.receive(now, &flow, datagram.as_bytes(), &mut out);
        let texts: Vec<String> =
            out.transmits.iter().map(|sent| String::from_utf8_lossy(out.bytes(sent.bytes)).into_owned()).collect();
        out.clear();
        texts.into_iter().map(|text| text.split(' ').nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for number in 0..10 {
        assert_eq!(said(&mut user, &register(number)), ["200"]);
    }
    assert_eq!(said(&mut user, &register(3)), ["200"], "a copy");
    assert_eq!(said(&mut user, &register(10)), ["503"], "the table is full");
    assert_eq!(said(&mut user, &register(11).replace("CSeq: 1", "CSeq: x")), ["400"]);
    let counters = user.0.counters;
    assert_eq!((counters.retransmissions, counters.overloaded, counters.malformed), (1, 1, 1));
    // Timer J.
    user.wake(now + Duration::from_secs(33), &mut Output::new());
    assert_eq!((user.0.servers.count(), user.0.server_index.len()), (0, 0));
}
