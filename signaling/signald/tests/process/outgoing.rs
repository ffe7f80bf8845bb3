//! Calls that we place, over connections.

use crate::line::Line;
use crate::media::Media;
use crate::phone::SDP;
use crate::streams::everywhere;
use crate::switch::Switch;
use session::{Dial, SessionEvent, Sessions, Target};
use signald::{BuiltinDialplan, CallHandler, Orders};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

/// Tells a test what happens.
struct Watching(Sender<SessionEvent>, BuiltinDialplan);

impl session::Decide for Watching {
    fn incoming(&mut self, call: &session::IncomingCall<'_>) -> session::Decision {
        self.1.incoming(call)
    }
}

impl CallHandler for Watching {
    fn events(&mut self, _: &Sessions, events: &[SessionEvent]) {
        for event in events {
            let _ = self.0.send(event.clone()); // the test may be over
        }
    }
}

/// All paths to a URI, best first.
fn paths(orders: &Orders, uri: &str) -> Result<Vec<sip_core::Flow>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let uri = sip_wire::Uri::parse(uri.as_bytes()).unwrap();
    runtime.block_on(orders.paths().unwrap().find(&uri)).map_err(|error| error.to_string())
}

pub(crate) fn dial(orders: &Orders, uri: &str) {
    let flows = paths(orders, uri).unwrap();
    let mut dial = Dial::new("sip:us@example.com", Target::new(uri, flows[0]));
    dial.targets = flows.iter().map(|flow| Target::new(uri, *flow)).collect();
    let order = move |order: signald::OrderTurn<'_, '_>| assert!(order.sessions.dial(order.turn, dial).is_ok());
    orders.send(0, Box::new(order)).unwrap();
}

fn wait_for(events: &Receiver<SessionEvent>, what: impl Fn(&SessionEvent) -> bool) -> SessionEvent {
    let until = Instant::now() + crate::PATIENCE;
    loop {
        let event = events.recv_timeout(until.saturating_duration_since(Instant::now())).expect("it happens");
        if what(&event) {
            return event;
        }
    }
}

/// The answer to a request, with a tag and a body.
fn answer(request: &str, status: &str, contact: SocketAddr, body: &str) -> String {
    let lines = request
        .lines()
        .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
    let lines: Vec<String> = lines
        .map(
            |line| {
                if line.starts_with("To:") && !line.contains("tag=") { format!("{line};tag=t") } else { line.into() }
            },
        )
        .collect();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\n{}\r\nContact: <sip:b@{contact};transport=tcp>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        lines.join("\r\n"),
        body.len()
    )
}

#[test]
fn a_call_over_tcp_is_answered_and_one_whose_connection_breaks_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, _authority) = everywhere(folder.path(), "127.0.0.1:0");
    let (events, heard) = mpsc::channel();
    let numbers = BuiltinDialplan::new(&config.media);
    let user = move |_| -> Box<dyn CallHandler> { Box::new(Watching(events.clone(), numbers.clone())) };
    let (switch, orders) = Switch::with_user(folder, config, user);
    let phone = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = phone.local_addr().unwrap();
    dial(&orders, &format!("sip:b@{at};transport=tcp"));
    let mut line = Line::accepted(phone.accept().unwrap().0);
    let invite = line.hear("INVITE ");
    assert!(invite.contains("\r\nVia: SIP/2.0/TCP 127.0.0.1:") && invite.contains(";transport=tcp>"), "{invite}");
    line.send(&answer(&invite, "180 Ringing", at, ""));
    line.send(&answer(&invite, "200 OK", at, SDP));
    line.hear("ACK ");
    switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
    // The second call takes the same connection, and hears at once that it broke.
    dial(&orders, &format!("sip:c@{at};transport=tcp"));
    line.hear("INVITE ");
    let start = Instant::now();
    drop((line, phone));
    wait_for(&heard, |event| matches!(event, SessionEvent::Ended { .. }));
    // The third finds nobody.
    dial(&orders, &format!("sip:d@{at};transport=tcp"));
    wait_for(&heard, |event| matches!(event, SessionEvent::Ended { .. }));
    // Each would have taken the 32 s of timer B.
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    switch.stop.request();
    switch.end();
}

#[test]
fn uris_become_paths_over_every_transport() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, _authority) = everywhere(folder.path(), "127.0.0.1:0");
    let numbers = BuiltinDialplan::new(&config.media);
    let (switch, orders) = Switch::with_user(folder, config, move |_| Box::new(numbers.clone()));
    let one = |uri: &str| {
        let flow = paths(&orders, uri).unwrap()[0];
        (flow.transport.via_name(), flow.local.ip().to_string(), flow.remote.to_string(), flow.connection > 0)
    };
    let expected = |name, remote: &str, is_connection| (name, "127.0.0.1".to_owned(), remote.to_owned(), is_connection);
    assert_eq!(one("sip:b@127.0.0.2"), expected("UDP", "127.0.0.2:5060", false));
    assert_eq!(one("sip:b@127.0.0.2:5070;transport=tcp"), expected("TCP", "127.0.0.2:5070", true));
    assert_eq!(one("sips:b@127.0.0.2"), expected("TLS", "127.0.0.2:5061", true));
    assert_eq!(one("sip:b@127.0.0.2;transport=ws"), expected("WS", "127.0.0.2:80", true));
    assert_eq!(one("sip:b@localhost:5071"), expected("UDP", "127.0.0.1:5071", false));
    assert!(paths(&orders, "sip:b@[::1]").unwrap_err().contains("family"));
    assert!(paths(&orders, "tel:+1").is_err());
    switch.end();
}
