use super::{CallHandler, Priority, PriorityShares, SessionCoordinator, SessionError};
use config::{AudioCodec, Config, PortRange, Prompt, PromptFile};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The prompt that comes with the library.
const WELCOME: &str = "play";

/// An audio codec.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// Opus (RFC 7587). The media plane does not have it yet: it is not offered.
    Opus,
    /// G.722 (RFC 3551). The media plane does not have it yet: it is not offered.
    G722,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Where a switch listens and what its limits are.
///
/// ```
/// # use ringplane::api::*;
/// let config = SessionConfig::server("127.0.0.1:5060")?;
/// assert_eq!(config.local_bind_addr.port(), 5060);
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Address and UDP port for SIP; port 0: the system chooses. Used in Via, Contact and SDP.
    pub local_bind_addr: SocketAddr,
    /// Our own SIP address, the caller of calls that name none.
    pub local_address: String,
    /// IP address for Via, Contact and SDP where peers see us by another one (NAT).
    pub public_address: Option<IpAddr>,
    /// First and last UDP port for media.
    pub media_ports: (u16, u16),
    /// Sessions at once; above that: 503 with Retry-After.
    pub max_sessions: usize,
    /// How much of that the calls of each priority may fill.
    pub priority_shares: PriorityShares,
    /// How long a session may last; `None`: for ever.
    pub session_timeout: Option<Duration>,
    /// Sessions at once for one user, the caller of an incoming call; `None`: no limit of its own.
    pub per_user_limit: Option<usize>,
    /// Codecs that are offered and taken, most preferred first.
    pub codecs: Vec<Codec>,
    /// How long a deferred call may ring before it is refused with 480.
    pub decision_timeout: Duration,
    /// How long a handler may think. One that takes longer costs its call a 500.
    pub handler_timeout: Duration,
    /// Silence from the peer that ends a call; `None`: it never does.
    pub media_timeout: Option<Duration>,
    /// WAV files that calls can play, by name. A running media plane that is attached to has prompts of its own, and
    /// needs the same names.
    pub prompts: BTreeMap<String, PathBuf>,
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

    /// As the processes know it.
    pub(crate) fn to_config(&self, runtime_dir: PathBuf) -> Result<Config, SessionError> {
        let mut config = Config::default();
        config.sip.listen = vec![self.local_bind_addr];
        config.sip.advertised_address = self.public_address;
        // Bridges join sessions of one shard; one carries thousands of calls a second.
        config.sip.shards = 1;
        config.sip.max_calls = self.max_sessions.clamp(1, 1_000_000);
        config.sip.max_calls_per_user = self.per_user_limit;
        config.sip.max_call = self.session_timeout;
        config.sip.decision_timeout = self.decision_timeout;
        config.sip.codecs = self.known_codecs();
        config.sip.codec_order = config::CodecOrder::Ours;
        if config.sip.codecs.is_empty() {
            return Err(SessionError::config("none of the codecs is there: the media plane has Pcmu and Pcma"));
        }
        config.media.media_timeout = self.media_timeout;
        config.media.ports = self.port_range()?;
        config.process.runtime_dir = runtime_dir;
        config.media.prompts = self.all_prompts();
        Ok(config)
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

    /// In the order of their names, which is that of their numbers. `play` is the welcome prompt unless it is given.
    fn all_prompts(&self) -> Vec<Prompt> {
        let mut all: BTreeMap<&str, PromptFile> = BTreeMap::from([(WELCOME, PromptFile::Builtin)]);
        all.extend(self.prompts.iter().map(|(name, path)| (name.as_str(), PromptFile::Wav(path.clone()))));
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

    fn known_codecs(&self) -> Vec<AudioCodec> {
        let known = |codec: &Codec| match codec {
            Codec::Pcmu => Some(AudioCodec::Pcmu),
            Codec::Pcma => Some(AudioCodec::Pcma),
            Codec::Opus | Codec::G722 => {
                tracing::warn!("{codec:?} is not offered: the media plane does not have it yet");
                None
            }
        };
        self.codecs.iter().filter_map(known).collect()
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            local_bind_addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5060),
            local_address: String::new(),
            public_address: None,
            media_ports: (10_000, 20_000),
            max_sessions: 5_000,
            priority_shares: PriorityShares::default(),
            session_timeout: None,
            per_user_limit: None,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            decision_timeout: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(10),
            media_timeout: Some(Duration::from_secs(60)),
            prompts: BTreeMap::new(),
            media_plane: None,
        }
    }
}

