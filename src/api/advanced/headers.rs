use crate::api::SessionError;

/// Most header fields that a program may add to one message.
const HEADERS_MAX: usize = 64;
/// Longest value.
const VALUE_BYTES_MAX: usize = 4_096;

/// Written by the switch itself, beside those that `sip_core` keeps for itself; each with its short form, if it has one.
const OURS: [&str; 15] = [
    "contact",
    "m",
    "content-type",
    "c",
    "route",
    "record-route",
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "rseq",
    "rack",
    "replaces",
    "refer-to",
    "r",
];

/// Header fields of a program's own, checked when they are added.
///
/// ```
/// # use ringplane::api::advanced::Headers;
/// # use ringplane::api::SessionError;
/// let headers = Headers::new().with("X-Account", "4711")?.with("Subject", "Invoice")?;
/// assert_eq!(headers.len(), 2);
/// assert!(Headers::new().with("X-Account", "4711\r\nEvil: 1").is_err());
/// assert!(Headers::new().with("Via", "SIP/2.0/UDP 192.0.2.1").is_err());
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header field; a name may come several times. One that would break the message, or is the switch's own, is refused.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, SessionError> {
        let (name, value) = (name.into(), value.into());
        let wrong = |why: &str| SessionError::protocol(format!("the header field `{}`: {why}", name.escape_debug()));
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(wrong("the switch writes it itself"));
        }
        if self.0.len() >= HEADERS_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(wrong("there may be 64 of them, each with 4096 bytes"));
        }
        if value.contains(|sign: char| sign.is_control() && sign != '\t') {
            return Err(wrong("its value has line ends or other control signs"));
        }
        let one = [(&*name, &*value)];
        sip_core::Content::headers(&one).check().map_err(|_| wrong("no name, or one that the switch writes itself"))?;
        self.0.push((name, value));
        Ok(self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn boxed(&self) -> Vec<(Box<str>, Box<str>)> {
        self.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}
