//! Kamailio: as a stateless replier, or as a stateful proxy that sends every call to one place.

use super::ports::free_port;
use super::process::Process;
use crate::usage;
use clock::Duration;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

/// A running Kamailio.
pub struct Kamailio {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts it with `workers` processes that read the socket. OPTIONS is answered 200 by its `sl` module, and nothing
    /// else is done.
    pub fn start(folder: &Path, workers: usize) -> io::Result<Self> {
        let script = "loadmodule \"sl.so\"\nrequest_route {\n  if (method==\"OPTIONS\") {\n    sl_send_reply(\"200\", \
                      \"OK\");\n  } else {\n    sl_send_reply(\"405\", \"Method Not Allowed\");\n  }\n  exit;\n}\n";
        Self::start_script(folder, workers, 64, script)
    }

    /// Starts it as a stateful proxy: every call goes on to `to`, with Record-Route. It has no media and keeps no call:
    /// the least that anything between two phones does.
    pub fn start_proxy(folder: &Path, workers: usize, to: SocketAddr) -> io::Result<Self> {
        Self::start_script(folder, workers, 512, &PROXY.replace("TARGET", &to.to_string()))
    }

    fn start_script(folder: &Path, workers: usize, shared_megabytes: usize, script: &str) -> io::Result<Self> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(ip, free_port(ip)?);
        let config = folder.join("kamailio.cfg");
        let text = format!(
            "debug=-1\nlog_stderror=yes\nfork=yes\nchildren={workers}\nauto_aliases=no\ndns=no\nrev_dns=no\n\
             disable_tcp=yes\nlisten=udp:{address}\n{script}"
        );
        fs::write(&config, text)?;
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", &shared_megabytes.to_string(), "-M", "8", "-f"]).arg(&config);
        command.arg("-Y").arg(folder).arg("-P").arg(folder.join("kamailio.pid"));
        let mut process = Process::start("kamailio", &mut command, folder)?;
        let asker = UdpSocket::bind((ip, 0))?;
        asker.set_read_timeout(Some(Duration::from_millis(100)))?;
        let question = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKready;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:ready@{ip}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            asker.local_addr()?
        );
        process.ready(Duration::from_secs(10), |_| {
            asker.send_to(question.as_bytes(), address).ok()?;
            asker.recv(&mut [0; 2_048]).ok()
        })?;
        Ok(Self { process, address })
    }

    /// CPU of all its processes, nanoseconds.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let mut sum = usage::of_process(self.process.pid())?.cpu_ns;
        for child in usage::children(self.process.pid()) {
            sum += usage::of_process(child)?.cpu_ns;
        }
        Ok(sum)
    }
}

/// OPTIONS is answered as by the replier, so that it can be asked whether it runs.
const PROXY: &str = r#"loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
request_route {
  if (method=="OPTIONS") { sl_send_reply("200", "OK"); exit; }
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (has_totag()) {
    # SIPp's own scenarios keep no route set.
    if (!loose_route()) { $du = "sip:TARGET"; }
    t_relay();
    exit;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  t_check_trans();
  record_route();
  $du = "sip:TARGET";
  if (!t_relay()) { sl_reply_error(); }
}
"#;
