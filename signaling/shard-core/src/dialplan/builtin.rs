//! The numbers that the switch has by itself: the user that is called decides what is heard.

use crate::dialplan::transfers::Transfers;
use crate::dialplan::words;
use config::{CallTone, Media};
use contract::{NamedTone, RoomMember};
use session::{Decide, Decision, Destination, IncomingCall, Plan, PlannedSource, SessionId, TransferRequest};
use std::collections::HashMap;

/// The users of `[media] numbers`; `tone`, `echo`, `ringing`, `busy`, the prompts and the rooms by their names, `tone-gb-busy` and
/// other tones of countries, and a tone for everybody else.
#[derive(Clone, Default)]
pub struct BuiltinDialplan {
    prompts: HashMap<String, u32>,
    /// The number of each room.
    rooms: HashMap<String, u32>,
    /// What the configuration says of further users.
    numbers: HashMap<String, PlannedSource>,
    transfers: Option<Transfers>,
}

impl BuiltinDialplan {
    /// With the prompts of a configuration.
    pub fn new(media: &Media) -> Self {
        let prompts = media.prompts.iter().enumerate();
        let prompts = prompts.map(|(index, prompt)| (prompt.name.clone(), index as u32)).collect();
        // Programs have numbers that are far from these.
        let rooms = media.rooms.iter().cloned().zip(1..).collect();
        let number = |(name, word): &(String, config::Word)| Some((name.clone(), words::source_of(word, media)?));
        let numbers = media.words.numbers.iter().filter_map(number).collect();
        Self { prompts, rooms, numbers, transfers: None }
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
            user if self.numbers.contains_key(user) => self.numbers[user],
            "busy" => return Decision::Reject { status: 486, reason: "".into() },
            "echo" => PlannedSource::Echo,
            "ringing" => PlannedSource::Ringing,
            "tone" => PlannedSource::Tone440,
            user => match (self.prompts.get(user), self.rooms.get(user), named_tone(user)) {
                (Some(number), ..) => PlannedSource::Prompt(*number),
                (None, Some(number), _) => PlannedSource::Room(RoomMember::of(*number)),
                (None, None, Some(tone)) => PlannedSource::CallTone(tone),
                (None, None, None) => PlannedSource::Tone440,
            },
        };
        Decision::Accept(Plan::of(source))
    }
}

/// The tone of a user such as `tone-gb-busy`.
fn named_tone(user: &str) -> Option<NamedTone> {
    let (country, meaning) = user.strip_prefix("tone-")?.split_once('-')?;
    let country: [u8; 2] = country.to_ascii_lowercase().into_bytes().try_into().ok()?;
    let meaning = words::meaning_of(CallTone::named(meaning)?);
    country.iter().all(u8::is_ascii_lowercase).then_some(NamedTone { country, meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    use contract::ToneMeaning;

    #[test]
    fn tones_are_named_by_country_and_meaning() {
        let busy = NamedTone { country: *b"gb", meaning: ToneMeaning::Busy };
        assert_eq!((named_tone("tone-gb-busy"), named_tone("tone-GB-busy")), (Some(busy), Some(busy)));
        for other in
            ["tone", "tone-", "tone-gb", "tone-gbr-busy", "tone-gb-loud", "tone-1b-busy", "tone--busy", "gb-busy"]
        {
            assert_eq!(named_tone(other), None, "{other}");
        }
    }
}
