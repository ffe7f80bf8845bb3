use crate::Host;
use crate::reading::place::Faults;
use crate::reading::reader::{Reader, integer};
use crate::reading::suggest::did_you_mean;
use crate::section::word::Word;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeValue;

/// Most rooms.
const ROOM_COUNT_MAX: usize = 1_024;
const ROOMS: &str = r#"must be a list of at most 1024 user names, such as ["sales"]"#;
const QUALITY_INTERVAL_MS: std::ops::RangeInclusive<u64> = 200..=60_000;
const QUALITY_INTERVAL: &str = "must be a whole number from 200 to 60000";
const MOS: &str = "must be a mean opinion score from 1.0 to 4.5, or 0";
const VOICE: &str = r#"must be a list of "echo", "noise" and "gain", or an empty one"#;
/// Most entries of `numbers`.
const NUMBER_COUNT_MAX: usize = 1_024;
const NUMBERS: &str = r#"must be a table of at most 1024 user names with a word each, such as { 600 = "echo" }"#;
const RINGBACK: &str = r#"must be "none", "ringing", "tone", "tone:gb-ringing", "play:NAME" or "play:/PATH""#;
/// Most prompts.
const PROMPT_COUNT_MAX: usize = 256;

/// `[media]`: the media plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// UDP ports for RTP and RTCP.
    pub ports: PortRange,
    /// Address of the media sockets; unspecified IPv6 is every address of both families. `None`: see
    /// [`Config::media_address`](crate::Config::media_address).
    pub bind: Option<IpAddr>,
    /// Media threads; 0: see [`Media::worker_count`].
    pub workers: usize,
    /// How a media thread waits.
    pub wait: Wait,
    /// Silence from the peer that ends a call; `None`: it never does.
    pub media_timeout: Option<Duration>,
    /// How much early media goes to a caller that has not shown yet that it is where it says.
    pub early_unproven: Duration,
    /// Legs that are transcoded for at once, at most, by all media threads together.
    pub transcoders: usize,
    /// Whether the sides of a call that have no codec in common are transcoded.
    pub transcoding: bool,
    /// Whether formats that cannot be decoded are passed on between the sides of a call that both have them.
    pub relay_unknown: bool,
    /// What is done to the sound of every peer.
    pub voice_processing: VoiceProcessing,
    /// How digits travel between the switch and its peers.
    pub dtmf: Dtmf,
    /// What becomes of the digits of one side of a call on their way to the other side.
    pub digits: Digits,
    /// Prompts, in the order of their names; a place in this list is the number of `contract::Source::Prompt`.
    pub prompts: Vec<Prompt>,
    /// User names that are called to be in a conference, in the order of the file.
    pub rooms: Vec<String>,
    /// What is heard where the configuration says it in words.
    pub words: Words,
    /// Differentiated services code point of RTP.
    pub dscp: u8,
    /// How streams are judged, and what follows.
    pub quality: Quality,
}

/// The keys of `[media]` for the quality of streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quality {
    /// Score of a stream, times 100, below which it is degraded; 0: none ever is.
    pub degraded_mos_x100: u16,
    /// Time between two judgements of how a stream sounds.
    pub interval: Duration,
    /// Extended reports by RTCP.
    pub rtcp_xr: RtcpXr,
    /// A peer whose call is degraded is offered Opus, where both have it.
    pub codec_change: bool,
}

/// The keys of `[media]` that say in words what is heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// What users get that are called in mode "numbers", beside those that have a name of their own.
    pub numbers: Vec<(String, Word)>,
    /// What a caller hears while the called phone rings and sends nothing; `None`: nothing but the 180.
    pub ringback: Option<Word>,
}

/// First and last UDP port for media. The first is even, the last odd or the even port that is left over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    /// First, even.
    pub first: u16,
    /// Last, inclusive.
    pub last: u16,
}

/// What is done to the sound of a peer before anything else hears it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VoiceProcessing {
    /// The echo of what the peer was sent is taken out.
    pub echo: bool,
    /// Noise is lowered.
    pub noise: bool,
    /// Speech is brought to one level.
    pub gain: bool,
    /// Legs whose peer's sound is processed at once, at most, by all media threads together.
    pub legs_max: usize,
}

/// How digits travel between the switch and its peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dtmf {
    /// By what each peer can.
    Auto,
    /// As telephone events, otherwise by INFO; tones are not listened for.
    Rfc4733,
    /// By INFO.
    Info,
    /// As tones.
    Inband,
}

/// Who is sent extended reports by RTCP (RFC 3611), and who is asked for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RtcpXr {
    /// Nobody.
    Off,
    /// Peers that ask for them in an offer; they are asked in turn.
    Answered,
    /// Peers that ask for them; all are asked.
    Offered,
    /// All peers.
    Always,
}

