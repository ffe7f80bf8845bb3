//! When a request is too large for UDP (RFC 3261 §18.1.1).

use crate::Transport;

/// Room that a response needs beyond the request that it answers.
pub const MTU_MARGIN_BYTES: usize = 200;
/// Largest request over UDP when nobody knows the path's MTU.
pub const UNKNOWN_MTU_MAX_BYTES: usize = 1_300;

/// How a request is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carriage {
    /// The transport to send it by. When it is not the one that was asked for, the topmost Via must be changed to it.
    pub transport: Transport,
    /// What to try, with the Via changed back, when no connection can be opened ([`CloseReason::ConnectFailed`] or
    /// [`CloseReason::ConnectTimedOut`]): some peers understand UDP only.
    ///
    /// [`CloseReason::ConnectFailed`]: crate::CloseReason::ConnectFailed
    /// [`CloseReason::ConnectTimedOut`]: crate::CloseReason::ConnectTimedOut
    pub fall_back: Option<Transport>,
}

/// The transport for a request of `request_bytes` that would go by `asked` to its next hop. A transport that the user
/// or the peer's records demand is passed as it is: only UDP is ever changed, and only for requests.
pub const fn carriage(request_bytes: usize, path_mtu_bytes: Option<usize>, asked: Transport) -> Carriage {
    let is_too_large = match path_mtu_bytes {
        Some(mtu) => request_bytes.saturating_add(MTU_MARGIN_BYTES) > mtu,
        None => request_bytes > UNKNOWN_MTU_MAX_BYTES,
    };
    match asked {
        Transport::Udp if is_too_large => Carriage { transport: Transport::Tcp, fall_back: Some(Transport::Udp) },
        _ => Carriage { transport: asked, fall_back: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_leave_udp_and_nothing_else_moves() {
        let stays = |transport| Carriage { transport, fall_back: None };
        let moves = Carriage { transport: Transport::Tcp, fall_back: Some(Transport::Udp) };
        assert_eq!(carriage(1_300, None, Transport::Udp), stays(Transport::Udp));
        assert_eq!(carriage(1_301, None, Transport::Udp), moves);
        assert_eq!(carriage(1_300, Some(1_500), Transport::Udp), stays(Transport::Udp));
        assert_eq!(carriage(1_301, Some(1_500), Transport::Udp), moves);
        assert_eq!(carriage(8_800, Some(9_000), Transport::Udp), stays(Transport::Udp));
        assert_eq!(carriage(usize::MAX, Some(1_500), Transport::Udp), moves);
        for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
            assert_eq!(carriage(60_000, None, transport), stays(transport));
        }
    }
}
