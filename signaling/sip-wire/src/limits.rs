//! Every bound of this crate, by name. At a bound we refuse with a typed error; nothing here grows.

/// Longest message, start line to last body byte. Offsets inside a [`crate::Message`] are `u16` because of it.
pub const MESSAGE_MAX_BYTES: usize = 65_535;
/// Header fields of one message that are indexed (a folded header counts once).
pub const HEADERS_MAX_COUNT: usize = 128;
/// Longest Request-URI or URI in a header; a longer Request-URI is answered with 414.
pub const URI_MAX_BYTES: usize = 4_096;
/// Comma-separated values that an iterator over one header name hands out before it reports an error.
pub const VALUES_MAX_COUNT: usize = 256;
/// Parameters of one value.
pub const PARAMS_MAX_COUNT: usize = 64;
/// Comments inside comments, as in `Retry-After: 5 (a (b))`.
pub const COMMENT_MAX_DEPTH: usize = 8;
/// Longest method name that we keep; RFC 4475's strangest has 43 bytes. A longer one is answered with 501.
pub const METHOD_MAX_BYTES: usize = 47;
/// Highest CSeq number, exclusive (RFC 3261 §8.1.1.5).
pub const CSEQ_LIMIT: u32 = 1 << 31;
/// Edits that one [`crate::Rewrite`] holds.
pub const EDITS_MAX_COUNT: usize = 16;

const _: () = assert!(MESSAGE_MAX_BYTES <= u16::MAX as usize);
const _: () = assert!(HEADERS_MAX_COUNT < u8::MAX as usize);
