//! What a leg is told: what the peers agreed on, and what we want to send.

use crate::session::{Leg, Session};
use crate::{SessionId, Sessions, Turn};
use contract::{Command, Direction, LegSpec, Source};
use sdp_core::Negotiated;

impl Sessions {
    /// All that the media plane is to know of a session when `agreed` counts.
    pub(crate) fn spec_of(&self, session: &Session, agreed: Option<&Negotiated>) -> LegSpec {
        let mut spec = LegSpec {
            direction: Direction::Inactive as u8,
            source: self.source_of(session).into(),
            muted: session.is_muted.into(),
            dscp: self.settings.dscp,
            ..LegSpec::default()
        };
        if let Some(agreed) = agreed {
            agreed.apply(&mut spec);
        }
        self.settings.limit_silence(&mut spec);
        spec
    }

    fn source_of(&self, session: &Session) -> Source {
        let Some(port) = session.port() else { return Source::None };
        let source = if session.is_held_here() { session.hold_source } else { session.plan.source };
        source.of(port.leg)
    }

    /// Tells the leg what has become different since it was told last.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        let Leg::Open(port) = session.leg else { return };
        let changing = session.change.as_ref().map(|change| &change.agreed);
        let spec = self.spec_of(session, changing.or(session.agreed.as_ref()));
        let Some(session) = self.table.get_mut(id).filter(|session| session.spec != spec) else { return };
        session.spec = spec;
        session.updates_open += 1;
        turn.commands.push((port.worker, Command::Update { leg: port.leg, tag: id.as_u64(), spec }));
    }

    /// Has a source begin again that has come to its end: the leg only looks at sources that change.
    pub(crate) fn rewind(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Leg::Open(port) = session.leg else { return };
        session.spec.source = Source::Silence.into();
        session.updates_open += 1;
        let command = Command::Update { leg: port.leg, tag: id.as_u64(), spec: session.spec };
        turn.commands.push((port.worker, command));
        self.sync(turn, id);
    }
}