/// What becomes of the digits of one side of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digits {
    /// The other side gets them.
    Passed,
    /// The other side does not get them.
    Consumed,
    /// The other side gets the digit 0 for each.
    Masked,
}

/// How a media thread waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Sleeps, but batches under load.
    Adaptive,
    /// Never sleeps.
    Busy,
    /// Always sleeps.
    Block,
}

/// Something that calls can play.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prompt {
    /// User name that is called to hear it.
    pub name: String,
    /// Where it comes from.
    pub file: PromptFile,
}

/// Where a prompt comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PromptFile {
    /// The one that comes with the program.
    Builtin,
    /// A WAV, FLAC, MP3 or Ogg file (Vorbis or Opus).
    File(PathBuf),
}

impl PortRange {
    /// How many pairs of RTP and RTCP port fit.
    pub fn pair_count(self) -> usize {
        (usize::from(self.last) + 1 - usize::from(self.first)) / 2
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let sound = first >= 1_024 && first % 2 == 0 && first < last;
        sound.then_some(Self { first, last })
    }
}

impl VoiceProcessing {
    fn parse(value: &DeValue<'_>) -> Option<Self> {
        let mut voice = Self::default();
        for part in value.as_array()? {
            match part.get_ref().as_str()? {
                "echo" => voice.echo = true,
                "noise" => voice.noise = true,
                "gain" => voice.gain = true,
                _ => return None,
            }
        }
        Some(voice)
    }
}

impl Media {
    pub(crate) fn read(reader: &mut Reader<'_>, host: &dyn Host) -> Self {
        let section = "media";
        let mut number = |name, high| {
            let allowed = format!("must be a whole number from 0 to {high}");
            reader.get(section, name, &allowed, |value| integer(value, 0..=high))
        };
        let workers = number("workers", 64) as usize;
        let seconds = number("media_timeout_s", 86_400);
        let early_ms = number("early_unproven_ms", 600_000);
        let dscp = number("dscp", 63) as u8;
        let transcoders = number("transcoders", 100_000) as usize;
        let voice_processors = number("voice_processors", 10_000) as usize;
        let ports = r#"must be "first-last" with an even first port of 1024 or above and a last one above it"#;
        let prompts = r#"must be a table of at most 256 user names with a sound file or "builtin" each"#;
        Self {
            ports: reader.get(section, "ports", ports, |value| PortRange::parse(value.as_str()?)),
            bind: reader.get(section, "bind", r#"must be an IP address or "auto""#, |value| match value.as_str()? {
                "auto" => Some(None),
                address => address.parse().ok().map(Some),
            }),
            workers,
            wait: reader.word(
                section,
                "wait",
                &[("adaptive", Wait::Adaptive), ("block", Wait::Block), ("busy", Wait::Busy)],
            ),
            media_timeout: (seconds > 0).then(|| Duration::from_secs(seconds)),
            early_unproven: Duration::from_millis(early_ms),
            transcoders,
            transcoding: reader.get(section, "transcoding", "must be true or false", |value| value.as_bool()),
            relay_unknown: reader.get(section, "relay_unknown", "must be true or false", |value| value.as_bool()),
            voice_processing: VoiceProcessing {
                legs_max: voice_processors,
                ..reader.get(section, "voice_processing", VOICE, VoiceProcessing::parse)
            },
            dtmf: reader.word(
                section,
                "dtmf",
                &[("auto", Dtmf::Auto), ("rfc4733", Dtmf::Rfc4733), ("info", Dtmf::Info), ("inband", Dtmf::Inband)],
            ),
            digits: reader.word(
                section,
                "digits",
                &[("passed", Digits::Passed), ("consumed", Digits::Consumed), ("masked", Digits::Masked)],
            ),
            prompts: reader.entries(section, "prompts", prompts, |value, faults| read_prompts(value, faults, host)),
            rooms: reader.get(section, "rooms", ROOMS, |value| {
                let names = value.as_array().filter(|names| names.len() <= ROOM_COUNT_MAX)?;
                let name = |value: &toml::Spanned<DeValue<'_>>| value.get_ref().as_str().map(str::to_owned);
                names
                    .iter()
                    .map(name)
                    .collect::<Option<Vec<String>>>()
                    .filter(|names| names.iter().all(|name| !name.is_empty()))
            }),
            words: Words {
                numbers: reader.entries(section, "numbers", NUMBERS, |value, faults| read_numbers(value, faults, host)),
                ringback: reader
                    .entries(section, "ringback", RINGBACK, |value, faults| read_ringback(value, faults, host)),
            },
            dscp,
            quality: Quality {
                codec_change: reader.get(section, "codec_change", "must be true or false", |value| value.as_bool()),
                rtcp_xr: reader.word(
                    section,
                    "rtcp_xr",
                    &[
                        ("answered", RtcpXr::Answered),
                        ("offered", RtcpXr::Offered),
                        ("always", RtcpXr::Always),
                        ("off", RtcpXr::Off),
                    ],
                ),
                interval: Duration::from_millis(reader.get(
                    section,
                    "quality_interval_ms",
                    QUALITY_INTERVAL,
                    |value| integer(value, QUALITY_INTERVAL_MS),
                )),
                degraded_mos_x100: reader.get(section, "mos_degraded", MOS, mos_x100),
            },
        }
    }

    /// Files that words name by their path are prompts as well, of that name.
    pub(crate) fn add_named_files(&mut self) {
        let words = self.words.numbers.iter().map(|(_, word)| word).chain(&self.words.ringback);
        let paths: BTreeSet<&str> = words.filter_map(Word::path).collect();
        let named = |path: &&str| Prompt { name: (*path).to_owned(), file: PromptFile::File(path.into()) };
        let more: Vec<Prompt> = paths.iter().map(named).collect();
        self.prompts.extend(more);
    }

    /// The number of media workers on a host with `cores`.
    pub fn worker_count(&self, cores: usize) -> usize {
        if self.workers == 0 { cores.clamp(1, 64) } else { self.workers }
    }

    /// The number of the prompt of this name.
    pub fn prompt(&self, name: &str) -> Option<u32> {
        self.prompts.iter().position(|prompt| prompt.name == name).map(|index| index as u32)
    }
}

