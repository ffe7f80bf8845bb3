use super::{SECTION, number, seconds_or_never};
use crate::reading::reader::{Reader, integer};
use std::time::Duration;

/// The keys of `[sip]` about how many calls there may be, and how long each step of one may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallLimits {
    /// Calls at once.
    pub max_calls: usize,
    /// Calls at once of one user; `None`: no limit of its own.
    pub max_calls_per_user: Option<usize>,
    /// How long a call may last; `None`: for ever.
    pub max_call: Option<Duration>,
    /// How long a call goes on without a refresh, with peers that know session timers; `None`: the switch asks for none.
    pub session_expires: Option<Duration>,
    /// How often a peer that need not send media is asked whether it is there; `None`: never.
    pub probe: Option<Duration>,
    /// How long a target of a forwarded call may take to answer.
    pub ring_timeout: Duration,
    /// How long it may say nothing but 100 Trying.
    pub progress_timeout: Duration,
    /// How long a call may wait for a deferred decision.
    pub decision_timeout: Duration,
}

impl CallLimits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let per_user = number(reader, "max_calls_per_user", 0..=1_000_000) as usize;
        Self {
            max_calls: number(reader, "max_calls", 1..=1_000_000) as usize,
            max_calls_per_user: (per_user > 0).then_some(per_user),
            max_call: seconds_or_never(reader, "max_call_s", 0..=604_800),
            session_expires: interval(reader, "session_expires_s", 90),
            probe: interval(reader, "probe_s", 10),
            ring_timeout: Duration::from_secs(number(reader, "ring_timeout_s", 1..=600)),
            progress_timeout: Duration::from_secs(number(reader, "progress_timeout_s", 1..=600)),
            decision_timeout: Duration::from_secs(number(reader, "decision_timeout_s", 1..=600)),
        }
    }
}

/// Seconds, `least` of them or more; 0 stands for never.
fn interval(reader: &mut Reader<'_>, name: &str, least: u64) -> Option<Duration> {
    let allowed = format!("must be 0 or a whole number from {least} to 86400");
    let seconds = reader.get(SECTION, name, &allowed, |value| {
        integer(value, 0..=86_400).filter(|seconds| *seconds == 0 || *seconds >= least)
    });
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
