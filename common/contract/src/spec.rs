use crate::{FlowSpec, FormatSpec, Invalid, TransportSpec};

/// All that media knows about one leg of a call, in three parts. `Open` carries a whole one, `Update` the parts that
/// change; what is said last of a part counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LegSpec {
    /// Addresses, latching, RTCP.
    pub transport: TransportSpec,
    /// Payload types and packet length.
    pub formats: FormatSpec,
    /// What is sent, and which way media flows.
    pub flow: FlowSpec,
}

/// The parts of a [`LegSpec`] that change, at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LegUpdate {
    /// New addresses, latching, RTCP.
    pub transport: Option<TransportSpec>,
    /// New payload types and packet length.
    pub formats: Option<FormatSpec>,
    /// Another source, or another direction.
    pub flow: Option<FlowSpec>,
}

impl LegSpec {
    /// The spec with a change.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The parts in which this differs from what it was before.
    pub fn changes_since(&self, before: &Self) -> LegUpdate {
        LegUpdate {
            transport: (self.transport != before.transport).then_some(self.transport),
            formats: (self.formats != before.formats).then_some(self.formats),
            flow: (self.flow != before.flow).then_some(self.flow),
        }
    }

    /// The spec with the parts of an update in place of its own.
    pub fn updated(&self, update: &LegUpdate) -> Self {
        Self {
            transport: update.transport.unwrap_or(self.transport),
            formats: update.formats.unwrap_or(self.formats),
            flow: update.flow.unwrap_or(self.flow),
        }
    }

    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        self.transport.check()?;
        self.formats.check()?;
        self.flow.check()
    }
}

impl From<LegSpec> for LegUpdate {
    /// All three parts.
    fn from(spec: LegSpec) -> Self {
        Self { transport: Some(spec.transport), formats: Some(spec.formats), flow: Some(spec.flow) }
    }
}

impl LegUpdate {
    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        self.transport.map_or(Ok(()), |part| part.check())?;
        self.formats.map_or(Ok(()), |part| part.check())?;
        self.flow.map_or(Ok(()), |part| part.check())
    }

    /// The spec that holds after it, where it has all three parts.
    pub fn whole(&self) -> Option<LegSpec> {
        Some(LegSpec { transport: self.transport?, formats: self.formats?, flow: self.flow? })
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The first rule that does not hold names its field.
pub(crate) fn check_rules(rules: &[(&'static str, bool)]) -> Result<(), Invalid> {
    rules.iter().find(|(_, holds)| !holds).map_or(Ok(()), |(field, _)| Err(Invalid::Field(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Source};

    #[test]
    fn a_default_is_sound_and_nonsense_is_named() {
        assert_eq!(LegSpec::default().check(), Ok(()));
        let broken = LegSpec::default().with(|spec| spec.formats.ptime_ms = 21);
        assert_eq!(broken.check(), Err(Invalid::Field("ptime_ms")));
        let broken = LegSpec::default().with(|spec| spec.transport.dscp = 64);
        assert_eq!(broken.check(), Err(Invalid::Field("dscp")));
    }

    #[test]
    fn an_update_holds_what_changes_and_nothing_else() {
        let before = LegSpec::default();
        assert!(before.changes_since(&before).is_empty());
        let after = before.with(|spec| {
            spec.flow.source = Source::Tone440.into();
            assert!(spec.formats.payloads.push(8, Codec::Pcma));
        });
        let update = after.changes_since(&before);
        assert_eq!((update.transport, update.formats, update.flow), (None, Some(after.formats), Some(after.flow)));
        assert_eq!(before.updated(&update), after);
        assert_eq!(LegSpec::default().updated(&after.into()), after);
    }
}
