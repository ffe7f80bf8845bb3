//! The E-model (ITU-T G.107): what a talker thinks of a connection with this codec, loss and delay.
//!
//! All parameters that a switch does not know (loudness, noise, side tone) have the default values of the
//! recommendation, with which a perfect connection is rated 93.2. That is the scale of narrow-band telephony ([`r_factor`]), on
//! which a wide-band codec is rated like an unimpaired narrow-band one. The scale of wide-band telephony (ITU-T G.107.1,
//! [`r_factor_wide`]) goes up to 129.

mod codecs;
#[cfg(test)]
mod tests;

pub use codecs::CodecImpairment;

use std::sync::LazyLock;
use std::time::Duration;

/// Sending, receiving and overall loudness ratings.
const SLR: f64 = 8.0;
const RLR: f64 = 2.0;
const OLR: f64 = SLR + RLR;
/// Side tone masking rating, listener side tone rating, D-value of the telephone.
const STMR: f64 = 15.0;
const LSTR: f64 = 18.0;
const DS: f64 = 3.0;
/// Room noise at both sides, circuit noise and noise floor.
const PS: f64 = 35.0;
const PR: f64 = 35.0;
const NC: f64 = -70.0;
const NFOR: f64 = -64.0;
/// Quantization distortion units.
const QDU: f64 = 1.0;
/// Weighted echo path loss.
const WEPL: f64 = 110.0;

/// A connection in one direction, as its listener has it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Connection {
    /// From mouth to ear: the network, the packets, the jitter buffer and the codecs.
    pub delay: Duration,
    /// Packets that were lost on the way, 0 to 1.
    pub lost: f32,
    /// Packets of those that arrived that the jitter buffer had to discard, 0 to 1.
    pub discarded: f32,
    /// How much longer the runs of lost packets are than with independent losses: 1 for independent ones. See
    /// [`LossRuns`].
    pub burst_ratio: f32,
    /// Loss of the talker's echo in decibels: 65 with an echo canceller.
    pub echo_loss_db: f32,
    /// What users forgive for the advantage of the access, 0 to 20: 0 for a wire, 5 and 10 for mobility.
    pub advantage: f32,
}

impl Default for Connection {
    fn default() -> Self {
        Self { delay: Duration::ZERO, lost: 0.0, discarded: 0.0, burst_ratio: 1.0, echo_loss_db: 65.0, advantage: 0.0 }
    }
}

/// The transmission rating R, 0 to 100: above 80 most users are satisfied, below 60 nearly none. Values that make no
/// sense are taken for the nearest that do.
pub fn r_factor(codec: CodecImpairment, connection: &Connection) -> f32 {
    let delay_ms = connection.delay.as_secs_f64() * 1_000.0;
    let echo_loss = f64::from(within(connection.echo_loss_db, 0.0, 200.0, 65.0));
    let advantage = f64::from(within(connection.advantage, 0.0, 20.0, 0.0));
    let base = *BASE;
    let delayed =
        talker_echo(base.noise, echo_loss, delay_ms) + listener_echo(base.ratio, 2.0 * delay_ms) + late(delay_ms);
    let r = base.ratio - base.simultaneous - delayed - equipment(codec, connection) + advantage;
    r.clamp(0.0, 100.0) as f32
}

/// Rating of a perfect connection of 50 to 7,000 Hz (G.107.1 §7.7).
pub const BEST_R_WIDE: f32 = 129.0;

/// The transmission rating of a wide-band connection (G.107.1), 0 to [`BEST_R_WIDE`]. Delay and lost packets cost as much as on
/// the narrow-band scale, and so does the talker's echo; of noise the defaults are part of the 129.
pub fn r_factor_wide(codec: CodecImpairment, connection: &Connection) -> f32 {
    let delay_ms = connection.delay.as_secs_f64() * 1_000.0;
    let advantage = f64::from(within(connection.advantage, 0.0, 20.0, 0.0));
    let echo_loss = f64::from(within(connection.echo_loss_db, 0.0, 200.0, 65.0));
    let delayed = talker_echo(BASE.noise, echo_loss, delay_ms) + late(delay_ms);
    let r = f64::from(BEST_R_WIDE) - delayed - equipment(codec, connection) + advantage;
    r.clamp(0.0, BEST_R_WIDE.into()) as f32
}

/// The mean opinion score that belongs to a rating on the wide-band scale (G.107.1 Annex A). Listeners compare with other
/// wide-band connections, so that it cannot be compared with a score of narrow-band telephony.
pub fn mos_wide(r_factor: f32) -> f32 {
    mos(r_factor * 100.0 / BEST_R_WIDE)
}

/// The mean opinion score, 1 to 4.5, that belongs to a rating (G.107 Annex B).
pub fn mos(r_factor: f32) -> f32 {
    match r_factor {
        r if r >= 100.0 => 4.5,
        r if r > 0.0 => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
        _ => 1.0,
    }
}

fn within(value: f32, least: f32, most: f32, otherwise: f32) -> f32 {
    if value.is_nan() { otherwise } else { value.clamp(least, most) }
}

