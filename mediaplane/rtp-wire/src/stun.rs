//! STUN, as far as a media port has to know it from RTP (RFC 8489 §5, RFC 7983 §7).

/// Bytes of a STUN header.
const HEADER_BYTES: usize = 20;
/// In every STUN message since RFC 5389.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Whether a datagram is a STUN message: type, length and magic cookie fit.
pub fn is_stun(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return false };
    let body_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    header[0] < 4 && header[4..8] == MAGIC_COOKIE && HEADER_BYTES + body_bytes == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_messages_count() {
        // A binding indication without attributes.
        let mut message = [0_u8; HEADER_BYTES];
        message[..8].copy_from_slice(&[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        assert!(is_stun(&message));
        assert!(!is_stun(&message[..19]) && !is_stun(&[message, message].concat()));
        message[0] = 0x80;
        assert!(!is_stun(&message), "that is RTP");
    }
}
