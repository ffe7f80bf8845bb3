//! Six levels of importance, and how much of all calls those of each level may be.

use serde::{Deserialize, Serialize};

/// How important a call is. When calls approach the limit of all calls, the lower levels are refused first: see
/// [`PriorityShares`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub enum Priority {
    /// Life is at stake.
    Emergency,
    /// The operation of the house is at stake.
    Critical,
    /// Before others.
    High,
    /// Like most.
    #[default]
    Normal,
    /// After others.
    Low,
    /// Whenever there is room.
    Background,
}

/// What a caller wrote in the request that asks for a call.
pub trait CallRequest {
    /// The called address, as the To header field has it.
    fn to(&self) -> &str;
    /// The value of a header field, by its long name as RFC 3261 spells it.
    fn header(&self, name: &str) -> Option<&str>;
}

impl Priority {
    /// All of them, highest first.
    pub const ALL: [Priority; 6] =
        [Self::Emergency, Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];

    /// In one word.
    pub fn name(self) -> &'static str {
        ["emergency", "critical", "high", "normal", "low", "background"][self as usize]
    }

    /// What the caller itself asks for: by `Priority` (RFC 3261 §20.26), `Resource-Priority` in the namespaces `ets`,
    /// `wps` and `q735` (RFC 4412 §10), or an emergency number (`urn:service:sos`, RFC 5031). Any caller can write that, so
    /// ask only for callers that you trust.
    pub fn asked_for(call: &impl CallRequest) -> Option<Self> {
        if call.to().to_ascii_lowercase().starts_with("urn:service:sos") {
            return Some(Self::Emergency);
        }
        let resource = call.header("Resource-Priority").and_then(|value| value.split(',').find_map(by_namespace));
        let plain = || match call.header("Priority")?.trim().to_ascii_lowercase().as_str() {
            "emergency" => Some(Self::Emergency),
            "urgent" => Some(Self::High),
            "normal" => Some(Self::Normal),
            "non-urgent" => Some(Self::Low),
            _ => None,
        };
        resource.or_else(plain)
    }
}

/// `ets.0` is the highest of its namespace, `.4` the lowest.
fn by_namespace(value: &str) -> Option<Priority> {
    let (namespace, level) = value.trim().split_once('.')?;
    if !["ets", "wps", "q735"].iter().any(|known| namespace.eq_ignore_ascii_case(known)) {
        return None;
    }
    match level {
        "0" => Some(Priority::Emergency),
        "1" => Some(Priority::Critical),
        "2" | "3" => Some(Priority::High),
        "4" => Some(Priority::Normal),
        _ => None,
    }
}

/// How much of the limit of all calls (`max_sessions`) the calls of each level, together with all others, may fill. A call of
/// a level whose share is full gets 503 with Retry-After while higher ones are still taken: the rest is reserved for those.
/// Calls that are up are never ended for others.
///
/// By default low calls are refused from 90 % on and background calls from 75 % on; all other levels may fill everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriorityShares([u8; 6]);

impl Default for PriorityShares {
    fn default() -> Self {
        Self([100, 100, 100, 100, 90, 75])
    }
}

impl PriorityShares {
    /// Calls of `level` and below may fill at most `percent` of all calls; above 100 is 100. No level may fill more than a
    /// higher one, so those above are raised to it and those below are lowered.
    ///
    /// ```
    /// # use engine::{Priority, PriorityShares};
    /// let shares = PriorityShares::default().with(Priority::Normal, 80);
    /// assert_eq!([Priority::High, Priority::Normal, Priority::Low].map(|level| shares.percent(level)), [100, 80, 80]);
    /// ```
    #[must_use]
    pub fn with(mut self, level: Priority, percent: u8) -> Self {
        let percent = percent.min(100);
        for other in Priority::ALL {
            let share = &mut self.0[other as usize];
            *share = match other.cmp(&level) {
                std::cmp::Ordering::Less => percent.max(*share),
                std::cmp::Ordering::Equal => percent,
                std::cmp::Ordering::Greater => percent.min(*share),
            };
        }
        self
    }

    /// The share of a level, in percent.
    pub fn percent(&self, level: Priority) -> u8 {
        self.0[level as usize]
    }

    /// Calls that there may be when a call of this level comes, itself included; a share above 0 is at least one.
    pub fn limit(&self, level: Priority, max_calls: usize) -> usize {
        max_calls.saturating_mul(usize::from(self.percent(level))).div_ceil(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Invite(&'static str, &'static [(&'static str, &'static str)]);

    impl CallRequest for Invite {
        fn to(&self) -> &str {
            self.0
        }

        fn header(&self, name: &str) -> Option<&str> {
            self.1.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        }
    }

    #[test]
    fn callers_may_ask_for_a_level() {
        let asked = |to, headers| Priority::asked_for(&Invite(to, headers));
        assert_eq!(asked("sip:b@example.com", &[]), None);
        assert_eq!(asked("URN:service:sos.fire", &[]), Some(Priority::Emergency));
        assert_eq!(asked("sip:b@example.com", &[("Priority", " Urgent ")]), Some(Priority::High));
        assert_eq!(asked("sip:b@example.com", &[("Priority", "whatever")]), None);
        let both = &[("Priority", "non-urgent"), ("Resource-Priority", "dsn.flash, WPS.1")];
        assert_eq!(asked("sip:b@example.com", both), Some(Priority::Critical));
        assert_eq!(asked("sip:b@example.com", &[("Resource-Priority", "ets.9")]), None);
    }

    #[test]
    fn no_level_has_more_than_a_higher_one() {
        for level in Priority::ALL {
            for percent in [0, 1, 50, 99, 100, 255] {
                let shares = PriorityShares::default().with(level, percent);
                let all = Priority::ALL.map(|level| shares.percent(level));
                assert!(all.is_sorted_by(|high, low| high >= low), "{all:?}");
                assert_eq!(shares.percent(level), percent.min(100));
            }
        }
        let shares = PriorityShares::default().with(Priority::Background, 1);
        assert_eq!((shares.limit(Priority::Background, 10), shares.limit(Priority::Normal, 10)), (1, 10));
    }
}
