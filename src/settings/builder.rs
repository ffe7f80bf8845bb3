use crate::api::advanced::{RequestHandler, Serving};
use crate::api::{
    AudioSource, Authenticator, CallHandler, Codec, Credentials, Priority, SessionConfig, SessionCoordinator,
    SessionError, TlsConfig,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    serving: Option<Serving>,
    mistakes: Vec<String>,
}

impl SessionManagerBuilder {
    /// With the defaults of [`SessionConfig`].
    pub fn new() -> Self {
        Self::default()
    }

    /// From a [`SessionConfig`] or a [`crate::api::SessionManagerConfig`].
    pub fn from_config(config: impl Into<SessionConfig>) -> Self {
        Self { config: config.into(), ..Self::default() }
    }

    /// UDP and TCP port for SIP; 0: the system chooses, and [`SessionCoordinator::local_addr`] says which.
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

    /// The name servers for names in SIP addresses, in place of those of the host.
    pub fn with_name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.config.name_servers = servers.into_iter().collect();
        self
    }

    /// First and last UDP port for media.
    pub fn with_rtp_port_range(mut self, first: u16, last: u16) -> Self {
        self.config.media_ports = (first, last);
        self
    }

    /// First and last UDP port for media, like [`Self::with_rtp_port_range`].
    pub fn with_media_ports(self, first: u16, last: u16) -> Self {
        self.with_rtp_port_range(first, last)
    }

    /// Sessions at once: 5000, unless this says otherwise. A call that is forwarded has two.
    pub fn with_max_sessions(mut self, count: usize) -> Self {
        self.config.max_sessions = count;
        self
    }

    /// Calls of this priority and below may fill at most so many percent of all sessions: the rest is reserved for higher
    /// ones ([`crate::api::PriorityShares`]).
    pub fn with_priority_share(mut self, level: Priority, percent: u8) -> Self {
        self.config.priority_shares = self.config.priority_shares.with(level, percent);
        self
    }

    /// How long a session may last.
    pub fn with_session_timeout(mut self, limit: Duration) -> Self {
        self.config.session_timeout = Some(limit);
        self
    }

    /// Sessions at once for one user, the caller of an incoming call; more get 486.
    pub fn with_per_user_limit(mut self, count: usize) -> Self {
        self.config.per_user_limit = Some(count);
        self
    }

    /// Codecs, most preferred first.
    pub fn with_codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.config.codecs = codecs.into_iter().collect();
        self
    }

    /// Puts this codec before the others, and adds it where it is not among them.
    pub fn prefer_codec(mut self, codec: Codec) -> Self {
        self.config.codecs.retain(|other| *other != codec);
        self.config.codecs.insert(0, codec);
        self
    }

    /// Certificates and trust: TLS is listened for, and calls to `sips:` and `;transport=tls` addresses go out.
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// Whether TCP is listened for; it is, unless this says otherwise.
    pub fn with_tcp(mut self, wanted: bool) -> Self {
        self.config.tcp = wanted;
        self
    }

    /// Listens for WebSockets (RFC 7118).
    pub fn with_websocket(mut self, address: SocketAddr) -> Self {
        self.config.websocket = Some(address);
        self
    }

    /// Listens for secure WebSockets, with the certificates of [`Self::with_tls`].
    pub fn with_secure_websocket(mut self, address: SocketAddr) -> Self {
        self.config.secure_websocket = Some(address);
        self
    }

    /// The user and password for servers that ask for credentials; once for each realm.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.config.credentials.push(credentials);
        self
    }

    /// Asks callers who they are, and takes calls only of those who can prove it.
    pub fn with_authenticator(mut self, authenticator: Authenticator) -> Self {
        self.config.authenticator = Some(authenticator);
        self
    }

    /// Whether a peer may hand its call to a third party (REFER); it may, unless this says otherwise. A peer that may can
    /// have us call anywhere but this host itself ([`Self::with_local_destinations`]).
    pub fn with_transfers(mut self, accepted: bool) -> Self {
        self.config.accept_transfers = accepted;
        self
    }

    /// Whether peers may also have us call this host itself, by REFER or 3xx: loopback, its own and link-local addresses.
    /// They may not, unless this says otherwise; media ports of ours are never called.
    pub fn with_local_destinations(mut self, allowed: bool) -> Self {
        self.config.local_destinations = allowed;
        self
    }

    /// How often the media plane of this process judges how calls sound, 200 ms at least; `None`: `on_quality_changed` and its like
    /// are never told. A running media plane that is attached to has an interval of its own.
    pub fn with_quality_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.config.quality.interval = interval.into();
        self
    }

    /// The score (MOS, 1.0 to 4.5) below which a stream is degraded, in the media plane of this process: see `on_quality_degraded`.
    /// 0.0: none ever is.
    pub fn with_degraded_mos(mut self, mos: f64) -> Self {
        self.config.quality.degraded_mos = mos;
        self
    }

    /// Attaches to a running `ringplane media` by its control socket instead of running media in this process.
    pub fn with_media_plane(mut self, control_socket: impl Into<PathBuf>) -> Self {
        self.config.media_plane = Some(control_socket.into());
        self
    }

    /// Recordings have to stay below this folder, which is there already: what leads out of it, symbolic links as well, is
    /// refused. Paths that are not absolute are in it.
    pub fn with_recording_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.files.recording_folder = Some(folder.into());
        self
    }

    /// What a caller whose call is forwarded hears while the target rings and sends no early media: a tone, or a prompt again
    /// and again. It is announced by 183, and gives way to the target's early media or answer.
    pub fn with_ringback(mut self, source: AudioSource) -> Self {
        self.config.files.ringback = Some(source);
        self
    }

    /// A WAV, FLAC, MP3 or Ogg file (Vorbis or Opus) that calls can play: 8 to 192 kHz, up to 10 minutes.
    pub fn with_prompt(mut self, name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.config.files.prompts.insert(name.into(), file.into());
        self
    }

    /// How long a deferred call may ring: 30 s, unless this says otherwise.
    pub fn with_decision_timeout(mut self, limit: Duration) -> Self {
        self.config.decision_timeout = limit;
        self
    }

    /// How long a method of a handler may take: 10 s, unless this says otherwise.
    pub fn with_handler_timeout(mut self, limit: Duration) -> Self {
        self.config.handler_timeout = limit;
        self
    }

    /// The handler that decides about calls.
    pub fn with_handler(mut self, handler: Arc<dyn CallHandler>) -> Self {
        self.handler = Some(handler);
        self
    }

    /// Keeps the last message of the peer about each call, for `advanced::AdvancedControl::message`.
    pub fn with_kept_messages(mut self, kept: bool) -> Self {
        self.config.keep_messages = kept;
        self
    }

    /// The handler of requests that belong to no call: MESSAGE, INFO of a kind that is no key, other methods.
    pub fn with_request_handler(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
        handler: Arc<dyn RequestHandler>,
    ) -> Self {
        self.serving = Some(Serving { methods: methods.into_iter().map(Into::into).collect(), handler });
        self
    }

    /// The coordinator, not started yet.
    pub async fn build(self) -> Result<Arc<SessionCoordinator>, SessionError> {
        if !self.mistakes.is_empty() {
            return Err(SessionError::config(self.mistakes.join("; ")));
        }
        SessionCoordinator::make(self.config, self.handler, self.serving)
    }
}
