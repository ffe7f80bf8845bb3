use serde::{Deserialize, Serialize};
use std::fmt;

/// How SIP messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections, also for what is too large for a datagram.
    Tcp,
    /// Encrypted connections.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// Encrypted WebSocket: web browsers.
    Wss,
}

impl Transport {
    /// In lower case, as in `;transport=tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    pub(crate) fn of(transport: sip_core::Transport) -> Self {
        match transport {
            sip_core::Transport::Udp => Self::Udp,
            sip_core::Transport::Tcp => Self::Tcp,
            sip_core::Transport::Tls => Self::Tls,
            sip_core::Transport::Ws => Self::Ws,
            sip_core::Transport::Wss => Self::Wss,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
