use crate::Network;
use crate::reading::reader::{List, Reader, integer};
use crate::section::headers::network;

/// Most networks of trusted sources.
const SOURCE_COUNT_MAX: usize = 256;

/// `[limits]`: how much of the switch a single source may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Incoming calls of one source that it has not acknowledged, before it has shown that it gets our answers.
    pub unacknowledged_per_source: usize,
    /// Sources without that limit.
    pub trusted_sources: Vec<Network>,
}

const SOURCES: &str =
    r#"must be a list of at most 256 addresses or networks, such as "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32""#;

impl Limits {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "limits";
        let number = "must be a whole number from 1 to 1000000";
        let sources = List { count: 0..=SOURCE_COUNT_MAX, whole: SOURCES };
        Self {
            unacknowledged_per_source: reader
                .get(section, "unacknowledged_per_source", number, |value| integer(value, 1..=1_000_000))
                as usize,
            trusted_sources: reader.list(section, "trusted_sources", &sources, network),
        }
    }
}
