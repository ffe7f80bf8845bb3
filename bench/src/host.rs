//! What a result was measured on.

use serde::Serialize;
use std::fs;

/// The host, as far as a reader needs it to judge a number.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub processor: String,
    /// Cores that we may use.
    pub cores: usize,
}

impl Host {
    /// Reads it.
    pub fn read() -> Self {
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = line("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned()))
            .unwrap_or_else(|| "unknown".into());
        Self {
            kernel: line("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
