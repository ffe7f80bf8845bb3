use crate::QualityLimits;
use audio::{Prompt, Tones};
use clock::Duration;
use std::sync::Arc;

/// What a worker needs to know before its first leg.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The worker's number, as told in rows and events.
    pub index: u8,
    /// The even RTP port of each of the worker's port pairs. Pair `n` has the sockets `2 * n` (RTP) and `2 * n + 1`
    /// (RTCP). A leg may come from another worker only onto a pair that is in this list.
    pub ports: Vec<u16>,
    /// Rows of the leg table: every leg's id names one of them.
    pub leg_rows: usize,
    /// Most legs at once.
    pub leg_limit: usize,
    /// Legs that are transcoded for at once, at most.
    pub transcoder_limit: usize,
    /// Legs whose peer's sound is processed at once, at most.
    pub voice_limit: usize,
    /// What `Source::Prompt` numbers.
    pub prompts: Arc<[Prompt]>,
    /// Shared by all workers.
    pub tones: Arc<Tones>,
    /// Our name in RTCP (RFC 3550 §6.5.1), at most 255 bytes; the same on every worker.
    pub cname: String,
    /// Where SSRCs, first sequence numbers, first timestamps and RTCP intervals come from.
    pub seed: u64,
    /// Mean time between two RTCP reports of a leg; RFC 3550 §6.2 wants at least 5 s.
    pub rtcp_interval: Duration,
    /// When the streams of legs are judged, and by what.
    pub quality: QualityLimits,
}

impl WorkerConfig {
    /// A worker for these RTP ports, with a leg and a row for each of them, no prompts, and the intervals of RFC 3550.
    pub fn new(index: u8, ports: Vec<u16>) -> Self {
        Self {
            index,
            leg_rows: ports.len(),
            leg_limit: ports.len(),
            transcoder_limit: ports.len(),
            voice_limit: ports.len(),
            ports,
            prompts: Arc::new([]),
            tones: Arc::new(Tones::default()),
            cname: "ringplane".into(),
            seed: 0,
            rtcp_interval: Duration::from_secs(5),
            quality: QualityLimits::default(),
        }
    }
}
