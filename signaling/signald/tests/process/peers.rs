//! Other people's programs.

use crate::media::Media;
use crate::streams::{address, everywhere};
use crate::switch::{Switch, config};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use transport::Transport;

/// A port that nobody has just now.
fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Runs SIPp's own caller; gives what its last statistics say of the calls that succeeded and failed.
fn sipp(folder: &std::path::Path, to: &str, how: &str, calls: u32) -> (u32, u32) {
    let statistics = folder.join(format!("{how}.csv"));
    let mut command = Command::new("sipp");
    command.args(["-sn", "uac", to, "-t", how, "-s", "tone", "-r", "200", "-d", "20", "-nostdin", "-i", "127.0.0.1"]);
    command.args(["-m", &calls.to_string(), "-p", &free_port(), "-mp", &free_port(), "-cp", &free_port()]);
    command.args(["-timeout", "60", "-max_socket", "500", "-trace_stat", "-fd", "1", "-stf"]).arg(&statistics);
    command.current_dir(folder).stdout(Stdio::null());
    let output = command.output().expect("SIPp is installed by `make peers`");
    let text = std::fs::read_to_string(statistics).unwrap_or_default();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let (names, last) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    let value = |name: &str| {
        let index = names.split(';').position(|other| other == name).unwrap();
        last.split(';').nth(index).unwrap().parse().unwrap()
    };
    (value("SuccessfulCall(C)"), value("FailedCall(C)"))
}

#[test]
fn sipp_over_udp_and_over_one_and_many_connections() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::with_ports(folder.path().join("media-control.sock"), 30_000..=31_999);
    let config = config(folder.path());
    let scratch = tempfile::tempdir().unwrap();
    let switch = Switch::with(folder, config);
    let (udp, tcp) = (switch.address.to_string(), address(&switch, Transport::Tcp).to_string());
    for (how, to) in [("u1", &udp), ("t1", &tcp), ("tn", &tcp)] {
        assert_eq!(sipp(scratch.path(), to, how, 400), (400, 0), "{how}");
    }
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.ask_until("stats", |stats| {
        stats.as_array().unwrap().iter().any(|row| row["name"] == "stream_connections_open" && row["value"] == 0)
    });
    switch.counts([("ports_in_use", 0)]);
    switch.end();
}

#[test]
fn openssl_speaks_to_us() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let switch = Switch::with(folder, config);
    for version in ["-tls1_2", "-tls1_3"] {
        let words = switch.folder.path().join("openssl.txt");
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-servername", "two.example.com", version])
            .args(["-verify_hostname", "two.example.com", "-connect", &address(&switch, Transport::Tls).to_string()])
            .arg("-CAfile")
            .arg(&authority.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&words).unwrap())
            .spawn()
            .expect("openssl is installed");
        let request = "OPTIONS sip:a@two.example.com SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKo\r\n\
                       From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
                       Content-Length: 0\r\n\r\n";
        let mut stdin = openssl.stdin.take().unwrap();
        stdin.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 15];
        let read = openssl.stdout.take().unwrap().read_exact(&mut answer);
        assert!(read.is_ok(), "{version}: {}", std::fs::read_to_string(&words).unwrap());
        assert_eq!(&answer, b"SIP/2.0 200 OK\r");
        drop(stdin);
        openssl.kill().unwrap();
        openssl.wait().unwrap();
    }
    switch.end();
}
