//! How good the streams of a leg sound: the E-model (ITU-T G.107, G.107.1) with the codec values of G.113.

use crate::Worker;
use crate::decoding::playout::PlayoutCounts;
use crate::incoming::loss_pattern::LossSummary;
use crate::leg::Sound;
use audio::{CodecImpairment, Connection};
use clock::Duration;
use contract::{Codec, StreamQuality};

/// Delay that packets, codec and sound card of the other side add where nothing tells: two packets of 20 ms.
const TERMINAL_DELAY: Duration = Duration::from_millis(40);
/// A jitter buffer of so many times the jitter keeps nearly every packet.
const BUFFERED_JITTER: u32 = 2;

/// What a stream is rated.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Score {
    /// On the codec's own scale.
    pub(crate) r: f32,
    /// 1 to 4.5.
    pub(crate) mos: f32,
    is_wide: bool,
}

impl Score {
    pub(crate) fn of(codec: Codec, connection: &Connection) -> Self {
        // What is only relayed may be any codec, of which nothing is known.
        if codec == Codec::Other {
            return Self { r: 0.0, mos: 0.0, is_wide: false };
        }
        let wide = match codec {
            Codec::G722 => Some(CodecImpairment::G722_WIDE),
            Codec::Opus => Some(CodecImpairment::OPUS_WIDE),
            _ => None,
        };
        match wide {
            Some(impairment) => {
                let r = audio::r_factor_wide(impairment, connection);
                Self { r, mos: audio::mos_wide(r), is_wide: true }
            }
            None => {
                // The listener is taken to conceal what is lost (G.711 Appendix I), as phones do.
                let r = audio::r_factor(CodecImpairment::G711_CONCEALED, connection);
                Self { r, mos: audio::mos(r), is_wide: false }
            }
        }
    }

    /// The rating on the scale of 0 to 100.
    pub(crate) fn narrow_band_r(self) -> f32 {
        if self.is_wide { self.r * 100.0 / audio::BEST_R_WIDE } else { self.r }
    }

    /// Whether the codec is one that can be rated.
    pub(crate) fn is_known(self) -> bool {
        self.mos > 0.0
    }

    /// 100 to 450; 0: it is not known.
    pub(crate) fn mos_x100(self) -> u16 {
        if !self.is_known() {
            return 0;
        }
        (self.mos.clamp(1.0, 4.5) * 100.0).round() as u16
    }
}

/// A stream as its listener has it, since its beginning.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Heard {
    pub(crate) codec: Codec,
    pub(crate) connection: Connection,
    pub(crate) losses: LossSummary,
    /// Delay of the jitter buffer, where the stream is decoded here.
    pub(crate) decoded_with: Option<Duration>,
}

impl Heard {
    pub(crate) fn score(&self) -> Score {
        Score::of(self.codec, &self.connection)
    }

    /// The score of a listener who does not talk: delay does not matter.
    pub(crate) fn listening_score(&self) -> Score {
        Score::of(self.codec, &Connection { delay: Duration::ZERO, ..self.connection })
    }

    /// The stream as it was in an interval with this loss, of which it is not known how it was spread.
    pub(crate) fn score_with(&self, lost: f32) -> Score {
        Score::of(self.codec, &Connection { lost, burst_ratio: 1.0, ..self.connection })
    }

    fn quality(&self) -> StreamQuality {
        let score = self.score();
        let millis = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let LossSummary { burst_density, gap_density, burst, gap, .. } = self.losses;
        StreamQuality {
            mos_x100: score.mos_x100(),
            r_x10: (score.r * 10.0).round() as u16,
            delay_ms: millis(self.connection.delay),
            burst_ms: millis(burst),
            gap_ms: millis(gap),
            burst_density: in_256ths(burst_density),
            gap_density: in_256ths(gap_density),
            loss_rate: in_256ths(self.connection.lost),
            discard_rate: in_256ths(self.connection.discarded),
            ..StreamQuality::default()
        }
    }
}

/// A part of a whole as RTCP tells it.
pub(crate) fn in_256ths(part: f32) -> u8 {
    (part * 256.0).clamp(0.0, 255.0) as u8
}

/// Delay from mouth to ear.
fn delay(round_trip_us: u32, jitter_buffer: Duration) -> Duration {
    Duration::from_micros(u64::from(round_trip_us) / 2) + jitter_buffer + TERMINAL_DELAY
}

/// What a jitter buffer that is not ours waits with this jitter.
fn buffer_for(jitter_us: u32) -> Duration {
    BUFFERED_JITTER * Duration::from_micros(jitter_us.into())
}

fn part(of: u64, all: u64) -> f32 {
    if all == 0 { 0.0 } else { (of as f64 / all as f64) as f32 }
}

impl Worker {
    /// What the leg receives; `None` before the first packet. Where the stream is only relayed, the jitter buffer is that of its
    /// listener, and estimated.
    pub(crate) fn received(&self, place: usize) -> Option<Heard> {
        let leg = &self.legs[place];
        let sequence = &leg.receiving.sequence;
        let expected = sequence.expected();
        if expected == 0 {
            return None;
        }
        let losses = sequence.losses();
        let lost = u64::try_from(sequence.lost()).unwrap_or(0);
        let playout = self.playout_of(place);
        let discarded = playout.map_or(losses.discarded.into(), |(_, counts)| counts.jitter.late + counts.jitter.full);
        let buffer = playout.map_or_else(|| buffer_for(leg.receiving.jitter_us()), |(delay, _)| delay);
        let round_trip_us = leg.reports.peer().map_or(0, |peer| peer.round_trip_us);
        Some(Heard {
            codec: Codec::from_number(leg.receiving.codec).unwrap_or(Codec::Other),
            connection: Connection {
                delay: delay(round_trip_us, buffer),
                lost: part(lost, expected),
                discarded: part(discarded, leg.receiving.packets).min(1.0),
                burst_ratio: losses.burst_ratio,
                ..Connection::default()
            },
            losses,
            decoded_with: playout.map(|(delay, _)| delay),
        })
    }

