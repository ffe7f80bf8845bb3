use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What became of the limit of open descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescriptorLimit {
    /// Before.
    pub before: u64,
    /// Now.
    pub now: u64,
}

/// Raises `RLIMIT_NOFILE` so that `needed` descriptors fit: the soft limit to the hard one, and the hard one too where
/// the host lets us. Never lowers anything; binding the ports tells if it was not enough.
pub fn raise_descriptor_limit(needed: u64) -> DescriptorLimit {
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(u64::MAX);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = before.max(needed);
    let higher = Rlimit { current: Some(wanted), maximum: Some(hard.max(wanted)) };
    if wanted > before && setrlimit(Resource::Nofile, higher).is_err() {
        // Without CAP_SYS_RESOURCE the hard limit is as far as it goes. Failing here leaves things as they were.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(hard.min(wanted)), maximum: limit.maximum });
    }
    DescriptorLimit { before, now: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_never_falls() {
        let limit = raise_descriptor_limit(64);
        assert!(limit.now >= limit.before && limit.now >= 64);
    }
}
