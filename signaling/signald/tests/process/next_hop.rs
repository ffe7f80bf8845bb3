//! Where requests in dialogs go: past a real proxy that does not record itself.

use crate::PATIENCE;
use crate::media::Media;
use crate::outgoing::dial;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use signald::BuiltinDialplan;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Relays calls for `callee` to one address and all others to another, and leaves the path of their dialogs.
const SCRIPT: &str = r#"debug=-1
log_stderror=yes
fork=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
disable_tcp=yes
listen=udp:LISTEN
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
request_route {
  if (method=="OPTIONS") { sl_send_reply("200", "OK"); exit; }
  if (method!="INVITE") { sl_send_reply("403", "Not through me"); exit; }
  if ($rU=="callee") { $du = "sip:CALLEE"; } else { $du = "sip:SWITCH"; }
  t_relay();
}
"#;

struct Kamailio {
    child: Child,
    address: SocketAddr,
}

impl Kamailio {
    fn start(folder: &Path, switch: SocketAddr, callee: SocketAddr) -> Self {
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let script = SCRIPT
            .replace("LISTEN", &address.to_string())
            .replace("SWITCH", &switch.to_string())
            .replace("CALLEE", &callee.to_string());
        let file = folder.join("kamailio.cfg");
        std::fs::write(&file, script).unwrap();
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f"]).arg(&file);
        command.arg("-Y").arg(folder).arg("-P").arg(folder.join("kamailio.pid"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("Kamailio is installed by `make peers`");
        let kamailio = Self { child, address };
        asker.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let us = asker.local_addr().unwrap();
        let question = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKready\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let until = Instant::now() + PATIENCE;
        while {
            let _ = asker.send_to(question.as_bytes(), address); // refused until it listens
            asker.recv(&mut [0; 2_048]).is_err()
        } {
            assert!(Instant::now() < until, "Kamailio does not start");
        }
        kamailio
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its own processes.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn a_kamailio_that_does_not_record_itself_cuts_nothing_off() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let config = config(folder.path());
    let numbers = BuiltinDialplan::new(&config.media);
    let (switch, orders) = Switch::with_user(folder, config, move |_| Box::new(numbers.clone()));
    let (caller, callee) = (Phone::new(&switch), Phone::new(&switch));
    let scratch = tempfile::tempdir().unwrap();
    let at = callee.socket.local_addr().unwrap();
    let kamailio = Kamailio::start(scratch.path(), switch.address, at);
    // In: by the proxy, and everything after the answer without it.
    let through = Phone { switch: kamailio.address, socket: caller.socket.try_clone().unwrap() };
    through.send("INVITE", "in", "", 1, SDP);
    let answer = through.hear("SIP/2.0 200");
    let to = answer.lines().find(|line| line.starts_with("To:")).unwrap();
    caller.send("ACK", "in", &format!(";tag={}", to.split("tag=").nth(1).unwrap()), 1, "");
    // Out: the ACK for the answer goes to the called phone itself.
    dial(&orders, &format!("sip:callee@{}", kamailio.address));
    let by_proxy = Phone { switch: kamailio.address, socket: callee.socket.try_clone().unwrap() };
    let invite = by_proxy.hear("INVITE ");
    let named = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines: Vec<String> = invite
        .lines()
        .filter(|line| named.iter().any(|name| line.starts_with(name)))
        .map(|line| if line.starts_with("To:") { format!("{line};tag=t") } else { line.to_owned() })
        .collect();
    let answer = format!(
        "SIP/2.0 200 OK\r\n{}\r\nContact: <sip:b@{at}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        lines.join("\r\n"),
        SDP.len()
    );
    by_proxy.socket.send_to(answer.as_bytes(), kamailio.address).unwrap();
    callee.hear("ACK ");
    switch.ask_until("calls", |calls| {
        calls.as_array().is_some_and(|calls| calls.len() == 2 && calls.iter().all(|call| call["state"] == "connected"))
    });
    // Both calls end from here.
    switch.stop.request();
    caller.hear_bye();
    callee.hear_bye();
    switch.end();
}
