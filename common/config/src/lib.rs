//! The configuration: one TOML file, every key with a default, parsed and then checked.
//!
//! [`Config::default`] is what runs without a file. [`Config::parse`] lists every mistake of a file at once, each with
//! its key or entry, value, line, column, what is allowed there and what was probably meant; [`Config::examine`] knows
//! warnings as well, and asks a [`Host`] about files and addresses. [`default_file`] prints all keys with their meaning and default; it
//! comes from the same table ([`KEYS`]) that the defaults are read from, so the two cannot disagree. This crate opens
//! no socket and starts nothing. Read [`Config`] first. Tests: `cargo test -p ringplane-config`.

#![forbid(unsafe_code)]

mod check;
mod host;
mod keys;
mod reading;
mod section;

pub use host::{FilesOnly, Host};
pub use keys::{KEYS, Key, default_file};
pub use reading::mistake::{LoadError, Mistake, Mistakes};
pub use reading::written::Written;
pub use section::auth::{Auth, AuthAlgorithm, AuthUser, Realm, UserIdentities, UserSecret};
pub use section::headers::{Headers, Network, why_never};
pub use section::limits::Limits;
pub use section::media::{
    Digits, Dtmf, Media, PortRange, Prompt, PromptFile, Quality, RtcpXr, VoiceProcessing, Wait, Words,
};
pub use section::process::{LogLevel, Process};
pub use section::recording::{RecordedCalls, RecordedContents, Recording};
pub use section::sip::{Audio, AudioCodec, CallLimits, CodecOrder, Mode, Proxy, Route, Sip, SipStreams};
pub use section::tls::{Certificate, ClientCertificates, Tls};
pub use section::transfer::{Transfer, TransferTargets};
pub use section::word::{CallTone, Word};

use reading::reader::{Readable, Reader};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A whole configuration: one field for each section of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Signaling.
    pub sip: Sip,
    /// The media plane.
    pub media: Media,
    /// Certificates and trust.
    pub tls: Tls,
    /// Who may use the switch.
    pub auth: Auth,
    /// What crosses from one side of a call to the other.
    pub headers: Headers,
    /// Where calls go because a peer says so.
    pub transfer: Transfer,
    /// How much a single source may take.
    pub limits: Limits,
    /// Calls that are written into files.
    pub recording: Recording,
    /// The processes themselves.
    pub process: Process,
    /// What the file says, to compare a later one with it.
    pub written: Written,
}

/// The result of [`Config::examine`].
#[derive(Clone, Debug)]
pub struct Examined {
    /// The configuration, or every mistake of it.
    pub result: Result<Config, Mistakes>,
    /// Settings that are allowed but hardly meant.
    pub warnings: Mistakes,
}

impl Default for Config {
    fn default() -> Self {
        Self::parse("").expect("the table of keys holds sound defaults")
    }
}

impl Config {
    /// Reads a file's text; what it does not name has its default.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        Self::examine(text, &FilesOnly).result
    }

    /// Reads a file's text like [`Self::parse`], asks `host` about the files and addresses that it names, and gives warnings
    /// as well.
    pub fn examine(text: &str, host: &dyn Host) -> Examined {
        let readable = Readable::new(text);
        let mut reader = Reader::new(&readable);
        let mut config = Self {
            sip: Sip::read(&mut reader, host),
            media: Media::read(&mut reader, host),
            tls: Tls::read(&mut reader, host),
            auth: Auth::read(&mut reader),
            headers: Headers::read(&mut reader),
            transfer: Transfer::read(&mut reader),
            limits: Limits::read(&mut reader),
            recording: Recording::read(&mut reader),
            process: Process::read(&mut reader),
            written: reader.written(),
        };
        config.media.add_named_files();
        check::together(&config, &mut reader, host);
        let (mistakes, warnings) = reader.finish();
        let result = if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) };
        Examined { result, warnings: Mistakes(warnings) }
    }

    /// Reads and parses the file at `path`, without a look at the files that it names.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|mistakes| LoadError::Mistakes { path: path.to_owned(), mistakes })
    }

    /// Where media sockets are bound: on the address that descriptions name, since a socket that may choose would send
    /// from another address of a host that has several, and be deaf on the one that the peer knows.
    pub fn media_address(&self) -> IpAddr {
        let everywhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let sip = &self.sip;
        let connections =
            [&sip.streams.listen_tls, &sip.streams.listen_ws, &sip.streams.listen_wss].into_iter().flatten();
        let connections = connections.chain(sip.streams.listen_tcp.iter().flatten());
        let mut all = sip.listen.iter().chain(connections).map(SocketAddr::ip);
        let only = all.next().filter(|first| all.all(|other| other == *first));
        // SIP behind a proxy of this host, media by its own way.
        let is_elsewhere =
            |ip: &IpAddr| ip.is_loopback() && sip.advertised_address.is_some_and(|address| !address.is_loopback());
        let only = only.filter(|ip| !ip.is_unspecified() && !is_elsewhere(ip));
        self.media.bind.or(only).unwrap_or(everywhere)
    }

    /// What is unwise about the file that it was loaded from, with what to do about it.
    pub fn warning(&self, path: &Path) -> Option<String> {
        use std::os::unix::fs::PermissionsExt;
        const OTHERS_MAY_READ: u32 = 0o004;
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (self.auth.is_on() && mode & OTHERS_MAY_READ != 0).then(|| {
            let path = path.display();
            format!("everybody on this host can read the secrets in {path}: chmod 600 {path}")
        })
    }
}

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod tests;
