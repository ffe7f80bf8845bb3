//! Header field names: known ones as an enum, with compact forms, recognised through one hash and one comparison.

use core::fmt;

macro_rules! names {
    ($($variant:ident $canonical:literal $compact:literal)*) => {
        /// A header field name that this crate knows; everything else is [`Name::Other`] and kept byte for byte.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = $canonical] $variant,)*
            /// A name that we do not know.
            Other,
        }

        const CANONICAL: &[&str] = &[$($canonical,)* ""];
        const COMPACT: &[u8] = &[$($compact,)* 0];
        const VARIANTS: &[Name] = &[$(Name::$variant,)* Name::Other];
    };
}

names! {
    Accept "Accept" 0
    AcceptContact "Accept-Contact" b'a'
    AcceptEncoding "Accept-Encoding" 0
    AcceptLanguage "Accept-Language" 0
    AcceptResourcePriority "Accept-Resource-Priority" 0
    AlertInfo "Alert-Info" 0
    Allow "Allow" 0
    AllowEvents "Allow-Events" b'u'
    AnswerMode "Answer-Mode" 0
    AuthenticationInfo "Authentication-Info" 0
    Authorization "Authorization" 0
    CallId "Call-ID" b'i'
    CallInfo "Call-Info" 0
    Contact "Contact" b'm'
    ContentDisposition "Content-Disposition" 0
    ContentEncoding "Content-Encoding" b'e'
    ContentLanguage "Content-Language" 0
    ContentLength "Content-Length" b'l'
    ContentType "Content-Type" b'c'
    CSeq "CSeq" 0
    Date "Date" 0
    Diversion "Diversion" 0
    ErrorInfo "Error-Info" 0
    Event "Event" b'o'
    Expires "Expires" 0
    FeatureCaps "Feature-Caps" 0
    FlowTimer "Flow-Timer" 0
    From "From" b'f'
    Geolocation "Geolocation" 0
    GeolocationError "Geolocation-Error" 0
    GeolocationRouting "Geolocation-Routing" 0
    HistoryInfo "History-Info" 0
    Identity "Identity" b'y'
    IdentityInfo "Identity-Info" b'n'
    InReplyTo "In-Reply-To" 0
    InfoPackage "Info-Package" 0
    Join "Join" 0
    MaxBreadth "Max-Breadth" 0
    MaxForwards "Max-Forwards" 0
    MimeVersion "MIME-Version" 0
    MinExpires "Min-Expires" 0
    MinSe "Min-SE" 0
    Organization "Organization" 0
    PAccessNetworkInfo "P-Access-Network-Info" 0
    PAssertedIdentity "P-Asserted-Identity" 0
    PAssociatedUri "P-Associated-URI" 0
    PCalledPartyId "P-Called-Party-ID" 0
    PChargingFunctionAddresses "P-Charging-Function-Addresses" 0
    PChargingVector "P-Charging-Vector" 0
    PEarlyMedia "P-Early-Media" 0
    PPreferredIdentity "P-Preferred-Identity" 0
    Path "Path" 0
    Priority "Priority" 0
    PrivAnswerMode "Priv-Answer-Mode" 0
    Privacy "Privacy" 0
    ProxyAuthenticate "Proxy-Authenticate" 0
    ProxyAuthenticationInfo "Proxy-Authentication-Info" 0
    ProxyAuthorization "Proxy-Authorization" 0
    ProxyRequire "Proxy-Require" 0
    RAck "RAck" 0
    Reason "Reason" 0
    RecordRoute "Record-Route" 0
    RecvInfo "Recv-Info" 0
    ReferSub "Refer-Sub" 0
    ReferTo "Refer-To" b'r'
    ReferredBy "Referred-By" b'b'
    RejectContact "Reject-Contact" b'j'
    RemotePartyId "Remote-Party-ID" 0
    Replaces "Replaces" 0
    ReplyTo "Reply-To" 0
    RequestDisposition "Request-Disposition" b'd'
    Require "Require" 0
    ResourcePriority "Resource-Priority" 0
    RetryAfter "Retry-After" 0
    Route "Route" 0
    RSeq "RSeq" 0
    SecurityClient "Security-Client" 0
    SecurityServer "Security-Server" 0
    SecurityVerify "Security-Verify" 0
    Server "Server" 0
    ServiceRoute "Service-Route" 0
    SessionExpires "Session-Expires" b'x'
    SessionId "Session-ID" 0
    SipEtag "SIP-ETag" 0
    SipIfMatch "SIP-If-Match" 0
    Subject "Subject" b's'
    SubscriptionState "Subscription-State" 0
    Supported "Supported" b'k'
    SuppressIfMatch "Suppress-If-Match" 0
    TargetDialog "Target-Dialog" 0
    Timestamp "Timestamp" 0
    To "To" b't'
    TriggerConsent "Trigger-Consent" 0
    Unsupported "Unsupported" 0
    UserAgent "User-Agent" 0
    UserToUser "User-to-User" 0
    Via "Via" b'v'
    Warning "Warning" 0
    WwwAuthenticate "WWW-Authenticate" 0
}

