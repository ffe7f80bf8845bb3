//! The payload of telephone events (RFC 4733 §2.3).

/// One report of an event in progress or at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// 0-9, 10 `*`, 11 `#`, 12-15 A-D, 16 flash; others are not of the telephone's keys.
    pub event: u8,
    /// The key was released.
    pub end: bool,
    /// Level in -dBm0, 0 to 63.
    pub volume: u8,
    /// Ticks since the packet's timestamp.
    pub duration: u16,
}

/// Why a payload is not a telephone event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a telephone event has four bytes")]
pub struct EventError;

impl TelephoneEvent {
    /// Bytes of an event.
    pub const BYTES: usize = 4;

    /// The first event of a payload. (Several in one payload are allowed by RFC 4733 §2.5.1.5 and sent by nobody.)
    pub fn parse(payload: &[u8]) -> Result<Self, EventError> {
        let raw: &[u8; Self::BYTES] = payload.first_chunk().ok_or(EventError)?;
        Ok(Self {
            event: raw[0],
            end: raw[1] & 0x80 != 0,
            volume: raw[1] & 0x3f,
            duration: u16::from_be_bytes([raw[2], raw[3]]),
        })
    }

    /// The bytes of the payload.
    pub fn write(&self) -> [u8; Self::BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_went() {
        let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 1_280 };
        assert_eq!(event.write(), [11, 0x8a, 5, 0]);
        assert_eq!(TelephoneEvent::parse(&event.write()), Ok(event));
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), Err(EventError));
    }
}
