//! The numbers that the switch has by itself: the user that is called decides what is heard.

use crate::dialplan::transfers::Transfers;
use config::Media;
use session::{Decide, Decision, Destination, IncomingCall, Plan, PlannedSource, SessionId, TransferRequest};
use std::collections::HashMap;

/// `tone`, `echo`, `ringing`, `busy`, the prompts by their names, and a tone for everybody else.
#[derive(Clone, Default)]
pub struct BuiltinDialplan {
    prompts: HashMap<String, u32>,
    transfers: Option<Transfers>,
}

impl BuiltinDialplan {
    /// With the prompts of a configuration.
    pub fn new(media: &Media) -> Self {
        let prompts = media.prompts.iter().enumerate();
        let prompts = prompts.map(|(index, prompt)| (prompt.name.clone(), index as u32)).collect();
        Self { prompts, transfers: None }
    }

    /// The dialplan whose callers may hand their calls over by this policy; without it, to these numbers alone.
    pub fn with_transfers(self, transfers: Transfers) -> Self {
        Self { transfers: Some(transfers), ..self }
    }
}

impl crate::CallHandler for BuiltinDialplan {}

impl Decide for BuiltinDialplan {
    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        self.transfers.as_ref().map_or(Destination::Home, |transfers| transfers.requested(transfer))
    }

    fn redirected(&mut self, _: SessionId, target: &str) -> Destination {
        self.transfers.as_ref().map_or(Destination::Refused(403), |transfers| transfers.redirected(target))
    }

    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        let source = match call.called_user {
            "busy" => return Decision::Reject { status: 486, reason: "".into() },
            "echo" => PlannedSource::Echo,
            "ringing" => PlannedSource::Ringing,
            "tone" => PlannedSource::Tone440,
            user => self.prompts.get(user).map_or(PlannedSource::Tone440, |number| PlannedSource::Prompt(*number)),
        };
        Decision::Accept(Plan::of(source))
    }
}
