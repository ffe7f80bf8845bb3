//! PESQ of what phones hear through the switch: clean, with loss, with jitter, with a clock that is off, between all codecs,
//! in a room, and of recordings.

use super::media::{Departure, Heard, RATE, Talk, heard, stream, talk, through};
use super::network::{drifting, jittering, losing, lost};
use super::phone::{Phone, connect};
use super::speech::{lag, scores, speech};
use crate::machine::{alone, plan, second_try, start};
use audio::codec::CodecKind::{self, G722, Opus, Pcma, Pcmu};
use clock::{Duration, Instant};
use loadtest::is_full_run;
use loadtest::peers::{Switch, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Seconds of speech, after a second of silence.
pub(super) const SECONDS: usize = 5;
/// PESQ of the narrow band gives 4.55 to what is not changed at all.
const CLEAN_G711: f64 = 4.0;
/// What a path through the switch may score less than its codecs alone, one after the other.
pub(super) const PATH_LOSS: f64 = 0.2;
/// Packets of this part are lost where packets are.
const LOSS_PERCENT: u32 = 5;
/// What is on its way when the last packet has left.
pub(super) const AFTER: Duration = Duration::from_millis(400);
/// Sound that is heard later than this is not searched for: 100 ms.
const LAG_MAX: usize = RATE as usize / 10;
/// One frame, which the switch may add to the way of a sound on a clean network.
const FRAME_MS: f64 = 20.0;

/// A host whose packets leave later than this after their time is no clean network.
const EVEN: Duration = Duration::from_millis(3);

/// What happens on the way from the caller.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Network {
    Clean,
    /// Percent of the packets.
    Loss(u32),
    /// Up to so much later, in any order.
    Jitter(Duration),
    /// The caller's clock, in parts in a million.
    Drift(i64),
}

impl Network {
    fn carry(self, departures: Vec<Departure>, seed: u32) -> Vec<Departure> {
        match self {
            Self::Clean => departures,
            Self::Loss(percent) => {
                let lost = lost(percent, seed, departures.len());
                losing(departures, &lost)
            }
            Self::Jitter(most) => jittering(departures, most, seed),
            Self::Drift(ppm) => drifting(departures, ppm),
        }
    }
}

/// A call between two phones.
struct Call {
    network: Network,
    phones: [Phone; 2],
    /// What each says.
    said: [Vec<i16>; 2],
}

impl Call {
    fn new(index: usize, codecs: [CodecKind; 2], network: Network) -> Self {
        let phones = [("caller", 0), ("called", 1)].map(|(name, n)| Phone::new(&format!("{name}{index}"), codecs[n]));
        Self { network, phones, said: [speech(0, SECONDS), speech(1, SECONDS)] }
    }

    /// Both speak from the beginning of the run on; the network lies between the caller and the switch.
    fn prepare(&mut self, seed: u32) {
        for (n, phone) in self.phones.iter_mut().enumerate() {
            let departures = stream(phone.codec(), 0x5eed_0000 + n as u32, &self.said[n]);
            phone.line.departures = if n == 0 { self.network.carry(departures, seed) } else { departures };
        }
    }

    /// What the phone at this side hears of the other one.
    fn heard_at(&self, side: usize) -> Heard {
        heard(self.phones[side].codec(), &self.phones[side].line.arrivals)
    }

    /// What the called phone would hear where nothing takes the place of lost packets; `None` where none is lost.
    fn without_concealment(&self, seed: u32) -> Option<Vec<i16>> {
        let Network::Loss(percent) = self.network else { return None };
        let lost = lost(percent, seed, self.said[0].len());
        Some(through(&self.codecs(), &self.said[0], |index| lost[index]))
    }

    /// The codecs that what a side says passes, and its voice.
    fn way(&self, speaker: usize) -> Way {
        let codecs = [self.codecs()[speaker], self.codecs()[1 - speaker]];
        (if codecs[0] == codecs[1] { codecs[..1].to_vec() } else { codecs.to_vec() }, speaker)
    }