fn parse(address: &str) -> Result<SocketAddr, SessionError> {
    let alone = || address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 5060));
    address.parse().or_else(|_| alone()).map_err(|_| {
        SessionError::config(format!("`{address}` is no address to listen on; give IP:port, such as 127.0.0.1:5060"))
    })
}

/// Puts a [`SessionCoordinator`] together, key by key. Mistakes come out of [`Self::build`].
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example() -> Result<(), SessionError> {
/// let coordinator = SessionManagerBuilder::new()
///     .with_sip_port(5060)
///     .with_max_sessions(1_000)
///     .with_handler(Arc::new(AutoAnswerHandler))
///     .build()
///     .await?;
/// SessionControl::start(&coordinator).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct SessionManagerBuilder {
    config: SessionConfig,
    handler: Option<Arc<dyn CallHandler>>,
    mistakes: Vec<String>,
}

impl SessionManagerBuilder {
    /// With the defaults of [`SessionConfig`].
    pub fn new() -> Self {
        Self::default()
    }

    /// From a configuration.
    pub fn from_config(config: SessionConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// UDP port for SIP; 0: the system chooses, and [`SessionCoordinator::local_addr`] says which.
    pub fn with_sip_port(mut self, port: u16) -> Self {
        self.config.local_bind_addr.set_port(port);
        self
    }

    /// Address and port for SIP, used in Via, Contact and SDP.
    pub fn with_local_bind_addr(mut self, address: SocketAddr) -> Self {
        self.config.local_bind_addr = address;
        self
    }

    /// Our own SIP address, such as `sip:pbx@example.com`.
    pub fn with_local_address(mut self, uri: impl Into<String>) -> Self {
        self.config.local_address = uri.into();
        self
    }

    /// The IP address that peers see us by, where that is another one (NAT).
    pub fn with_public_address(mut self, address: impl AsRef<str>) -> Self {
        match address.as_ref().parse() {
            Ok(ip) => self.config.public_address = Some(ip),
            Err(_) => self.mistakes.push(format!("the public address `{}` is no IP address", address.as_ref())),
        }
        self
    }

    /// First and last UDP port for media.
    pub fn with_rtp_port_range(mut self, first: u16, last: u16) -> Self {
        self.config.media_ports = (first, last);
        self
    }

    /// The same as [`Self::with_rtp_port_range`].
    pub fn with_media_ports(self, first: u16, last: u16) -> Self {
        self.with_rtp_port_range(first, last)
    }

    /// Sessions at once.
    pub fn with_max_sessions(mut self, count: usize) -> Self {
        self.config.max_sessions = count;
        self
    }

    /// Calls of this priority and below may fill at most so many percent of all sessions: the rest is reserved for higher
    /// ones ([`PriorityShares`]).
    pub fn with_priority_share(mut self, level: Priority, percent: u8) -> Self {
        self.config.priority_shares = self.config.priority_shares.with(level, percent);
        self
    }

    /// How long a session may last.
    pub fn with_session_timeout(mut self, limit: Duration) -> Self {
        self.config.session_timeout = Some(limit);
        self
    }

    /// Sessions at once for one user.
    pub fn with_per_user_limit(mut self, count: usize) -> Self {
        self.config.per_user_limit = Some(count);
        self
    }

    /// Codecs, most preferred first.
    pub fn with_codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.config.codecs = codecs.into_iter().collect();
        self
    }

    /// Attaches to a running `ringplane media` by its control socket instead of running media in this process.
    pub fn with_media_plane(mut self, control_socket: impl Into<PathBuf>) -> Self {
        self.config.media_plane = Some(control_socket.into());
        self
    }

    /// A WAV file that calls can play: 8 to 192 kHz, up to 10 minutes.
    pub fn with_prompt(mut self, name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.config.prompts.insert(name.into(), file.into());
        self
    }

    /// How long a deferred call may ring.
    pub fn with_decision_timeout(mut self, limit: Duration) -> Self {
        self.config.decision_timeout = limit;
        self
    }

    /// How long a handler may think.
    pub fn with_handler_timeout(mut self, limit: Duration) -> Self {
        self.config.handler_timeout = limit;
        self
    }

    /// Who decides about calls.
    pub fn with_handler(mut self, handler: Arc<dyn CallHandler>) -> Self {
        self.handler = Some(handler);
        self
    }

    /// The coordinator, not started yet.
    pub async fn build(self) -> Result<Arc<SessionCoordinator>, SessionError> {
        if !self.mistakes.is_empty() {
            return Err(SessionError::config(self.mistakes.join("; ")));
        }
        SessionCoordinator::new(self.config, self.handler)
    }
}
