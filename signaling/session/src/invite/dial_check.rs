//! Checks of a call that the user places, and how addresses are written.

use crate::invite::dial::{Dial, TARGETS_MAX};
use crate::{REMEMBERED_BYTES_MAX, SessionError};
use sip_core::Content;
use sip_wire::{Address, Uri};

impl Dial {
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        let is_address = |text: &str| {
            !text.contains(char::is_control)
                && Address::check(&bracketed(text)).is_ok_and(|address| address.tag().is_none())
        };
        if let Some(bad) = [&self.from, &self.to].into_iter().find(|text| !text.is_empty() && !is_address(text)) {
            return Err(SessionError::InvalidUri(bad.clone()));
        }
        if self.from.is_empty() || self.targets.is_empty() || self.targets.len() > TARGETS_MAX {
            return Err(SessionError::Argument("a call has a caller and 1 to 16 targets"));
        }
        let is_uri = |uri: &str| uri.len() <= REMEMBERED_BYTES_MAX && Uri::parse(uri.as_bytes()).is_ok();
        if let Some(bad) = self.targets.iter().find(|target| !is_uri(&target.uri)) {
            return Err(SessionError::InvalidUri(bad.uri.clone()));
        }
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        Content::headers(&headers).check().map_err(SessionError::Protocol)?;
        if self.targets.iter().any(|target| target.flow.local.ip().is_unspecified()) {
            return Err(SessionError::Argument("the local address of a target's path has to be a real one"));
        }
        Ok(())
    }
}

/// A URI between angle brackets, so that its parameters stay its own (RFC 3261 §20.10).
pub fn bracketed(text: &str) -> Box<str> {
    if text.contains('<') { text.into() } else { format!("<{text}>").into() }
}

pub(crate) fn uri_of(address: &str) -> Box<str> {
    Address::check(address).map_or("".into(), |address| (&*address.uri.canonical()).into())
}

pub(crate) fn user_of(uri: &str) -> Box<str> {
    Uri::parse(uri.as_bytes()).map(|uri| uri.user_text()).unwrap_or_default().into()
}
