//! A switch for a test, and who may use the machine.

use clock::Duration;
use loadtest::capture::{Datagram, RtpStreams, SeenCalls};
use loadtest::peers::{Switch, SwitchPlan, wait_for};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// The executable under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ringplane");

/// The root of the source tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the executable's crate lies in the tree")
}

/// Tests that load the machine take turns, so that none of them judges another's load.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plan with room for `calls` calls.
pub(crate) fn plan(calls: u16) -> SwitchPlan {
    let mut plan = SwitchPlan::new(PROGRAM);
    plan.port_pairs = calls + calls / 2 + 50;
    plan
}

/// A running switch, and the folder that goes with it.
pub(crate) fn start(plan: &SwitchPlan) -> (Switch, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let switch = Switch::start(folder.path(), plan).expect("the switch starts");
    (switch, folder)
}

/// What a capture of this switch shows. The filter lets through SIP both ways, and the RTP that the switch sends.
pub(crate) fn capture_filter(switch: &Switch) -> String {
    format!("udp and (port {} or src portrange {}-{})", switch.sip.port(), switch.media_ports.0, switch.media_ports.1)
}

/// Calls and streams of a capture; and packets that came more than `grace_ms` after their call's end.
pub(crate) fn seen(file: &Path, switch: &Switch, grace_ms: u64) -> (SeenCalls, RtpStreams, u64) {
    let (mut calls, mut streams, mut media) = (SeenCalls::to(switch.sip), RtpStreams::default(), Vec::new());
    let is_media = |port: u16| (switch.media_ports.0..=switch.media_ports.1).contains(&port) && port.is_multiple_of(2);
    let take = |datagram: Datagram| {
        calls.add(&datagram);
        if is_media(datagram.from.port()) {
            streams.add(&datagram);
            media.push((datagram.from.port(), datagram.at_ns));
        }
    };
    loadtest::capture::read(file, take).expect("the capture is readable");
    let late = media.iter().filter(|(port, at_ns)| calls.is_late(*port, *at_ns, grace_ms * 1_000_000)).count();
    (calls, streams, late as u64)
}

/// Frames that the media workers have skipped. They publish their counters from time to time, so this waits until the frames
/// are as many as the odd steps that callers have seen.
pub(crate) fn skipped_frames(switch: &Switch, seen: u64) -> u64 {
    let skipped = || switch.counter("frames_skipped").expect("it is a counter");
    wait_for(Duration::from_secs(10), || (skipped() >= seen).then_some(()));
    skipped()
}

/// Tells of what was good only at a second try. It prints past the test harness, which keeps back what a passing test prints,
/// and adds to the list that `make test` shows at its end (`RINGPLANE_SECOND_TRIES` names its file).
pub(crate) fn second_try(lines: &str) {
    let lines = format!("{}\n", lines.trim_end());
    std::io::stderr().write_all(lines.as_bytes()).unwrap();
    if let Some(list) = std::env::var_os("RINGPLANE_SECOND_TRIES") {
        let list = std::fs::File::options().create(true).append(true).open(list);
        list.and_then(|mut list| list.write_all(lines.as_bytes())).expect("the list of second tries is writable");
    }
}
