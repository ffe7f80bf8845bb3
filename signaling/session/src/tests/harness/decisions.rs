use crate::tests::harness::target;
use crate::*;

/// Decides by the called user, as the built-in numbers do.
pub(in crate::tests) struct Numbers;

impl Decide for Numbers {
    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        match transfer.target {
            target if target.starts_with("sip:no@") => Destination::Refused(603),
            uri if uri.starts_with("sip:routed@") => Destination::Targets(vec![target("b1")]),
            target if target.starts_with("sip:tone@") => Destination::Home,
            _ => Destination::Named,
        }
    }
    fn redirected(&mut self, _: SessionId, uri: &str) -> Destination {
        match uri {
            uri if uri.starts_with("sip:no@") => Destination::Refused(403),
            uri if uri.starts_with("sip:routed@") => Destination::Targets(vec![target("r1")]),
            _ => Destination::Named,
        }
    }
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        match call.called_user {
            "on" | "+493012" => Decision::Forward(Forward::to(vec![target("b1"), target("b2")])),
            "busy" => Decision::Reject { status: 486, reason: "".into() },
            "later" => Decision::Defer,
            "echo" => Decision::Accept(Plan::of(PlannedSource::Echo)),
            "once" => Decision::Accept(Plan { source: PlannedSource::Prompt(0), at_end: AtEnd::HangUp }),
            "play" => Decision::Accept(Plan::of(PlannedSource::Prompt(0))),
            _ => Decision::Accept(Plan::of(PlannedSource::Tone440)),
        }
    }
}
