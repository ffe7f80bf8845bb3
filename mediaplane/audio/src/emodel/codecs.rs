//! What codecs cost (ITU-T G.113 Appendix I).

/// The impairment by a codec.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CodecImpairment {
    /// Equipment impairment factor, Ie: what the codec costs without any loss.
    pub ie: f32,
    /// Packet-loss robustness factor, Bpl: the greater, the less a loss costs.
    pub bpl: f32,
}

impl CodecImpairment {
    /// G.711 without concealment of lost packets.
    pub const G711: Self = Self { ie: 0.0, bpl: 4.3 };
    /// G.711 with concealment by its Appendix I.
    pub const G711_CONCEALED: Self = Self { ie: 0.0, bpl: 25.1 };
    /// G.729A with voice activity detection, two frames in a packet.
    pub const G729A: Self = Self { ie: 11.0, bpl: 19.0 };
    /// G.723.1 at 6.3 kbit/s with voice activity detection.
    pub const G723_1: Self = Self { ie: 15.0, bpl: 16.1 };
    /// GSM's enhanced full rate, which is AMR at 12.2 kbit/s.
    pub const GSM_EFR: Self = Self { ie: 5.0, bpl: 10.0 };
    /// G.722 with concealment. On the narrow-band scale it has no impairment; losses are taken to cost what they cost
    /// G.711, for want of a value of the recommendation on this scale.
    pub const G722: Self = Self::G711_CONCEALED;
    /// Opus at 24 kbit/s and more. As with G.722, losses are taken to cost what they cost G.711 with concealment.
    pub const OPUS: Self = Self::G711_CONCEALED;
    /// G.722 at 64 kbit/s on the wide-band scale (G.113 Appendix IV). The robustness is that of G.711 with concealment, for want
    /// of a value of the recommendation.
    pub const G722_WIDE: Self = Self { ie: 13.0, bpl: 25.1 };
    /// Opus at 24 kbit/s and more on the wide-band scale. The recommendation has no value for it: the impairment is that of the
    /// wide-band codec which it rates best (G.722.2 at 23.05 kbit/s), the robustness that of G.711 with concealment.
    pub const OPUS_WIDE: Self = Self { ie: 1.0, bpl: 25.1 };
}
