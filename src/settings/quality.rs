//! How the quality of calls is measured.

use crate::api::SessionError;
use std::time::Duration;

/// How the quality of calls is measured and told. A running media plane that is attached to has settings of its own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct QualitySettings {
    /// How often the media plane of this process judges how calls sound, 200 ms to a minute: every 2 s; `None`: changes are not told.
    pub interval: Option<Duration>,
    /// The score (MOS, 1.0 to 4.5) below which a stream is degraded: 3.6; 0.0: none ever is.
    pub degraded_mos: f64,
    /// Whether our offers ask for VoIP metrics by RTCP XR (RFC 3611), too: they do not, and peers that ask for them are sent them.
    pub offers_rtcp_xr: bool,
    /// Whether a peer whose call is degraded is offered Opus, where it has agreed to it: it is not.
    pub codec_change: bool,
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(2)), degraded_mos: 3.6, offers_rtcp_xr: false, codec_change: false }
    }
}

impl QualitySettings {
    pub(super) fn put(&self, media: &mut config::Media) -> Result<(), SessionError> {
        if self.degraded_mos != 0.0 && !(1.0..=4.5).contains(&self.degraded_mos) {
            return Err(SessionError::config("degraded_mos is a mean opinion score from 1.0 to 4.5, or 0.0"));
        }
        media.quality.degraded_mos_x100 = (self.degraded_mos * 100.0).round() as u16;
        if self.offers_rtcp_xr {
            media.quality.rtcp_xr = config::RtcpXr::Offered;
        }
        media.quality.codec_change = self.codec_change;
        if let Some(interval) = self.interval {
            media.quality.interval = interval.clamp(Duration::from_millis(200), Duration::from_secs(60));
        }
        Ok(())
    }
}
