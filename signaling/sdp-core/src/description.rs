//! A session description, read where it lies (RFC 8866).

use crate::attribute::{Common, connection};
use crate::media::Media;
use crate::{DESCRIPTION_BYTES_MAX, MEDIA_COUNT_MAX, SdpError};

/// The lines of a description that matter here.
pub(crate) struct Description<'a> {
    media: [Media<'a>; MEDIA_COUNT_MAX],
    count: usize,
}

impl<'a> Description<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, SdpError> {
        if bytes.len() > DESCRIPTION_BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        let bytes = without_margins(bytes);
        let mut media = [Media::default(); MEDIA_COUNT_MAX];
        let (mut count, mut session, mut has_origin, mut has_maps) = (0, Common::default(), false, false);
        for (index, line) in lines(bytes).enumerate().filter(|(_, line)| !line.is_empty()) {
            let bad = SdpError::Line(u16::try_from(index + 1).unwrap_or(u16::MAX));
            let (kind, value) = match line {
                [kind, b'=', value @ ..] => (*kind, value),
                _ => return Err(bad),
            };
            match (kind, count) {
                (b'v', _) if index == 0 && value == b"0" => {}
                _ if index == 0 => return Err(SdpError::NotSdp),
                (b'o', 0) => has_origin = true,
                (b'm', MEDIA_COUNT_MAX) => return Err(SdpError::TooManyMedia),
                (b'm', _) => {
                    media[count] = Media::parse(text(value).ok_or(bad)?, session).ok_or(bad)?;
                    // From behind this line, which lies in the text.
                    let end = value.as_ptr().addr() - bytes.as_ptr().addr() + value.len();
                    media[count].lines_from(&bytes[end..]);
                    if has_maps {
                        media[count].take_session_maps(bytes);
                    }
                    count += 1;
                }
                (b'c', 0) => session.connection = session.connection.or(Some(connection(text(value).unwrap_or("")))),
                (b'c', _) => media[count - 1].connection(text(value).unwrap_or("")),
                (b'a', 0) => {
                    has_maps |= value.starts_with(b"rtpmap:");
                    session.attribute(value);
                }
                (b'a', _) => media[count - 1].attribute(value),
                // Every other line says nothing about audio; what they contain, and whether they are there, is their own
                // business.
                (b'a'..=b'z', _) => {}
                _ => return Err(bad),
            }
        }
        // Without an `o=` line there is no way to tell one version from the next, which does not concern us.
        if has_origin || count > 0 { Ok(Self { media, count }) } else { Err(SdpError::NotSdp) }
    }

    pub(crate) fn media(&self) -> &[Media<'a>] {
        &self.media[..self.count]
    }
}

/// Without what some peers put around a description: blank lines, spaces, and the NUL that ends a string in C.
fn without_margins(bytes: &[u8]) -> &[u8] {
    let is_margin = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = bytes.iter().position(|byte| !is_margin(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_margin(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Lines end with CR LF, or with LF alone (RFC 8866 §5 asks parsers to take both). The last one may be open, blank ones
/// are none, and spaces at the end belong to nothing.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
}

/// Text without control characters, tabs apart.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    let is_control = |byte: u8| byte < b' ' && byte != b'\t';
    std::str::from_utf8(bytes).ok().filter(|text| !text.bytes().any(is_control))
}
