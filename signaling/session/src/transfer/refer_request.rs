//! What a REFER asks for (RFC 3515 §2.4, RFC 3892, RFC 4488).

use crate::{REMEMBERED_BYTES_MAX, Turn};
use sip_core::{Content, DialogId, Span};
use sip_wire::{Message, Name};

/// Why a REFER is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unwanted {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

impl From<u16> for Unwanted {
    fn from(status: u16) -> Self {
        Self { status, reason: "" }
    }
}

/// Whether the referrer wants to hear how the new call goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reports {
    Wanted,
    /// `Refer-Sub: false` (RFC 4488).
    Declined,
}

/// What a REFER asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The URI to call, without header fields and `method`.
    pub(crate) uri: Box<str>,
    /// The call to be taken over, as the header field's value.
    pub(crate) replaces: Option<Box<str>>,
    /// The dialog of this shard that `Replaces` names.
    pub(crate) ours: Option<DialogId>,
    /// Header fields of the new INVITE. Of those in the URI only Replaces and its Require are taken: any other would let the
    /// referrer write header fields of ours (RFC 3261 §19.1.5).
    pub(crate) headers: Vec<(Box<str>, Box<str>)>,
    pub(crate) reports: Reports,
}

impl Wanted {
    pub(crate) fn read(turn: &Turn<'_>, message: Span) -> Result<Self, Unwanted> {
        let message = turn.sip.message(message).ok_or(400)?;
        // RFC 3515 §2.4.2: exactly one.
        if message.count_of(Name::ReferTo) != 1 {
            return Err(Unwanted { status: 400, reason: "REFER Has Exactly One Refer-To" });
        }
        let target = message.refer_to().map_err(|_| 400)?.ok_or(400)?;
        let method = target.uri.params.get("method").unwrap_or(b"INVITE");
        if !method.eq_ignore_ascii_case(b"INVITE") {
            return Err(Unwanted { status: 501, reason: "REFER Makes Calls Only" });
        }
        let uri = without_method(target.uri.as_str().split('?').next().unwrap_or_default());
        let declines = message.header(Name::ReferSub).is_some_and(|value| {
            value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"false")
        });
        let reports = if declines { Reports::Declined } else { Reports::Wanted };
        let mut wanted = Self { uri: uri.into(), replaces: None, ours: None, headers: Vec::new(), reports };
        for (name, value) in target.uri.header_pairs() {
            match () {
                () if name.eq_ignore_ascii_case(b"replaces") => wanted.take_over(turn, value)?,
                () if name.eq_ignore_ascii_case(b"require") => wanted.require(value)?,
                () => {}
            }
        }
        wanted.referred_by(&message);
        Ok(wanted)
    }

    fn take_over(&mut self, turn: &Turn<'_>, value: &[u8]) -> Result<(), Unwanted> {
        let value = unescaped(value);
        let dialog = sip_wire::DialogId::parse(&value).filter(|_| self.replaces.is_none()).ok_or(400)?;
        self.ours = turn.sip.find_dialog(dialog.call_id, dialog.to_tag, dialog.from_tag);
        let text: Box<str> = String::from_utf8(value.clone()).map_err(|_| 400)?.into();
        self.headers.push(("Replaces".into(), text.clone()));
        self.replaces = Some(text);
        Ok(())
    }

    /// `Require` of the new INVITE: only `replaces` is supported.
    fn require(&mut self, value: &[u8]) -> Result<(), Unwanted> {
        if !unescaped(value).trim_ascii().eq_ignore_ascii_case(b"replaces") {
            return Err(Unwanted { status: 403, reason: "Only Replaces Can Be Required" });
        }
        self.headers.push(("Require".into(), "replaces".into()));
        Ok(())
    }

    /// RFC 3892 §2.2: Referred-By is copied, if there is exactly one and it is well formed.
    fn referred_by(&mut self, message: &Message<'_>) {
        let value = message.header(Name::ReferredBy).filter(|_| message.count_of(Name::ReferredBy) == 1);
        let value = value.and_then(|value| std::str::from_utf8(value).ok());
        let Some(value) = value.filter(|value| value.len() <= REMEMBERED_BYTES_MAX) else { return };
        if Content::headers(&[("Referred-By", value)]).check().is_ok() {
            self.headers.push(("Referred-By".into(), value.into()));
        }
    }
}

/// A Request-URI has no `method` (RFC 3261 §19.1.1, table 1).
pub(crate) fn without_method(uri: &str) -> String {
    let parts = uri.split(';').enumerate();
    let is_method = |part: &str| part.get(..7).is_some_and(|name| name.eq_ignore_ascii_case("method="));
    parts.filter(|(index, part)| *index == 0 || !is_method(part)).map(|(_, part)| part).collect::<Vec<_>>().join(";")
}

/// `%3B` and its like (RFC 3261 §19.1.2).
fn unescaped(value: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut text = Vec::with_capacity(value.len());
    let mut index = 0;
    while let Some(byte) = value.get(index) {
        match (byte, digit(value.get(index + 1)), digit(value.get(index + 2))) {
            (b'%', Some(high), Some(low)) => {
                text.push((high * 16 + low) as u8);
                index += 3;
            }
            _ => {
                text.push(*byte);
                index += 1;
            }
        }
    }
    text
}
