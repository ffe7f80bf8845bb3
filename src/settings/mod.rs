//! Where a switch listens, what its limits are, and which peers it trusts: [`SessionConfig`], and the builder that fills it in.

pub(crate) mod authenticator;
pub(crate) mod builder;
pub(crate) mod credentials;
mod quality;
pub(crate) mod tls;
pub(crate) mod transport;

pub use quality::QualitySettings;

use crate::api::{AudioSource, Authenticator, Credentials, PriorityShares, SessionError, TlsConfig};
use config::{AudioCodec, Config, PortRange, Prompt, PromptFile, Word};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The prompt that comes with the library.
const WELCOME: &str = "play";

/// An audio codec. It prints as in SDP (`PCMU`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// G.722 (RFC 3551), wideband at 64 kbit/s.
    G722,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// L16 (RFC 3551): samples as they are, one channel of 8, 16 or 24 kHz. Offered with 16 kHz first. Other rates and two
    /// channels are only relayed.
    L16,
}

impl Codec {
    /// As the media plane calls it.
    pub(crate) fn to_contract(self) -> contract::Codec {
        match self {
            Self::Opus => contract::Codec::Opus,
            Self::G722 => contract::Codec::G722,
            Self::Pcmu => contract::Codec::Pcmu,
            Self::Pcma => contract::Codec::Pcma,
            Self::L16 => contract::Codec::L16Wide,
        }
    }

    /// The codec that the media plane calls so; `None`: it is only relayed, or carries no sound.
    pub(crate) fn of_contract(codec: contract::Codec) -> Option<Self> {
        match codec {
            contract::Codec::Opus => Some(Self::Opus),
            contract::Codec::G722 => Some(Self::G722),
            contract::Codec::Pcmu => Some(Self::Pcmu),
            contract::Codec::Pcma => Some(Self::Pcma),
            contract::Codec::L16Narrow | contract::Codec::L16Wide | contract::Codec::L16SuperWide => Some(Self::L16),
            contract::Codec::TelephoneEvent | contract::Codec::Other => None,
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::L16 => "L16",
        })
    }
}

/// Sound files that calls play, and where they are recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SoundFiles {
    /// Prompts by name; `play` is the welcome prompt unless it is here. A running media plane that is attached to has prompts of
    /// its own, and needs the same names.
    pub prompts: BTreeMap<String, PathBuf>,
    /// The folder that recordings have to stay below, also by way of symbolic links; paths that are not absolute are in it.
    /// `None`: they may be anywhere.
    pub recording_folder: Option<PathBuf>,
    /// What a caller whose call is forwarded hears while the target rings and sends no early media: a tone or a prompt, which is
    /// played again and again. `None`: the target's 180 goes on to the caller, whose phone makes the tone.
    pub ringback: Option<AudioSource>,
}

/// Where a switch listens and what its limits are.
///
/// ```
/// # use ringplane::api::*;
/// let config = SessionConfig::server("127.0.0.1:5060")?;
/// assert_eq!((config.local_bind_addr.port(), config.media_ports), (5060, (10_000, 20_000)));
/// let config = SessionConfig { max_sessions: 100, media_ports: (30_000, 30_399), ..config };
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Address and port for SIP, UDP and TCP; port 0: the system chooses. Used in Via, Contact and SDP; media comes from
    /// this address as well. `0.0.0.0`: every address of the host, and peers are told the one that they called.
    pub local_bind_addr: SocketAddr,
    /// Whether TCP is listened for as well; it is.
    pub tcp: bool,
    /// Where WebSockets are listened for (RFC 7118), such as a browser behind a proxy with TLS.
    pub websocket: Option<SocketAddr>,
    /// Where secure WebSockets are listened for; they need a certificate in `tls`.
    pub secure_websocket: Option<SocketAddr>,
    /// Certificates and trust; `None`: no TLS listener, and calls by TLS trust the authorities of the host.
    pub tls: Option<TlsConfig>,
    /// User and password for each realm, for servers that ask for credentials.
    pub credentials: Vec<Credentials>,
    /// The users that may call, and how they are asked; `None`: everybody, unasked.
    pub authenticator: Option<Authenticator>,
    /// Whether the last message of the peer about each call is kept, for [`crate::api::advanced`]; it is not. It takes a
    /// kilobyte or two for each.
    pub keep_messages: bool,
    /// Whether a peer may hand its call to a third party (REFER), which we call then. It may.
    pub accept_transfers: bool,
    /// Whether the target of a transfer (REFER) or redirection (3xx) that a peer names may be this host itself (loopback, its
    /// own addresses) or link-local. It may not: what listens there may trust its own host. Media ports of ours are never
    /// called.
    pub local_destinations: bool,
    /// How the quality of calls is measured and told.
    pub quality: QualitySettings,
    /// Our own SIP address, the caller of calls that name none; empty: `sip:ringplane@` and our IP address.
    pub local_address: String,
    /// IP address for Via, Contact and SDP where peers see us by another one (NAT).
    pub public_address: Option<IpAddr>,
    /// The name servers for names in SIP addresses (RFC 3263); none: those of the host.
    pub name_servers: Vec<SocketAddr>,
    /// First and last UDP port for media: 10000 to 20000. A call takes two. All are bound at the start; those that other
    /// programs have are left out, and counted by [`crate::api::ResourceCounters`].
    pub media_ports: (u16, u16),
    /// Sessions at once: 5000; above that: 503 with Retry-After. A call that is forwarded has two.
    pub max_sessions: usize,
    /// How much of that the calls of each priority may fill.
    pub priority_shares: PriorityShares,
    /// How long a session may last: 12 hours; `None`: for ever.
    pub session_timeout: Option<Duration>,
    /// Sessions at once for one user, the caller of an incoming call, above which it gets 486; `None`, as it is: no limit
    /// of its own.
    pub per_user_limit: Option<usize>,
    /// Codecs that are offered and taken, most preferred first: PCMU, PCMA, G.722, Opus.
    pub codecs: Vec<Codec>,
    /// How long a deferred call may ring before it is refused with 480: 30 s.
    pub decision_timeout: Duration,
    /// How long a method of a handler may take: 10 s. [`crate::api::CallHandler`] says what becomes of a longer one.
    pub handler_timeout: Duration,
    /// How long nothing may come from the peer before the call ends: 60 s; `None`: it never does. A call on hold is
    /// not ended so.
    pub media_timeout: Option<Duration>,
    /// Sound files that calls play, and where they are recorded.
    pub files: SoundFiles,
    /// The control socket of a running `ringplane media`; `None`: the media plane runs in this process.
    pub media_plane: Option<PathBuf>,
}