    fn codecs(&self) -> [CodecKind; 2] {
        [self.phones[0].codec(), self.phones[1].codec()]
    }

    /// How much later than through the codecs alone a sound is heard, in milliseconds: from the departure of each packet of
    /// the speaker to the arrival of the packet with the same sound, the median.
    fn added_delay_ms(&self, began: Instant, speaker: usize) -> f64 {
        let said = &self.said[speaker];
        let heard = self.heard_at(1 - speaker);
        let alone =
            lag(said, &through(&self.way(speaker).0, said, |_| false), LAG_MAX).expect("there is speech") as f64;
        let shift = lag(said, &heard.sound, LAG_MAX).expect("there is speech") as f64;
        let ms = |samples: f64| samples * 1e3 / f64::from(RATE);
        let mut delays: Vec<f64> = heard
            .arrivals
            .iter()
            .skip(50)
            .map(|(place, at)| at.since(began).as_secs_f64() * 1e3 - ms(*place as f64 - shift + alone))
            .collect();
        delays.sort_by(f64::total_cmp);
        delays[delays.len() / 2]
    }
}

/// A switch with a route to each called phone, and all calls up.
fn connected(calls: &mut [Call]) -> (Switch, tempfile::TempDir) {
    let routes: Vec<_> = calls.iter().map(|call| call.phones[1].route()).collect();
    let mut plan = plan(2 * calls.len() as u16);
    plan.sip = format!("mode = \"b2bua\"\nroutes = {{ {} }}", routes.join(", "));
    let (switch, folder) = start(&plan);
    for call in calls.iter_mut() {
        let [caller, called] = &mut call.phones;
        connect(switch.sip, caller, called);
    }
    (switch, folder)
}

/// Everyone speaks at once; returns when it began.
fn converse(calls: &mut [Call]) -> Talk {
    for (seed, call) in calls.iter_mut().enumerate() {
        call.prepare(seed as u32);
    }
    let mut lines: Vec<_> = calls.iter_mut().flat_map(|call| &mut call.phones).map(|phone| &mut phone.line).collect();
    talk(&mut lines, AFTER)
}

/// A way of sound: the codecs that it passes one after the other, and the voice.
pub(super) type Way = (Vec<CodecKind>, usize);

/// The scores of what codecs alone leave of a voice, without any network.
pub(super) fn own_scores(ways: impl IntoIterator<Item = Way>) -> BTreeMap<Way, f64> {
    let said = [0, 1].map(|voice| speech(voice, SECONDS));
    let ways: BTreeSet<Way> = ways.into_iter().collect();
    let heard: Vec<_> = ways.iter().map(|(codecs, voice)| through(codecs, &said[*voice], |_| false)).collect();
    let scores = scores(ways.iter().zip(&heard).map(|((_, voice), heard)| (&said[*voice][..], &heard[..])));
    ways.into_iter().zip(scores).collect()
}

/// A host that stalls for some milliseconds is an uneven network for all calls: a run that fails is played again, this often in
/// all, and the list of second tries of `make test` tells it.
const TRIES: usize = 3;

/// Plays a run until it is good.
pub(super) fn played(name: &str, run: impl Fn() -> Verdicts) {
    for attempt in 1..TRIES {
        let verdicts = run();
        if verdicts.wrong.is_empty() {
            return verdicts.give();
        }
        second_try(&format!("SECOND TRY of {name} after {attempt}:\n{}", verdicts.wrong));
    }
    run().give();
}

/// All that was wrong, told at once: one run takes ten seconds.
#[derive(Default)]
pub(super) struct Verdicts {
    wrong: String,
    all: String,
}

impl Verdicts {
    pub(super) fn expect(&mut self, is_good: bool, what: String) {
        writeln!(self.all, "{what}").unwrap();
        if !is_good {
            writeln!(self.wrong, "{what}").unwrap();
        }
    }