/// How many names there are, [`Name::Other`] included.
pub(crate) const NAMES_COUNT: usize = VARIANTS.len();

const TABLE_BITS: u32 = 9;
const TABLE_MASK: usize = (1 << TABLE_BITS) - 1;
const EMPTY: u8 = u8::MAX;

/// Letters of both cases fall together: header names hold letters and `-`, and `-` has the case bit set already.
const fn slot_of(name: &[u8]) -> usize {
    let size = name.len();
    let first = (name[0] | 0x20) as usize;
    let last = (name[size - 1] | 0x20) as usize;
    let middle = (name[size / 2] | 0x20) as usize;
    (first.wrapping_mul(5) ^ last.wrapping_mul(37) ^ middle.wrapping_mul(131) ^ size.wrapping_mul(17)) & TABLE_MASK
}

static TABLE: [u8; TABLE_MASK + 1] = build_table();
static COMPACT_TABLE: [u8; 32] = build_compact_table();

const fn build_table() -> [u8; TABLE_MASK + 1] {
    let mut table = [EMPTY; TABLE_MASK + 1];
    let mut i = 0;
    while i + 1 < VARIANTS.len() {
        let mut at = slot_of(CANONICAL[i].as_bytes());
        while table[at] != EMPTY {
            at = (at + 1) & TABLE_MASK;
        }
        table[at] = i as u8;
        i += 1;
    }
    table
}

const fn build_compact_table() -> [u8; 32] {
    let mut table = [EMPTY; 32];
    let mut i = 0;
    while i < COMPACT.len() {
        if COMPACT[i] != 0 {
            table[(COMPACT[i] & 0x1f) as usize] = i as u8;
        }
        i += 1;
    }
    table
}

impl Name {
    /// Recognises a name in any case, full or compact; [`Name::Other`] for everything else.
    #[inline]
    pub fn parse(name: &[u8]) -> Name {
        match name {
            [] => Name::Other,
            [letter] => Self::parse_compact(*letter),
            _ => Self::parse_full(name),
        }
    }

    fn parse_compact(letter: u8) -> Name {
        if !letter.is_ascii_alphabetic() {
            return Name::Other;
        }
        VARIANTS.get(usize::from(COMPACT_TABLE[usize::from(letter & 0x1f)])).copied().unwrap_or(Name::Other)
    }

    #[inline]
    fn parse_full(name: &[u8]) -> Name {
        let mut at = slot_of(name);
        loop {
            let Some(&candidate) = CANONICAL.get(usize::from(TABLE[at])) else {
                return Name::Other;
            };
            // Nearly everybody spells names as the RFC does, and comparing bytes as they are costs a fifth.
            if candidate.as_bytes() == name
                || candidate.len() == name.len() && candidate.as_bytes().eq_ignore_ascii_case(name)
            {
                return VARIANTS[usize::from(TABLE[at])];
            }
            at = (at + 1) & TABLE_MASK;
        }
    }

    /// The name as the RFC spells it; empty for [`Name::Other`].
    pub const fn as_str(self) -> &'static str {
        CANONICAL[self as usize]
    }

    /// The compact form, if there is one.
    pub const fn compact(self) -> Option<u8> {
        match COMPACT[self as usize] {
            0 => None,
            letter => Some(letter),
        }
    }

    /// Every known name.
    pub fn all() -> impl Iterator<Item = Name> {
        VARIANTS.iter().copied().filter(|n| *n != Name::Other)
    }

    /// Whether a message may hold this header field only once, with a single value.
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Name::CallId
                | Name::CSeq
                | Name::ContentDisposition
                | Name::ContentLength
                | Name::ContentType
                | Name::Date
                | Name::Event
                | Name::Expires
                | Name::From
                | Name::MaxForwards
                | Name::MinExpires
                | Name::MinSe
                | Name::RAck
                | Name::ReferTo
                | Name::ReferredBy
                | Name::Replaces
                | Name::RetryAfter
                | Name::RSeq
                | Name::SessionExpires
                | Name::SubscriptionState
                | Name::To
        )
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Name::Other { "header" } else { self.as_str() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for name in Name::all() {
            assert_eq!(Name::parse(name.as_str().as_bytes()), name);
            assert_eq!(Name::parse(name.as_str().to_ascii_uppercase().as_bytes()), name);
            assert_eq!(Name::parse(name.as_str().to_ascii_lowercase().as_bytes()), name);
            if let Some(letter) = name.compact() {
                assert_eq!(Name::parse(&[letter]), name);
                assert_eq!(Name::parse(&[letter.to_ascii_uppercase()]), name);
            }
        }
    }

    #[test]
    fn everything_else_is_other() {
        for odd in [&b""[..], b"z", b"1", b"\x16", b"Vi", b"Viaa", b"X-Custom", b"Call\rID", b"\0\0"] {
            assert_eq!(Name::parse(odd), Name::Other, "{odd:?}");
        }
    }
}