/// What does not depend on the connection.
#[derive(Clone, Copy)]
struct Base {
    /// Sum of all noises, No.
    noise: f64,
    /// Basic signal-to-noise ratio, Ro.
    ratio: f64,
    /// Impairments that come with the voice, Is, without those of the talker's echo.
    simultaneous: f64,
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let from_sender = PS - SLR - DS - 100.0 + 0.004 * (PS - OLR - DS - 14.0).powi(2);
    let effective = PR + 10.0 * (1.0 + 10f64.powf((10.0 - LSTR) / 10.0)).log10();
    let from_receiver = RLR - 121.0 + effective + 0.008 * (effective - 35.0).powi(2);
    let powers = [NC, from_sender, from_receiver, NFOR + RLR].map(|level| 10f64.powf(level / 10.0));
    let noise = 10.0 * powers.iter().sum::<f64>().log10();
    let ratio = 15.0 - 1.5 * (SLR + noise);
    Base { noise, ratio, simultaneous: too_loud(noise) + side_tone() + quantization(ratio) }
});

/// Iolr: a connection that is too loud.
fn too_loud(noise: f64) -> f64 {
    let x = (OLR + 0.2 * (64.0 + noise - RLR)) / 8.0;
    20.0 * ((1.0 + x.powi(8)).powf(0.125) - x)
}

/// Ist: a side tone that is not optimal; its part that the echo adds counts for a delay of 0.
fn side_tone() -> f64 {
    12.0 * (1.0 + ((STMR - 13.0) / 6.0).powi(8)).powf(1.0 / 8.0)
        - 28.0 * (1.0 + ((STMR + 1.0) / 19.4).powi(35)).powf(1.0 / 35.0)
        - 13.0 * (1.0 + ((STMR - 3.0) / 33.0).powi(13)).powf(1.0 / 13.0)
        + 29.0
}

/// Iq: quantization distortion.
fn quantization(ratio: f64) -> f64 {
    let q = 37.0 - 15.0 * QDU.log10();
    let g = 1.07 + 0.258 * q + 0.0602 * q * q;
    let y = (ratio - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
    let z = 46.0 / 30.0 - g / 40.0;
    15.0 * (1.0 + 10f64.powf(y) + 10f64.powf(z)).log10()
}

/// Idte: the talker hears an echo of its own voice.
fn talker_echo(noise: f64, echo_loss: f64, delay_ms: f64) -> f64 {
    if delay_ms < 1.0 {
        return 0.0;
    }
    let masked = echo_loss - 40.0 * ((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)).log10()
        + 6.0 * (-0.3 * delay_ms * delay_ms).exp();
    let difference = -1.5 * (noise - RLR) - (80.0 + 2.5 * (masked - 14.0));
    (difference / 2.0 + (difference * difference / 4.0 + 100.0).sqrt() - 1.0) * (1.0 - (-delay_ms).exp())
}

/// Idle: the listener hears the talker twice.
fn listener_echo(ratio: f64, round_trip_ms: f64) -> f64 {
    let difference = ratio - 10.5 * (WEPL + 7.0) * (round_trip_ms + 1.0).powf(-0.25);
    difference / 2.0 + (difference * difference / 4.0 + 169.0).sqrt()
}

/// Idd: delay itself, without any echo.
fn late(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// Ie,eff: the codec, and lost packets.
fn equipment(codec: CodecImpairment, connection: &Connection) -> f64 {
    let lost = f64::from(within(connection.lost, 0.0, 1.0, 0.0));
    let discarded = f64::from(within(connection.discarded, 0.0, 1.0, 0.0));
    let percent = 100.0 * (lost + (1.0 - lost) * discarded);
    let burst_ratio = f64::from(within(connection.burst_ratio, 1.0, 100.0, 1.0));
    let (ie, bpl) = (f64::from(codec.ie), f64::from(codec.bpl));
    ie + (95.0 - ie) * percent / (percent / burst_ratio + bpl)
}

/// Counts packets that arrived and runs of packets that did not, for the burst ratio.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossRuns {
    packets: u64,
    lost: u64,
    runs: u64,
    was_lost: bool,
}

impl LossRuns {
    /// Takes the next packet of the sender's sequence.
    pub fn count(&mut self, is_lost: bool) {
        self.packets += 1;
        if is_lost {
            self.lost += 1;
            self.runs += u64::from(!self.was_lost);
        }
        self.was_lost = is_lost;
    }

    /// The part that was lost, 0 to 1.
    pub fn lost(&self) -> f32 {
        if self.packets == 0 { 0.0 } else { (self.lost as f64 / self.packets as f64) as f32 }
    }

    /// The mean length of the runs of lost packets, in relation to that of independent losses (G.107 §7.5): 1 if the
    /// losses are independent or less clustered than that.
    pub fn burst_ratio(&self) -> f32 {
        if self.runs == 0 || self.lost == self.packets {
            return 1.0;
        }
        let mean = self.lost as f64 / self.runs as f64;
        (mean * (1.0 - self.lost as f64 / self.packets as f64)).max(1.0) as f32
    }
}
