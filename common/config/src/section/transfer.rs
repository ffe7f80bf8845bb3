use crate::reading::reader::Reader;

/// `[transfer]`: where calls go because a peer says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Targets of REFER.
    pub targets: TransferTargets,
    /// Contacts of 3xx answers to calls that go on.
    pub redirects: TransferTargets,
    /// Whether such a call may go to this host itself and to link-local addresses.
    pub allow_local: bool,
}

/// Targets named by a peer that the switch calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferTargets {
    /// Targets that a route fits, where that route leads.
    Routes,
    /// No target of a peer is called.
    Nobody,
    /// Every target is called.
    Anybody,
}

const TARGETS: [(&str, TransferTargets); 3] =
    [("routes", TransferTargets::Routes), ("nobody", TransferTargets::Nobody), ("anybody", TransferTargets::Anybody)];

impl Transfer {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "transfer";
        let mut targets = |name| reader.word(section, name, &TARGETS);
        Self {
            targets: targets("targets"),
            redirects: targets("redirects"),
            allow_local: reader.get(section, "allow_local", "must be true or false", |value| value.as_bool()),
        }
    }
}