    /// What the peer receives of what the leg sends, as it reports; `None` before its first report.
    pub(crate) fn sent(&self, place: usize) -> Option<Heard> {
        let leg = &self.legs[place];
        let peer = leg.reports.peer()?;
        let lost = peer.lost()?;
        let metrics = peer.voip.as_ref();
        // The peer's own jitter buffer, where it tells that.
        let told = metrics.map(|metrics| metrics.jitter_buffer_ms[0]).filter(|delay_ms| *delay_ms > 0);
        let buffer = told.map_or_else(|| buffer_for(peer.jitter_us), |delay_ms| Duration::from_millis(delay_ms.into()));
        Some(Heard {
            codec: self.codec_sent(place),
            connection: Connection {
                delay: delay(peer.round_trip_us, buffer),
                lost,
                discarded: metrics.map_or(0.0, |metrics| part(metrics.discard_rate.into(), 256)),
                ..Connection::default()
            },
            losses: metrics.map_or_else(LossSummary::default, |metrics| LossSummary {
                burst_density: part(metrics.burst_density.into(), 256),
                gap_density: part(metrics.gap_density.into(), 256),
                burst: Duration::from_millis(metrics.burst_ms.into()),
                gap: Duration::from_millis(metrics.gap_ms.into()),
                ..LossSummary::default()
            }),
            decoded_with: None,
        })
    }

    /// The codec of what the leg sends: a relayed stream has that of its source.
    fn codec_sent(&self, place: usize) -> Codec {
        let leg = &self.legs[place];
        let relayed = (leg.making.sound == Sound::None).then_some(leg.links.source_leg).and_then(|source| source.get());
        let relayed = relayed.map(|source| self.legs[source].receiving.codec).filter(|codec| *codec != 0);
        Codec::from_number(relayed.unwrap_or(leg.payloads.audio_codec)).unwrap_or(Codec::Other)
    }

    /// Where what the leg receives is decoded: the delay of the jitter buffer, and what became of the packets.
    fn playout_of(&self, place: usize) -> Option<(Duration, PlayoutCounts)> {
        let links = &self.legs[place].links;
        let mut next = links.first_sink;
        while let Some(sink) = next.get() {
            let sink = &self.legs[sink];
            if sink.making.sound == Sound::Transcoded {
                return self.coders.playout(sink.links.coder);
            }
            next = sink.links.next_sink;
        }
        self.rooms.playout(links.member)
    }

    pub(crate) fn quality_of(&self, place: usize) -> contract::LegQuality {
        let watch = &self.legs[place].reports.watch;
        let quality = |heard: Option<Heard>| heard.map(|heard| heard.quality()).unwrap_or_default();
        contract::LegQuality {
            received: watch.received.shown(quality(self.received(place))),
            sent: watch.sent.shown(quality(self.sent(place))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(codec: Codec, round_trip_us: u32, lost: f32) -> u16 {
        let connection = Connection { delay: delay(round_trip_us, Duration::ZERO), lost, ..Connection::default() };
        Score::of(codec, &connection).mos_x100()
    }

    #[test]
    fn known_points_of_the_e_model() {
        // R = 93.2 less 0.9 for the talker's echo after 40 ms.
        assert!((436..=441).contains(&mos(Codec::Pcmu, 0, 0.0)), "{}", mos(Codec::Pcmu, 0, 0.0));
        // One percent lost: Ie,eff = 95 / 26.1 = 3.6, R = 88.7.
        assert!((428..=434).contains(&mos(Codec::Pcma, 0, 0.01)), "{}", mos(Codec::Pcma, 0, 0.01));
        // Ten percent lost: Ie,eff = 27, R = 65: MOS 3.4.
        assert!((332..=344).contains(&mos(Codec::Pcmu, 0, 0.10)), "{}", mos(Codec::Pcmu, 0, 0.10));
        // 340 ms one way: Idd = 18, and 7 for the echo, R = 68: MOS 3.5.
        assert!((330..=370).contains(&mos(Codec::Pcmu, 600_000, 0.0)), "{}", mos(Codec::Pcmu, 600_000, 0.0));
        // On the wide-band scale: R = 116 and 128.
        assert!((428..=436).contains(&mos(Codec::G722, 0, 0.0)), "{}", mos(Codec::G722, 0, 0.0));
        assert!((445..=450).contains(&mos(Codec::Opus, 0, 0.0)), "{}", mos(Codec::Opus, 0, 0.0));
        assert_eq!(mos(Codec::Pcmu, u32::MAX, 1.0), 100);
        assert_eq!(mos(Codec::Other, 0, 0.0), 0, "of what is only relayed nothing is known");
    }

    #[test]
    fn worse_is_never_better() {
        for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
            let by_loss: Vec<_> = (0..100).map(|percent| mos(codec, 50_000, percent as f32 / 100.0)).collect();
            assert!(by_loss.is_sorted_by(|before, after| before >= after), "{by_loss:?}");
            let by_delay: Vec<_> = (0..200).map(|step| mos(codec, step * 10_000, 0.02)).collect();
            assert!(by_delay.is_sorted_by(|before, after| before + 1 >= *after), "{by_delay:?}");
        }
    }
}