impl SessionConfig {
    /// For a program that waits for calls on `address`, such as `127.0.0.1:5060`.
    pub fn server(address: impl AsRef<str>) -> Result<Self, SessionError> {
        Ok(Self { local_bind_addr: parse(address.as_ref())?, ..Self::default() })
    }

    /// For a program that makes calls from `address`, such as `127.0.0.1:0`. It can take calls as well.
    pub fn client(address: impl AsRef<str>) -> Result<Self, SessionError> {
        Self::server(address)
    }

    /// The configuration as the processes know it.
    pub(crate) fn to_config(&self, runtime_dir: PathBuf) -> Result<Config, SessionError> {
        let mut config = Config::default();
        config.sip.listen = vec![self.local_bind_addr];
        self.put_transports(&mut config)?;
        config.sip.advertised_address = self.public_address;
        config.sip.name_servers = self.name_servers.clone();
        // Bridges join sessions of one shard; one carries thousands of calls a second.
        config.sip.shards = 1;
        config.sip.calls.max_calls = self.max_sessions.clamp(1, 1_000_000);
        config.sip.calls.max_calls_per_user = self.per_user_limit;
        config.sip.calls.max_call = self.session_timeout;
        config.transfer.allow_local = self.local_destinations;
        config.sip.calls.decision_timeout = self.decision_timeout;
        config.sip.audio.codecs = self.audio_codecs();
        config.sip.audio.codec_order = config::CodecOrder::Ours;
        if config.sip.audio.codecs.is_empty() {
            return Err(SessionError::config("there is no codec: give at least one of Opus, G722, Pcmu and Pcma"));
        }
        config.media.media_timeout = self.media_timeout;
        config.media.ports = self.port_range()?;
        self.quality.put(&mut config.media)?;
        config.process.runtime_dir = runtime_dir;
        config.media.prompts = self.all_prompts();
        config.media.words.ringback = self.files.ringback.as_ref().map(|source| self.ringback(source)).transpose()?;
        Ok(config)
    }

