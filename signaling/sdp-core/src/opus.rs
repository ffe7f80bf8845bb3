//! What a session description says about Opus (RFC 7587 §6.1, §7).

use contract::OpusParameters;
use std::fmt;

/// Sampling rates that can be asked for, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Bit rates that can be asked for, in bit/s (RFC 7587 §6.1).
const BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;
/// Times of a packet, in milliseconds.
const PTIMES: std::ops::RangeInclusive<u32> = 3..=120;

/// The parameters of `a=fmtp` for Opus: what one side would like to receive, and hints of what it is going to send.
///
/// The default is what holds when nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct OpusFmtp {
    /// `maxplaybackrate`: sampling rate in Hz beyond which the receiver hears nothing, 8,000 to 48,000.
    pub(crate) max_playback_rate: u32,
    /// `sprop-maxcapturerate`: sampling rate in Hz beyond which the sender records nothing, 8,000 to 48,000.
    pub(crate) max_capture_rate: u32,
    /// `maxaveragebitrate`: bit/s that the receiver takes, 6,000 to 510,000.
    pub(crate) max_average_bitrate: Option<u32>,
    /// `stereo`: the receiver prefers two channels.
    pub(crate) stereo: bool,
    /// `sprop-stereo`: the sender is going to send two channels.
    pub(crate) sends_stereo: bool,
    /// `cbr`: the receiver prefers a constant bit rate.
    pub(crate) constant_bitrate: bool,
    /// `useinbandfec`: the receiver repairs lost packets from the ones after them.
    pub(crate) inband_fec: bool,
    /// `usedtx`: the receiver prefers that silence is not sent.
    pub(crate) dtx: bool,
    /// `minptime`: shortest time of a packet in milliseconds.
    pub(crate) min_ptime_ms: u32,
    /// `ptime` where it stands in `a=fmtp`, in milliseconds.
    pub(crate) ptime_ms: Option<u32>,
    /// `maxptime` where it stands in `a=fmtp`, in milliseconds.
    pub(crate) max_ptime_ms: Option<u32>,
}

impl Default for OpusFmtp {
    fn default() -> Self {
        Self {
            max_playback_rate: *RATES.end(),
            max_capture_rate: *RATES.end(),
            max_average_bitrate: None,
            stereo: false,
            sends_stereo: false,
            constant_bitrate: false,
            inband_fec: false,
            dtx: false,
            min_ptime_ms: *PTIMES.start(),
            ptime_ms: None,
            max_ptime_ms: None,
        }
    }
}

impl OpusFmtp {
    /// Reads the parameters behind the payload type: `maxplaybackrate=16000; stereo=1`. Numbers outside their range are
    /// taken as its nearest end; parameters that are unknown or not numbers are passed over (RFC 7587 §6.1).
    pub(crate) fn parse(parameters: &str) -> Self {
        let mut fmtp = Self::default();
        for parameter in parameters.split(';') {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let Ok(value) = value.trim().parse::<u32>() else { continue };
            let rate = value.clamp(*RATES.start(), *RATES.end());
            let ptime_ms = value.clamp(*PTIMES.start(), *PTIMES.end());
            match name.trim().to_ascii_lowercase().as_str() {
                "maxplaybackrate" => fmtp.max_playback_rate = rate,
                "sprop-maxcapturerate" => fmtp.max_capture_rate = rate,
                "maxaveragebitrate" => {
                    fmtp.max_average_bitrate = Some(value.clamp(*BITRATES.start(), *BITRATES.end()));
                }
                "stereo" => fmtp.stereo = value == 1,
                "sprop-stereo" => fmtp.sends_stereo = value == 1,
                "cbr" => fmtp.constant_bitrate = value == 1,
                "useinbandfec" => fmtp.inband_fec = value == 1,
                "usedtx" => fmtp.dtx = value == 1,
                "minptime" => fmtp.min_ptime_ms = ptime_ms,
                "ptime" => fmtp.ptime_ms = Some(ptime_ms),
                "maxptime" => fmtp.max_ptime_ms = Some(ptime_ms),
                _ => {}
            }
        }
        fmtp
    }

    /// As the other side of a relay wants it.
    pub(crate) fn of(wanted: OpusParameters) -> Self {
        Self {
            max_playback_rate: wanted.playback_rate(),
            max_average_bitrate: wanted.bitrate(),
            stereo: wanted.is_stereo(),
            constant_bitrate: wanted.is_constant_bitrate(),
            inband_fec: wanted.has_inband_fec(),
            dtx: wanted.has_dtx(),
            ..Self::default()
        }
    }

