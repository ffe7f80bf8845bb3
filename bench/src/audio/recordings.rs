//! What a recording costs: calls that hear themselves, recorded or not.

use super::AudioBench;
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::{Switch, SwitchPlan};
use loadtest::usage;
use serde::Serialize;
use std::io;

/// Layouts of recordings; the first is none.
pub(super) const LAYOUTS: [Option<&str>; 3] = [None, Some("mono"), Some("stereo")];

/// Calls of PCMU with one layout of recordings.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingRow {
    /// `none`, `mono` or `stereo`: WAV files.
    pub layout: &'static str,
    /// CPU of the media process for a second of a call, both directions, microseconds; its writer of files included.
    pub second_us: f64,
    /// Bytes on disk for a second of a call.
    pub second_bytes: f64,
    /// Calls that were answered and ended as they should.
    pub calls: u64,
}

impl AudioBench {
    /// Calls to the echo of a whole switch.
    pub(super) fn recorded_in(&self, layout: Option<&'static str>) -> io::Result<RecordingRow> {
        let (folder, files) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let mut plan = SwitchPlan::new(&self.program);
        plan.port_pairs = self.calls as u16 + 50;
        if let Some(layout) = layout {
            let path = files.path();
            plan.media = format!("[recording]\nfolder = {path:?}\ncalls = \"all\"\nlayout = {layout:?}");
        }
        let switch = Switch::start(folder.path(), &plan)?;
        let media = switch.part("media").ok_or_else(|| io::Error::other("the media process is not there"))?;
        let hold = Duration::from_secs(self.seconds);
        let calls = CallPlan { calls: self.calls, rate: 200.0, hold, ..CallPlan::echo(switch.sip) };
        let from = usage::of_process(media)?;
        let report = call(&calls, &mut |_, _| {})?;
        let to = usage::of_process(media)?;
        let seconds = (self.calls as u64 * self.seconds).max(1) as f64;
        let mut bytes = 0;
        for file in std::fs::read_dir(files.path())? {
            bytes += file?.metadata()?.len();
        }
        Ok(RecordingRow {
            layout: layout.unwrap_or("none"),
            second_us: (to.cpu_ns - from.cpu_ns) as f64 / 1e3 / seconds,
            second_bytes: bytes as f64 / seconds,
            calls: report.completed,
        })
    }
}