    /// Everything that can be wrong before anything is started.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        self.check_credentials()?;
        self.check_authenticator()?;
        let address = &self.local_address;
        let is_address = !address.contains(char::is_control)
            && sip_wire::Address::check(&session::bracketed(address)).is_ok_and(|address| address.uri.scheme.is_sip());
        if !address.is_empty() && !is_address {
            return Err(SessionError::invalid_uri(address, "our own address is one such as sip:pbx@example.com"));
        }
        self.to_config(PathBuf::new()).map(drop)
    }

    pub(crate) fn port_range(&self) -> Result<PortRange, SessionError> {
        let (first, last) = self.media_ports;
        if first < 1_024 || first % 2 == 1 || last <= first {
            let words =
                format!("media ports {first}-{last}: the first must be even, 1024 or above, and below the last");
            return Err(SessionError::config(words));
        }
        Ok(PortRange { first, last })
    }

    /// The configuration's word for what callers hear while a target rings.
    fn ringback(&self, source: &AudioSource) -> Result<Word, SessionError> {
        use crate::api::CallTone::*;
        Ok(match source {
            AudioSource::Tone => Word::Tone,
            AudioSource::Ringing => Word::Ringing,
            AudioSource::Prompt(name) | AudioSource::Music(name) => {
                self.prompt_number(name)?;
                Word::Play(name.clone())
            }
            AudioSource::CallTone { country, tone } => {
                let known = crate::media::tone_of(country, *tone)?;
                let tone = match tone {
                    Dial => config::CallTone::Dial,
                    Ringing => config::CallTone::Ringing,
                    Busy => config::CallTone::Busy,
                    Congestion => config::CallTone::Congestion,
                    SpecialInformation => config::CallTone::SpecialInformation,
                };
                Word::CallTone(known.country, tone)
            }
            AudioSource::Silence | AudioSource::Echo => {
                return Err(SessionError::config("what callers hear while a target rings is a tone or a prompt"));
            }
        })
    }

    /// In the order of their names, which is that of their numbers. `play` is the welcome prompt unless it is given.
    fn all_prompts(&self) -> Vec<Prompt> {
        let mut all: BTreeMap<&str, PromptFile> = BTreeMap::from([(WELCOME, PromptFile::Builtin)]);
        all.extend(self.files.prompts.iter().map(|(name, path)| (name.as_str(), PromptFile::File(path.clone()))));
        all.into_iter().map(|(name, file)| Prompt { name: name.to_owned(), file }).collect()
    }

    pub(crate) fn prompt_number(&self, name: &str) -> Result<u32, SessionError> {
        let all = self.all_prompts();
        let number = all.iter().position(|prompt| prompt.name == name).map(|number| number as u32);
        number.ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|prompt| prompt.name.as_str()).collect();
            SessionError::config(format!("there is no prompt `{name}`; there are {}", names.join(", ")))
        })
    }

    /// Each codec once, as the configuration calls it.
    fn audio_codecs(&self) -> Vec<AudioCodec> {
        let mut codecs = Vec::with_capacity(self.codecs.len());
        for codec in &self.codecs {
            let codec = match codec {
                Codec::Opus => AudioCodec::Opus,
                Codec::G722 => AudioCodec::G722,
                Codec::Pcmu => AudioCodec::Pcmu,
                Codec::Pcma => AudioCodec::Pcma,
                Codec::L16 => AudioCodec::L16,
            };
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        codecs
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            local_bind_addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5060),
            tcp: true,
            websocket: None,
            secure_websocket: None,
            tls: None,
            credentials: Vec::new(),
            authenticator: None,
            keep_messages: false,
            accept_transfers: true,
            local_destinations: false,
            quality: QualitySettings::default(),
            local_address: String::new(),
            public_address: None,
            name_servers: Vec::new(),
            media_ports: (10_000, 20_000),
            max_sessions: 5_000,
            priority_shares: PriorityShares::default(),
            session_timeout: Some(Duration::from_secs(12 * 60 * 60)),
            per_user_limit: None,
            codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus],
            decision_timeout: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(10),
            media_timeout: Some(Duration::from_secs(60)),
            files: SoundFiles::default(),
            media_plane: None,
        }
    }
}

/// The few keys that most programs set, with the port range as two fields. It becomes a [`SessionConfig`] by `into()`;
/// [`SessionCoordinator::new`](crate::api::SessionCoordinator::new) and
/// [`SessionManagerBuilder::from_config`](crate::api::SessionManagerBuilder::from_config) take either.
///
/// ```
/// # use ringplane::api::*;
/// let config = SessionManagerConfig {
///     local_bind_addr: "127.0.0.1:5070".parse().unwrap(),
///     media_port_start: 30_000,
///     media_port_end: 30_399,
///     ..Default::default()
/// };
/// assert_eq!(SessionConfig::from(config).media_ports, (30_000, 30_399));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionManagerConfig {
    /// UDP and TCP port for SIP; 0, as it is: the one of `local_bind_addr`.
    pub sip_port: u16,
    /// Our own SIP address, the caller of calls that name none; empty: `sip:ringplane@` and our IP address.
    pub local_address: String,
    /// Address and port for SIP: 0.0.0.0:5060.
    pub local_bind_addr: SocketAddr,
    /// First UDP port for media, an even number: 10000.
    pub media_port_start: u16,
    /// Last UDP port for media: 20000.
    pub media_port_end: u16,
}

impl Default for SessionManagerConfig {
    fn default() -> Self {
        let config = SessionConfig::default();
        Self {
            sip_port: 0,
            local_address: config.local_address,
            local_bind_addr: config.local_bind_addr,
            media_port_start: config.media_ports.0,
            media_port_end: config.media_ports.1,
        }
    }
}

impl From<SessionManagerConfig> for SessionConfig {
    fn from(config: SessionManagerConfig) -> Self {
        let mut local_bind_addr = config.local_bind_addr;
        if config.sip_port != 0 {
            local_bind_addr.set_port(config.sip_port);
        }
        Self {
            local_bind_addr,
            local_address: config.local_address,
            media_ports: (config.media_port_start, config.media_port_end),
            ..Self::default()
        }
    }
}

fn parse(address: &str) -> Result<SocketAddr, SessionError> {
    let alone = || address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 5060));
    address.parse().or_else(|_| alone()).map_err(|_| {
        SessionError::config(format!("`{address}` is no address to listen on; give IP:port, such as 127.0.0.1:5060"))
    })
}