    /// Told where something else was wrong.
    fn note(&mut self, what: String) {
        writeln!(self.all, "{what}").unwrap();
        if !self.wrong.is_empty() {
            writeln!(self.wrong, "{what}").unwrap();
        }
    }

    fn give(self) {
        println!("{}", self.all);
        assert!(self.wrong.is_empty(), "{}\nall:\n{}", self.wrong, self.all);
    }
}

/// Calls of one codec, and of two: what each side hears of the other scores as much as the codecs of its way alone, and comes
/// within a frame; with loss and jitter it scores more than without concealment.
#[test]
fn speech_keeps_its_score_through_the_switch() {
    let _turn = alone();
    played("scores", calls_of_all_codecs);
}

fn calls_of_all_codecs() -> Verdicts {
    let jitter = Network::Jitter(Duration::from_millis(40));
    let mut cases = vec![
        ([Pcmu, Pcmu], Network::Clean),
        ([Pcmu, Pcma], Network::Clean),
        ([Pcmu, G722], Network::Clean),
        ([Pcmu, Opus], Network::Clean),
        ([Pcmu, G722], Network::Loss(LOSS_PERCENT)),
        ([Pcmu, Opus], Network::Loss(LOSS_PERCENT)),
        ([Opus, Pcmu], Network::Loss(LOSS_PERCENT)),
        ([Pcmu, G722], jitter),
    ];
    if is_full_run() {
        cases.extend(
            [[Pcma, G722], [Pcma, Opus], [G722, Opus], [G722, G722], [Opus, Opus]].map(|it| (it, Network::Clean)),
        );
        cases.extend([[G722, Pcmu], [Pcma, Opus], [Opus, G722]].map(|it| (it, Network::Loss(LOSS_PERCENT))));
        cases.extend([[G722, Pcmu], [Opus, Pcmu], [Pcmu, Opus]].map(|it| (it, jitter)));
    }
    let mut calls: Vec<_> =
        cases.into_iter().enumerate().map(|(index, (codecs, network))| Call::new(index, codecs, network)).collect();
    let (switch, _folder) = connected(&mut calls);
    let Talk { began, latest } = converse(&mut calls);
    let skipped = switch.counter("frames_skipped").expect("it is a counter");
    let is_uneven = skipped > 0 || latest > EVEN;
    let own = own_scores(calls.iter().flat_map(|call| [call.way(0), call.way(1)]));
    let mut verdicts = Verdicts::default();
    // What each called phone hears of its caller, what each caller hears, and what would be heard without concealment.
    let at_called: Vec<_> = calls.iter().map(|call| call.heard_at(1).sound).collect();
    let at_caller: Vec<_> = calls.iter().map(|call| call.heard_at(0).sound).collect();
    let bare: Vec<_> = calls.iter().enumerate().map(|(seed, call)| call.without_concealment(seed as u32)).collect();
    let mut pairs = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        pairs.push((&call.said[0][..], &at_called[index][..]));
        pairs.push((&call.said[1][..], &at_caller[index][..]));
        pairs.extend(bare[index].as_deref().map(|heard| (&call.said[0][..], heard)));
    }
    let mut scores = scores(pairs).into_iter();
    let mut next = || scores.next().expect("a score for each pair");
    for call in &calls {
        let (codecs, network) = (call.codecs(), call.network);
        let least = |voice| own[&call.way(voice)] - PATH_LOSS;
        let name = format!("{codecs:?} {network:?}");
        let (forth, back) = (next(), next());
        verdicts.expect(back > least(1), format!("{name}: back {back:.2}, at least {:.2}", least(1)));
        if let Network::Loss(_) = network {
            let bare = next();
            verdicts.expect(forth > bare, format!("{name}: forth {forth:.2}, without concealment {bare:.2}"));
            continue;
        }
        let least = if codecs == [Pcmu, Pcmu] { CLEAN_G711 } else { least(0) };
        verdicts.expect(forth > least, format!("{name}: forth {forth:.2}, at least {least:.2}"));
        if network == Network::Clean {
            for speaker in [0, 1] {
                let ms = call.added_delay_ms(began, speaker);
                // On a host that stalls the switch has to wait for packets longer.
                verdicts.expect(
                    ms < FRAME_MS || is_uneven,
                    format!("{name}: {ms:.1} ms are added to the way from {speaker}"),
                );
            }
        }
    }
    for call in &mut calls {
        call.phones[0].hang_up();
    }
    let left = wait_for(Duration::from_secs(60), || (switch.call_count().ok()? == 0).then_some(()));
    verdicts.expect(left.is_some(), "calls end".to_owned());
    verdicts.note(format!("the latest packet left {} us late, {skipped} frames were skipped", latest.as_micros()));
    verdicts
}

