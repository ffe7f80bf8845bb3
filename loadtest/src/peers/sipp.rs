//! SIPp: callers that speak by the book, with counts of everything that was not in it.

use super::ports::{free_port, free_range};
use super::process::{Process, tail};
use clock::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// How SIPp is started.
#[derive(Clone, Debug)]
pub struct SippPlan {
    /// `-sn uac`, `-sn uas`, or `-sf file`.
    pub scenario: Scenario,
    /// Who is called.
    pub user: String,
    /// Calls a second.
    pub rate: u32,
    /// Calls in all.
    pub calls: u32,
    /// Most at once.
    pub limit: u32,
    /// Time between ACK and BYE.
    pub hold: Duration,
    /// Further arguments, such as `-nr`.
    pub more: Vec<String>,
}

/// What SIPp plays.
#[derive(Clone, Debug)]
pub enum Scenario {
    /// One of its own.
    BuiltIn(&'static str),
    /// A file.
    File(PathBuf),
}

impl Scenario {
    /// One of ours, in `loadtest/scenarios`: `hold_resume`, `late_offer`, `cancel_late`, `cancel_ringing`, `malformed`, `opus_only`.
    pub fn ours(name: &str) -> Self {
        Self::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("xml"))
    }
}

impl Default for SippPlan {
    fn default() -> Self {
        Self {
            scenario: Scenario::BuiltIn("uac"),
            user: "service".into(),
            rate: 10,
            calls: 10,
            limit: 10_000,
            hold: Duration::ZERO,
            more: Vec::new(),
        }
    }
}

/// A running SIPp.
pub struct Sipp {
    process: Process,
    folder: PathBuf,
    name: String,
    /// Where it sends from and listens.
    pub address: SocketAddr,
}

/// What SIPp counted.
#[derive(Clone, Debug)]
pub struct SippResult {
    /// How it ended: 0 when every call succeeded.
    pub status: ExitStatus,
    /// The last line of its statistics, by the name of the column.
    pub statistics: BTreeMap<String, String>,
    /// What it complained about: unexpected messages, time-outs.
    pub errors: String,
}

impl SippResult {
    /// A counter of the whole run, such as `SuccessfulCall`; 0 when SIPp does not know it.
    pub fn count(&self, name: &str) -> u64 {
        let value = self.statistics.get(&format!("{name}(C)")).or_else(|| self.statistics.get(name));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Panics with SIPp's own words unless `calls` calls succeeded and nothing unexpected happened.
    pub fn assert_all_good(&self, calls: u64) {
        let counts = (self.count("SuccessfulCall"), self.count("FailedCall"), self.count("FailedUnexpectedMessage"));
        assert!(
            self.status.success() && counts == (calls, 0, 0) && self.count("OutOfCallMsgs") == 0,
            "of {calls} calls {} succeeded, {} failed, {} of these by an unexpected message; {} messages out of calls; \
             {}\n{}",
            counts.0,
            counts.1,
            counts.2,
            self.count("OutOfCallMsgs"),
            self.status,
            tail(&self.errors)
        );
    }
}

impl Sipp {
    /// Starts it towards `to` (`None` for a UAS), with files in `folder`.
    pub fn start(folder: &Path, name: &str, to: Option<SocketAddr>, plan: &SippPlan) -> io::Result<Self> {
        let ip = to.map_or(IpAddr::from([127, 0, 0, 1]), |to| to.ip());
        let address = SocketAddr::new(ip, free_port(ip)?);
        let mut command = Command::new("sipp");
        match &plan.scenario {
            Scenario::BuiltIn(name) => command.args(["-sn", name]),
            Scenario::File(path) => command.arg("-sf").arg(fs::canonicalize(path)?),
        };
        command.args(to.map(|to| to.to_string()));
        command.current_dir(folder).args(["-nostdin", "-trace_stat", "-fd", "1", "-trace_err"]);
        command.arg("-stf").arg(folder.join(format!("{name}.csv")));
        command.arg("-error_file").arg(folder.join(format!("{name}.errors")));
        command.args(["-i".into(), ip.to_string(), "-p".into(), address.port().to_string()]);
        command.args(["-mi".into(), ip.to_string(), "-mp".into(), free_range(ip, 4)?.to_string()]);
        command.args(["-cp".into(), free_port(ip)?.to_string(), "-s".into(), plan.user.clone()]);
        if to.is_some() {
            command.args(["-r".into(), plan.rate.to_string(), "-m".into(), plan.calls.to_string()]);
            command.args(["-l".into(), plan.limit.to_string(), "-d".into(), plan.hold.as_millis().to_string()]);
        }
        command.args(&plan.more);
        let process = Process::start(name, &mut command, folder)?;
        Ok(Self { process, folder: folder.into(), name: name.into(), address })
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for its end and reads what it counted.
    pub fn finish(mut self, within: Duration) -> io::Result<SippResult> {
        let status = self.process.wait(within)?;
        let read = |ending: &str| fs::read_to_string(self.folder.join(format!("{}.{ending}", self.name)));
        let statistics = read("csv").unwrap_or_default();
        let errors = self.process.output() + &read("errors").unwrap_or_default();
        Ok(SippResult { status, statistics: last_line(&statistics), errors })
    }

    /// Asks one that waits for calls to end, and reads what it counted.
    pub fn end(self, within: Duration) -> io::Result<SippResult> {
        // It ends by itself, and writes its last statistics.
        self.process.signal(rustix::process::Signal::USR1)?;
        self.finish(within)
    }

    /// Calls that are up now, from the statistics of the last second.
    pub fn current_calls(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(format!("{}.csv", self.name))).unwrap_or_default();
        last_line(&text).get("CurrentCall").and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

fn last_line(csv: &str) -> BTreeMap<String, String> {
    let mut lines = csv.lines();
    let names = lines.next().unwrap_or_default().split(';');
    let values = lines.next_back().unwrap_or_default().split(';');
    names.zip(values).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sipps_talk_to_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let answers = SippPlan { scenario: Scenario::BuiltIn("uas"), ..SippPlan::default() };
        let mut uas = Sipp::start(folder.path(), "uas", None, &answers).unwrap();
        let to = uas.address;
        let listens = |_: &Process| std::net::UdpSocket::bind(to).is_err().then_some(());
        uas.process().ready(Duration::from_secs(10), listens).unwrap();
        let plan = SippPlan { rate: 50, calls: 20, ..SippPlan::default() };
        let uac = Sipp::start(folder.path(), "uac", Some(to), &plan).unwrap();
        uac.finish(Duration::from_secs(30)).unwrap().assert_all_good(20);
        assert_eq!(uas.end(Duration::from_secs(30)).unwrap().count("SuccessfulCall"), 20);
    }

    #[test]
    fn the_last_line_of_the_statistics_counts() {
        let csv = "A;FailedCall(C);CurrentCall\n1;2;3\n4;5;6\n";
        let result = SippResult { status: ExitStatus::default(), statistics: last_line(csv), errors: String::new() };
        assert_eq!((result.count("FailedCall"), result.count("CurrentCall"), result.count("Nothing")), (5, 6, 0));
    }
}