    /// What the sender of Opus has to know of it, as the media plane is told.
    pub(crate) fn parameters(&self) -> OpusParameters {
        let parameters = OpusParameters::default()
            .with_playback_rate(self.max_playback_rate)
            .with_stereo(self.stereo)
            .with_constant_bitrate(self.constant_bitrate)
            .with_inband_fec(self.inband_fec)
            .with_dtx(self.dtx);
        self.max_average_bitrate.map_or(parameters, |bitrate| parameters.with_bitrate(bitrate))
    }
}

/// Prints what differs from the default, as it stands behind the payload type.
impl fmt::Display for OpusFmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let differing = |value: u32, default: u32| Some(value).filter(|value| *value != default);
        let flag = |is_set: bool| is_set.then_some(1);
        let mut separator = "";
        for (name, value) in [
            ("maxplaybackrate", differing(self.max_playback_rate, default.max_playback_rate)),
            ("sprop-maxcapturerate", differing(self.max_capture_rate, default.max_capture_rate)),
            ("maxaveragebitrate", self.max_average_bitrate),
            ("stereo", flag(self.stereo)),
            ("sprop-stereo", flag(self.sends_stereo)),
            ("cbr", flag(self.constant_bitrate)),
            ("useinbandfec", flag(self.inband_fec)),
            ("usedtx", flag(self.dtx)),
            ("minptime", differing(self.min_ptime_ms, default.min_ptime_ms)),
            ("ptime", self.ptime_ms),
            ("maxptime", self.max_ptime_ms),
        ] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = ";";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of RFC 7587 §7.1.
    #[test]
    fn the_example_of_the_rfc() {
        let fmtp = OpusFmtp::parse(
            "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0",
        );
        let wanted = OpusFmtp {
            max_playback_rate: 16_000,
            max_capture_rate: 16_000,
            max_average_bitrate: Some(20_000),
            stereo: true,
            inband_fec: true,
            ..OpusFmtp::default()
        };
        assert_eq!(fmtp, wanted);
        let parameters = fmtp.parameters();
        assert_eq!((parameters.playback_rate(), parameters.bitrate()), (16_000, Some(20_000)));
        assert_eq!(
            fmtp.to_string(),
            "maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=20000;stereo=1;useinbandfec=1"
        );
    }

    #[test]
    fn what_browsers_send() {
        let fmtp = OpusFmtp::parse("minptime=10;useinbandfec=1");
        assert_eq!(fmtp, OpusFmtp { min_ptime_ms: 10, inband_fec: true, ..OpusFmtp::default() });
        assert_eq!(OpusFmtp::parse(""), OpusFmtp::default());
        assert_eq!(OpusFmtp::default().to_string(), "");
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        let fmtp = OpusFmtp::parse(
            "stereo;=;cbr=yes;usedtx=-1;; maxaveragebitrate=1 ;x=5;USEINBANDFEC = 1;maxptime=999999999999",
        );
        assert_eq!(fmtp, OpusFmtp { inband_fec: true, max_average_bitrate: Some(6_000), ..OpusFmtp::default() });
        assert_eq!(OpusFmtp::parse("maxplaybackrate=96000;maxplaybackrate=1").max_playback_rate, 8_000);
        assert_eq!(OpusFmtp::parse("maxplaybackrate=44100").parameters().playback_rate(), 48_000);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let fmtp = OpusFmtp::parse(&text);
            prop_assert_eq!(OpusFmtp::parse(&fmtp.to_string()), fmtp);
        }

        #[test]
        fn what_is_printed_is_read_again(rate in 8_000_u32..=48_000, bitrate in 6_000_u32..=510_000, flags in any::<[bool; 5]>(), ptime in 3_u32..=120) {
            let [stereo, sends_stereo, constant_bitrate, inband_fec, dtx] = flags;
            let fmtp = OpusFmtp {
                max_playback_rate: rate, max_capture_rate: rate, max_average_bitrate: Some(bitrate), stereo, sends_stereo,
                constant_bitrate, inband_fec, dtx, min_ptime_ms: ptime, ptime_ms: Some(ptime), max_ptime_ms: None,
            };
            prop_assert_eq!(OpusFmtp::parse(&fmtp.to_string()), fmtp);
        }
    }
}
