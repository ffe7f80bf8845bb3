//! Captures on the loopback device, by tshark's own capture program.

use super::process::Process;
use clock::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A block of the kernel's capture buffer is handed over when it is full or after a timeout well below this.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// A running capture.
pub struct Dumpcap {
    process: Process,
    file: PathBuf,
}

impl Dumpcap {
    /// Captures on `lo` what `filter` (pcap-filter(7)) lets through.
    pub fn start(folder: &Path, filter: &str) -> io::Result<Self> {
        let file = folder.join("capture.pcap");
        let mut command = Command::new("dumpcap");
        command.args(["-i", "lo", "-P", "-q", "-B", "256", "-s", "1600", "-f", filter, "-w"]).arg(&file);
        let mut process = Process::start("dumpcap", &mut command, folder)?;
        process.ready(Duration::from_secs(10), |process| process.output().contains("File: ").then_some(()))?;
        Ok(Self { process, file })
    }

    /// Stops it. An error when the kernel dropped packets: then the capture proves nothing.
    pub fn finish(mut self) -> io::Result<PathBuf> {
        // The kernel hands packets over in blocks, the last one only after a moment.
        std::thread::sleep(FLUSHED_WITHIN);
        self.process.signal(rustix::process::Signal::INT)?;
        self.process.wait(Duration::from_secs(20))?;
        let output = self.process.output();
        let counts = output.lines().find_map(|line| line.split_once("on interface").map(|(_, counts)| counts));
        let dropped = counts
            .and_then(|counts| counts.rsplit_once(": ")?.1.split_once('/')?.1.split_whitespace().next()?.parse().ok());
        match dropped {
            Some(0u64) => Ok(self.file.clone()),
            Some(count) => Err(io::Error::other(format!("the capture dropped {count} packets"))),
            None => Err(io::Error::other(format!("the capture did not tell its drops:\n{output}"))),
        }
    }

    /// Bytes in the file so far.
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }
}
