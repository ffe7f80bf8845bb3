//! The numbers that the switch has by itself: who is called decides what is heard.

use config::Media;
use session::{Decide, Decision, IncomingCall, Plan, PlannedSource};
use std::collections::HashMap;

/// `tone`, `echo`, `ringing`, `busy`, the prompts by their names, and a tone for everybody else.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    prompts: HashMap<String, u32>,
}

impl Numbers {
    /// With the prompts of a configuration.
    pub fn new(media: &Media) -> Self {
        let prompts = media.prompts.iter().enumerate();
        Self { prompts: prompts.map(|(index, prompt)| (prompt.name.clone(), index as u32)).collect() }
    }
}

impl crate::User for Numbers {}

impl Decide for Numbers {
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
