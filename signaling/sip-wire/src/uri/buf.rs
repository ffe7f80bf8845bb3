//! A URI that owns its text.

use crate::{Uri, UriError};
use core::fmt;

/// A checked URI with its own text, for what outlives a message: remote targets, route sets, configuration.
#[derive(Clone)]
pub struct UriBuf {
    text: Box<str>,
}

impl UriBuf {
    /// Checks a user's or a peer's text.
    pub fn parse(text: &str) -> Result<UriBuf, UriError> {
        Uri::parse(text.as_bytes())?;
        Ok(UriBuf { text: text.into() })
    }

    /// The URI as borrowed parts; parses again, which is cheaper than keeping them.
    pub fn uri(&self) -> Uri<'_> {
        // Both constructors have parsed this very text.
        Uri::parse(self.text.as_bytes()).expect("a UriBuf holds a URI that parsed")
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl From<Uri<'_>> for UriBuf {
    fn from(uri: Uri<'_>) -> UriBuf {
        UriBuf { text: uri.as_str().into() }
    }
}

impl core::str::FromStr for UriBuf {
    type Err = UriError;

    fn from_str(text: &str) -> Result<UriBuf, UriError> {
        UriBuf::parse(text)
    }
}

impl PartialEq for UriBuf {
    /// Equivalence by RFC 3261 §19.1.4.
    fn eq(&self, other: &UriBuf) -> bool {
        self.uri().same(&other.uri())
    }
}

impl fmt::Display for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
