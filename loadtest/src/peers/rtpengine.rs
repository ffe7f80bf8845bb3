//! rtpengine in userspace, as Debian packages it.

use super::ports::{free_port, free_range};
use super::process::Process;
use crate::ng::NgClient;
use clock::Duration;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// A running rtpengine.
pub struct RtpEngine {
    process: Process,
    /// Its control connection.
    pub ng: NgClient,
}

impl RtpEngine {
    /// Starts it with `threads` workers and room for `calls` calls.
    pub fn start(folder: &Path, threads: usize, calls: usize) -> io::Result<Self> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let control = SocketAddr::new(ip, free_port(ip)?);
        // Two pairs a call, and a tenth more, since it leaves gaps.
        let count = u16::try_from(calls * 4 + calls / 2 + 200).unwrap_or(50_000);
        let first = free_range(ip, count)?;
        // An empty file: the host's own configuration opens ports that only one rtpengine can have.
        let config = folder.join("rtpengine.conf");
        fs::write(&config, "[rtpengine]\n")?;
        let mut command = Command::new("rtpengine");
        command.arg(format!("--config-file={}", config.display()));
        command.args(["--foreground", "--table=-1", "--log-level=3", "--log-stderr"]);
        command.args(["--delete-delay=0", "--timeout=3600", "--silent-timeout=3600"]);
        command.args([format!("--interface={ip}"), format!("--listen-ng={control}")]);
        command.args([format!("--port-min={first}"), format!("--port-max={}", first + count - 1)]);
        command.arg(format!("--num-threads={threads}"));
        command.arg(format!("--pidfile={}", folder.join("rtpengine.pid").display()));
        let mut process = Process::start("rtpengine", &mut command, folder)?;
        let mut ng = NgClient::connect(control)?;
        process.ready(Duration::from_secs(10), |_| ng.ping().ok())?;
        Ok(Self { process, ng })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
