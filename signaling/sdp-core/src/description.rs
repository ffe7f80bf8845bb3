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
        let mut media = [Media::default(); MEDIA_COUNT_MAX];
        let (mut count, mut session, mut has_origin) = (0, Common::default(), false);
        for (index, line) in lines(bytes).enumerate() {
            let bad = SdpError::Line(index as u16 + 1);
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
                    count += 1;
                }
                (b'c', 0) => session.connection = Some(connection(text(value).ok_or(bad)?).ok_or(bad)?),
                (b'c', _) => media[count - 1].common.connection = Some(connection(text(value).ok_or(bad)?).ok_or(bad)?),
                (b'a', 0) => session.attribute(value),
                (b'a', _) => media[count - 1].attribute(value),
                // Every other line says nothing about audio; what they contain is their own business.
                (b'a'..=b'z', _) => {}
                _ => return Err(bad),
            }
        }
        if has_origin { Ok(Self { media, count }) } else { Err(SdpError::NotSdp) }
    }

    pub(crate) fn media(&self) -> &[Media<'a>] {
        &self.media[..self.count]
    }
}

/// Lines end with CR LF, or with LF alone (RFC 8866 §5 asks parsers to take both). The last one may be open.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Text without control characters.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.bytes().any(|byte| byte < b' '))
}