/// A mean opinion score, times 100; 0 stays 0.
fn mos_x100(value: &DeValue<'_>) -> Option<u16> {
    let score: f64 = match value {
        DeValue::Float(score) => score.as_str().parse().ok()?,
        whole => integer(whole, 0..=4)? as f64,
    };
    let is_score = score == 0.0 || (1.0..=4.5).contains(&score);
    is_score.then_some((score * 100.0).round() as u16)
}

fn read_numbers(value: &DeValue<'_>, faults: &mut Faults, host: &dyn Host) -> Option<Vec<(String, Word)>> {
    let table = value.as_table().filter(|table| table.len() <= NUMBER_COUNT_MAX)?;
    let mut numbers = Vec::with_capacity(table.len());
    for (name, word) in table {
        let name: &str = name.get_ref();
        match word.get_ref().as_str().map_or_else(|| Err("must be a word".to_owned()), |text| read_word(text, host)) {
            Ok(word) if !name.is_empty() => numbers.push((name.to_owned(), word)),
            Ok(_) => faults.add(word.span(), &[name], "has no name that could be called"),
            Err(why) => faults.add(word.span(), &[name], why),
        }
    }
    numbers.sort_by(|a, b| a.0.cmp(&b.0));
    Some(numbers)
}

fn read_ringback(value: &DeValue<'_>, faults: &mut Faults, host: &dyn Host) -> Option<Option<Word>> {
    match value.as_str()? {
        "none" => Some(None),
        text => match read_word(text, host) {
            Ok(Word::Record | Word::Room(_) | Word::Echo) => None,
            Ok(word) => Some(Some(word)),
            Err(why) => {
                faults.add_whole(format!("{why}; or \"none\""));
                Some(None)
            }
        },
    }
}

/// A word whose file, if it names one, can be played.
fn read_word(text: &str, host: &dyn Host) -> Result<Word, String> {
    let word = Word::parse(text)?;
    match word.path().map(|path| host.prompt(Path::new(path))) {
        Some(Err(why)) => Err(why),
        _ => Ok(word),
    }
}

fn read_prompts(value: &DeValue<'_>, faults: &mut Faults, host: &dyn Host) -> Option<Vec<Prompt>> {
    let table = value.as_table().filter(|table| table.len() <= PROMPT_COUNT_MAX)?;
    let mut prompts = Vec::with_capacity(table.len());
    for (name, file) in table {
        let name: &str = name.get_ref();
        let mut wrong = |allowed: String| faults.add(file.span(), &[name], allowed);
        let file = match file.get_ref().as_str() {
            None | Some("") => {
                wrong(r#"must be the path of a WAV, FLAC, MP3 or Ogg file, or "builtin""#.to_owned());
                continue;
            }
            Some("builtin") => PromptFile::Builtin,
            Some(path) => match host.prompt(Path::new(path)) {
                Ok(()) => PromptFile::File(path.into()),
                Err(why) => {
                    wrong(format!("{why}{}", did_you_mean(path, ["builtin"])));
                    continue;
                }
            },
        };
        if name.is_empty() {
            wrong("has no name that could be called".to_owned());
        }
        prompts.push(Prompt { name: name.to_owned(), file });
    }
    prompts.sort_by(|a, b| a.name.cmp(&b.name));
    Some(prompts)
}
