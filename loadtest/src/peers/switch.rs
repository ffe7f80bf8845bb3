//! `ringplane serve` on free ports, with a folder of its own.

use super::ports::{free_port, free_range};
use super::process::{Process, wait_for};
use crate::usage;
use clock::Duration;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Binding thousands of ports on a busy machine stays below.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How the switch is started.
#[derive(Clone, Debug)]
pub struct SwitchPlan {
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where it listens and has its media: the loopback address of either family.
    pub ip: IpAddr,
    /// Port pairs for media.
    pub port_pairs: u16,
    /// Further lines of `[sip]`.
    pub sip: String,
    /// Further lines of `[media]`, and sections after it.
    pub media: String,
}

impl SwitchPlan {
    /// With 1,000 port pairs.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        Self { program: program.into(), ip, port_pairs: 1_000, sip: String::new(), media: String::new() }
    }
}

/// A running switch: the parent and its two processes.
pub struct Switch {
    process: Process,
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    /// Where it listens for SIP.
    pub sip: SocketAddr,
    /// First and last port for media.
    pub media_ports: (u16, u16),
}

impl Switch {
    /// Starts it with its files in `folder`, and waits until it takes calls.
    pub fn start(folder: &Path, plan: &SwitchPlan) -> io::Result<Self> {
        let ip = plan.ip;
        let count = plan.port_pairs.saturating_mul(2);
        let first = free_range(ip, count)?;
        let media_ports = (first, first + count - 1);
        let sip = loop {
            let port = free_port(ip)?;
            if !(media_ports.0..=media_ports.1).contains(&port) {
                break SocketAddr::new(ip, port);
            }
        };
        let runtime_dir = folder.join("run");
        fs::create_dir_all(&runtime_dir)?;
        let config = folder.join("ringplane.toml");
        let text = format!(
            "[sip]\nlisten = [\"{sip}\"]\n{}\n[media]\nports = \"{}-{}\"\nbind = \"{ip}\"\n{}\n[process]\nruntime_dir = \
             {runtime_dir:?}\n",
            plan.sip, media_ports.0, media_ports.1, plan.media
        );
        fs::write(&config, text)?;
        let mut command = Command::new(&plan.program);
        command.arg("serve").arg("--config").arg(&config);
        let mut process = Process::start("ringplane", &mut command, folder)?;
        process.ready(READY_WITHIN, |process| process.output().contains(" is ready.").then_some(()))?;
        Ok(Self { process, program: plan.program.clone(), config, folder: folder.into(), sip, media_ports })
    }

    /// The parent process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The process of a part, `media` or `signal`; `None` while it is down.
    pub fn part(&self, name: &str) -> Option<u32> {
        let is_part = |pid: &u32| usage::command_line(*pid).get(1).map(String::as_str) == Some(name);
        usage::children(self.process.pid()).into_iter().find(is_part)
    }

    /// Waits until the part runs as another process than `old`.
    pub fn part_again(&self, name: &str, old: u32, within: Duration) -> io::Result<u32> {
        let found = wait_for(within, || self.part(name).filter(|pid| *pid != old));
        found.ok_or_else(|| {
            io::Error::other(format!("the {name} process did not come back; it printed:\n{}", self.process.output()))
        })
    }

    /// Asks the switch: `calls`, `stats`, or another command that prints JSON, with its arguments.
    pub fn ask(&self, question: &str) -> io::Result<serde_json::Value> {
        let mut command = Command::new(&self.program);
        let output = command.args(question.split(' ')).arg("--json").arg("--config").arg(&self.config).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{question}: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Calls that are up now.
    pub fn call_count(&self) -> io::Result<usize> {
        Ok(self.ask("calls")?.as_array().map_or(0, Vec::len))
    }

    /// A counter or level by its whole name, all processes and workers added up. An error when nothing is called so.
    pub fn counter(&self, name: &str) -> io::Result<u64> {
        let stats = self.ask("stats")?;
        let named = stats.as_array().into_iter().flatten().filter(|counter| counter["name"] == name);
        let values: Vec<u64> = named.filter_map(|counter| counter["value"].as_u64()).collect();
        if values.is_empty() {
            Err(io::Error::other(format!("no counter is called {name}")))
        } else {
            Ok(values.iter().sum())
        }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Stops it with SIGTERM and tells how it ended.
    pub fn stop(mut self, within: Duration) -> io::Result<std::process::ExitStatus> {
        self.process.signal(rustix::process::Signal::TERM)?;
        self.process.wait(within)
    }
}

impl Drop for Switch {
    /// The parent takes its parts down with it; what is left of them after a hard end is ended here, by its id.
    fn drop(&mut self) {
        let parts = usage::children(self.process.pid());
        let _ = self.process.stop();
        for pid in parts {
            let ours = |words: Vec<String>| words.iter().any(|word| Path::new(word) == self.config);
            if ours(usage::command_line(pid)) {
                let _ = super::send_signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