/// A caller whose clock is off by 200 parts in a million says one tone for a minute: it is heard as one tone, without a click.
#[test]
fn a_minute_of_drift_has_no_click() {
    if !is_full_run() {
        return;
    }
    let _turn = alone();
    played("drift", drifting_tones);
}

fn drifting_tones() -> Verdicts {
    let drifts = [200, -200].map(Network::Drift);
    let cases =
        drifts.into_iter().flat_map(|drift| [[Pcmu, G722], [Opus, Pcmu], [G722, Opus]].map(|codecs| (codecs, drift)));
    let mut calls: Vec<_> = cases.enumerate().map(|(index, (codecs, drift))| Call::new(index, codecs, drift)).collect();
    for call in &mut calls {
        let sample = |at: usize| (8_000.0 * (std::f64::consts::TAU * 440.0 * at as f64 / f64::from(RATE)).sin()) as i16;
        call.said = [0, 1].map(|_| (0..62 * RATE as usize).map(sample).collect());
    }
    let (_switch, _folder) = connected(&mut calls);
    converse(&mut calls);
    let mut verdicts = Verdicts::default();
    for call in &calls {
        let heard = call.heard_at(1).sound;
        let clicks = clicks(&heard[RATE as usize..60 * RATE as usize], 440.0);
        verdicts.expect(clicks == 0, format!("{:?} {:?}: {clicks} clicks", call.codecs(), call.network));
    }
    verdicts
}

/// Pieces of 5 ms of a tone that have more of anything else in them than a fiftieth of its power.
fn clicks(heard: &[i16], hertz: f64) -> usize {
    let turn = 2.0 * (std::f64::consts::TAU * hertz / f64::from(RATE)).cos();
    // A sine of this frequency, whatever its phase, is taken out; a step of its value or of its phase stays.
    let rest = |at: usize| {
        let [before, here, next] = [at - 1, at, at + 1].map(|at| f64::from(heard[at]));
        next - turn * here + before
    };
    let piece = RATE as usize / 200;
    let mean = |range: std::ops::Range<usize>, value: &dyn Fn(usize) -> f64| {
        range.clone().map(|at| value(at).powi(2)).sum::<f64>() / range.len() as f64
    };
    let level = mean(1..heard.len() - 1, &|at| f64::from(heard[at]));
    let starts = (1..heard.len() - piece - 1).step_by(piece);
    starts.filter(|start| mean(*start..start + piece, &rest) > 0.02 * level).count()
}

#[test]
fn a_click_is_found_and_a_tone_has_none() {
    let sample = |at: usize| (8_000.0 * (std::f64::consts::TAU * 440.0 * at as f64 / f64::from(RATE)).sin()) as i16;
    let mut tone: Vec<i16> = (0..8_000).map(sample).collect();
    assert_eq!(clicks(&tone, 440.0), 0);
    tone[4_005..4_165].fill(0);
    assert!((1..=2).contains(&clicks(&tone, 440.0)), "a frame that is silent has two edges at most");
}
